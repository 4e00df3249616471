"""Helpers for tests of files. To the server, chunks are bytes of the right length."""

import random
from collections.abc import Sequence
from typing import Any

import httpx
from api_helpers import bearer, create

from seclink.model import CHUNK_BYTES

SMALL = 284  # 256 bytes and their seal


def content(size: int = SMALL, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def chunks_of(data: bytes) -> list[bytes]:
    return [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]


async def begin(http: httpx.AsyncClient, size: int = SMALL, key: str | None = None, **members: Any) -> dict[str, Any]:
    """Begin an upload; return the JSON of the response."""
    headers = bearer(key) if key else {}
    response = await http.post("/uploads", json={"size": size, **members}, headers=headers)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


def by(upload: dict[str, Any], **headers: str) -> dict[str, str]:
    return {"SecLink-Upload": upload["uploadToken"], **headers}


async def put(
    http: httpx.AsyncClient, upload: dict[str, Any], n: int | str, data: Any, **headers: str
) -> httpx.Response:
    named = by(upload) | {"Content-Type": "application/octet-stream"} | headers
    return await http.put(f"/uploads/{upload['uploadId']}/chunks/{n}", content=data, headers=named)


async def upload(
    http: httpx.AsyncClient, data: bytes | None = None, key: str | None = None, **members: Any
) -> dict[str, Any]:
    """Upload data whole; return the upload."""
    data = content() if data is None else data
    created = await begin(http, len(data), key, **members)
    for n, chunk in enumerate(chunks_of(data)):
        assert (await put(http, created, n, chunk)).status_code == 204
    return created


def attached(upload: dict[str, Any]) -> dict[str, Any]:
    return {"upload": {"id": upload["uploadId"], "token": upload["uploadToken"]}}


async def create_with_files(
    http: httpx.AsyncClient, data: bytes | None = None, key: str | None = None, **members: Any
) -> dict[str, Any]:
    """Create a secret with files; return the JSON of the response."""
    return await create(http, key=key, **attached(await upload(http, data, key)), **members)


async def reveal_files(http: httpx.AsyncClient, secret: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Reveal a secret with files; return the JSON."""
    response = await http.post(f"/secrets/{secret['linkId']}/reveal", json={"files": True, **members})
    assert response.status_code == 200, response.text
    revealed: dict[str, Any] = response.json()
    return revealed


def granted(revealed: dict[str, Any]) -> dict[str, str]:
    return {"SecLink-Grant": revealed["files"]["grant"]}


async def download(http: httpx.AsyncClient, revealed: dict[str, Any], numbers: Sequence[int] | None = None) -> bytes:
    """Download the chunks, all by default."""
    data = b""
    for n in range(revealed["files"]["chunks"]) if numbers is None else numbers:
        response = await http.get(f"/files/{n}", headers=granted(revealed))
        assert response.status_code == 200, response.text
        data += response.content
    return data

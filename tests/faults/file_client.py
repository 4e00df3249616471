"""A client of the files API: uploads in chunks, secrets that have them, downloads. To the server, chunks are bytes."""

import random
from pathlib import Path
from typing import Any

import httpx
from api_client import create_request
from support.altered_constants import with_constants
from support.server import Server
from support.waiting import TIMEOUT_SECONDS

from seclink.model import CHUNK_BYTES

ANY_DISK = with_constants({"seclink.domain.uploads.MIN_FREE_BYTES": 0})
DATA = random.Random(7).randbytes(2 * CHUNK_BYTES + 300)
CHUNKS = [DATA[start : start + CHUNK_BYTES] for start in range(0, len(DATA), CHUNK_BYTES)]


class FileClient:
    """A client of a server's files API. `begun` is the response to the begin of an upload."""

    def __init__(self, server: Server) -> None:
        self.http = httpx.Client(base_url=f"{server.url}/api/v1", timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> "FileClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def begin(self, size: int = len(DATA), headers: dict[str, str] | None = None) -> dict[str, Any]:
        response = self.http.post("/uploads", json={"size": size}, headers=headers)
        begun: dict[str, Any] = response.raise_for_status().json()
        return begun

    def put(self, begun: dict[str, Any], n: int, chunk: bytes) -> httpx.Response:
        headers = {"SecLink-Upload": begun["uploadToken"], "Content-Type": "application/octet-stream"}
        return self.http.put(f"/uploads/{begun['uploadId']}/chunks/{n}", content=chunk, headers=headers)

    def status(self, begun: dict[str, Any]) -> httpx.Response:
        return self.http.get(f"/uploads/{begun['uploadId']}", headers={"SecLink-Upload": begun["uploadToken"]})

    def received(self, begun: dict[str, Any]) -> set[int]:
        ranges = self.status(begun).raise_for_status().json()["received"]
        return {n for first, last in ranges for n in range(first, last + 1)}

    def attach(self, begun: dict[str, Any], headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
        """Create a secret with the files."""
        upload = {"id": begun["uploadId"], "token": begun["uploadToken"]}
        return self.http.post("/secrets", json=create_request(upload=upload, **members), headers=headers)

    def create(self, chunks: list[bytes] | None = None, **members: Any) -> dict[str, Any]:
        """Create a secret with files, those of `DATA` by default; return the response."""
        chunks = CHUNKS if chunks is None else chunks
        begun = self.begin(sum(map(len, chunks)))
        for n, chunk in enumerate(chunks):
            assert self.put(begun, n, chunk).status_code == 204
        created: dict[str, Any] = self.attach(begun, **members).raise_for_status().json()
        return created

    def reveal(self, secret: dict[str, Any], **headers: str) -> httpx.Response:
        return self.http.post(f"/secrets/{secret['linkId']}/reveal", json={"files": True}, headers=headers)

    def grant(self, secret: dict[str, Any]) -> str:
        """Reveal the secret; return the reader's grant."""
        grant: str = self.reveal(secret).raise_for_status().json()["files"]["grant"]
        return grant

    def chunk(self, grant: str, n: int) -> httpx.Response:
        return self.http.get(f"/files/{n}", headers={"SecLink-Grant": grant})

    def download(self, grant: str, count: int = len(CHUNKS)) -> bytes:
        return b"".join(self.chunk(grant, n).raise_for_status().content for n in range(count))

    def finish(self, grant: str) -> httpx.Response:
        return self.http.delete("/files", headers={"SecLink-Grant": grant})

    def burn(self, secret: dict[str, Any]) -> httpx.Response:
        headers = {"SecLink-Manage": secret["manageToken"]}
        return self.http.delete(f"/receipts/{secret['receiptId']}", headers=headers)


def files_of(server: Server) -> list[Path]:
    folder = server.folder / "seclink.db.files"
    return sorted(folder.iterdir()) if folder.exists() else []

"""The operations on files: uploads in chunks, and the downloads of readers.

A chunk is bytes, not JSON, and is never in memory as a whole: its body goes to the disk piece by piece, and comes from
there so. Calls about chunks count in no rate; the token, the size of the upload and a share of each client bound them.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Any

from seclink.domain import tokens
from seclink.domain.clock import Clock
from seclink.domain.uploads import Chunk, NewUpload
from seclink.domain.vault import Vault
from seclink.errors import (
    BadRequest,
    ChunkLength,
    DigestMismatch,
    FilesFull,
    FilesNotAllowed,
    FilesQuota,
    FilesTooLarge,
    Gone,
    IdempotencyMismatch,
    NotFound,
    StorageFull,
    Superseded,
    UnsupportedMediaType,
    UploadUnknown,
    UploadUsed,
)
from seclink.model import CHUNK_BYTES, Scope, Upload
from seclink.web import file_schemas, json_body
from seclink.web.admission import NO_RATE, AccessRule, Admission
from seclink.web.request import SMALL_BODY, RequestContext, checked_id
from seclink.web.response import Response, StreamedResponse, json_response, no_content
from seclink.web.routes import BINARY, Operation

STREAMED_BYTES = CHUNK_BYTES + 65_536  # a body that is a little too long shall get chunk_length, not be cut off
NUMBER = re.compile("[0-9]{1,9}")
SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([^:]*):")
UPLOAD_ERRORS = (UploadUnknown, UploadUsed)
BY_TOKEN = AccessRule(rate=NO_RATE)


class FilesApi:
    """The operations on `/uploads` and `/files`."""

    def __init__(self, vault: Vault, admission: Admission, clock: Clock) -> None:
        self._vault, self._admission, self._clock = vault, admission, clock

    def operations(self) -> Iterator[Operation]:
        upload_path = "/uploads/{upload_id:str}"
        yield Operation(
            method="GET",
            path="/uploads",
            handler=self.get_limits,
            summary="Get the limits for files",
            access_rule=AccessRule(rate="peek"),
            response_body=file_schemas.UploadLimits,
        )
        yield Operation(
            method="POST",
            path="/uploads",
            handler=self.create_upload,
            summary="Begin the upload of files",
            access_rule=AccessRule(rate="create", scopes=(Scope.CREATE,)),
            request_body=file_schemas.CreateUpload,
            response_body=file_schemas.UploadBegun,
            status=201,
            headers=("Idempotency-Key",),
            errors=(FilesNotAllowed, FilesTooLarge, FilesQuota, FilesFull, StorageFull, IdempotencyMismatch),
        )
        yield Operation(
            method="PUT",
            path=f"{upload_path}/chunks/{{n:str}}",
            handler=self.put_chunk,
            summary="Store a chunk durably",
            access_rule=BY_TOKEN,
            takes_bytes=True,
            status=204,
            headers=("SecLink-Upload", "Content-Digest"),
            errors=(*UPLOAD_ERRORS, NotFound, ChunkLength, DigestMismatch, Superseded, FilesFull),
        )
        yield Operation(
            method="GET",
            path=upload_path,
            handler=self.get_upload,
            summary="Get the chunks that an upload has",
            access_rule=AccessRule(rate="peek"),
            response_body=file_schemas.UploadStatus,
            headers=("SecLink-Upload",),
            errors=UPLOAD_ERRORS,
        )
        yield Operation(
            method="DELETE",
            path=upload_path,
            handler=self.delete_upload,
            summary="Give an upload up, or what is outstanding of it",
            access_rule=BY_TOKEN,
            status=204,
            headers=("SecLink-Upload",),
            errors=UPLOAD_ERRORS,
        )
        yield Operation(
            method="GET",
            path="/files/{n:str}",
            handler=self.get_chunk,
            summary="Download a chunk",
            access_rule=BY_TOKEN,
            returns_bytes=True,
            headers=("SecLink-Grant",),
            errors=(NotFound, Gone),
        )
        yield Operation(
            method="DELETE",
            path="/files",
            handler=self.finish_download,
            summary="End a download that is complete",
            access_rule=BY_TOKEN,
            status=204,
            headers=("SecLink-Grant",),
            errors=(NotFound, Gone),
        )

    async def get_limits(self, request: RequestContext) -> Response:
        limits = self._vault.uploads.limits(request.actor)
        return json_response(
            file_schemas.UploadLimits(
                allowed=limits.allowed,
                max_bytes=limits.max_bytes,
                client_bytes=limits.client_bytes,
                chunk_bytes=CHUNK_BYTES,
                grant_seconds=limits.grant_seconds,
            )
        )

    async def create_upload(self, request: RequestContext) -> Response:
        key = request.idempotency_key()
        body = await request.body(SMALL_BODY)
        members = json_body.parse(body, request.header(b"content-type"), file_schemas.CreateUpload)
        created = await self._vault.uploads.create(
            NewUpload(members.size, members.secrets),
            request.actor,
            self._clock.now(),
            partial(self._admission.charge_files, request.actor),
            (key, hashlib.sha256(body).digest()) if key else None,
        )
        upload = created.upload
        return json_response(file_schemas.UploadBegun(**_upload(upload), upload_token=created.token), 201)

    async def put_chunk(self, request: RequestContext, upload_id: str, n: str) -> Response:
        if request.header(b"content-type") != BINARY:
            raise UnsupportedMediaType(f"A chunk is sent as {BINARY}")
        length = request.header(b"content-length")
        chunk = Chunk(_number(n), None if length is None else int(length), _sha256(request.header(b"content-digest")))
        await self._vault.uploads.put(
            _upload_id(upload_id),
            chunk,
            request.header(b"seclink-upload"),
            request.piece,
            request.actor,
            self._clock.now(),
        )
        return no_content()

    async def get_upload(self, request: RequestContext, upload_id: str) -> Response:
        token = request.header(b"seclink-upload")
        upload = await self._vault.uploads.find(_upload_id(upload_id), token, self._clock.now())
        return json_response(file_schemas.UploadStatus(**_upload(upload), received=_ranges(upload)))

    async def delete_upload(self, request: RequestContext, upload_id: str) -> Response:
        token = request.header(b"seclink-upload")
        await self._vault.uploads.give_up(_upload_id(upload_id), token, self._clock.now())
        return no_content()

    async def get_chunk(self, request: RequestContext, n: str) -> StreamedResponse:
        token = request.header(b"seclink-grant")
        download = await self._vault.downloads.open(token, _number(n), request.actor, self._clock.now())
        return StreamedResponse(download.length, download.pieces)

    async def finish_download(self, request: RequestContext) -> Response:
        await self._vault.downloads.finish(request.header(b"seclink-grant"), self._clock.now())
        return no_content()


def _upload_id(text: str) -> str:
    if not tokens.UPLOAD_ID.fullmatch(text):
        raise UploadUnknown()
    return text


def _number(text: str) -> int:
    return int(checked_id(NUMBER, text))


def _sha256(content_digest: str | None) -> bytes | None:
    """Return the SHA-256 of a Content-Digest (RFC 9530), None if it has only other digests. Raises BadRequest."""
    match = SHA256.search(content_digest or "")
    if match is None:
        return None
    try:
        digest = base64.b64decode(match[1], validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise BadRequest("Content-Digest must be sha-256=:BASE64:")
    return digest


def _upload(upload: Upload) -> dict[str, Any]:
    return {
        "upload_id": upload.upload_id,
        "size": upload.size,
        "chunk_bytes": CHUNK_BYTES,
        "chunks": upload.chunks,
        "expires_at": upload.expires_at,
    }


def _ranges(upload: Upload) -> list[tuple[int, int]]:
    """Return the chunks that are there as ranges, both ends included."""
    ranges = []
    for is_there, group in groupby(range(upload.chunks), upload.has):
        numbers = list(group)
        if is_there:
            ranges.append((numbers[0], numbers[-1]))
    return ranges

"""The calls that upload files. Each is a generator (see `steps`).

A chunk is read, sealed and sent, and sent again until the server has it; one is in memory at a time. An upload that
fails is given up on the server, so that nothing half sent can ever be read.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from seclink.client.models import Json, boolean, integer, string
from seclink.client.protocol import exchange, transfer
from seclink.client.session import Session
from seclink.client.sources import FileInput, Sources, too_large
from seclink.client.steps import Flow, HttpRequest, Progress, blocking
from seclink.errors import FilesNotAllowed, FilesTooLarge, SecLinkError, SourceChanged
from seclink.format.file_header import FileHeader
from seclink.format.file_stream import CHUNK_BYTES, NONCE_BYTES, FileStream


@dataclass(frozen=True, slots=True)
class BegunUpload:
    """Files on a server, for a secret that is not yet created. `header` has the key that encrypts them.

    `modified_ns` is when each file had last changed, so that no other one is taken for it when the upload is resumed.
    """

    id: str
    token: str = field(repr=False)
    header: FileHeader
    modified_ns: Sequence[int]


def upload(
    session: Session,
    files: Sequence[FileInput],
    *,
    progress: Progress | None = None,
    resume: BegunUpload | None = None,
    on_begin: Callable[[BegunUpload], None] | None = None,
) -> Flow[BegunUpload]:
    """Encrypt files and upload them, for `create`. A file is a path, a binary stream, or a tuple of a name and either.

    `on_begin` gets the upload before its first chunk is sent, and a later call can `resume` it from the same files.
    Without `on_begin`, a failing upload is given up on the server. Raises FilesTooLarge, FilesNotAllowed, FilesQuota or
    FilesFull before anything is read, SourceChanged for a file that changes or disappears meanwhile.
    """
    max_bytes = yield from exchange(session.get("/uploads"), _max_bytes)
    with _hint_at_keys(session), (yield from blocking(lambda: Sources(files, max_bytes))) as sources:
        begun = resume or (yield from _begin(session, sources, max_bytes))
        if on_begin:
            on_begin(begun)
        try:
            yield from _send(session, begun, sources, progress or (lambda done, total: None))
        except SecLinkError as error:
            if isinstance(error, SourceChanged) or not on_begin:
                yield from give_up(session, begun)
            raise
    return begun


def cancel_upload(session: Session, upload: BegunUpload) -> Flow[None]:
    """Give an upload up, before a secret was created with it. The server erases it."""
    yield from exchange(HttpRequest("DELETE", _url(session, upload), _credentials(upload)), lambda _: None)


def give_up(session: Session, upload: BegunUpload) -> Flow[None]:
    """Cancel an upload, if that is possible. Otherwise the server ends it within an hour."""
    with suppress(SecLinkError):
        yield from cancel_upload(session, upload)


@contextmanager
def _hint_at_keys(session: Session) -> Iterator[None]:
    """Say of files that are too large that an API key may have more, to a client without one."""
    try:
        yield
    except FilesTooLarge as error:
        if session.key or error.faults:
            raise
        raise FilesTooLarge(f"{error.message}; an API key may have more") from None


def _begin(session: Session, sources: Sources, max_bytes: int) -> Flow[BegunUpload]:
    header = FileHeader(sources.entries, session.random(32))
    stream = FileStream(header.key, header.size)
    if stream.padded > max_bytes:
        raise too_large(max_bytes)
    headers = session.credentials() | session.idempotency_key()
    request = HttpRequest("POST", session.url("/uploads"), headers, {"size": stream.sealed_bytes}, repeatable=True)
    return (yield from exchange(request, partial(_begun, header, stream, sources.modified_ns)))


def _begun(header: FileHeader, stream: FileStream, modified_ns: Sequence[int], data: Json) -> BegunUpload:
    upload_id, token = string(data["uploadId"]), string(data["uploadToken"])
    is_ours = (upload_id + token).isascii() and (upload_id + token).isalnum()
    if not is_ours or integer(data["chunks"]) != stream.chunks:
        raise ValueError("not an upload of these files")
    return BegunUpload(upload_id, token, header, modified_ns)


def _send(session: Session, upload: BegunUpload, sources: Sources, progress: Progress) -> Flow[None]:
    """Send the chunks that the server does not have."""
    if [*sources.entries] != [*upload.header.files] or [*sources.modified_ns] != [*upload.modified_ns]:
        raise SourceChanged("These are not the files of the upload, or they were changed since it began")
    stream = FileStream(upload.header.key, upload.header.size)
    request = HttpRequest("GET", _url(session, upload), _credentials(upload), repeatable=True)
    received = yield from exchange(request, _received)
    missing = [n for n in range(stream.chunks) if not any(first <= n <= last for first, last in received)]
    done = stream.padded - sum(map(stream.length, missing))
    if received:
        progress(done, stream.padded)
    for index in missing:
        nonce = session.random(NONCE_BYTES)
        chunk = yield from blocking(partial(_sealed, stream, sources, index, nonce))
        url, headers = f"{_url(session, upload)}/chunks/{index}", _credentials(upload) | _digest(chunk)
        yield from transfer(HttpRequest("PUT", url, headers, chunk, repeatable=True))
        done += stream.length(index)
        progress(done, stream.padded)
    yield from blocking(sources.check)


def _sealed(stream: FileStream, sources: Sources, index: int, nonce: bytes) -> bytes:
    return stream.seal(index, nonce, sources.read(index * CHUNK_BYTES, CHUNK_BYTES))


def _digest(chunk: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(chunk).digest()).decode()
    return {"Content-Digest": f"sha-256=:{digest}:"}


def _url(session: Session, upload: BegunUpload) -> str:
    return session.url(f"/uploads/{upload.id}")


def _credentials(upload: BegunUpload) -> dict[str, str]:
    return {"SecLink-Upload": upload.token}


def _received(data: Json) -> list[tuple[int, int]]:
    return [(integer(first), integer(last)) for first, last in data["received"]]


def _max_bytes(limits: Json) -> int:
    if not boolean(limits["allowed"]):
        raise FilesNotAllowed
    return integer(limits["maxBytes"])

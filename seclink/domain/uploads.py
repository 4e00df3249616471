"""The operations on uploads: files on their way in, as chunks that the sender has encrypted.

A chunk counts once its bytes are durable and then its bit is committed, so that no crash leaves one that is not there.
`now` is epoch milliseconds and comes from the caller.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator

from msgspec import Struct

from seclink.config.schema import Config
from seclink.domain import tokens
from seclink.domain.chunk_turns import Turn
from seclink.domain.files_state import FilesState, Unfinished, UploadCreated, storage_errors
from seclink.domain.policy import raise_faults
from seclink.domain.shares import holder_of
from seclink.errors import (
    ChunkLength,
    DigestMismatch,
    Fault,
    FilesNotAllowed,
    FilesQuota,
    FilesTooLarge,
    Limit,
    NotFound,
    UploadUnknown,
    UploadUsed,
)
from seclink.model import CHUNK_BYTES, SEAL_BYTES, UPLOAD_IDLE_MS, Actor, Scope, Upload, chunk_count
from seclink.store.contract import Room
from seclink.telemetry.log import Log

MAX_SIZE, MAX_SECRETS = 2**53 - 1, 1_000
MIN_FREE_BYTES = 2**30  # of the disk, which files leave to the database and the rest of the machine
QUOTA_SECONDS = 60

Charge = Callable[[int], Callable[[], None]]
"""(bytes) -> a function that gives them back. Raises FilesQuota."""
Receive = Callable[[], Awaitable[bytes]]
"""() -> the next piece of a body, empty at its end."""


class NewUpload(Struct, frozen=True):
    """A request for an upload of `size` encrypted bytes that `secrets` secrets will have."""

    size: int
    secrets: int = 1


class FilesLimits(Struct, frozen=True):
    """The limits for a caller. `client_bytes` is None for one with an API key."""

    allowed: bool
    max_bytes: int
    client_bytes: int | None
    grant_seconds: int


class Chunk(Struct, frozen=True):
    """A chunk on its way in: its number, the length and the SHA-256 that the client has announced."""

    number: int
    length: int | None
    sha256: bytes | None


class Uploads:
    """The use cases under one configuration."""

    def __init__(self, state: FilesState, config: Config, log: Log) -> None:
        self._state, self._config, self._log = state, config, log
        self._uploads, self._files = state.uploads, state.uploads.files

    def limits(self, actor: Actor) -> FilesLimits:
        files = self._config.files
        is_anonymous = actor.key is None
        return FilesLimits(
            allowed=self._may_create(actor),
            max_bytes=self._max_bytes(actor),
            client_bytes=files.client_bytes if is_anonymous else None,
            grant_seconds=files.grant,
        )

    async def create(
        self, new: NewUpload, actor: Actor, now: int, charge: Charge, retry: tuple[str, bytes] | None = None
    ) -> UploadCreated:
        """Reserve room for an upload.

        Raises BadRequest, FilesNotAllowed, FilesTooLarge, FilesQuota, FilesFull; then nothing is reserved. `retry` is
        as for the creation of a secret.
        """
        self._check(new, actor)
        return await self._state.created.once_for(actor, retry, lambda: self._create(new, actor, now, charge))

    async def find(self, upload_id: str, token: str | None, now: int) -> Upload:
        """Return an upload that secrets may still be attached to. Raises UploadUnknown, UploadUsed."""
        upload = await self._uploads.find(upload_id)
        if upload is None or token is None or not tokens.equal(upload.token_digest, tokens.digest(token)):
            raise UploadUnknown()
        if not upload.outstanding:
            raise UploadUsed()
        if upload.expires_at <= now:
            raise UploadUnknown()
        return upload

    async def give_up(self, upload_id: str, token: str | None, now: int) -> None:
        """End what is outstanding of an upload. Raises UploadUnknown, UploadUsed."""
        await self.find(upload_id, token, now)
        await self._uploads.end(upload_id)
        self._state.finish(upload_id)
        self._state.erase_ended()

    async def put(
        self, upload_id: str, chunk: Chunk, token: str | None, receive: Receive, actor: Actor, now: int
    ) -> None:
        """Store a chunk durably.

        Raises UploadUnknown, UploadUsed, NotFound for a number out of range, ChunkLength, DigestMismatch, Superseded,
        FilesFull, Busy.
        """
        upload = await self.find(upload_id, token, now)
        with self._state.sending_slot(actor, upload):
            if chunk.number >= upload.chunks:
                raise NotFound("The upload has no chunk of this number")
            if chunk.length not in (None, upload.length(chunk.number)):
                raise ChunkLength(f"This chunk has {upload.length(chunk.number)} bytes")
            async with self._state.turns.take((upload_id, chunk.number)) as turn:
                upload = await self.find(upload_id, token, now)  # the request before may have stored it meanwhile
                await self._put(upload, chunk, turn, receive)
                await self._uploads.add_chunk(upload_id, chunk.number, now)

    def _may_create(self, actor: Actor) -> bool:
        creators = self._config.file_creators
        return creators == "anyone" or (creators == "keys" and actor.may(Scope.CREATE))

    def _max_bytes(self, actor: Actor) -> int:
        files = self._config.files
        anonymous = min(files.client_bytes, files.total_bytes // 2)
        return files.max_bytes if actor.key is not None else min(files.max_bytes, anonymous)

    def _check(self, new: NewUpload, actor: Actor) -> None:
        if not self._may_create(actor):
            raise FilesNotAllowed()
        raise_faults(_faults(new))
        max_bytes = self._max_bytes(actor)
        if _plain_bytes(new.size) > max_bytes:
            more = ", more with an API key" if max_bytes < self._config.files.max_bytes else ""
            message = f"the files of a secret may have at most {max_bytes} bytes{more}"
            limit = Limit(max=max_bytes + SEAL_BYTES * -(-max_bytes // (CHUNK_BYTES - SEAL_BYTES)))
            raise FilesTooLarge(faults=(Fault("size", message, "out_of_range", limit),))

    async def _create(self, new: NewUpload, actor: Actor, now: int, charge: Charge) -> UploadCreated:
        holder = holder_of(actor)
        if not self._state.take_place(holder):
            raise FilesQuota("You have too many unfinished uploads", QUOTA_SECONDS)
        refund = None
        try:
            refund = charge(_plain_bytes(new.size))
            created = await self._add(new, actor, now)
        except BaseException:
            self._state.give_back(holder)
            if refund is not None:
                refund()
            raise
        self._state.add(created.upload.upload_id, Unfinished(holder, refund))
        self._log.info("upload", account=actor.account)
        return created

    async def _add(self, new: NewUpload, actor: Actor, now: int) -> UploadCreated:
        token = tokens.draw(tokens.TOKEN_CHARACTERS)
        upload = Upload(
            upload_id=tokens.draw(tokens.UPLOAD_CHARACTERS),
            token_digest=tokens.digest(token),
            file=tokens.file_name(),
            account=actor.account,
            size=new.size,
            received=bytes(-(-chunk_count(new.size) // 8)),
            outstanding=new.secrets,
            created_at=now,
            expires_at=now + UPLOAD_IDLE_MS,
        )
        files = self._config.files
        room = Room(files.total_bytes, files.total_bytes // 2)
        with storage_errors():
            disk_bytes = await self._files.free_bytes() - MIN_FREE_BYTES
        await self._uploads.add(upload, _plain_bytes(new.size), room, disk_bytes)
        try:
            with storage_errors():
                await self._files.create(upload.file)
        except BaseException:
            await self._uploads.end(upload.upload_id)
            raise
        return UploadCreated(upload, token)

    async def _put(self, upload: Upload, chunk: Chunk, turn: Turn, receive: Receive) -> None:
        """Write the body in place, or drop it if the chunk is there already."""
        offset, expected, received = chunk.number * CHUNK_BYTES, upload.length(chunk.number), 0
        digest = hashlib.sha256() if chunk.sha256 is not None else None
        with storage_errors():
            file = -1 if upload.has(chunk.number) else await self._files.open_file(upload.file, writable=True)
        try:
            while piece := await turn.wait_for(receive):
                if received + len(piece) > expected:
                    raise ChunkLength(f"This chunk has {expected} bytes")
                if file >= 0:
                    with storage_errors():
                        await self._files.write(file, offset + received, piece, digest)
                    self._state.written_bytes += len(piece)
                received += len(piece)
            if received != expected:
                raise ChunkLength(f"This chunk has {expected} bytes")
            if file < 0:
                return
            if digest is not None and digest.digest() != chunk.sha256:
                raise DigestMismatch()
            with storage_errors():
                await self._files.sync(file)
        finally:
            if file >= 0:
                await self._files.close_file(file)


def _plain_bytes(size: int) -> int:
    return size - SEAL_BYTES * chunk_count(size)


def _faults(new: NewUpload) -> Iterator[Fault]:
    if not SEAL_BYTES < new.size <= MAX_SIZE:
        limit = Limit(SEAL_BYTES + 1, MAX_SIZE)
        yield Fault("size", f"must be {limit.min} to {limit.max} bytes", "out_of_range", limit)
    elif 0 < new.size % CHUNK_BYTES <= SEAL_BYTES:
        yield Fault("size", f"leaves fewer than {SEAL_BYTES + 1} bytes for the last chunk", "out_of_range")
    if not 1 <= new.secrets <= MAX_SECRETS:
        yield Fault("secrets", f"must be 1 to {MAX_SECRETS}", "out_of_range", Limit(1, MAX_SECRETS))

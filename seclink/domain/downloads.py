"""The downloads of readers: chunks, as often as the network needs them, with the grant that a reveal gave.

The chunks are erased when no secret and no grant needs them; until then their key, which was in the payload of the
secret, decides who can read them. `now` is epoch milliseconds and comes from the caller.
"""

from collections.abc import AsyncGenerator
from typing import NamedTuple

from seclink.domain import tokens
from seclink.domain.files_state import FilesState, storage_errors
from seclink.errors import Gone, NotFound, StorageFailed
from seclink.model import CHUNK_BYTES, Actor, Grant, chunk_count, chunk_length

PIECE_BYTES = 256 * 1024


class Download(NamedTuple):
    """A chunk on its way out: its length, and its pieces. The first piece may raise StorageFailed, Busy."""

    length: int
    pieces: AsyncGenerator[bytes, None]


class Downloads:
    """The operations with a grant."""

    def __init__(self, state: FilesState) -> None:
        self._state, self._uploads, self._files = state, state.uploads, state.uploads.files

    async def open(self, token: str | None, chunk: int, actor: Actor, now: int) -> "Download":
        """Return the download of a chunk. Raises NotFound, Gone."""
        ended = self._state.ended
        grant = await self._grant(token, now)
        if token is None or chunk >= chunk_count(grant.size):
            raise NotFound("The files have no chunk of this number")
        if not grant.was_started:
            await self._uploads.start_grant(tokens.digest(token), now)
        offset, length = chunk * CHUNK_BYTES, chunk_length(grant.size, chunk)
        return Download(length, self._pieces(grant.file or "", offset, offset + length, token, actor, now, ended))

    async def finish(self, token: str | None, now: int) -> None:
        """End a grant whose reader has everything. Raises NotFound, Gone."""
        await self._grant(token, now)
        if not await self._uploads.end_grant(tokens.digest(token or ""), now):
            await self._grant(token, now)
        self._state.end_transfers()

    async def _grant(self, token: str | None, now: int) -> Grant:
        """Return the live grant of a reader. Raises NotFound, Gone."""
        grant = await self._uploads.find_grant(tokens.digest(token), now) if token is not None else None
        if grant is None:
            raise NotFound()
        if not grant.is_live(now):
            raise Gone("The download has ended", state=grant.state, ended_at=grant.secret_ended_at)
        return grant

    async def _pieces(
        self, name: str, offset: int, end: int, token: str, actor: Actor, now: int, ended: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield a part of a file until the grant ends. Raises StorageFailed, Busy, Gone."""
        with self._state.fetching_slot(actor):
            with storage_errors():
                file = await self._files.open_file(name)
            try:
                while offset < end:
                    with storage_errors():
                        piece = await self._files.read(file, offset, min(PIECE_BYTES, end - offset))
                    if not piece:
                        raise StorageFailed()
                    self._state.read_bytes += len(piece)
                    if ended != self._state.ended:
                        ended = self._state.ended
                        await self._grant(token, now)
                    yield piece
                    offset += len(piece)
            finally:
                await self._files.close_file(file)

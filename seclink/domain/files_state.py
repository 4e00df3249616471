"""The parts of the files that outlive a reload: who has unfinished uploads, and which chunks are on their way."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from msgspec import Struct

from seclink.domain.background import BackgroundTasks
from seclink.domain.chunk_turns import ChunkTurns
from seclink.domain.idempotency import IdempotencyCache
from seclink.domain.shares import Holder, Shares, account_holder
from seclink.errors import FilesFull, StorageFailed, StoreUnusable
from seclink.model import Actor, Upload
from seclink.store.contract import UploadStore

CREATE_RETRY_SECONDS, MAX_RETRIES, RESULT_BYTES = 600, 20_000, 1024
MAX_UNFINISHED = 1_024  # uploads; one client may have an eighth
MAX_CALLS, CALL_PARTS = 256, 16  # that send, and that fetch chunks at a time; one client may have 16 of each
TOO_MANY = "Too many chunks are on their way at the same time; try again"


class UploadCreated(Struct, frozen=True):
    """A new upload. Its token exists only here: the store has its digest."""

    upload: Upload
    token: str


class Unfinished(Struct):
    """An upload that secrets may still be attached to. `refund` gives an anonymous client its bytes back."""

    holder: Holder
    refund: Callable[[], None]
    is_attached: bool = False


class FilesState:
    """`ended` counts how often grants were ended: a transfer looks again whether its own is among them.

    `written_bytes` and `read_bytes` of chunks went to and came from the disk since the start.
    """

    def __init__(self, uploads: UploadStore, background: BackgroundTasks, monotonic: Callable[[], float]) -> None:
        self.uploads, self._background = uploads, background
        self.created: IdempotencyCache[UploadCreated] = IdempotencyCache(
            CREATE_RETRY_SECONDS, MAX_RETRIES, MAX_RETRIES * RESULT_BYTES, lambda _: RESULT_BYTES, monotonic
        )
        self.turns = ChunkTurns()
        self._sending, self._fetching = Shares(MAX_CALLS, CALL_PARTS), Shares(MAX_CALLS, CALL_PARTS)
        self.ended = self.written_bytes = self.read_bytes = 0
        self._shares = Shares(MAX_UNFINISHED)
        self._unfinished: dict[str, Unfinished] = {}

    async def load(self) -> None:
        """Count the uploads from before a restart.

        No address is kept on the disk: those of anonymous clients count against all of them together, and their bytes
        against nobody's day.
        """
        for upload_id, account in await self.uploads.unfinished():
            holder = account_holder(account) if account else Holder(client="before the restart")
            self._shares.add(holder, 1)
            self.add(upload_id, Unfinished(holder, lambda: None))

    def take_place(self, holder: Holder) -> bool:
        """Count an unfinished upload of the holder, if that fits."""
        return self._shares.take(holder)

    def give_back(self, holder: Holder) -> None:
        self._shares.add(holder, -1)

    def add(self, upload_id: str, unfinished: Unfinished) -> None:
        self._unfinished[upload_id] = unfinished

    def attach(self, upload_id: str, outstanding: int) -> None:
        """Note that a secret has the files of an upload, and that `outstanding` others may still get them."""
        unfinished = self._unfinished.get(upload_id)
        if unfinished is not None:
            unfinished.is_attached = True
            if not outstanding:
                self.finish(upload_id)

    def finish(self, upload_id: str) -> None:
        """Forget an upload that has ended; without any secret, its client gets its bytes back."""
        unfinished = self._unfinished.pop(upload_id, None)
        if unfinished is not None:
            self.give_back(unfinished.holder)
            if not unfinished.is_attached:
                unfinished.refund()

    def end_transfers(self) -> None:
        """Stop the transfers whose grants were ended, and erase the chunks that nobody needs any more."""
        self.ended += 1
        self.erase_ended()

    def erase_ended(self) -> None:
        """Erase soon the chunks that only ended secrets and grants have needed; what is due by the clock can wait."""
        self._background.spawn(self._sweep())

    async def sweep(self, now: int) -> int:
        """End uploads that are due, erase the chunks that nobody needs any more; return how many there were."""
        count, ended = await self.uploads.sweep(now)
        for upload_id in ended:
            self.finish(upload_id)
        return count

    def sending_slot(self, actor: Actor, upload: Upload) -> AbstractContextManager[None]:
        """Hold one of the client's places for chunks on their way in. Raises Busy.

        A quarter is for the uploads of accounts, whose chunks come without a key.
        """
        holder = Holder(client=actor.client, subnet=actor.subnet, is_anonymous=upload.account is None)
        return self._sending.hold(holder, TOO_MANY)

    def fetching_slot(self, actor: Actor) -> AbstractContextManager[None]:
        """Hold one of the client's places for chunks on their way out. Raises Busy."""
        return self._fetching.hold(Holder(client=actor.client, subnet=actor.subnet, is_anonymous=False), TOO_MANY)

    async def _sweep(self) -> None:
        await self.sweep(0)


@contextlib.contextmanager
def storage_errors() -> Iterator[None]:
    """Turn errors of the file system into FilesFull or StorageFailed."""
    try:
        yield
    except (OSError, StoreUnusable) as error:
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise (FilesFull if is_full else StorageFailed)() from error

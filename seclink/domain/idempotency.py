"""Answers kept in memory for a moment, so that a caller who lost one can have it again. Never on disk; a restart
forgets them.

Bounded in time, number and bytes; the oldest go first. What is being worked on counts too: a retry that
overtakes its first try waits for the same answer instead of starting the work again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

from seclink.errors import IdempotencyMismatch

T = TypeVar("T")


class Entry(Struct, Generic[T]):
    proof: bytes
    until: float
    size: int
    answer: "asyncio.Future[T]"


class IdempotencyCache(Generic[T]):
    """Answers of type T by key. `seconds` is how long one is kept, `clock` the monotonic seconds it goes by."""

    def __init__(
        self, seconds: float, capacity: int, max_bytes: int, size: Callable[[T], int], clock: Callable[[], float]
    ) -> None:
        self._seconds, self._capacity, self._max_bytes, self._size, self._clock = (
            seconds,
            capacity,
            max_bytes,
            size,
            clock,
        )
        self._kept: dict[str, Entry[T]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def once(self, key: str, proof: bytes, work: Callable[[], Awaitable[T]]) -> T:
        """The answer kept under `key`, or that of `work`. Another `proof` under the same key: IdempotencyMismatch.

        Only success is kept: a refusal spent nothing and may be asked again.
        """
        self._drop_old()
        kept = self._kept.get(key)
        if kept is not None:
            if kept.proof != proof:
                raise IdempotencyMismatch()
            return await asyncio.shield(kept.answer)
        # A task of its own: if the caller's connection goes, the work is finished and the answer is there for
        # the retry.
        task = asyncio.ensure_future(work())
        self._kept[key] = Entry(proof, float("inf"), 0, task)
        task.add_done_callback(lambda done: self._settle(key, done))
        return await asyncio.shield(task)

    def _settle(self, key: str, done: "asyncio.Future[T]") -> None:
        kept = self._kept.pop(key)
        if done.cancelled() or done.exception() is not None:
            return
        kept.size, kept.until = self._size(done.result()), self._clock() + self._seconds
        self._kept[key] = kept  # back in at the end: the order is that of their ends
        self.bytes += kept.size
        self._drop_old()
        self._wake_later()

    def _wake_later(self) -> None:
        """Forget in time also when nobody comes by any more."""
        if self._kept and (self._timer is None or self._timer.when() <= asyncio.get_running_loop().time()):
            self._timer = asyncio.get_running_loop().call_later(self._seconds + 1, self._wake)

    def _wake(self) -> None:
        self._drop_old()
        self._wake_later()

    def _drop_old(self) -> None:
        now = self._clock()
        over = len(self._kept) - self._capacity
        for key in list(self._kept):
            kept = self._kept[key]
            if kept.until == float("inf"):
                continue  # still at work
            if kept.until > now and over <= 0 and self.bytes <= self._max_bytes:
                break
            del self._kept[key]
            self.bytes -= kept.size
            over -= 1

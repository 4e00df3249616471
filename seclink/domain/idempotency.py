"""Results kept in memory for a moment, so that a caller whose response was lost can get it again. Never on disk; a
restart forgets them.

Bounded in time, number and bytes, for all callers and for one group of them; the oldest go first. Work in progress
counts too: a retry that overtakes its first attempt waits for the same result instead of starting the work again.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from msgspec import Struct

from seclink.errors import IdempotencyMismatch
from seclink.model import Actor

T = TypeVar("T")
GROUP_PARTS = 4  # one group of callers may keep a quarter of the bytes and of the number


def group_of(actor: Actor) -> str:
    """Return the name of the callers that share a part of the results."""
    return actor.subnet or actor.client


class Entry(Struct, Generic[T]):
    """`size` in bytes and `expires_at` in monotonic seconds are set when there is a result."""

    fingerprint: bytes
    group: str
    result: "asyncio.Future[T]"
    size: int = 0
    expires_at: float = 0.0


class Group:
    """The keys of one group's results, the oldest first, and their bytes."""

    __slots__ = ("bytes", "keys")

    def __init__(self) -> None:
        self.keys: deque[str] = deque()
        self.bytes = 0


class IdempotencyCache(Generic[T]):
    """Results of type T by key, each for `ttl_seconds`; `size` estimates its bytes, `clock` is monotonic seconds."""

    def __init__(
        self, ttl_seconds: float, capacity: int, max_bytes: int, size: Callable[[T], int], clock: Callable[[], float]
    ) -> None:
        self._ttl_seconds, self._capacity, self._max_bytes = ttl_seconds, capacity, max_bytes
        self._size, self._clock = size, clock
        self._in_progress: dict[str, Entry[T]] = {}
        self._entries: OrderedDict[str, Entry[T]] = OrderedDict()  # in the order of their expiry, the next one first
        self._groups: dict[str, Group] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries) + len(self._in_progress)

    async def once_for(self, actor: Actor, retry: tuple[str, bytes] | None, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work of a request; with `retry`, its Idempotency-Key and digest, as `once` for this caller."""
        if retry is None:
            return await work()
        key, fingerprint = retry
        # Anonymous callers are told apart by their address alone: a key must not fetch another caller's result.
        caller = f"account {actor.account}" if actor.account else f"client {actor.client}"
        return await self.once(f"{caller} {key}", fingerprint, work, group_of(actor))

    async def once(self, key: str, fingerprint: bytes, work: Callable[[], Awaitable[T]], group: str = "") -> T:
        """Return the result stored under `key`, or do the work and store its result.

        `fingerprint` identifies the request; raise IdempotencyMismatch if the key was used with another one. Only
        success is stored: a refused request spent nothing and may be sent again. `group` names the callers that share
        a part of the cache, whose results cannot push those of others out.
        """
        self._evict()
        entry = self._entries.get(key) or self._in_progress.get(key)
        if entry is not None:
            if entry.fingerprint != fingerprint:
                raise IdempotencyMismatch()
            return await asyncio.shield(entry.result)
        # A task of its own: if the caller's connection is lost, the work still finishes and the retry gets its result.
        task = asyncio.ensure_future(work())
        self._in_progress[key] = Entry(fingerprint, group, task)
        task.add_done_callback(lambda result: self._complete(key, result))
        return await asyncio.shield(task)

    def _complete(self, key: str, result: "asyncio.Future[T]") -> None:
        entry = self._in_progress.pop(key)
        if result.cancelled() or result.exception() is not None:
            return
        entry.size, entry.expires_at = self._size(result.result()), self._clock() + self._ttl_seconds
        self._entries[key] = entry
        self.bytes += entry.size
        group = self._groups.setdefault(entry.group, Group())
        group.keys.append(key)
        group.bytes += entry.size
        self._evict_from(group)
        self._evict()
        self._schedule_eviction()

    def _schedule_eviction(self) -> None:
        """Evict in time even if no other request comes."""
        if self._entries and (self._timer is None or self._timer.when() <= asyncio.get_running_loop().time()):
            self._timer = asyncio.get_running_loop().call_later(self._ttl_seconds + 1, self._evict_and_reschedule)

    def _evict_and_reschedule(self) -> None:
        self._evict()
        self._schedule_eviction()

    def _evict(self) -> None:
        """Drop what has expired, and the oldest above the limits; each call looks at one entry more than it drops."""
        now = self._clock()
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            if entry.expires_at > now and len(self) <= self._capacity and self.bytes <= self._max_bytes:
                break
            self._remove(key)

    def _evict_from(self, group: Group) -> None:
        """Drop a group's oldest results above its part of the limits; its newest stays."""
        max_bytes, capacity = self._max_bytes // GROUP_PARTS, max(1, self._capacity // GROUP_PARTS)
        while len(group.keys) > 1 and (group.bytes > max_bytes or len(group.keys) > capacity):
            self._remove(group.keys[0])

    def _remove(self, key: str) -> None:
        """Remove the oldest result of a group."""
        entry = self._entries.pop(key)
        self.bytes -= entry.size
        group = self._groups[entry.group]
        group.keys.popleft()
        group.bytes -= entry.size
        if not group.keys:
            del self._groups[entry.group]

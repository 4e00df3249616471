"""Counts of secrets for monitoring, made beside the requests and never in their way.

There is no index by state: it would make every create and reveal more expensive. Counting a million secrets takes
0.6 s, in steps of some 7 ms, because a reader that stays holds up the truncation of the log, and with it erasure.
Whatever the size, counting takes at most a fiftieth of the time.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from seclink.errors import StorageFailed

STEP = 10_000
MIN_CACHE_SECONDS, CACHE_FACTOR, TIMEOUT_SECONDS = 10.0, 50, 1.0

COUNT_STEP = """
    SELECT format, iif(state = 'active' AND expires_at <= :now, 'expired', state), count(*), max(id)
    FROM (SELECT id, format, state, expires_at FROM secrets WHERE id > :after ORDER BY id LIMIT :step) GROUP BY 1, 2
"""
OLDEST_DUE = "SELECT min(due_at) FROM secrets"
USED_BYTES = """
    SELECT (page_count - freelist_count) * page_size
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""


class SecretCounter:
    """Counts secrets by (format, state). `fetch` runs a statement, `clock` is in monotonic seconds."""

    def __init__(
        self, fetch: Callable[[str, Any], Awaitable[Any]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._counts: Counter[tuple[str, str]] | None = None
        self._fresh_until = float("-inf")
        self._task: asyncio.Task[None] | None = None

    async def counts(self, now: int) -> Mapping[tuple[str, str], int] | None:
        """Return the counts, at most ten seconds old, or fifty times as old as counting takes.

        Wait a second at most for a new count, then return the last one, which is None before the first.
        """
        if self._task is None or (self._task.done() and self._clock() >= self._fresh_until):
            self._task = asyncio.create_task(self._count(now))
        await asyncio.wait((self._task,), timeout=TIMEOUT_SECONDS)
        return self._counts

    async def _count(self, now: int) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        start, after = self._clock(), 0
        with contextlib.suppress(StorageFailed):
            while rows := await self._fetch(COUNT_STEP, {"now": now, "after": after, "step": STEP}):
                for format, state, count, last in rows:
                    counts[format, state] += count
                    after = max(after, last)
            self._counts = counts
        end = self._clock()
        self._fresh_until = end + max(MIN_CACHE_SECONDS, CACHE_FACTOR * (end - start))

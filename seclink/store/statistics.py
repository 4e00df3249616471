"""How much there is, for those who watch: counted beside the requests and never in their way.

There is no index by state: keeping one would cost every create and reveal. Counting a million secrets takes 0.6 s, in
steps of some 7 ms, because a reader that stays holds up the cut of the log, and with it erasure. Whatever the size, no
more than a fiftieth of the time goes into it.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from seclink.errors import StorageFailed

STEP = 10_000
KEPT_SECONDS, REST, PATIENCE_SECONDS = 10.0, 50, 1.0

SOME = """
    SELECT format, iif(state = 'active' AND expires_at <= :now, 'expired', state), count(*), max(id)
    FROM (SELECT id, format, state, expires_at FROM secrets WHERE id > :after ORDER BY id LIMIT :step) GROUP BY 1, 2
"""
OLDEST = "SELECT min(due_at) FROM secrets"
USED = """
    SELECT (page_count - freelist_count) * page_size
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""


class SecretCounter:
    """How many secrets there are of each (format, state). `look` runs a statement, `clock` is in monotonic seconds."""

    def __init__(self, look: Callable[[str, Any], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._look, self._clock = look, clock
        self._counts: Counter[tuple[str, str]] | None = None
        self._good_until = float("-inf")
        self._counting: asyncio.Task[None] | None = None

    async def counts(self, now: int) -> Mapping[tuple[str, str], int] | None:
        """As of ten seconds ago, or of fifty times what counting takes. Whoever asks waits a second for it at most, and
        gets what was last counted; None where that was never.
        """
        if self._counting is None or (self._counting.done() and self._clock() >= self._good_until):
            self._counting = asyncio.create_task(self._count(now))
        await asyncio.wait((self._counting,), timeout=PATIENCE_SECONDS)
        return self._counts

    async def _count(self, now: int) -> None:
        counts: Counter[tuple[str, str]] = Counter()
        began, after = self._clock(), 0
        with contextlib.suppress(StorageFailed):
            while rows := await self._look(SOME, {"now": now, "after": after, "step": STEP}):
                for format, state, count, last in rows:
                    counts[format, state] += count
                    after = max(after, last)
            self._counts = counts
        ended = self._clock()
        self._good_until = ended + max(KEPT_SECONDS, REST * (ended - began))

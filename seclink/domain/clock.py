"""The time that secrets live by: no jump of the wall clock makes a secret live longer or brings it back.

The wall clock is read once, at start; from then on the time since boot is added to it, which includes the time that the
machine sleeps. If the wall clock is behind the latest instant that the store has seen, as on a board without a battery,
the clock continues from that instant.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _seconds_since_boot() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """`now()` in epoch milliseconds, never decreasing; `monotonic()` in seconds.

    `last_seen_at` is the latest instant that the store has seen, `behind_ms` by how much the wall clock was behind it.
    """

    def __init__(
        self,
        last_seen_at: int = 0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = _seconds_since_boot,
    ) -> None:
        self.monotonic = monotonic
        self.behind_ms = max(0, last_seen_at - int(wall() * 1000))
        self._start = max(int(wall() * 1000), last_seen_at)
        self._offset = monotonic()

    def now(self) -> int:
        return self._start + int((self.monotonic() - self._offset) * 1000)


def day_week_month(now: int) -> tuple[int, int, int]:
    """Return the instants at which today, this week (on Monday) and this month began, in UTC."""
    day = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = (day, day - timedelta(days=day.weekday()), day.replace(day=1))
    today, week, month = (int(start.timestamp() * 1000) for start in starts)
    return today, week, month

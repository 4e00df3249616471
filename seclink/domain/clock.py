"""What time it is for secrets: no jump of the wall clock lengthens a life or brings one back.

The wall clock is read once, at start, and from then on the time since boot is added to it (it goes on while the
machine sleeps). A start with a clock behind the latest instant the store has seen, as on a board without a
battery, goes on from that instant.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def _since_boot() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """`now()` in epoch milliseconds, never decreasing; `monotonic()` in seconds."""

    def __init__(
        self, mark: int = 0, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = _since_boot
    ) -> None:
        self.monotonic = monotonic
        self.behind_ms = max(0, mark - int(wall() * 1000))
        self._start = max(int(wall() * 1000), mark)
        self._offset = monotonic()

    def now(self) -> int:
        return self._start + int((self.monotonic() - self._offset) * 1000)


def day_week_month(now: int) -> tuple[int, int, int]:
    """When today, this week (on Monday) and this month began, in UTC."""
    day = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = (day, day - timedelta(days=day.weekday()), day.replace(day=1))
    today, week, month = (int(each.timestamp() * 1000) for each in starts)
    return today, week, month

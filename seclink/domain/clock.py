"""The time that secrets live by: no jump of the wall clock makes a secret live longer or brings it back.

The wall clock is read once, at start; from then on the time since boot is added to it, which includes the time that the
machine sleeps. If the wall clock is behind the latest instant that the store has seen, as on a board without a battery,
the clock continues from that instant. If it is more than a day ahead of it, nothing is erased until that is confirmed.
"""

import contextlib
import ctypes
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path


def _seconds_since_boot() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


MAX_JUMP_MS = 25 * 3_600_000  # a machine that is switched off for a day, and an hour for its start
MAX_TRUSTED_JUMP_MS = 366 * 86_400_000
PROBATION_SECONDS = 86_400.0
NEW_STORE = 1  # the instant that a new store has seen
_KERNEL_UNSYNCHRONIZED = 5  # TIME_ERROR of adjtimex(2)
_TIME_OFFSET = 9 * struct.calcsize("l")  # of the seconds in struct timex
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")  # touched at each synchronization since boot


def is_synchronized() -> bool:
    """Return whether a time server has set the wall clock since boot, as far as this process may know."""
    with contextlib.suppress(OSError):
        age = time.time() - _SYNCHRONIZED.stat().st_mtime
        if 0 <= age <= _seconds_since_boot() + 60:
            return True
    buffer = ctypes.create_string_buffer(512)  # struct timex, all zero: change nothing
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)
    except AttributeError:  # another system than Linux
        return False
    (kernel_seconds,) = struct.unpack_from("l", buffer, _TIME_OFFSET)
    return 0 <= int(state) < _KERNEL_UNSYNCHRONIZED and abs(float(kernel_seconds) - time.time()) < 60


class Clock:
    """`now()` in epoch milliseconds; `monotonic()` in seconds.

    `last_seen_at` is the latest instant that the store has seen, `behind_ms` by how much the wall clock was behind it
    at the start, `ahead_ms` by how much it was ahead.

    A wall clock far ahead is in doubt: the machine was switched off for long, or its clock is wrong, and nothing that
    is erased by a wrong clock comes back. `now()` follows it all the same, so that no expired secret is released, but
    `mark()`, the instant for the store to remember, does not, and the reaper waits. `review` ends the doubt.
    """

    def __init__(
        self,
        last_seen_at: int = 0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = _seconds_since_boot,
        is_synchronized: Callable[[], bool] = is_synchronized,
    ) -> None:
        self.monotonic, self._wall, self._is_synchronized = monotonic, wall, is_synchronized
        self.behind_ms = max(0, last_seen_at - int(wall() * 1000))
        self._last_seen_at = last_seen_at
        self._start = max(int(wall() * 1000), last_seen_at)
        self._offset = monotonic()
        self.ahead_ms = self._start - last_seen_at if last_seen_at > NEW_STORE else 0
        self.is_doubtful = self.ahead_ms > MAX_JUMP_MS

    def now(self) -> int:
        return self._start + self._elapsed_ms()

    def mark(self) -> int:
        """Return the instant that has certainly been reached."""
        return (self._last_seen_at if self.is_doubtful else self._start) + self._elapsed_ms()

    def review(self, last_seen_at: int) -> bool:
        """Return whether the doubt ends now; `last_seen_at` is what the store has seen by now.

        It ends if an operator has accepted the clock, if the clock was set back to about the mark, which `now()` then
        follows, or, after at most a year, once a time server has confirmed it or it has run evenly for a day.
        """
        wall = int(self._wall() * 1000)
        is_accepted = self.now() - last_seen_at <= MAX_JUMP_MS
        if not is_accepted and abs(wall - self.mark()) <= MAX_JUMP_MS:
            self._start, self._offset = max(wall, self.mark()), self.monotonic()
            is_accepted = True
        if not is_accepted and self.ahead_ms <= MAX_TRUSTED_JUMP_MS:
            is_even = self.monotonic() - self._offset >= PROBATION_SECONDS
            is_accepted = abs(wall - self.now()) <= MAX_JUMP_MS and (is_even or self._is_synchronized())
        self.is_doubtful = not is_accepted
        return is_accepted

    def _elapsed_ms(self) -> int:
        return int((self.monotonic() - self._offset) * 1000)


def day_week_month(now: int) -> tuple[int, int, int]:
    """Return the instants at which today, this week (on Monday) and this month began, in UTC."""
    day = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = (day, day - timedelta(days=day.weekday()), day.replace(day=1))
    today, week, month = (int(start.timestamp() * 1000) for start in starts)
    return today, week, month

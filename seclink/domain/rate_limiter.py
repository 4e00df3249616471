"""How often: GCRA, the leaky bucket that needs one number per client.

Each key holds its theoretical arrival time; a request is let through while that lies less than the window
ahead. The clock is monotonic seconds and passed in. Memory is bounded: once `capacity` keys are busy, new ones
share an overflow bucket, because evicting a busy one would hand its owner a fresh budget. Buckets live in
memory and start afresh with the process.
"""

from msgspec import Struct

from seclink.model import Rate

OVERFLOW = ""
SLACK = 0.005  # of a request: sums of the interval are not exact, the count must be


class Decision(Struct, frozen=True):
    """`remaining` requests at once are still free; `reset` seconds until all are; `retry_after` seconds, 0 if
    allowed.
    """

    is_allowed: bool
    remaining: int
    reset: float
    retry_after: float


class RateLimiter:
    """One set of buckets. Keys are strings made of a class and a client."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._arrivals: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._arrivals)

    def would_allow(self, key: str, rate: Rate, now: float, cost: float = 1) -> bool:
        """Whether `take` would be allowed; counts nothing and remembers nothing."""
        interval = rate.seconds / rate.count
        arrival = max(self._arrivals.get(key, now), now)
        return arrival + interval * cost - now <= rate.seconds + interval * SLACK

    def take(self, key: str, rate: Rate, now: float, cost: float = 1) -> Decision:
        """Count `cost` requests of `key` at `now`; a refused one is not counted."""
        arrivals = self._arrivals
        if key not in arrivals and len(arrivals) >= self._capacity and not self._evict_idle(now):
            key = OVERFLOW + key.partition(" ")[0]
        interval = rate.seconds / rate.count
        arrival = max(arrivals.get(key, now), now)
        if arrival > now + rate.seconds + interval * SLACK:  # the rate was changed: nobody waits by the old one
            arrivals[key] = arrival = now + rate.seconds
        ahead = arrival + interval * cost - now
        if ahead > rate.seconds + interval * SLACK:
            wait = ahead - rate.seconds
            return Decision(False, int((now + rate.seconds - arrival) / interval + SLACK), arrival - now, wait)
        arrivals[key] = now + ahead
        return Decision(True, int((rate.seconds - ahead) / interval + SLACK), ahead, 0)

    def _evict_idle(self, now: float) -> bool:
        """Forget the idle; whoever has nothing owing loses nothing. Looked at in order of age, a few at a time."""
        arrivals = self._arrivals
        for key in list(_first(arrivals, 64)):
            arrival = arrivals.pop(key)
            if arrival > now:
                arrivals[key] = arrival  # back in, as the youngest: the next look starts behind it
        return len(arrivals) < self._capacity


def _first(items: dict[str, float], count: int) -> list[str]:
    return [key for key, _ in zip(items, range(count), strict=False)]

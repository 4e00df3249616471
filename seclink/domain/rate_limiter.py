"""Rate limits by GCRA, the leaky bucket that needs one number per client.

Each key stores its theoretical arrival time; a request is allowed while that lies less than the window ahead. The
clock is monotonic seconds and passed in. Memory is bounded: once `capacity` keys are busy, new ones share an overflow
bucket per class, because evicting a busy key would give its owner a fresh budget. Buckets live in memory and start
empty with the process.
"""

from itertools import islice

from msgspec import Struct

from seclink.model import Rate

SLACK = 0.005  # of a request: sums of the interval are not exact, the count must be
EVICTION_STEP = 64  # keys examined by one request


class Decision(Struct, frozen=True):
    """`remaining` requests are still allowed at once, all of them again after `reset` seconds; `retry_after` is in
    seconds, 0 if this request is allowed.
    """

    is_allowed: bool
    remaining: int
    reset: float
    retry_after: float


class RateLimiter:
    """One set of buckets. A key is a class of requests, a space and a client."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._arrivals: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._arrivals)

    def would_allow(self, key: str, rate: Rate, now: float, cost: float = 1) -> bool:
        """Return whether `take` would allow the request, without counting it."""
        interval = rate.seconds / rate.count
        arrival = max(self._arrivals.get(key, now), now)
        return arrival + interval * cost - now <= rate.seconds + interval * SLACK

    def take(self, key: str, rate: Rate, now: float, cost: float = 1) -> Decision:
        """Count `cost` requests of `key` at `now`; a refused request is not counted."""
        arrivals = self._arrivals
        if key not in arrivals and len(arrivals) >= self._capacity and not self._evict_idle(now):
            key = key.partition(" ")[0]
        interval = rate.seconds / rate.count
        arrival = max(arrivals.get(key, now), now)
        if arrival > now + rate.seconds + interval * SLACK:  # the rate was changed: the old one must not delay requests
            arrivals[key] = arrival = now + rate.seconds
        ahead = arrival + interval * cost - now
        if ahead > rate.seconds + interval * SLACK:
            wait = ahead - rate.seconds
            return Decision(False, int((now + rate.seconds - arrival) / interval + SLACK), arrival - now, wait)
        arrivals[key] = now + ahead
        return Decision(True, int((rate.seconds - ahead) / interval + SLACK), ahead, 0)

    def give_back(self, key: str, rate: Rate, now: float, cost: float) -> None:
        """Take back what `take` has counted, as far as the time since has not done that."""
        if key in self._arrivals:
            self._arrivals[key] = max(now, self._arrivals[key] - rate.seconds / rate.count * cost)

    def _evict_idle(self, now: float) -> bool:
        """Forget idle keys, whose budget is full anyway, among the oldest. Return whether another key fits."""
        arrivals = self._arrivals
        for key in list(islice(arrivals, EVICTION_STEP)):
            arrival = arrivals.pop(key)
            if arrival > now:
                arrivals[key] = arrival  # at the end again: the next call examines the keys behind it
        return len(arrivals) < self._capacity

"""Rate limits as they are said: at most `count` requests in any `seconds`, by a log of the requests that still count.

Up to 32 requests a window are logged one by one. A higher rate is logged in runs of at most a 32nd of the window, and a
run counts until its last request is a window old: never too many, and a wait of at most a window. So each log is short,
whatever the rate.

The clock is monotonic seconds and passed in. Memory is bounded: a place (a range of addresses) has a share of the
logs, and all of them together have `capacity`; beyond, new keys share one log of their place, or of everybody, for each
class. A log that still counts is never evicted, because that would give its owner a fresh budget. Logs live in memory
and start empty with the process.
"""

from array import array
from collections import Counter
from itertools import islice

from msgspec import Struct

from seclink.model import Rate

RUNS = 32
EVICTION_STEP = 64  # logs examined by one request
MICROSECONDS = 1_000_000


class Place(Struct, frozen=True):
    """A range of addresses, which may hold one in `parts` of all logs."""

    name: str
    parts: int


class Decision(Struct, frozen=True):
    """`remaining` requests are still allowed at once, all of them again after `reset` seconds; `retry_after` is in
    seconds, 0 if this request is allowed.
    """

    is_allowed: bool
    remaining: int
    reset: float
    retry_after: float


class RequestLog:
    """The requests of one key. `runs` holds pairs of the time of the last request and the count, oldest first; `total`
    is the sum of the counts.
    """

    __slots__ = ("idle_at", "places", "runs", "total")

    def __init__(self, places: tuple[Place, ...] = ()) -> None:
        self.places, self.idle_at, self.total = places, 0, 0
        self.runs = array("q")

    def forget(self, until: int) -> None:
        """Drop the runs whose last request is not after `until`."""
        runs = self.runs
        while runs and runs[0] <= until:
            self.total -= runs[1]
            del runs[:2]

    def add(self, at: int, window: int, rate: Rate, cost: int) -> None:
        runs = self.runs
        step = window // RUNS if rate.count > RUNS else 1
        if runs and runs[-2] // step >= at // step:
            runs[-2] = max(runs[-2], at)
            runs[-1] += cost
        else:
            runs.extend((at, cost))
        self.total += cost
        self.idle_at = max(self.idle_at, at + window)

    def wait(self, surplus: int) -> int:
        """Return the instant from which on `surplus` fewer requests count, as far as any do."""
        at = 0
        for index in range(0, len(self.runs), 2):
            at, count = self.runs[index : index + 2]
            surplus -= count
            if surplus <= 0:
                break
        return at


class RateLimiter:
    """One set of logs. A key is a class of requests, a space and a client."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._logs: dict[str, RequestLog] = {}
        self._held: Counter[str] = Counter()  # logs by place

    def __len__(self) -> int:
        return len(self._logs)

    def look(self, key: str, rate: Rate, now: float, cost: int = 1) -> Decision:
        """Return what `take` would return, without counting the request."""
        at, window = int(now * MICROSECONDS), rate.seconds * MICROSECONDS
        log, existing = RequestLog(), self._logs.get(key)
        if existing is not None:
            log.runs, log.total = existing.runs[:], existing.total
        log.forget(at - window)
        return _decide(log, rate, at, window, cost)

    def take(self, key: str, rate: Rate, now: float, cost: int = 1, places: tuple[Place, ...] = ()) -> Decision:
        """Count `cost` requests of `key` at `now`; a refused request is not counted."""
        at, window = int(now * MICROSECONDS), rate.seconds * MICROSECONDS
        log = self._logs.get(key)
        if log is None:
            key, places = self._fitting(key, places, at)
            log = self._logs.get(key) or RequestLog(places)
        log.forget(at - window)
        decision = _decide(log, rate, at, window, cost)
        if decision.is_allowed:
            if not log.total and key not in self._logs:
                self._logs[key] = log
                self._held.update(place.name for place in places)
            log.add(at, window, rate, cost)
        return decision

    def give_back(self, key: str, cost: int = 1) -> None:
        """Take back the latest `cost` requests of `key`, as far as they still count."""
        log = self._logs.get(key) or RequestLog()
        while cost and log.runs:
            part = min(cost, log.runs[-1])
            cost, log.total = cost - part, log.total - part
            log.runs[-1] -= part
            if not log.runs[-1]:
                del log.runs[-2:]

    def _fitting(self, key: str, places: tuple[Place, ...], at: int) -> tuple[str, tuple[Place, ...]]:
        """Return the key and the places of a new log: those of a shared log, if there is no room for another one."""
        fullest = self._full_place(places)
        if fullest is None and len(self._logs) < self._capacity:
            return key, places
        self._evict_idle(at)
        fullest = self._full_place(places)
        name = key.partition(" ")[0]
        if fullest is not None:
            return f"{name} rest of {fullest.name}", ()
        return (key, places) if len(self._logs) < self._capacity else (name, ())

    def _full_place(self, places: tuple[Place, ...]) -> Place | None:
        for place in places:
            if self._held[place.name] >= max(1, self._capacity // place.parts):
                return place
        return None

    def _evict_idle(self, at: int) -> None:
        """Forget logs that no longer count, among the oldest."""
        logs = self._logs
        for key in list(islice(logs, EVICTION_STEP)):
            log = logs.pop(key)
            if log.idle_at > at:
                logs[key] = log  # at the end again: the next call examines the keys behind it
                continue
            for place in log.places:
                self._held[place.name] -= 1
                if not self._held[place.name]:
                    del self._held[place.name]


def _decide(log: RequestLog, rate: Rate, at: int, window: int, cost: int) -> Decision:
    remaining = rate.count - log.total
    last = log.runs[-2] if log.runs else at - window
    if cost <= remaining:
        return Decision(True, remaining - cost, (window if cost else last + window - at) / MICROSECONDS, 0)
    wait = log.wait(cost - remaining) + window - at
    return Decision(False, max(0, remaining), (last + window - at) / MICROSECONDS, wait / MICROSECONDS)

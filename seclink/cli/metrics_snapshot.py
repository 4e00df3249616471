"""What a server's metrics come to: rates of the last minute, medians, what is full and what is late.

A counter is worth what it grew by between two readings; the first reading of a process is compared with its start, when
everything was nothing.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seclink.telemetry.prometheus import Sample

EVENTS = ("created", "revealed", "burned", "expired", "reported")
BUSIEST = 4


class Quantiles(NamedTuple):
    """Seconds; infinite where it lies beyond the last bound, `times` is how many there were."""

    median: float
    slowest: float
    times: int


class Reading:
    """One look at the metrics, at `at` seconds since the epoch. Raises ValueError for what is not SecLink's."""

    def __init__(self, samples: Iterable[Sample], at: float) -> None:
        self.at = at
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for name, labels, value in samples:
            self._samples.setdefault(name, []).append((labels, value))
        if "seclink_build_info" not in self._samples:
            raise ValueError("these are not SecLink's metrics")

    def value(self, name: str) -> float:
        """What a name without labels is; 0 where it was left out."""
        return sum(value for _, value in self._samples.get(name, ()))

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Values added up by some of the labels."""
        found: dict[tuple[str, ...], float] = {}
        for given, value in self._samples.get(name, ()):
            key = tuple(given.get(label, "") for label in labels)
            found[key] = found.get(key, 0) + value
        return found

    @property
    def build(self) -> Mapping[str, str]:
        return self._samples["seclink_build_info"][0][0]

    @property
    def started_at(self) -> float:
        return self.value("process_start_time_seconds")

    @property
    def failing(self) -> list[str]:
        return [part for (part,), ready in self.by("seclink_ready", "part").items() if not ready]

    @property
    def waiting(self) -> dict[str, int]:
        """Live secrets by format, most first."""
        counts = self.by("seclink_secrets", "state", "format")
        live = {format: int(count) for (state, format), count in counts.items() if state == "active" and count}
        return dict(sorted(live.items(), key=lambda each: -each[1]))


class Span:
    """From one reading, or the process's start, to a later one."""

    def __init__(self, last: Reading, first: Reading | None = None) -> None:
        self.last, self._first = last, first
        self.seconds = max(1e-3, last.at - (first.at if first else last.started_at))

    def growth(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        before = self._first.by(name, *labels) if self._first else {}
        return {key: value - before.get(key, 0) for key, value in self.last.by(name, *labels).items()}

    def per_minute(self, event: str) -> float:
        return 60 * sum(self.growth(f"seclink_secrets_{event}_total").values()) / self.seconds

    def quantiles(self, name: str, *labels: str) -> dict[tuple[str, ...], Quantiles]:
        """Of a histogram, by its labels; without those nothing happened to."""
        buckets: dict[tuple[str, ...], dict[float, float]] = {}
        for (*key, bound), count in self.growth(f"{name}_bucket", *labels, "le").items():
            buckets.setdefault(tuple(key), {})[float(bound)] = count
        return {key: _quantiles(each) for key, each in buckets.items() if each.get(math.inf)}

    def busiest(self) -> dict[tuple[str, ...], Quantiles]:
        """The operations asked for most, by (API, operation)."""
        every = self.quantiles("seclink_request_seconds", "api", "operation")
        return dict(sorted(every.items(), key=lambda each: -each[1].times)[:BUSIEST])

    def refusals(self) -> dict[str, int]:
        """By code, most first."""
        grown = {code: int(count) for (code,), count in self.growth("seclink_refusals_total", "code").items() if count}
        return dict(sorted(grown.items(), key=lambda each: -each[1]))


def facts(span: Span) -> dict[str, Any]:
    """All of it, for scripts."""
    last = span.last
    return {
        "ready": not last.failing,
        "failing": last.failing,
        **last.build,
        "uptimeSeconds": round(last.at - last.started_at, 1),
        "spanSeconds": round(span.seconds, 1),
        "waiting": last.waiting,
        "perMinute": {event: round(span.per_minute(event), 2) for event in EVENTS},
        "total": {event: int(last.value(f"seclink_secrets_{event}_total")) for event in EVENTS},
        "requests": {".".join(key): _in_json(each) for key, each in span.busiest().items()},
        "passcode": _first(span.quantiles("seclink_passcode_seconds")),
        "commit": _first(span.quantiles("seclink_commit_seconds")),
        "refusals": span.refusals(),
        "reaperLagSeconds": last.value("seclink_reaper_lag_seconds"),
        **{name: int(last.value(metric)) for name, metric in _COUNTED.items()},
    }


_COUNTED = {
    "requestsInFlight": "seclink_requests_in_flight",
    "passcodesRunning": "seclink_passcodes_running",
    "passcodesWaiting": "seclink_passcodes_waiting",
    "databaseBytes": "seclink_database_bytes",
    "databaseUsedBytes": "seclink_database_used_bytes",
    "databaseLimitBytes": "seclink_database_limit_bytes",
    "walBytes": "seclink_wal_bytes",
    "residentBytes": "process_resident_memory_bytes",
    "openFiles": "process_open_fds",
}


def _first(found: Mapping[tuple[str, ...], Quantiles]) -> dict[str, Any] | None:
    return next((_in_json(each) for each in found.values()), None)


def _in_json(each: Quantiles) -> dict[str, Any]:
    """JSON has no infinity."""
    median, slowest = (round(1000 * each[i], 2) if math.isfinite(each[i]) else None for i in (0, 1))
    return {"medianMs": median, "p99Ms": slowest, "times": each.times}


def _quantiles(buckets: Mapping[float, float]) -> Quantiles:
    bounds = sorted(buckets.items())
    return Quantiles(_quantile(0.5, bounds), _quantile(0.99, bounds), int(buckets[math.inf]))


def _quantile(part: float, bounds: list[tuple[float, float]]) -> float:
    """As Prometheus does it: values lie evenly between the bounds of their bucket."""
    rank = part * bounds[-1][1]
    low, below = 0.0, 0.0
    for bound, count in bounds:
        if count >= rank:
            return bound if math.isinf(bound) else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return math.inf

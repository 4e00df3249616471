"""Figures computed from a server's metrics: rates of the last minute, quantiles, what is full and what is late.

A counter's figure is its growth between two readings; the first reading of a process is compared with its start, when
every counter was 0.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from seclink.telemetry.prometheus import Sample

EVENTS = ("created", "revealed", "burned", "expired", "reported")
MAX_OPERATIONS, MAX_SAMPLES, MAX_VALUE = 4, 10_000, 2.0**63
Key = tuple[str, ...]
"""The values of some labels."""


class Quantiles(NamedTuple):
    """Median and 99th percentile in seconds, infinite beyond the histogram's last bound; the number of observations."""

    median: float
    p99: float
    observations: int


class Reading:
    """The metrics of one request, at `at` seconds since the epoch.

    Raises ValueError if they are not SecLink's, or too many, or have numbers that nothing counts to: a minute of
    readings is in memory, and any server may be asked.
    """

    def __init__(self, samples: Iterable[Sample], at: float) -> None:
        self.at = at
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for count, (name, labels, value) in enumerate(samples):
            bound = float(labels.get("le", 0))
            if count >= MAX_SAMPLES or not 0 <= value <= MAX_VALUE or math.isnan(bound):
                raise ValueError("these are not SecLink's metrics")
            self._samples.setdefault(name, []).append((labels, value))
        if "seclink_build_info" not in self._samples:
            raise ValueError("these are not SecLink's metrics")

    def value(self, name: str) -> float:
        """Return the value of a metric without labels, 0 if it is missing."""
        return sum(value for _, value in self._samples.get(name, ()))

    def sums(self, name: str, *labels: str) -> dict[Key, float]:
        """Return the sums of a metric's values, grouped by some of its labels."""
        sums: dict[Key, float] = {}
        for sample_labels, value in self._samples.get(name, ()):
            key = tuple(sample_labels.get(label, "") for label in labels)
            sums[key] = sums.get(key, 0) + value
        return sums

    @property
    def build(self) -> Mapping[str, str]:
        return self._samples["seclink_build_info"][0][0]

    @property
    def started_at(self) -> float:
        return self.value("process_start_time_seconds")

    @property
    def failing(self) -> list[str]:
        return [part for (part,), ready in self.sums("seclink_ready", "part").items() if not ready]

    @property
    def active(self) -> dict[str, int]:
        """The number of active secrets by format, the most frequent first."""
        counts = self.sums("seclink_secrets", "state", "format")
        return _descending({format: count for (state, format), count in counts.items() if state == "active"})


class Span:
    """The time from one reading, or from the process's start, to a later reading."""

    def __init__(self, last: Reading, first: Reading | None = None) -> None:
        self.last, self._first = last, first
        self.seconds = max(1e-3, last.at - (first.at if first else last.started_at))

    def growth(self, name: str, *labels: str) -> dict[Key, float]:
        before = self._first.sums(name, *labels) if self._first else {}
        return {key: value - before.get(key, 0) for key, value in self.last.sums(name, *labels).items()}

    def per_minute(self, event: str) -> float:
        return 60 * sum(self.growth(f"seclink_secrets_{event}_total").values()) / self.seconds

    def quantiles(self, name: str, *labels: str) -> dict[Key, Quantiles]:
        """Return the quantiles of a histogram by its labels, without those that had no value in this span."""
        buckets: dict[Key, dict[float, float]] = {}
        for (*key, bound), count in self.growth(f"{name}_bucket", *labels, "le").items():
            buckets.setdefault(tuple(key), {})[float(bound or 0)] = count
        return {key: _quantiles(counts) for key, counts in buckets.items() if counts.get(math.inf, 0) > 0}

    def busiest(self) -> dict[Key, Quantiles]:
        """Return the most frequent operations, by (API, operation)."""
        operations = self.quantiles("seclink_request_seconds", "api", "operation").items()
        return dict(sorted(operations, key=lambda item: -item[1].observations)[:MAX_OPERATIONS])

    def errors(self) -> dict[str, int]:
        """Return the number of refused requests by error code, the most frequent first."""
        return _descending({code: count for (code,), count in self.growth("seclink_refusals_total", "code").items()})


def facts(span: Span) -> dict[str, Any]:
    """Return all figures as JSON, for scripts."""
    last = span.last
    return {
        "ready": not last.failing,
        "failing": last.failing,
        **last.build,
        "uptimeSeconds": round(last.at - last.started_at, 1),
        "spanSeconds": round(span.seconds, 1),
        "waiting": last.active,
        "perMinute": {event: round(span.per_minute(event), 2) for event in EVENTS},
        "total": {event: int(last.value(f"seclink_secrets_{event}_total")) for event in EVENTS},
        "requests": {".".join(key): _to_json(quantiles) for key, quantiles in span.busiest().items()},
        "passcode": _first_to_json(span.quantiles("seclink_passcode_seconds")),
        "commit": _first_to_json(span.quantiles("seclink_commit_seconds")),
        "refusals": span.errors(),
        "reaperLagSeconds": last.value("seclink_reaper_lag_seconds"),
        **{name: int(last.value(metric)) for name, metric in _INTEGERS.items()},
    }


_INTEGERS = {
    "requestsInFlight": "seclink_requests_in_flight",
    "passcodesRunning": "seclink_passcodes_running",
    "passcodesWaiting": "seclink_passcodes_waiting",
    "databaseBytes": "seclink_database_bytes",
    "databaseUsedBytes": "seclink_database_used_bytes",
    "databaseLimitBytes": "seclink_database_limit_bytes",
    "walBytes": "seclink_wal_bytes",
    "filesReservedBytes": "seclink_files_reserved_bytes",
    "filesLimitBytes": "seclink_files_limit_bytes",
    "filesStoredBytes": "seclink_files_stored_bytes",
    "uploadsUnfinished": "seclink_uploads_unfinished",
    "grants": "seclink_grants",
    "residentBytes": "process_resident_memory_bytes",
    "openFiles": "process_open_fds",
}


def _descending(counts: Mapping[str, float]) -> dict[str, int]:
    """Return the positive counts, the largest first."""
    return {name: int(count) for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count}


def _first_to_json(quantiles: Mapping[Key, Quantiles]) -> dict[str, Any] | None:
    return next(map(_to_json, quantiles.values()), None)


def _to_json(quantiles: Quantiles) -> dict[str, Any]:
    """Return milliseconds, null for infinity, which JSON does not have."""
    seconds = (quantiles.median, quantiles.p99)
    median, p99 = (round(1000 * value, 2) if math.isfinite(value) else None for value in seconds)
    return {"medianMs": median, "p99Ms": p99, "times": quantiles.observations}


def _quantiles(buckets: Mapping[float, float]) -> Quantiles:
    bounds = sorted(buckets.items())
    return Quantiles(_quantile(0.5, bounds), _quantile(0.99, bounds), int(buckets[math.inf]))


def _quantile(fraction: float, bounds: list[tuple[float, float]]) -> float:
    """Interpolate like Prometheus: the values of a bucket lie evenly between its bounds."""
    rank = fraction * bounds[-1][1]
    low, count_below = 0.0, 0.0
    for bound, count in bounds:
        if count >= rank:
            if math.isinf(bound):
                return bound
            return low + (bound - low) * (rank - count_below) / (count - count_below)
        low, count_below = bound, count
    return math.inf

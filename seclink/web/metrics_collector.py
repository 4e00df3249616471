"""The content of `/metrics`: numbers about the server, without anything that identifies a secret, a person, an address,
an account or a key. Labels have closed sets of values: formats, states, codes, operations, rates, parts.

`MetricsCollector` outlives a reload: `set_sources` replaces the objects that it reads, and its counters keep counting.
"""

import contextlib
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from seclink import __version__
from seclink.domain.clock import Clock
from seclink.domain.files_state import FilesState
from seclink.domain.health import COMPONENTS, HealthCheck
from seclink.domain.passcodes import THREADS, Passcodes
from seclink.domain.policy import FORMATS
from seclink.errors import StorageFailed
from seclink.store.contract import FilesUsage, Store, StoreStats
from seclink.telemetry.counters import Counters
from seclink.telemetry.prometheus import Family, family, histograms, render, single

EVENTS = {
    "created": "Secrets created.",
    "revealed": "Views spent.",
    "burned": "Secrets burned on request.",
    "expired": "Secrets that expired.",
    "reported": "Reports of abuse.",
}
STATES = ("active", "revealed", "burned", "expired")
BUILD = {"version": __version__, "python": platform.python_version()}


class MetricsSources(Struct, frozen=True, kw_only=True):
    """The objects that are read for each scrape. `in_flight` returns the number of requests in flight, and
    `max_files_bytes` is `files.total_bytes`.
    """

    store: Store
    passcodes: Passcodes
    health: HealthCheck
    clock: Clock
    in_flight: Callable[[], int]
    files: FilesState
    max_files_bytes: int


class MetricsCollector:
    """Collects all metrics; `sources` is None until the server has started."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.sources: MetricsSources | None = None
        self._started_at = _started_at()

    def set_sources(self, sources: MetricsSources) -> None:
        self.sources = sources

    async def text(self) -> bytes:
        """Return the metrics in Prometheus' text format. If the store fails, `seclink_ready` shows it in place of
        the store's own metrics.
        """
        families = [*self._since_start(), *self._process()]
        if (sources := self.sources) is not None:
            families += _current(sources, await sources.health.failing())
            with contextlib.suppress(StorageFailed):
                stats = await sources.store.statistics(sources.clock.now())
                families += [*_stored(stats), *_files(stats.files, sources)]
        return render(families)

    def _since_start(self) -> Iterator[Family]:
        counters = self.counters
        for event, help in EVENTS.items():
            if event != "expired":  # only the store counts these
                values = {format: counters.events[event, format] for format in FORMATS}
                yield family(f"seclink_secrets_{event}_total", "counter", help, _by("format", values))
        yield family("seclink_refusals_total", "counter", "Refused requests, by code.", _by("code", counters.errors))
        help = "Requests beyond a rate, by its name."
        yield family("seclink_rate_limited_total", "counter", help, _by("rate", counters.limited))
        help = "Time from routing to the response, body included, of requests that succeeded."
        operations = list(counters.operations.items())  # a copy, because a reload adds to them from its thread
        durations = [({"api": api, "operation": name}, value) for (api, name), value in operations if any(value.counts)]
        yield histograms("seclink_request_seconds", help, durations)
        yield histograms("seclink_passcode_seconds", "Time of one argon2id hash.", [({}, counters.passcode_seconds)])
        yield histograms(
            "seclink_reaped_rows", "Rows that the reaper changed in one round.", [({}, counters.reaped_rows)]
        )

    def _process(self) -> Iterator[Family]:
        """The metrics of the process, with the names that every Prometheus client uses."""
        yield single(
            "process_start_time_seconds",
            "gauge",
            "Start time, in seconds since the epoch.",
            self._started_at,
        )
        yield single("process_cpu_seconds_total", "counter", "Processor time used.", time.process_time())
        yield single("process_resident_memory_bytes", "gauge", "Resident memory.", _resident_bytes())
        yield single("process_open_fds", "gauge", "Open file descriptors.", _open_files())
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        yield single("process_max_fds", "gauge", "Maximum number of open file descriptors.", limit)


def _current(sources: MetricsSources, failing: tuple[str, ...]) -> Iterator[Family]:
    build = {**BUILD, "store": sources.store.engine}
    yield family("seclink_build_info", "gauge", "Version of SecLink, Python and the store.", [(build, 1)])
    ready = {part: int(part not in failing) for part in COMPONENTS}
    yield family("seclink_ready", "gauge", "1 if the part works, else 0.", _by("part", ready))
    help = "1 while nothing is erased because the system clock has jumped by more than a day, else 0."
    yield single("seclink_clock_doubtful", "gauge", help, int(sources.clock.is_doubtful))
    # The scrape itself is one of them.
    yield single("seclink_requests_in_flight", "gauge", "Requests in flight.", sources.in_flight())
    passcodes = sources.passcodes
    hashing = min(passcodes.hashing, THREADS)
    yield single("seclink_passcodes_running", "gauge", "argon2id hashes being computed.", hashing)
    yield single("seclink_passcodes_waiting", "gauge", "Requests waiting for a hash.", passcodes.slots.in_use - hashing)


def _stored(stats: StoreStats) -> Iterator[Family]:
    if stats.secrets is not None:
        counts = [({"format": f, "state": s}, stats.secrets.get((f, s), 0)) for f in FORMATS for s in STATES]
        yield family("seclink_secrets", "gauge", "Secrets, including ended ones that still have a receipt.", counts)
    expired = {format: stats.expired.get(format, 0) for format in FORMATS}
    yield family("seclink_secrets_expired_total", "counter", EVENTS["expired"], _by("format", expired))
    help = "Time that the oldest expired secret has waited for the reaper."
    yield single("seclink_reaper_lag_seconds", "gauge", help, stats.overdue_ms / 1000)
    yield single("seclink_database_bytes", "gauge", "Size of the database file.", stats.file_bytes)
    yield single("seclink_database_used_bytes", "gauge", "Bytes of the database in use.", stats.used_bytes)
    yield single("seclink_database_limit_bytes", "gauge", "Used bytes at which creating stops.", stats.max_bytes)
    yield single("seclink_wal_bytes", "gauge", "Size of the write-ahead log.", stats.log_bytes)
    yield histograms("seclink_commit_writes", "Writes per commit.", [({}, stats.batches)])
    help = "Time of a commit: its statements and the sync to disk."
    yield histograms("seclink_commit_seconds", help, [({}, stats.commit_seconds)])


def _files(usage: FilesUsage, sources: MetricsSources) -> Iterator[Family]:
    help = "Bytes of files, before encryption, that are stored or reserved by uploads."
    yield single("seclink_files_reserved_bytes", "gauge", help, usage.plain_bytes)
    yield single("seclink_files_limit_bytes", "gauge", "Reserved bytes at which uploads stop.", sources.max_files_bytes)
    yield single("seclink_files_stored_bytes", "gauge", "Bytes of chunks on the disk.", usage.stored_bytes)
    yield single("seclink_files_missing_bytes", "gauge", "Bytes that uploads have still to send.", usage.missing_bytes)
    yield single("seclink_uploads", "gauge", "Uploads, with those of secrets.", usage.uploads)
    help = "Uploads that secrets may still be attached to."
    yield single("seclink_uploads_unfinished", "gauge", help, usage.unfinished)
    yield single("seclink_grants", "gauge", "Readers who may download the files of a secret.", usage.grants)
    files = sources.files
    yield single("seclink_files_written_bytes_total", "counter", "Bytes of chunks written.", files.written_bytes)
    yield single("seclink_files_read_bytes_total", "counter", "Bytes of chunks read.", files.read_bytes)


def _by(label: str, values: Mapping[str, float]) -> list[tuple[dict[str, str], float]]:
    return [({label: name}, value) for name, value in values.items()]


def _started_at() -> float:
    """Return the start of the process: the 22nd field, in ticks since boot."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # without the one that lists them


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

"""What `/metrics` says: numbers about the appliance, nothing that tells of a secret, a person, an address, an account
or a key. Labels are of closed sets: formats, states, codes, operations, rates, parts.

`MetricsCollector` outlives a reload: `set_sources` hands it the parts there are now, its instruments go on counting.
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
from seclink.domain.health import COMPONENTS, HealthCheck
from seclink.domain.passcodes import THREADS, Passcodes
from seclink.domain.policy import FORMATS
from seclink.errors import StorageFailed
from seclink.store.contract import Store, StoreStats
from seclink.telemetry.counters import Counters
from seclink.telemetry.prometheus import Family, family, histograms, render, single

EVENTS = {
    "created": "Secrets that were created.",
    "revealed": "Views that were taken.",
    "burned": "Secrets that were ended on request.",
    "expired": "Secrets that the reaper erased unread.",
    "reported": "Reports of abuse.",
}
STATES = ("active", "revealed", "burned", "expired")
BUILD = {"version": __version__, "python": platform.python_version()}


class MetricsSources(Struct, frozen=True, kw_only=True):
    """What is looked at when somebody asks. `in_flight` says how many requests are in flight."""

    store: Store
    passcodes: Passcodes
    health: HealthCheck
    clock: Clock
    in_flight: Callable[[], int]


class MetricsCollector:
    def __init__(self) -> None:
        self.instruments = Counters()
        self.parts: MetricsSources | None = None
        self._started_at = _started_at()

    def set_sources(self, parts: MetricsSources) -> None:
        self.parts = parts

    async def text(self) -> bytes:
        """The exposition. A store that fails is left out of it, and said to fail."""
        families = [*self._counted(), *self._process()]
        if self.parts is not None:
            failing = await self.parts.health.failing()
            families += _present(self.parts, failing)
            with contextlib.suppress(StorageFailed):
                families += _stored(await self.parts.store.statistics(self.parts.clock.now()))
        return render(families)

    def _counted(self) -> Iterator[Family]:
        """Since the process began."""
        ours = self.instruments
        for event, help in EVENTS.items():
            if event != "expired":  # which only the store knows
                values = {format: ours.events[event, format] for format in FORMATS}
                yield family(f"seclink_secrets_{event}_total", "counter", help, _by("format", values))
        yield family("seclink_refusals_total", "counter", "Refused requests, by code.", _by("code", ours.refusals))
        help = "Requests beyond a rate, by its name."
        yield family("seclink_rate_limited_total", "counter", help, _by("rate", ours.limited))
        help = "Time from routing to the answer, body included, of requests that were not refused."
        every = list(ours.operations.items())  # a reload adds to them from its thread
        timed = [({"api": api, "operation": name}, each) for (api, name), each in every if any(each.counts)]
        yield histograms("seclink_request_seconds", help, timed)
        yield histograms("seclink_passcode_seconds", "Time of one argon2id.", [({}, ours.passcode_seconds)])
        yield histograms("seclink_reaped_rows", "Secrets erased or forgotten in a round.", [({}, ours.reaped_rows)])

    def _process(self) -> Iterator[Family]:
        """As every exporter calls them."""
        yield single("process_start_time_seconds", "gauge", "Start of the process, since the epoch.", self._started_at)
        yield single("process_cpu_seconds_total", "counter", "Processor time used.", time.process_time())
        yield single("process_resident_memory_bytes", "gauge", "Resident memory.", _resident_bytes())
        yield single("process_open_fds", "gauge", "Open file descriptors.", _open_files())
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        yield single("process_max_fds", "gauge", "Most file descriptors that may be open.", limit)


def _present(parts: MetricsSources, failing: tuple[str, ...]) -> Iterator[Family]:
    """As it is now."""
    build = {**BUILD, "store": parts.store.engine}
    yield family("seclink_build_info", "gauge", "What this is.", [(build, 1)])
    ready = {part: int(part not in failing) for part in COMPONENTS}
    yield family("seclink_ready", "gauge", "Whether the part does its work.", _by("part", ready))
    # The request that asks is one of them.
    yield single("seclink_requests_in_flight", "gauge", "Requests that are being handled.", parts.in_flight())
    passcodes = parts.passcodes
    hashing = min(passcodes.hashing, THREADS)
    yield single("seclink_passcodes_running", "gauge", "argon2id hashes being computed.", hashing)
    yield single("seclink_passcodes_waiting", "gauge", "Requests waiting for one.", passcodes.pending - hashing)


def _stored(figures: StoreStats) -> Iterator[Family]:
    if figures.secrets is not None:
        counts = [({"format": f, "state": s}, figures.secrets.get((f, s), 0)) for f in FORMATS for s in STATES]
        yield family("seclink_secrets", "gauge", "Secrets there are, ended ones until they are forgotten.", counts)
    expired = {format: figures.expired.get(format, 0) for format in FORMATS}
    yield family("seclink_secrets_expired_total", "counter", EVENTS["expired"], _by("format", expired))
    help = "How long the oldest secret that is due has been waiting for the reaper."
    yield single("seclink_reaper_lag_seconds", "gauge", help, figures.overdue_ms / 1000)
    yield single("seclink_database_bytes", "gauge", "Size of the database file.", figures.file_bytes)
    yield single("seclink_database_used_bytes", "gauge", "Bytes of it that hold something.", figures.used_bytes)
    yield single("seclink_database_limit_bytes", "gauge", "Used bytes that nothing is added to.", figures.max_bytes)
    yield single("seclink_wal_bytes", "gauge", "Size of the write-ahead log.", figures.log_bytes)
    yield histograms("seclink_commit_writes", "Writes that were committed together.", [({}, figures.batches)])
    help = "Time of a commit: its statements and the sync to the disk."
    yield histograms("seclink_commit_seconds", help, [({}, figures.commit_seconds)])


def _by(label: str, values: Mapping[str, float]) -> list[tuple[dict[str, str], float]]:
    return [({label: name}, value) for name, value in values.items()]


def _started_at() -> float:
    """When the kernel began this process; 22nd field, in ticks since boot."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1  # without the one that looks


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

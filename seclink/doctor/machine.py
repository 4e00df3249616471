"""Checks of the machine: versions with known bugs, limits of the process, swap and core dumps, the clock, and how long
checking a passcode takes here.
"""

import ctypes
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from seclink.config.schema import Config
from seclink.doctor.findings import CheckGroup, Finding
from seclink.domain.passcodes import PROFILES, THREADS
from seclink.ops.processes import soft_limits
from seclink.store.inspect import sqlite_version

GROUP = CheckGroup("machine")
# https://sqlite.org/wal.html#walresetbug: one connection's commit restarts the log while the second of two checkpoints
# runs on another connection. In every version since 3.7.0, fixed in these and in all later than the last.
FIXED_IN = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
SLOW_SECONDS, QUICK_SECONDS, STRONG_BYTES = 0.5, 0.25, 65_536 * 1024
SPARE_FILES = 128
UNSYNCHRONISED = 5  # adjtimex(2): TIME_ERROR
HASH_RUNS = 3


def check(config: Config, process: int | None) -> Iterator[Finding]:
    """`process` is the server's id, or None if it does not run."""
    yield GROUP.ok("Python", sys.version.split()[0])
    yield sqlite(sqlite_version())
    yield from _limits(config, process)
    yield swap()
    yield _clock()
    yield passcodes(config, {name: _hash_seconds(name) for name in PROFILES}, _available_memory())


def sqlite(version: tuple[int, ...]) -> Finding:
    number = ".".join(map(str, version))
    is_fixed = any(version[:2] == fixed[:2] and version >= fixed for fixed in FIXED_IN)
    if is_fixed or version >= max(FIXED_IN):
        return GROUP.ok("SQLite", number)
    observation = (
        f"{number} has the WAL-reset bug, as all versions before 3.51.3 except 3.44.6 and 3.50.7: very rarely, a write"
        " during the second of two checkpoints damages the database. The server's own checkpoints cannot trigger it;"
        " those of another program that has the file open could"
    )
    fix = (
        "use a Python with SQLite 3.51.3 or later, or ask your distribution whether its"
        f" {number} has the fix (https://sqlite.org/wal.html#walresetbug); until then, `seclink backup` daily"
    )
    return GROUP.warning("SQLite", observation, fix)


def _limits(config: Config, process: int | None) -> Iterator[Finding]:
    """Check the server's limits, or those of this shell if the server does not run or may not be inspected."""
    max_files: int | None = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    max_core: int | None = None
    owner = "this shell"
    if process is not None:
        try:
            limits = soft_limits(process)
            max_files, max_core = limits["Max open files"], limits["Max core file size"]
            owner = f"process {process}"
        except (OSError, KeyError):
            process = None
    yield _open_files(config.server.requests, max_files, owner)
    if process is not None and max_core != 0:
        observation = f"are enabled for {owner}: they would contain everything in its memory"
        fix = "LimitCORE=0 in the unit; restart the server, which disables them itself"
        yield GROUP.warning("core dumps", observation, fix)
    elif process is not None:
        yield GROUP.ok("core dumps", f"are disabled for {owner}")


def _open_files(requests: int, max_files: int | None, owner: str) -> Finding:
    needed = 2 * requests + SPARE_FILES
    if max_files is None or max_files == resource.RLIM_INFINITY:
        return GROUP.ok("open files", f"are unlimited for {owner}")
    if max_files < needed:
        observation = f"are limited to {max_files:,} for {owner}, and {requests:,} requests may need {needed:,}"
        return GROUP.problem(
            "open files", observation, f"LimitNOFILE={4 * needed} in the unit, or `ulimit -n {4 * needed}`"
        )
    return GROUP.ok("open files", f"are limited to {max_files:,} for {owner}")


def swap(swaps: Path = Path("/proc/swaps")) -> Finding:
    try:
        devices = [line.split()[0] for line in swaps.read_text().splitlines()[1:] if line.strip()]
    except OSError:
        devices = []
    on_disk = [device for device in devices if not device.startswith("/dev/zram")]
    if on_disk:
        observation = f"is on ({', '.join(on_disk)}): secrets in memory may be written to a disk and stay there"
        return GROUP.warning("swap", observation, "MemorySwapMax=0 in the unit, encrypted swap, or `swapoff -a`")
    return GROUP.ok("swap", "is off, or only in memory")


def _clock() -> Finding:
    """Ask the kernel whether the clock is synchronised, which needs no privileges."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError):
        state = -1
    if state == UNSYNCHRONISED:
        observation = "is not synchronised, according to the kernel"
        return GROUP.warning("the clock", observation, "timedatectl set-ntp true, or another NTP service")
    return GROUP.ok("the clock", "is synchronised" if state >= 0 else "may be synchronised; the kernel does not tell")


def passcodes(config: Config, seconds: dict[str, float], available_bytes: int) -> Finding:
    """Check the profile against the seconds each profile takes here; suggest the stronger one if it is affordable."""
    profile = config.passcodes.profile
    subject = "passcodes.profile"
    times = ", ".join(f"{name} {1000 * duration:.0f} ms" for name, duration in seconds.items())
    if seconds[profile] > SLOW_SECONDS and profile == "strong":
        observation = f"is strong, which is slow here ({times}): two passcodes are checked at a time, sixteen can wait"
        return GROUP.warning(subject, observation, '[passcodes] profile = "standard"')
    if seconds[profile] > SLOW_SECONDS:
        return GROUP.warning(subject, f"is slow here ({times})", "give the machine a faster processor")
    is_strong_affordable = seconds["strong"] <= QUICK_SECONDS and available_bytes >= 16 * THREADS * STRONG_BYTES
    hint = "; this machine can afford strong" if profile == "standard" and is_strong_affordable else ""
    return GROUP.ok(subject, f"is {profile} ({times}){hint}")


def _hash_seconds(profile: str) -> float:
    """Return the shortest of some runs, which depends least on the machine's other work."""
    durations = []
    for _ in range(HASH_RUNS):
        began = perf_counter()
        PROFILES[profile].hash("seclink doctor")
        durations.append(perf_counter() - began)
    return min(durations)


def _available_memory() -> int:
    """Return the bytes of memory that are free or can be reclaimed, 0 if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)

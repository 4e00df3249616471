"""The machine: versions with known mistakes, limits of the process, what may keep memory, the clock, and what it costs
to check a passcode here.
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
from seclink.ops.processes import limits
from seclink.store.inspect import library

PART = CheckGroup("machine")
# https://sqlite.org/wal.html#walresetbug: a commit of one connection starts the log anew while the second checkpoint in
# a row of another one runs. All from 3.7.0 on have it; mended in these, and in what follows the last.
MENDED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
SLOW_SECONDS, QUICK_SECONDS, STRONG_BYTES = 0.5, 0.25, 65_536 * 1024
SPARE_FILES = 128
UNSYNCHRONISED = 5  # adjtimex(2): TIME_ERROR
TRIES = 3


def look(config: Config, process: int | None) -> Iterator[Finding]:
    """`process` is the server's, where it runs and this is its user, or root."""
    yield PART.ok("Python", sys.version.split()[0])
    yield sqlite(library())
    yield from _limits(config, process)
    yield swap()
    yield _clock()
    yield passcodes(config, {name: _seconds(name) for name in PROFILES}, _memory())


def sqlite(version: tuple[int, ...]) -> Finding:
    shown = ".".join(map(str, version))
    last = max(MENDED)
    if version >= last or any(version[:2] == each[:2] and version >= each for each in MENDED):
        return PART.ok("SQLite", shown)
    said = (
        f"{shown} has the WAL-reset bug, as all before 3.51.3 have but for 3.44.6 and 3.50.7: very rarely, a write"
        " during the second of two checkpoints damages the database. The server's own do not meet like that; those of"
        " another program that has the file open could"
    )
    fix = (
        "run it with a Python whose SQLite is 3.51.3 or later, or ask your distribution whether it has mended its"
        f" {shown} (https://sqlite.org/wal.html#walresetbug); `seclink backup` daily until then"
    )
    return PART.warning("SQLite", said, fix)


def _limits(config: Config, process: int | None) -> Iterator[Finding]:
    looked, least = "open files", 2 * config.server.requests + SPARE_FILES
    files: int | None = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    cores: int | None = None
    whose = "this shell"
    if process is not None:
        try:
            given = limits(process)
            files, cores, whose = given["Max open files"], given["Max core file size"], f"process {process}"
        except (OSError, KeyError):
            process = None
    if files is not None and files != resource.RLIM_INFINITY and files < least:
        said = f"{whose} may have {files:,} open, and {config.server.requests:,} requests may need {least:,}"
        yield PART.problem(looked, said, f"LimitNOFILE={4 * least} in the unit, or `ulimit -n {4 * least}`")
    else:
        yield PART.ok(looked, f"{whose} may have {'any number' if files is None else f'{files:,}'}")
    if process is not None and cores != 0:
        said = f"{whose} may leave one, with all that it remembers"
        yield PART.warning("core dumps", said, "LimitCORE=0 in the unit; restart the server, which sets it itself")
    elif process is not None:
        yield PART.ok("core dumps", f"{whose} leaves none")


def swap(listed: Path = Path("/proc/swaps")) -> Finding:
    try:
        used = [line.split()[0] for line in listed.read_text().splitlines()[1:] if line.strip()]
    except OSError:
        used = []
    lasting = [each for each in used if not each.startswith("/dev/zram")]
    if lasting:
        said = f"is on ({', '.join(lasting)}): what was in memory for a moment may stay on a disk"
        return PART.warning("swap", said, "MemorySwapMax=0 in the unit, encrypted swap, or `swapoff -a`")
    return PART.ok("swap", "is off, or only in memory")


def _clock() -> Finding:
    """Whether somebody keeps it right, as the kernel says; asking needs no rights."""
    try:
        told = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError):
        told = -1
    if told == UNSYNCHRONISED:
        return PART.warning(
            "the clock",
            "is not synchronised, as far as the kernel knows",
            "timedatectl set-ntp true, or another NTP service",
        )
    return PART.ok("the clock", "is synchronised" if told >= 0 else "does not tell whether it is synchronised")


def passcodes(config: Config, seconds: dict[str, float], memory: int) -> Finding:
    """A suggestion of the stronger profile where this machine has the time and the memory for it."""
    profile = config.passcodes.profile
    looked = "passcodes.profile"
    took = ", ".join(f"{name} {1000 * each:.0f} ms" for name, each in seconds.items())
    fits = seconds["strong"] <= QUICK_SECONDS and memory >= 16 * THREADS * STRONG_BYTES
    if seconds[profile] > SLOW_SECONDS and profile == "strong":
        said = f"is strong, which is slow here ({took}): two at a time are checked, and sixteen wait"
        return PART.warning(looked, said, '[passcodes] profile = "standard"')
    if seconds[profile] > SLOW_SECONDS:
        return PART.warning(looked, f"is slow here ({took})", "give the machine a quicker processor")
    suggested = "; this machine can afford strong" if profile == "standard" and fits else ""
    return PART.ok(looked, f"is {profile} ({took}){suggested}")


def _seconds(profile: str) -> float:
    """The quickest of some: what is measured is the machine, not what else it does."""
    taken = []
    for _ in range(TRIES):
        began = perf_counter()
        PROFILES[profile].hash("seclink doctor")
        taken.append(perf_counter() - began)
    return min(taken)


def _memory() -> int:
    """What is free, or could be."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)

"""The database: whole, of this release, with room to grow; and the clock it goes by."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from seclink.config.schema import Config
from seclink.doctor.findings import OTHERS_FIX, CheckGroup, Finding
from seclink.errors import StoreUnusable
from seclink.ops.processes import server_of
from seclink.store import connection
from seclink.store.audit_reader import AuditReader, Broken
from seclink.store.inspect import Inspection, inspect, try_pragmas

PART = CheckGroup("database")
BEHIND_MS = 60_000
LOG_BYTES = 64 * 2**20
SPARE_BYTES = 64 * 2**20
TRAIL_ENTRIES = 100_000
# Not made to keep what was made durable: gone with the machine, or with the container.
PASSING = ("tmpfs", "ramfs", "overlay")
# Locks and shared memory, on which the log rests, do not work there as SQLite needs it.
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs")
# What helps against what the store says of a file; where nothing of this is said, a backup does.
CURES = {
    "newer SecLink": "install that release again, or `seclink restore FILE --replace` with a backup that this one made",
    "of something else": '[store] path = "/var/lib/seclink/seclink.db", or wherever the database is',
    "locked by another": "`fuser {path}` names who has it open; end what is not the server",
    "cannot be written": OTHERS_FIX,
    "cannot be opened": OTHERS_FIX,
}
RESTORE = (
    "stop the server; `seclink restore FILE --replace` makes a new one of a backup; the file stays as it is until then"
)


def look(config: Config, path: Path, now_ms: int) -> Iterator[Finding]:
    """`path` is there, or is to be made in a folder that is."""
    yield from _disk(config, path)
    yield _pragmas()
    if not path.exists():
        return
    process = server_of(path)
    yield PART.ok(
        f"{path}.lock", f"is held by process {process}" if process else "is held by no server of this machine"
    )
    if trouble := _no_database(path):
        yield trouble
        return
    try:
        connection.check(path, up_to=0)
        inspection = inspect(path)
    except StoreUnusable as error:
        said = error.message.removeprefix(f"{path}: ")
        fix = next((each for words, each in CURES.items() if words in said), RESTORE).format(path=path)
        yield PART.problem(str(path), said, fix)
        return
    yield from _content(path, inspection)
    if inspection.schema == inspection.newest:
        yield _trail(path)
    yield _clock(inspection, now_ms)


def _no_database(path: Path) -> Finding | None:
    if not path.is_file():
        return PART.problem(str(path), "is not a file", CURES["of something else"])
    if not os.access(path, os.R_OK):
        return PART.problem(str(path), "may not be read by you", OTHERS_FIX)
    if path.stat().st_size == 0:
        return PART.warning(str(path), "is empty; the next start makes a database of it", "seclink serve")
    return None


def _content(path: Path, seen: Inspection) -> Iterator[Finding]:
    if seen.verdict not in ("", "ok"):
        yield PART.problem(str(path), f"is damaged: {seen.verdict}", RESTORE)
    elif seen.orphans:
        yield PART.problem(str(path), f"has rows that belong to nothing: {seen.orphans}", RESTORE)
    else:
        size = f"{path.stat().st_size:,} bytes"
        yield PART.ok(str(path), f"is whole, {size}" if seen.verdict else f"can be read; too large to check, {size}")
    if seen.schema < seen.newest:
        said = f"is of schema {seen.schema}, this release has {seen.newest}"
        yield PART.warning(str(path), said, "restart the server: it brings the file up to date, and keeps a copy")
    else:
        yield PART.ok("schema", f"is {seen.schema}, as of this release")
    if seen.journal_mode != "wal":
        said = f"is {seen.journal_mode}, not wal: something else has opened the file"
        yield PART.problem("journal_mode", said, "restart the server, which sets it, and find out what it was")
    log = Path(f"{path}-wal")
    length = log.stat().st_size if log.exists() else 0
    if length > LOG_BYTES:
        said = f"has grown to {length:,} bytes: a program that reads keeps it, and what was erased, from being cut away"
        yield PART.warning(str(log), said, f"`fuser {path}` names who has it open; end what is not the server")
    else:
        yield PART.ok(str(log), f"has {length:,} bytes")


def _trail(path: Path) -> Finding:
    """As much of it as is read in half a second."""
    try:
        count = sum(1 for _ in itertools.islice(AuditReader(path).new(), TRAIL_ENTRIES))
    except Broken as broken:
        fix = "keep a copy (`seclink backup`), and find out who may write to the file; what comes before that holds"
        return PART.problem("the audit trail", f"is not whole: {broken}", fix)
    if count == TRAIL_ENTRIES:
        return PART.ok("the audit trail", f"is whole as far as {count:,} entries; `seclink audit` checks all")
    return PART.ok("the audit trail", f"is whole, {count:,} entries" if count != 1 else "is whole, 1 entry")


def _clock(seen: Inspection, now_ms: int) -> Finding:
    behind = seen.seen_ms - now_ms
    if behind > BEHIND_MS:
        said = f"is {behind // 1000:,} s behind what the database has seen: nothing expires before it has caught up"
        return PART.problem("the clock", said, "timedatectl set-ntp true, and look at the date")
    return PART.ok("the clock", "is not behind what the database has seen")


def _pragmas() -> Finding:
    try:
        with tempfile.TemporaryDirectory() as folder:
            try_pragmas(Path(folder))
    except (StoreUnusable, OSError) as error:
        said = getattr(error, "message", str(error)).rpartition(": ")[2]
        return PART.problem("SQLite", said, "use the SQLite of your distribution, or Python's own")
    return PART.ok("SQLite", "holds the settings that durability and erasure rest on")


def _disk(config: Config, path: Path) -> Iterator[Finding]:
    folder = path.parent
    kind, disk = file_system(folder), os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if disk.f_flag & os.ST_RDONLY:
        yield PART.problem(str(folder), "is read-only", f"mount -o remount,rw {folder}")
    if kind in PASSING:
        said = f"is on {kind}: what is there is gone when the machine, or the container, is"
        yield PART.warning(str(folder), said, '[store] path = "/var/lib/seclink/seclink.db", on a volume')
    elif kind in NETWORK:
        said = f"is on {kind}: SQLite's locks and durability cannot be relied on over a network"
        yield PART.warning(str(folder), said, '[store] path = "/var/lib/seclink/seclink.db", on a disk of this machine')
    else:
        yield PART.ok(str(folder), f"is on {kind or 'a file system nobody names'}")
    room = config.store.max_bytes - (path.stat().st_size if path.exists() else 0)
    if free < SPARE_BYTES or (disk.f_files and disk.f_favail < 100):
        said = f"has {free:,} bytes and {disk.f_favail:,} files free: revealing needs some, too"
        yield PART.problem("the disk", said, "make room")
    elif free < room:
        said = f"has {free:,} bytes free, and store.max_bytes lets the database grow by {room:,}"
        yield PART.warning("the disk", said, f"[store] max_bytes = {config.store.max_bytes - room + free // 2}")
    else:
        yield PART.ok("the disk", f"has {free:,} bytes free")


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of what is mounted there; "" where it cannot be told."""
    best, kind = "", ""
    try:
        listed = mounts.read_text().splitlines()
    except OSError:
        return ""
    at = f"{folder.resolve()}/"
    for line in listed:  # `36 35 98:0 /root /mount/point rw - ext4 /dev/root rw`; the later of two lies on top
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].replace("\\040", " ").rstrip("/") + "/"
        if at.startswith(point) and len(point) >= len(best):
            best, kind = point, right.split(" ")[0]
    return kind

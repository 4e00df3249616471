"""Checks of the database: integrity, schema version, free space, and the clock it has recorded."""

import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from seclink.config.schema import Config
from seclink.doctor.findings import RUN_AS_OWNER, CheckGroup, Finding
from seclink.domain.clock import MAX_JUMP_MS, MAX_TRUSTED_JUMP_MS, NEW_STORE
from seclink.errors import StoreFault, StoreUnusable
from seclink.ops.processes import server_process
from seclink.store import connection
from seclink.store.audit_reader import AuditReader, TrailBroken
from seclink.store.inspect import Inspection, check_pragmas, inspect

GROUP = CheckGroup("database")
MAX_BEHIND_MS = 60_000
SET_CLOCK = "timedatectl set-ntp true, and check the date; if it is right: `seclink clock --accept`"
MAX_LOG_BYTES = 64 * 2**20
MIN_FREE_BYTES, MIN_FREE_FILES = 64 * 2**20, 100
MAX_AUDIT_ENTRIES = 100_000
# Gone when the machine or the container is: SQLite's durability is worth nothing there.
EPHEMERAL_FILE_SYSTEMS = ("tmpfs", "ramfs", "overlay")
# SQLite's log needs locks and shared memory that work, and on these they do not.
NETWORK_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs")
OTHER_PATH = '[store] path = "/var/lib/seclink/seclink.db", or the path of your database'
END_OTHER_PROGRAM = "`fuser {path}` lists the processes that have it open; end those that are not the server"
RESTORE = (
    "stop the server; `seclink restore FILE --replace` creates a new database from a backup; the file stays unchanged"
    " until then"
)
FIXES = {
    StoreFault.OTHER: RESTORE,
    StoreFault.NEWER: "install that release again, or `seclink restore FILE --replace` with a backup of this release",
    StoreFault.FOREIGN: OTHER_PATH,
    StoreFault.LOCKED: END_OTHER_PROGRAM,
    StoreFault.ACCESS: RUN_AS_OWNER,
    StoreFault.DISK_FULL: "free space on the disk",
}


def check(config: Config, path: Path, now_ms: int) -> Iterator[Finding]:
    """`path` need not exist, but its folder must."""
    yield from _disk(config, path)
    yield _pragmas()
    if not path.exists():
        return
    process = server_process(path)
    holder = f"is held by process {process}" if process else "is held by no server on this machine"
    yield GROUP.ok(f"{path}.lock", holder)
    if finding := _no_database(path):
        yield finding
        return
    try:
        connection.check(path, max_bytes=0)
        inspection = inspect(path)
    except StoreUnusable as error:
        observation = error.message.removeprefix(f"{path}: ")
        yield GROUP.problem(str(path), observation, FIXES[error.fault].format(path=path))
        return
    yield from _content(path, inspection)
    if inspection.schema == inspection.newest:
        yield _audit_trail(path)
    yield _clock(inspection, now_ms)


def _no_database(path: Path) -> Finding | None:
    if not path.is_file():
        return GROUP.problem(str(path), "is not a file", OTHER_PATH)
    if not os.access(path, os.R_OK):
        return GROUP.problem(str(path), "cannot be read by this user", RUN_AS_OWNER)
    if path.stat().st_size == 0:
        return GROUP.warning(str(path), "is empty; the next start makes it a database", "seclink serve")
    return None


def _content(path: Path, inspection: Inspection) -> Iterator[Finding]:
    yield _integrity(path, inspection)
    if inspection.schema < inspection.newest:
        observation = f"has schema version {inspection.schema}; this release has version {inspection.newest}"
        yield GROUP.warning(str(path), observation, "restart the server, which upgrades the file and keeps a copy")
    else:
        yield GROUP.ok("schema", f"is version {inspection.schema}, that of this release")
    if inspection.journal_mode != "wal":
        observation = f"is {inspection.journal_mode}, not wal: another program has opened the file"
        yield GROUP.problem("journal_mode", observation, "restart the server, which sets it, and find that program")
    yield _log(path)


def _integrity(path: Path, inspection: Inspection) -> Finding:
    if inspection.verdict not in ("", "ok"):
        return GROUP.problem(str(path), f"is damaged: {inspection.verdict}", RESTORE)
    if inspection.orphans:
        return GROUP.problem(str(path), f"has {inspection.orphans} rows without the secret they belong to", RESTORE)
    size = f"{path.stat().st_size:,} bytes"
    observation = (
        f"is intact, {size}"
        if inspection.verdict
        else f"is readable, {size}; too large to check beside a server: check a backup"
    )
    return GROUP.ok(str(path), observation)


def _log(path: Path) -> Finding:
    log = Path(f"{path}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > MAX_LOG_BYTES:
        observation = f"has grown to {size:,} bytes: a program that reads it prevents truncation, and so erasure"
        return GROUP.warning(str(log), observation, END_OTHER_PROGRAM.format(path=path))
    return GROUP.ok(str(log), f"has {size:,} bytes")


def _audit_trail(path: Path) -> Finding:
    """Verify as much of the audit trail as takes about half a second."""
    try:
        count = sum(1 for _ in itertools.islice(AuditReader(path).new(), MAX_AUDIT_ENTRIES))
    except TrailBroken as broken:
        fix = "keep a copy (`seclink backup`), and find out who can write to the file; entries before that are intact"
        return GROUP.problem("the audit trail", f"is broken: {broken}", fix)
    if count == MAX_AUDIT_ENTRIES:
        observation = f"is intact for the first {count:,} entries; `seclink audit` checks all of them"
        return GROUP.ok("the audit trail", observation)
    return GROUP.ok("the audit trail", f"is intact, {count:,} entries" if count != 1 else "is intact, 1 entry")


def _clock(inspection: Inspection, now_ms: int) -> Finding:
    behind_ms = inspection.last_seen_at - now_ms
    if behind_ms > MAX_BEHIND_MS:
        seconds = behind_ms // 1000
        observation = f"is {seconds:,} s behind the time in the database: nothing expires until it has caught up"
        return GROUP.problem("the clock", observation, SET_CLOCK)
    if inspection.last_seen_at > NEW_STORE and -behind_ms > MAX_JUMP_MS:
        days = -behind_ms // 86_400_000
        observation = f"is {days:,} days ahead of the time in the database: nothing is erased until that is confirmed"
        level = GROUP.warning if -behind_ms <= MAX_TRUSTED_JUMP_MS else GROUP.problem
        return level("the clock", observation, SET_CLOCK)
    return GROUP.ok("the clock", "agrees with the time in the database")


def _pragmas() -> Finding:
    try:
        with tempfile.TemporaryDirectory() as folder:
            check_pragmas(Path(folder))
    except (StoreUnusable, OSError) as error:
        fix = "use the SQLite of your distribution, or Python's own"
        return GROUP.problem("SQLite", f"cannot be used: {error}", fix)
    return GROUP.ok("SQLite", "accepts the settings that durability and erasure depend on")


def _disk(config: Config, path: Path) -> Iterator[Finding]:
    folder = path.parent
    disk = os.statvfs(folder)
    if disk.f_flag & os.ST_RDONLY:
        yield GROUP.problem(str(folder), "is read-only", f"mount -o remount,rw {folder}")
    yield _file_system(folder)
    free_bytes = disk.f_bavail * disk.f_frsize
    growth_bytes = config.store.max_bytes - (path.stat().st_size if path.exists() else 0)
    if free_bytes < MIN_FREE_BYTES or (disk.f_files and disk.f_favail < MIN_FREE_FILES):
        observation = f"has {free_bytes:,} bytes and {disk.f_favail:,} files free: revealing a secret needs space, too"
        yield GROUP.problem("the disk", observation, "free space on the disk")
    elif free_bytes < growth_bytes:
        observation = f"has {free_bytes:,} bytes free, but store.max_bytes lets the database grow by {growth_bytes:,}"
        max_bytes = config.store.max_bytes - growth_bytes + free_bytes // 2
        yield GROUP.warning("the disk", observation, f"[store] max_bytes = {max_bytes}")
    else:
        yield GROUP.ok("the disk", f"has {free_bytes:,} bytes free")


def _file_system(folder: Path) -> Finding:
    kind = file_system(folder)
    if kind in EPHEMERAL_FILE_SYSTEMS:
        observation = f"is on {kind}: its files are lost with the machine or the container"
        return GROUP.warning(str(folder), observation, '[store] path = "/var/lib/seclink/seclink.db", on a volume')
    if kind in NETWORK_FILE_SYSTEMS:
        observation = f"is on {kind}: SQLite's locks and durability are not reliable over a network"
        fix = '[store] path = "/var/lib/seclink/seclink.db", on a disk of this machine'
        return GROUP.warning(str(folder), observation, fix)
    return GROUP.ok(str(folder), f"is on {kind or 'an unknown file system'}")


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the type of the file system that a folder is on, "" if unknown."""
    best, kind = "", ""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    path = f"{folder.resolve()}/"
    # `36 35 98:0 /root /mount/point rw - ext4 /dev/root rw`; of two mounts on one point the later hides the earlier
    for line in lines:
        mount, _, source = line.partition(" - ")
        point = mount.split(" ")[4].replace("\\040", " ").rstrip("/") + "/"
        if path.startswith(point) and len(point) >= len(best):
            best, kind = point, source.split(" ")[0]
    return kind

"""Opening the database file: one server at a time, private, checked, upgraded, and with exactly the pragmas and
tables erasure rests on.

synchronous=FULL is a security setting: with NORMAL a power cut brings burned secrets back. secure_delete=ON
overwrites what is deleted (FAST leaves overflow pages). What is in the log is overwritten only by a TRUNCATE
checkpoint, which the store does after erasing.
"""

import contextlib
import fcntl
import os
import sqlite3
import struct
import time
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from seclink.errors import StoreFault, StoreUnusable
from seclink.store import snapshot
from seclink.store.migrate import NEWEST, has_our_tables, upgrade, version
from seclink.store.schema import APPLICATION_ID

SMALLEST_PAGE = 512
LOCK_SECONDS = 5
_NOT_OURS = "is not a SecLink database, or its beginning is damaged"
_DAMAGED = "is damaged; restore a backup, or move it away to start afresh"
_LOG_HEADER = struct.Struct(">8I")
CHECKED_BYTES = 64 * 2**20  # up to this size the whole file is checked at start (about 0.1 s)

PRAGMAS: dict[str, int | str] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "secure_delete": 1,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "temp_store": 2,  # memory: nothing spills into a file nobody erases
    "busy_timeout": 5000,
    "journal_size_limit": 4 * 2**20,
    "wal_autocheckpoint": 0,  # the store checkpoints on its own time, not inside a commit
}

C = TypeVar("C", bound=sqlite3.Connection)


def lock(path: Path) -> int:
    """Be the only server on this file until the descriptor is closed. Raises StoreUnusable."""
    descriptor = -1
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreUnusable(f"{path}: another SecLink server is using this database") from None
    except OSError as error:
        raise StoreUnusable(f"{path}: cannot be used: {error.strerror}") from None
    return descriptor


class Migrated(Struct, frozen=True):
    """A file of schema `before` that is of this SecLink's now; `copy` is what it was, without contents."""

    before: int
    copy: Path


def open_or_create(path: Path, *, is_alone: bool = True) -> Migrated | None:
    """Create the file for its owner alone, refuse what is not ours or not whole, and bring the tables up to date.

    Whoever does not hold the lock is not alone, and may not change tables under a server of an earlier SecLink.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(descriptor).st_mode & 0o077:  # a restored copy, say; its log takes the file's mode
            os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        _check_log(Path(f"{path}-wal"))
    except OSError as error:
        raise StoreUnusable(f"{path}: cannot be opened: {error.strerror}", StoreFault.ACCESS) from None
    check(path)
    with contextlib.closing(connect(path, sqlite3.Connection)) as db:
        return _upgrade(db, path, is_alone)


def connect(path: Path, kind: type[C]) -> C:
    """A connection with the pragmas set and seen to be set. Raises StoreUnusable."""
    try:
        db = sqlite3.connect(
            path,
            timeout=LOCK_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=kind,
        )
        for name, wanted in PRAGMAS.items():
            _set(db, name, wanted)
        for name, wanted in PRAGMAS.items():
            (got,) = db.execute(f"PRAGMA {name}").fetchone()
            if got != wanted:
                raise StoreUnusable(f"{path}: this SQLite does not hold {name} = {wanted} (it says {got})")
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None
    return db


def _set(db: sqlite3.Connection, name: str, wanted: object) -> None:
    """Set a pragma. For the journal's mode SQLite itself does not wait while somebody else is setting it."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            db.execute(f"PRAGMA {name} = {wanted}")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _check_log(path: Path) -> None:
    """SQLite takes a log whose header is damaged for an old one and overwrites it, with all that was committed there.

    A header is durable before the first frame follows it, so a crash cannot leave one like that.
    """
    head = b""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as log:
        head = log.read(_LOG_HEADER.size + 1)
    if len(head) <= _LOG_HEADER.size:
        return
    magic, *_, first, second = _LOG_HEADER.unpack_from(head)
    sums = (0, 0)
    for one, other in struct.iter_unpack(">II" if magic & 1 else "<II", head[:24]):
        sums = ((sums[0] + one + sums[1]) % 2**32, sums[1])
        sums = (sums[0], (sums[1] + other + sums[0]) % 2**32)
    if magic & ~1 != 0x377F0682 or sums != (first, second):
        raise StoreUnusable(
            f"{path}: is damaged; restore a backup, or move it away to go on without the last second's changes"
        )


def check(path: Path, *, up_to: int = CHECKED_BYTES) -> None:
    """Look at the file without writing to it: what is not ours or not whole stays as it is. Raises StoreUnusable."""
    if 0 < path.stat().st_size < SMALLEST_PAGE:  # SQLite takes a file of one byte for an empty one
        raise StoreUnusable(f"{path}: {_NOT_OURS}")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            db.execute("BEGIN")  # one look: somebody may be making it
            _check_content(db, path, up_to)
    except sqlite3.DatabaseError as error:
        # A write that a crash cut short before there was a log is rolled back by whoever may write: let it.
        if getattr(error, "sqlite_errorname", "") != "SQLITE_READONLY_ROLLBACK":
            raise unusable(path, error) from None


def _check_content(db: sqlite3.Connection, path: Path, up_to: int) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreUnusable(
            f"{path}: is a database of something else; name another file in store.path", StoreFault.FOREIGN
        )
    check_version(db, path)
    if path.stat().st_size <= up_to:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreUnusable(f"{path}: {_DAMAGED}")
    if version(db) == NEWEST and not has_our_tables(db):
        raise StoreUnusable(f"{path}: its tables were changed by something else; restore a backup")


def check_version(db: sqlite3.Connection, path: Path, oldest: int = 0) -> None:
    """Raises StoreUnusable where the tables are those of a later SecLink, or of one before `oldest`."""
    found = version(db)
    if found > NEWEST:
        raise StoreUnusable(
            f"{path}: was written by a newer SecLink (schema {found}, this one knows {NEWEST})", StoreFault.NEWER
        )
    if found < oldest:
        raise StoreUnusable(f"{path}: was written by an older SecLink; start the server once, it upgrades the file")


def _upgrade(db: sqlite3.Connection, path: Path, is_alone: bool) -> Migrated | None:
    try:
        before = version(db)
        if before == NEWEST:
            return None
        if before == 0:
            upgrade(db)
            return None
        if not is_alone:
            check_version(db, path, NEWEST)
        copy = path.with_name(f"{path.name}.before-v{NEWEST}")
        snapshot.write(path, copy, 0, replace=True)
        upgrade(db)
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None
    except OSError as error:
        raise StoreUnusable(f"{path}: cannot be copied before its upgrade: {error.strerror}") from None
    return Migrated(before, copy)


def unusable(path: Path, error: sqlite3.Error) -> StoreUnusable:
    reasons = {
        "SQLITE_NOTADB": (_NOT_OURS, StoreFault.OTHER),
        "SQLITE_CORRUPT": (_DAMAGED, StoreFault.OTHER),
        "SQLITE_BUSY": ("is locked by another program", StoreFault.LOCKED),
        "SQLITE_READONLY": ("cannot be written to", StoreFault.ACCESS),
        "SQLITE_CANTOPEN": ("cannot be opened; does its folder exist and may it be written to?", StoreFault.ACCESS),
        "SQLITE_FULL": ("cannot be written to: the disk is full", StoreFault.DISK_FULL),
    }
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    unknown = (f"cannot be used ({name})", StoreFault.OTHER)
    reason, fault = next((known for code, known in reasons.items() if name.startswith(code)), unknown)
    return StoreUnusable(f"{path}: {reason}", fault)

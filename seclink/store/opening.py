"""Opening the database file: one server at a time, private, checked, migrated, and with exactly the pragmas
erasure rests on.

synchronous=FULL is a security setting: with NORMAL a power cut brings burned secrets back. secure_delete=ON
overwrites what is deleted (FAST leaves overflow pages). What is in the log is overwritten only by a TRUNCATE
checkpoint, which the store does after erasing.
"""

import contextlib
import fcntl
import os
import sqlite3
import struct
from pathlib import Path
from typing import TypeVar

from seclink.errors import StoreUnusable
from seclink.store.schema import APPLICATION_ID, MIGRATIONS

SMALLEST_PAGE = 512
_NOT_OURS = "is not a SecLink database, or its beginning is damaged"
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


def prepare(path: Path) -> None:
    """Create the file for its owner alone, refuse what is not ours or not whole, and bring the tables up to date."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(descriptor).st_mode & 0o077:  # a restored copy, say; its log takes the file's mode
            os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        _check_log(Path(f"{path}-wal"))
    except OSError as error:
        raise StoreUnusable(f"{path}: cannot be opened: {error.strerror}") from None
    _check(path)
    db = connect(path, sqlite3.Connection)
    try:
        _migrate(db, path)
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from None
    finally:
        db.close()


def connect(path: Path, kind: type[C]) -> C:
    """A connection with the pragmas set and seen to be set. Raises StoreUnusable."""
    try:
        db = sqlite3.connect(
            path, timeout=5, isolation_level=None, check_same_thread=False, cached_statements=512, factory=kind
        )
        for name, wanted in PRAGMAS.items():
            db.execute(f"PRAGMA {name} = {wanted}")
        for name, wanted in PRAGMAS.items():
            (got,) = db.execute(f"PRAGMA {name}").fetchone()
            if got != wanted:
                raise StoreUnusable(f"{path}: this SQLite does not hold {name} = {wanted} (it says {got})")
    except sqlite3.DatabaseError as error:
        raise _unusable(path, error) from None
    return db


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


def _check(path: Path) -> None:
    """Look at the file without writing to it: what is not ours or not whole stays as it is."""
    if 0 < path.stat().st_size < SMALLEST_PAGE:  # SQLite takes a file of one byte for an empty one
        raise StoreUnusable(f"{path}: {_NOT_OURS}")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            _check_content(db, path)
    except sqlite3.DatabaseError as error:
        # A write that a crash cut short before there was a log is rolled back by whoever may write: let it.
        if getattr(error, "sqlite_errorname", "") != "SQLITE_READONLY_ROLLBACK":
            raise _unusable(path, error) from None


def _check_content(db: sqlite3.Connection, path: Path) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreUnusable(f"{path}: is a database of something else; name another file in store.path")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise StoreUnusable(
            f"{path}: was written by a newer SecLink (schema {version}, this one knows {len(MIGRATIONS)})"
        )
    if path.stat().st_size <= CHECKED_BYTES:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreUnusable(f"{path}: is damaged; restore a backup, or move it away to start afresh")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == len(MIGRATIONS):
        return
    steps = ";".join(MIGRATIONS[version:])
    db.executescript(
        f"BEGIN IMMEDIATE; {steps}; PRAGMA application_id = {APPLICATION_ID};"
        f"PRAGMA user_version = {len(MIGRATIONS)}; COMMIT"
    )


def _unusable(path: Path, error: sqlite3.DatabaseError) -> StoreUnusable:
    reasons = {
        "SQLITE_NOTADB": _NOT_OURS,
        "SQLITE_CORRUPT": "is damaged; restore a backup, or move it away to start afresh",
        "SQLITE_BUSY": "is locked by another program",
        "SQLITE_READONLY": "cannot be written to",
        "SQLITE_CANTOPEN": "cannot be opened; does its folder exist and may it be written to?",
        "SQLITE_FULL": "cannot be written to: the disk is full",
    }
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    reason = next((text for code, text in reasons.items() if name.startswith(code)), f"cannot be used ({name})")
    return StoreUnusable(f"{path}: {reason}")

"""Opening the database file: for one server at a time, private, checked, upgraded, and with exactly the pragmas and
tables that erasure depends on.

synchronous=FULL is a security setting: with NORMAL a power cut brings burned secrets back. secure_delete=ON overwrites
deleted content (FAST leaves overflow pages). The log is overwritten only by a TRUNCATE checkpoint, which the store runs
after erasing.
"""

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import struct
import time
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from seclink.errors import StoreFault, StoreUnusable
from seclink.store import snapshot
from seclink.store.migrate import NEWEST, foreign_objects, upgrade, version
from seclink.store.schema import APPLICATION_ID, LAYOUT

MIN_PAGE_BYTES = 512
LOCK_SECONDS = 5
_NOT_OURS = "is not a SecLink database, or its header is damaged"
_DAMAGED = "is damaged; restore a backup, or move it away to start with an empty one"
_LOG_HEADER = struct.Struct(">8I")
_RESERVED_AT = 20  # in the header of the file: how many bytes of each page SQLite leaves alone
_MAX_NAMES = 5
MAX_CHECKED_BYTES = 64 * 2**20  # up to this size the whole file is checked at start (about 0.1 s)

PRAGMAS: dict[str, int | str] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL
    "secure_delete": 1,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "temp_store": 2,  # MEMORY: nothing spills into a file that is never erased
    "busy_timeout": 5000,
    "journal_size_limit": 4 * 2**20,
    "wal_autocheckpoint": 0,  # the store runs checkpoints itself, not inside a commit
}

C = TypeVar("C", bound=sqlite3.Connection)


def lock(path: Path) -> int:
    """Lock the database for this server; return the descriptor whose closing unlocks it. Raises StoreUnusable."""
    descriptor = -1
    try:
        descriptor = _open_own(Path(f"{path}.lock"))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreUnusable(f"{path}: another SecLink server is using this database") from None
    except OSError as error:
        raise StoreUnusable(f"{path}: cannot be used: {error.strerror}") from None
    return descriptor


def _open_own(path: Path) -> int:
    """Open or create a file of this user's, and no link to another. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and os.geteuid() in (0, status.st_uid):
        return descriptor
    os.close(descriptor)
    raise PermissionError(errno.EPERM, "it is not a file of this user")


class Migrated(Struct, frozen=True):
    """A file of schema `before` was upgraded to this release's; `copy` is its earlier state without contents."""

    before: int
    copy: Path


def open_or_create(path: Path, *, is_alone: bool = True) -> Migrated | None:
    """Create the file for its owner alone, or check an existing one, and upgrade its tables. Raises StoreUnusable.

    Only a process that holds the lock is alone. Without it, tables must not be changed: a server of an earlier release
    may be using them.
    """
    try:
        descriptor = _open_own(path)
        if os.fstat(descriptor).st_mode & 0o077:  # a restored copy, for example; its log takes the file's mode
            os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        _check_log(Path(f"{path}-wal"))
    except OSError as error:
        raise StoreUnusable(f"{path}: cannot be opened: {error.strerror}", StoreFault.ACCESS) from None
    check(path)
    with contextlib.closing(connect(path, sqlite3.Connection)) as db:
        return _upgrade(db, path, is_alone)


def connect(path: Path, kind: type[C]) -> C:
    """Return a connection whose pragmas are set and read back. Raises StoreUnusable."""
    try:
        db = sqlite3.connect(
            path,
            timeout=LOCK_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=kind,
        )
        for name, value in (LAYOUT | PRAGMAS).items():  # the layout of a file that exists does not change
            _set(db, name, repr(value))
        for name, value in PRAGMAS.items():
            (actual,) = db.execute(f"PRAGMA {name}").fetchone()
            if actual != value:
                raise StoreUnusable(f"{path}: this SQLite does not keep {name} = {value} (it uses {actual})")
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None
    return db


def placeholder_count(count: int) -> int:
    """Return how many placeholders a statement about `count` rows shall have: the next power of two.

    Each number is a statement of its own in the cache of the connection, which is to hold them all.
    """
    return 1 << (count - 1).bit_length()


def _set(db: sqlite3.Connection, name: str, value: object) -> None:
    """Set a pragma, waiting for other connections: SQLite itself does not wait while another one sets journal_mode."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            db.execute(f"PRAGMA {name} = {value}")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _check_log(path: Path) -> None:
    """Refuse a log whose header is damaged. SQLite would take it for an old log and overwrite the commits in it.

    A crash cannot leave such a header: it is durable before the first frame is written.
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
            f"{path}: is damaged; restore a backup, or move it away to continue without the last second's changes"
        )


def check(path: Path, *, max_bytes: int = MAX_CHECKED_BYTES, is_source: bool = False) -> None:
    """Check that the file is ours and whole, without writing to it. Raises StoreUnusable.

    Its content is checked if it is not larger than `max_bytes` bytes. Its layout does not matter if it is only the
    source of a copy.
    """
    if 0 < path.stat().st_size < MIN_PAGE_BYTES:  # SQLite takes a file of one byte for an empty one
        raise StoreUnusable(f"{path}: {_NOT_OURS}")
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as db:
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            db.execute("BEGIN")  # one snapshot: another process may be creating the file
            _check_content(db, path, max_bytes)
            if not is_source:
                _check_layout(db, path)
    except sqlite3.DatabaseError as error:
        # A write that a crash cut short before there was a log is rolled back by the first connection that may write.
        if getattr(error, "sqlite_errorname", "") != "SQLITE_READONLY_ROLLBACK":
            raise unusable(path, error) from None


def _check_content(db: sqlite3.Connection, path: Path, max_bytes: int) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise StoreUnusable(
            f"{path}: is the database of another program; set store.path to another file", StoreFault.FOREIGN
        )
    check_version(db, path)
    if path.stat().st_size <= max_bytes:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreUnusable(f"{path}: {_DAMAGED}")
    if foreign := foreign_objects(db, version(db)):
        names = ", ".join(map(repr, foreign[:_MAX_NAMES])) + (", ..." if foreign[_MAX_NAMES:] else "")
        raise StoreUnusable(f"{path}: its tables were changed by another program ({names}); restore a backup")


def _check_layout(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a file whose payloads would share pages, where erasing one leaves copies of another."""
    layout = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in LAYOUT}
    with path.open("rb") as file:
        header = file.read(_RESERVED_AT + 1)
    if layout != LAYOUT or header[_RESERVED_AT:] not in (b"", b"\0"):
        raise StoreUnusable(
            f"{path}: its pages were changed by another program, so that not everything would be erased;"
            " move it away, and `seclink restore` the moved file"
        )


def check_version(db: sqlite3.Connection, path: Path, oldest: int = 0) -> None:
    """Raise StoreUnusable if the tables are of a later release, or of a schema before `oldest`."""
    schema = version(db)
    if schema > NEWEST:
        raise StoreUnusable(
            f"{path}: was written by a newer SecLink (schema {schema}, this one knows {NEWEST})", StoreFault.NEWER
        )
    if schema < oldest:
        raise StoreUnusable(f"{path}: was written by an older SecLink; start the server once to upgrade it")


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
    """Return the error that explains to an operator why SQLite cannot use the file."""
    reasons = {
        "SQLITE_NOTADB": (_NOT_OURS, StoreFault.OTHER),
        "SQLITE_CORRUPT": (_DAMAGED, StoreFault.OTHER),
        "SQLITE_BUSY": ("is locked by another program", StoreFault.LOCKED),
        "SQLITE_READONLY": ("cannot be written to", StoreFault.ACCESS),
        "SQLITE_CANTOPEN": ("cannot be opened; does its folder exist, and is it writable?", StoreFault.ACCESS),
        "SQLITE_FULL": ("cannot be written to: the disk is full", StoreFault.DISK_FULL),
    }
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    unknown = (f"cannot be used ({name})", StoreFault.OTHER)
    reason, fault = next((known for code, known in reasons.items() if name.startswith(code)), unknown)
    return StoreUnusable(f"{path}: {reason}", fault)

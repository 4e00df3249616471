"""Saving a database into a file, and restoring it. Neither ever brings a secret back.

A restore puts a copy without contents in place (`snapshot`), even if the file is not a backup but a database that was
copied by hand. The copy gets its name in one step, so a crash leaves the old database or the new one. Only then is the
old one overwritten.
"""

import contextlib
import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from seclink.errors import StoreUnusable
from seclink.store import atomic_file, audit_log, connection, owner, snapshot
from seclink.store.inspect import open_readonly
from seclink.store.migrate import upgrade
from seclink.store.reads import LAST_SEEN
from seclink.store.snapshot import Inventory

_ANY_SIZE = 2**63


class Restored(Struct, frozen=True, kw_only=True):
    """The result of a restore.

    `inventory` is the file's. `ended` secrets were active when it was saved, `lost` ones in the replaced database.
    `previous` is a copy of the replaced database without contents, or its own file if it could not be read (`is_raw`).
    """

    inventory: Inventory
    ended: int
    lost: int = 0
    previous: Path | None = None
    is_raw: bool = False


class _Existing(Struct, frozen=True):
    """A readable database that a restore would replace: its active secrets, and the latest instant it has seen."""

    active: int
    last_seen_at: int


def save(path: Path, file: Path, now: int) -> Inventory:
    """Save the database into a new file while a server uses it. Raises StoreUnusable, OSError."""
    exists = StoreUnusable(f"{file}: exists already; a backup never overwrites a file")
    if os.path.lexists(file):
        raise exists
    owner.run(path, partial(connection.check, path), None)
    try:
        return snapshot.write(path, file, now)
    except FileExistsError:
        raise exists from None
    except sqlite3.Error as error:
        is_target = getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE"))
        raise connection.unusable(file if is_target else path, error) from None


def restore(file: Path, path: Path, now: int, keep_ms: int, *, replace: bool) -> Restored:
    """Make `file` the database. Secrets that are active in either have ended then; receipts stay for `keep_ms`.

    Without `replace` there must not be a database yet. As root, this becomes the owner of the database's folder for
    good. Raises StoreUnusable, OSError.
    """
    if not owner.is_foreign(path):
        return _restore(file, path, now, keep_ms, replace=replace)
    with _handed_over(file, path) as copy:
        try:
            return _restore(copy, path, now, keep_ms, replace=replace)
        except StoreUnusable as error:
            raise StoreUnusable(error.message.replace(str(copy), str(file)), error.fault) from None


def _restore(file: Path, path: Path, now: int, keep_ms: int, *, replace: bool) -> Restored:
    _check_file(file, path)
    lock = connection.lock(path)
    try:
        is_there = any(os.path.lexists(f"{path}{end}") for end in ("", "-wal"))
        old = _read_existing(path, now) if is_there else None
        if is_there and not replace:
            raise StoreUnusable(_exists_message(path, old))
        with atomic_file.temp_file(path) as temp:
            inventory = _copy(file, temp, max(now, old.last_seen_at if old else 0))
            ended = _complete(temp, inventory, keep_ms, path if old else None)
            aside = _set_aside(path, old, inventory.at) if is_there else None
            _commit(temp, path, overwrite=old is not None)
    except sqlite3.Error as error:
        raise connection.unusable(path, error) from None
    finally:
        os.close(lock)
    return Restored(inventory=inventory, ended=ended, lost=old.active if old else 0, previous=aside, is_raw=old is None)


@contextlib.contextmanager
def _handed_over(file: Path, path: Path) -> Iterator[Path]:
    """Open the file and its log as root, become the owner of the database, and copy them beside it for the duration of
    the block. The copy may hold contents, so it is erased.
    """
    with contextlib.ExitStack() as stack:
        contents = {"": stack.enter_context(_open_plain(file))}
        if os.path.lexists(f"{file}-wal"):
            contents["-wal"] = stack.enter_context(_open_plain(Path(f"{file}-wal")))
        if path.exists() and os.path.samestat(os.fstat(contents[""].fileno()), path.stat()):
            raise StoreUnusable(f"{file}: is the database itself")
        owner.become(path)
        temp = stack.enter_context(atomic_file.temp_file(path))
        for end, content in contents.items():
            copy = stack.enter_context(Path(f"{temp}{end}").open("w+b"))
            stack.callback(atomic_file.erase, copy.fileno())
            shutil.copyfileobj(content, copy)
            copy.flush()
        yield temp


def _open_plain(file: Path) -> BinaryIO:
    """Open a file that root may read, and no link to another one. Raises StoreUnusable."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise StoreUnusable(f"{file}: cannot be opened: {error.strerror}") from None
    content, status = os.fdopen(descriptor, "rb"), os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        content.close()
        raise StoreUnusable(f"{file}: is not a file of one name")
    return content


def _check_file(file: Path, path: Path) -> None:
    if not file.is_file():
        raise StoreUnusable(f"{file}: no such file")
    if path.exists() and file.samefile(path):
        raise StoreUnusable(f"{file}: is the database itself")
    if file.stat().st_size == 0:
        raise StoreUnusable(f"{file}: is empty")
    connection.check(file, max_bytes=_ANY_SIZE, is_source=True)


def _read_existing(path: Path, now: int) -> _Existing | None:
    """Return None if the database cannot be read."""
    try:
        connection.check(path, max_bytes=_ANY_SIZE)
        with open_readonly(path) as db:
            (last_seen_at,) = db.execute(LAST_SEEN).fetchone()
            (active,) = db.execute(
                "SELECT count(*) FROM secrets WHERE state = 'active' AND expires_at > ?", (max(now, last_seen_at),)
            ).fetchone()
    except (StoreUnusable, sqlite3.Error, OSError):
        return None
    return _Existing(active, last_seen_at)


def _exists_message(path: Path, old: _Existing | None) -> str:
    if old is None:
        return f"{path}: exists already, but cannot be read; --replace moves it aside"
    return (
        f"{path}: there is a database already (active secrets in it: {old.active:,});"
        " --replace ends those and keeps a copy of the rest"
    )


def _copy(file: Path, temp: Path, now: int) -> Inventory:
    try:
        return snapshot.copy_into(file, temp, now)
    except sqlite3.Error as error:
        raise connection.unusable(file, error) from None


def _complete(temp: Path, inventory: Inventory, keep_ms: int, old: Path | None) -> int:
    """Upgrade the copy and add to it what has happened since it was saved. Return how many secrets this restore ends.

    `old` is the database that it replaces.
    """
    parameters = {"at": inventory.at, "seen": inventory.last_seen_at, "keep": keep_ms}
    with contextlib.closing(connection.connect(temp, sqlite3.Connection)) as db:
        upgrade(db)
        if old is not None:
            db.execute("ATTACH ? AS old", (str(old),))
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE events SET at = :at WHERE type = 'restored' AND at = :seen", parameters)
        if old is not None:
            _apply_ends(db, parameters)
        replaced = _extend_trail(db) if old is not None else ""
        as_of = datetime.fromtimestamp(inventory.last_seen_at / 1000, UTC).strftime("as of %Y-%m-%dT%H:%M:%SZ")
        entry = audit_log.AuditEntry(inventory.at, "restored", detail=as_of + replaced)
        audit_log.append(db, audit_log.head(db), [entry])
        ended = db.execute(
            f"UPDATE secrets SET ended_at = :at, due_at = :at + :keep WHERE {_ENDED_NOW}", parameters
        ).rowcount
        db.execute("COMMIT")
    connection.check(temp, max_bytes=_ANY_SIZE)
    return ended


def _apply_ends(db: sqlite3.Connection, parameters: dict[str, int]) -> None:
    """Take over from the old database how secrets have ended since the file was saved, and which keys were revoked."""
    db.execute(
        f"""
        UPDATE secrets SET state = o.state, ended_at = o.ended_at, views = o.views, due_at = o.ended_at + :keep
        FROM old.secrets AS o
        WHERE o.link_id = secrets.link_id AND o.receipt_id = secrets.receipt_id AND o.state <> 'active' AND {_ENDED_NOW}
        """,
        parameters,
    )
    db.execute(
        "DELETE FROM events WHERE type = 'restored' AND at = :at AND secret IN"
        " (SELECT secrets.id FROM secrets JOIN old.secrets AS o USING (link_id, receipt_id) WHERE o.state <> 'active')",
        parameters,
    )
    db.execute(
        "UPDATE api_keys SET revoked_at = o.revoked_at FROM old.api_keys AS o"
        " WHERE o.digest = api_keys.digest AND api_keys.revoked_at IS NULL"
    )


def _extend_trail(db: sqlite3.Connection) -> str:
    """Take over from the old database the audit entries that continue the file's trail.

    If the old database has another trail, return a text for the audit entry that names its end.
    """
    if not db.execute("SELECT 1 FROM old.sqlite_schema WHERE type = 'table' AND name = 'audit'").fetchone():
        return ""
    head = audit_log.head(db)
    if db.execute("SELECT 1 FROM old.audit WHERE seq = ? AND digest = ?", (head.seq, head.digest)).fetchone():
        db.execute("INSERT INTO audit SELECT seq, entry, digest FROM old.audit WHERE seq > ? ORDER BY seq", (head.seq,))
        return ""
    row = db.execute("SELECT seq, digest FROM old.audit ORDER BY seq DESC LIMIT 1").fetchone()
    return f", in place of a trail with the mark {audit_log.ChainPosition(*row).mark}" if row else ""


_ENDED_NOW = "secrets.id IN (SELECT secret FROM events WHERE type = 'restored' AND at = :at)"


def _set_aside(path: Path, old: _Existing | None, at: int) -> Path:
    """Copy the old database, or move it if it cannot be read; return the new path.

    Its log must not stay either way: it would be applied to the new database.
    """
    stamp = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y%m%d-%H%M%S")
    if old is None:
        aside = path.with_name(f"{path.name}.damaged-{stamp}")
        for end in ("-wal", ""):
            if os.path.lexists(f"{path}{end}"):
                Path(f"{path}{end}").rename(f"{aside}{end}")
        Path(f"{path}-shm").unlink(missing_ok=True)
        return aside
    aside = path.with_name(f"{path.name}.replaced-{stamp}")
    snapshot.write(path, aside, at, replace=True)
    connection.connect(path, sqlite3.Connection).close()  # the last connection to close moves the log into the file
    if os.path.lexists(f"{path}-wal"):
        aside.unlink()
        raise StoreUnusable(f"{path}: is open in another program; stop that first")
    return aside


def _commit(temp: Path, path: Path, *, overwrite: bool) -> None:
    """Put the new database in place; with `overwrite`, erase the old one after that."""
    if not overwrite:
        return atomic_file.commit(temp, path)
    old = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        atomic_file.commit(temp, path, replace=True)
        atomic_file.erase(old)
    finally:
        os.close(old)

"""Saving a database into a file and putting it back. Neither ever brings a secret back.

What is put in place is a copy without contents (`copies`), whatever the file held: a backup, or a database somebody
copied by hand. It gets its name in one step, so that a crash leaves the old database or the new one; what was there
before is overwritten only then.
"""

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from seclink.errors import StoreUnusable
from seclink.store import atomic_file, audit_log, connection, snapshot
from seclink.store.migrate import upgrade
from seclink.store.snapshot import Inventory

_ANY_SIZE = 2**63


class Restored(Struct, frozen=True, kw_only=True):
    """`inventory` is the file's. `ended` secrets waited when it was made, `lost` ones in the database that was
    replaced. `kept` is what is left of that: a copy without contents, or, where it could not be read (`is_raw`), its
    file as it was.
    """

    inventory: Inventory
    ended: int
    lost: int = 0
    kept: Path | None = None
    is_raw: bool = False


class _Old(Struct, frozen=True):
    """The database that is in the way, and can be read."""

    waiting: int
    seen: int


def save(path: Path, file: Path, now: int) -> Inventory:
    """Save the database into a new file, beside a server that goes on. Raises StoreUnusable, OSError."""
    taken = StoreUnusable(f"{file}: is there already, and a backup overwrites nothing")
    if os.path.lexists(file):
        raise taken
    connection.check(path)
    try:
        return snapshot.write(path, file, now)
    except FileExistsError:
        raise taken from None
    except sqlite3.Error as error:
        is_target = getattr(error, "sqlite_errorname", "").startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE"))
        raise connection.unusable(file if is_target else path, error) from None


def restore(file: Path, path: Path, now: int, keep_ms: int, *, replace: bool) -> Restored:
    """Put `file` where the database is; what waited in either has ended then, its receipt kept for `keep_ms`.

    Without `replace` only where there is no database yet. Raises StoreUnusable, OSError.
    """
    _check_file(file, path)
    held = connection.lock(path)
    try:
        is_there = any(os.path.lexists(f"{path}{end}") for end in ("", "-wal"))
        old = _look(path, now) if is_there else None
        if is_there and not replace:
            raise StoreUnusable(_in_the_way(path, old))
        atomic_file.hand_over(Path(f"{path}.lock"), path)
        with atomic_file.part(path) as part:
            inventory = _fill(file, part, max(now, old.seen if old else 0))
            ended = _settle(part, inventory, keep_ms, path if old else None)
            atomic_file.hand_over(part, path)
            kept = _set_aside(path, old, inventory.at) if is_there else None
            _put(part, path, old is not None)
        return Restored(inventory=inventory, ended=ended, lost=old.waiting if old else 0, kept=kept, is_raw=old is None)
    except sqlite3.Error as error:
        raise connection.unusable(path, error) from None
    finally:
        os.close(held)


def _check_file(file: Path, path: Path) -> None:
    if not file.is_file():
        raise StoreUnusable(f"{file}: there is no such file")
    if path.exists() and file.samefile(path):
        raise StoreUnusable(f"{file}: is the database itself")
    if file.stat().st_size == 0:
        raise StoreUnusable(f"{file}: is empty")
    connection.check(file, up_to=_ANY_SIZE)


def _look(path: Path, now: int) -> _Old | None:
    """None: it cannot be read."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        connection.check(path, up_to=_ANY_SIZE)
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5)) as db:
            (seen,) = db.execute("SELECT clock_mark FROM meta").fetchone()
            (waiting,) = db.execute(
                "SELECT count(*) FROM secrets WHERE state = 'active' AND expires_at > ?", (max(now, seen),)
            ).fetchone()
    except (StoreUnusable, sqlite3.Error, OSError):
        return None
    return _Old(waiting, seen)


def _in_the_way(path: Path, old: _Old | None) -> str:
    if old is None:
        return f"{path}: is there already, though it cannot be read; --replace moves it aside"
    return (
        f"{path}: there is a database already (secrets waiting in it: {old.waiting:,});"
        " --replace ends those and keeps the rest of it as a copy"
    )


def _fill(file: Path, part: Path, now: int) -> Inventory:
    try:
        return snapshot.copy_into(file, part, now)
    except sqlite3.Error as error:
        raise connection.unusable(file, error) from None


def _settle(part: Path, inventory: Inventory, keep_ms: int, old: Path | None) -> int:
    """Make the copy the new database, and a true one; how many secrets end with this restore, not when the file was
    made.
    """
    said = {"at": inventory.at, "seen": inventory.seen, "keep": keep_ms}
    with contextlib.closing(connection.connect(part, sqlite3.Connection)) as db:
        upgrade(db)
        if old is not None:
            db.execute("ATTACH ? AS old", (str(old),))
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE events SET at = :at WHERE type = 'restored' AND at = :seen", said)
        if old is not None:
            _carry_over(db, said)
        replaced = _carry_trail_over(db) if old is not None else ""
        said_when = datetime.fromtimestamp(inventory.seen / 1000, UTC).strftime("as of %Y-%m-%dT%H:%M:%SZ")
        audit_log.append(
            db, audit_log.head(db), [audit_log.AuditEntry(inventory.at, "restored", detail=said_when + replaced)]
        )
        ended = db.execute(f"UPDATE secrets SET ended_at = :at, due_at = :at + :keep WHERE {_ENDED_NOW}", said).rowcount
        db.execute("COMMIT")
    connection.check(part, up_to=_ANY_SIZE)
    return ended


def _carry_over(db: sqlite3.Connection, said: dict[str, int]) -> None:
    """What has come to its end since the file was made, as the database in the way knows: how secrets ended, and which
    keys are revoked.
    """
    db.execute(
        f"""
        UPDATE secrets SET state = o.state, ended_at = o.ended_at, views = o.views, due_at = o.ended_at + :keep
        FROM old.secrets AS o
        WHERE o.link_id = secrets.link_id AND o.receipt_id = secrets.receipt_id AND o.state <> 'active' AND {_ENDED_NOW}
        """,
        said,
    )
    db.execute(
        "DELETE FROM events WHERE type = 'restored' AND at = :at AND secret IN"
        " (SELECT secrets.id FROM secrets JOIN old.secrets AS o USING (link_id, receipt_id) WHERE o.state <> 'active')",
        said,
    )
    db.execute(
        "UPDATE api_keys SET revoked_at = o.revoked_at FROM old.api_keys AS o"
        " WHERE o.digest = api_keys.digest AND api_keys.revoked_at IS NULL"
    )


def _carry_trail_over(db: sqlite3.Connection) -> str:
    """What was told since the file was made goes on being told. Where the database in the way has another trail, or its
    own went on from another place, what to say of it: where it ended.
    """
    if not db.execute("SELECT 1 FROM old.sqlite_schema WHERE type = 'table' AND name = 'audit'").fetchone():
        return ""
    here = audit_log.head(db)
    if db.execute("SELECT 1 FROM old.audit WHERE seq = ? AND digest = ?", (here.seq, here.digest)).fetchone():
        db.execute("INSERT INTO audit SELECT seq, entry, digest FROM old.audit WHERE seq > ? ORDER BY seq", (here.seq,))
        return ""
    last = db.execute("SELECT seq, digest FROM old.audit ORDER BY seq DESC LIMIT 1").fetchone()
    return f", in place of a trail with the mark {audit_log.AuditHead(*last).mark}" if last else ""


_ENDED_NOW = "secrets.id IN (SELECT secret FROM events WHERE type = 'restored' AND at = :at)"


def _set_aside(path: Path, old: _Old | None, at: int) -> Path:
    """What is left of the database in the way; and its log goes, which must not meet another file."""
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
    atomic_file.hand_over(aside, path)
    connection.connect(path, sqlite3.Connection).close()  # the last to close moves the log into the file
    if os.path.lexists(f"{path}-wal"):
        aside.unlink()
        raise StoreUnusable(f"{path}: is open in another program; end it first")
    return aside


def _put(part: Path, path: Path, overwrites: bool) -> None:
    if not overwrites:
        return atomic_file.publish(part, path)
    before = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        atomic_file.publish(part, path, replace=True)
        atomic_file.erase(before)
    finally:
        os.close(before)

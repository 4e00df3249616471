"""Copies of a database without the contents of its secrets: backups, and the old state of an upgraded or replaced file.

A copy is built row by row from a list of columns, so nothing else ever reaches its file, not even in a free page.
Secrets that are active in the source have ended in the copy: a secret must never come back, however the copy is put in
place. The copy is made in one read transaction, beside a server that goes on writing, and with the tables of the
source, so that the release which wrote the source can read it.
"""

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from seclink.store import atomic_file, owner
from seclink.store.migrate import create_statements, version
from seclink.store.schema import APPLICATION_ID, LAYOUT


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# Table -> column -> the SQL expression for its value in the copy, with the source attached as `old`. All others are
# omitted. `salt` blurs the addresses in an omitted table; a new one leaves a thief of both files nothing to compare.
COPIED_COLUMNS: dict[str, dict[str, str]] = {
    "secrets": {
        **_same("id", "link_id", "receipt_id", "manage_digest", "account", "format", "expiry_type", "created_at"),
        **_same("expires_at", "max_views", "views", "passcode_required", "peeked_at"),
        "state": "iif(state <> 'active', state, iif(expires_at <= :at, 'expired', 'burned'))",
        "ended_at": "iif(state <> 'active', ended_at, min(expires_at, :at))",
        "due_at": "iif(state <> 'active', due_at, max(created_at, :at) + 2592000000)",
        "bytes": "0",
    },
    "events": _same("secret", "at", "type", "reason"),
    "attachments": _same("secret", "size"),
    "purged": _same("account", "total", "revealed", "burned", "expired", "views", "with_passcode"),
    "api_keys": {
        **_same("digest", "prefix", "account", "scopes", "created_at", "expires_at", "rate_count", "rate_seconds"),
        **_same("revoked_at"),
    },
    "audit": _same("seq", "entry", "digest"),
    "meta": {"one": "one", "clock_mark": ":at", "salt": "randomblob(16)"},
}
OMITTED_COLUMNS: dict[str, frozenset[str]] = {
    "secrets": frozenset(("access_hash", "passcode", "passcode_tries", "paused_at", "public_note", "label")),
    "payloads": frozenset(("id", "iv", "payload")),
    "attempts": frozenset(("secret", "client", "since", "tries", "locks", "due_at")),
    "uploads": frozenset(
        (
            *("id", "upload_id", "token_digest", "file", "account", "size", "plain_bytes", "received", "stored_bytes"),
            *("outstanding", "created_at", "due_at"),
        )
    ),
    "attachments": frozenset(("upload",)),
    "grants": frozenset(("digest", "secret", "expires_at", "ended_at", "started_at")),
}
_COPY_SUFFIX = r"\.(before-v\d+|replaced-\d{8}-\d{6})"


class Inventory(Struct, frozen=True, kw_only=True):
    """The contents of a copy.

    `active` secrets are active in the source and ended in the copy. `last_seen_at` is the latest instant that the
    source had seen, `at` the instant of the copy.
    """

    receipts: int
    active: int
    keys: int
    accounts: int
    last_seen_at: int
    at: int
    bytes: int = 0


def write(source: Path, target: Path, now: int, *, replace: bool = False) -> Inventory:
    """Copy `source` into a new file, durably and all or nothing. Raises FileExistsError, OSError, sqlite3.Error.

    `now` is the instant of the copy unless the source has seen a later one.
    """
    os.close(os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))  # raises OSError
    if owner.is_foreign(target):
        return _deliver(source, target, now)
    with atomic_file.temp_file(target) as temp:
        if owner.is_foreign(source):
            enter = partial(owner.become, source)  # once the target, which may be root's alone, is open
            inventory = owner.in_child(partial(copy_into, source, temp, now, enter), Inventory)
        else:
            inventory = copy_into(source, temp, now)
        os.utime(temp, ns=(inventory.at * 10**6,) * 2)  # its age goes by the database's clock, not the machine's
        size = temp.stat().st_size
        atomic_file.commit(temp, target, replace=replace)
    return msgspec.structs.replace(inventory, bytes=size)


def _deliver(source: Path, target: Path, now: int) -> Inventory:
    """Copy `source` in a folder of root's, and let the owner of the target's folder take the copy from there."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy.db")
        inventory = write(source, copy, now)
        with copy.open("rb") as content:

            def take() -> None:
                with atomic_file.temp_file(target) as temp:
                    with temp.open("wb") as file:
                        shutil.copyfileobj(content, file)
                    atomic_file.commit(temp, target)

            owner.run(target, take, None)
    return inventory


def copy_into(source: Path, target: Path, now: int, enter: Callable[[], None] = lambda: None) -> Inventory:
    """Copy `source` into an empty file, not durably yet. Raises sqlite3.Error.

    `enter` is called between the opening of the target and that of the source.
    """
    uri = f"{target.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None)) as db:
        # No other process reads the file before it is complete, and it is made durable as a whole.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "temp_store = MEMORY", "trusted_schema = OFF"):
            db.execute(f"PRAGMA {setting}")
        for name, value in LAYOUT.items():
            db.execute(f"PRAGMA {name} = {value!r}")
        enter()
        db.execute("ATTACH ? AS old", (f"{source.absolute().as_uri()}?mode=ro",))
        db.execute("BEGIN")
        schema = version(db, "old")
        statements = create_statements(db, schema)
        inventory = _inventory(db, now)
        _copy_rows(db, statements, inventory.at)
        db.execute("COMMIT")
        db.execute("DETACH old")  # from here on the server can truncate its log
        _finish(db, statements, schema)
        (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok" or db.execute("PRAGMA foreign_key_check").fetchone():
            raise sqlite3.DatabaseError("the copy is inconsistent")
    return inventory


def remove_old(path: Path, last_seen_at: int, keep_ms: int) -> None:
    """Remove the copies beside a database that are older than the retention of receipts, and unfinished ones.

    `last_seen_at` is the latest instant the database has seen. Only the one server on the database may call this.
    """
    copy_name = re.compile(re.escape(path.name) + _COPY_SUFFIX)
    for file in path.parent.iterdir():
        is_unfinished = file.name.startswith(f".{path.name}.") and ".part" in file.name
        is_old = copy_name.fullmatch(file.name) and file.stat().st_mtime * 1000 < last_seen_at - keep_ms
        if is_unfinished or is_old:
            file.unlink(missing_ok=True)


def _inventory(db: sqlite3.Connection, now: int) -> Inventory:
    """Count the source. This first read begins the transaction: from here on the source does not change for us."""
    if not all(_columns(db, "old", table) for table in ("meta", "secrets", "api_keys", "purged")):
        raise sqlite3.DatabaseError("a table is missing, or is none")
    (last_seen_at,) = db.execute("SELECT clock_mark FROM old.meta").fetchone()
    at = max(now, last_seen_at)
    receipts, active, keys, accounts = db.execute(
        """
        SELECT (SELECT count(*) FROM old.secrets),
               (SELECT count(*) FROM old.secrets WHERE state = 'active' AND expires_at > ?),
               (SELECT count(*) FROM old.api_keys WHERE revoked_at IS NULL),
               (SELECT count(*) FROM (SELECT account FROM old.api_keys UNION SELECT account FROM old.purged))
        """,
        (at,),
    ).fetchone()
    return Inventory(receipts=receipts, active=active, keys=keys, accounts=accounts, last_seen_at=last_seen_at, at=at)


def _copy_rows(db: sqlite3.Connection, statements: list[tuple[str, str]], at: int) -> None:
    for kind, statement in statements:
        if kind == "table":
            db.execute(statement)
    for table, columns in COPIED_COLUMNS.items():
        values = {name: value for name, value in columns.items() if name in _columns(db, "old", table)}
        if not values.keys() or not _columns(db, "main", table):
            continue  # a table of a later schema than the source's
        order = " ORDER BY rowid" if table == "events" else ""
        db.execute(
            f"INSERT INTO main.{table} ({', '.join(values)})"
            f" SELECT {', '.join(values.values())} FROM old.{table}{order}",
            {"at": at},
        )
    db.execute(
        "INSERT INTO main.events (secret, at, type)"
        " SELECT id, :at, 'restored' FROM old.secrets WHERE state = 'active' AND expires_at > :at",
        {"at": at},
    )


def _finish(db: sqlite3.Connection, statements: list[tuple[str, str]], schema: int) -> None:
    """Make indexes, triggers and views, which takes half of the time, once the source is free."""
    for kind, statement in statements:
        if kind != "table":
            db.execute(statement)
    db.execute(f"PRAGMA main.user_version = {schema}")
    db.execute(f"PRAGMA main.application_id = {APPLICATION_ID}")


def _columns(db: sqlite3.Connection, name: str, table: str) -> set[str]:
    """Return the stored columns of a table; a view or a virtual table of that name has none, and no data for us."""
    return {
        column
        for (column,) in db.execute(
            "SELECT c.name FROM pragma_table_list AS t, pragma_table_info(t.name, t.schema) AS c"
            " WHERE t.schema = ? AND t.name = ? AND t.type = 'table'",
            (name, table),
        )
    }

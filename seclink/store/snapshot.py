"""Copies of a database without the contents of its secrets: backups, and what is kept when a file is upgraded or
replaced.

A copy is built row by row from what may be in it, so nothing else ever reaches its file, not even a free page. What
still waits when it is made has ended in the copy: a secret must never come back, however the copy is put in place.
It is made in one read transaction, beside a server that goes on writing, and in the tables the source has, so that
the SecLink which wrote the source can read it.
"""

import contextlib
import os
import re
import sqlite3
from pathlib import Path

import msgspec
from msgspec import Struct

from seclink.store import atomic_file
from seclink.store.schema import APPLICATION_ID


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


# Table -> column -> what the copy has of it, with the source attached as `old`. What does not stand here is left out.
# `salt` blurs addresses in a table that is left out; with another one a thief of both files has nothing to compare.
KEPT: dict[str, dict[str, str]] = {
    "secrets": {
        **_same("id", "link_id", "receipt_id", "manage_digest", "account", "format", "expiry_type", "created_at"),
        **_same("expires_at", "max_views", "views", "passcode_required", "peeked_at"),
        "state": "iif(state <> 'active', state, iif(expires_at <= :at, 'expired', 'burned'))",
        "ended_at": "iif(state <> 'active', ended_at, min(expires_at, :at))",
        "due_at": "iif(state <> 'active', due_at, max(created_at, :at) + 2592000000)",
        "bytes": "0",
    },
    "events": _same("secret", "at", "type", "reason"),
    "purged": _same("account", "total", "revealed", "burned", "expired", "views", "with_passcode"),
    "api_keys": {
        **_same("digest", "prefix", "account", "scopes", "created_at", "expires_at", "rate_count", "rate_seconds"),
        **_same("revoked_at"),
    },
    "audit": _same("seq", "entry", "digest"),
    "meta": {"one": "one", "clock_mark": ":at", "salt": "randomblob(16)"},
}
LEFT_OUT: dict[str, frozenset[str]] = {
    "secrets": frozenset(("access_hash", "passcode", "passcode_tries", "public_note", "label")),
    "payloads": frozenset(("id", "iv", "payload")),
    "attempts": frozenset(("secret", "client", "since", "tries")),
}
_NAMES = f"({', '.join(repr(name) for name in sorted({*KEPT, *LEFT_OUT, 'arrivals'}))})"
_SPARE = r"\.(before-v\d+|replaced-\d{8}-\d{6})"


class Inventory(Struct, frozen=True, kw_only=True):
    """What a copy holds. `waiting` secrets have ended in it; `seen` is the latest instant the source had seen, `at` the
    one it was copied at.
    """

    receipts: int
    waiting: int
    keys: int
    accounts: int
    seen: int
    at: int
    bytes: int = 0


def write(source: Path, target: Path, now: int, *, replace: bool = False) -> Inventory:
    """Copy `source` into a new file, durably; it is there whole or not at all. FileExistsError, OSError, sqlite3.Error.

    `now` counts only where the source has not seen a later instant.
    """
    with atomic_file.part(target) as part:
        inventory = copy_into(source, part, now)
        os.utime(part, ns=(inventory.at * 10**6,) * 2)  # its age is told by the database's clock, not by the machine's
        atomic_file.publish(part, target, replace=replace)
    return inventory


def copy_into(source: Path, part: Path, now: int) -> Inventory:
    """Copy `source` into an empty file. Nothing is durable yet. Raises sqlite3.Error."""
    uri = f"{part.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None)) as db:
        # Nobody reads the file before it is whole, and it is made durable at once.
        for setting in ("journal_mode = OFF", "synchronous = OFF", "temp_store = MEMORY", "trusted_schema = OFF"):
            db.execute(f"PRAGMA {setting}")
        db.execute("ATTACH ? AS old", (f"{source.absolute().as_uri()}?mode=ro",))
        db.execute("BEGIN")
        inventory = _inventory(db, now)
        _copy_rows(db, inventory.at)
        db.execute("COMMIT")
        db.execute("DETACH old")  # the server may cut its log again
        (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok" or db.execute("PRAGMA foreign_key_check").fetchone():
            raise sqlite3.DatabaseError("the copy is not whole")
    return msgspec.structs.replace(inventory, bytes=part.stat().st_size)


def forget_old(path: Path, seen: int, keep_ms: int) -> None:
    """Remove the copies that were kept beside a database once they are older than any receipt may be, and what a crash
    left of unfinished ones. `seen` is the latest instant the database has seen. For the only server on it.
    """
    spare = re.compile(re.escape(path.name) + _SPARE)
    for each in path.parent.iterdir():
        is_cut_short = each.name.startswith(f".{path.name}.") and ".part" in each.name
        if is_cut_short or (spare.fullmatch(each.name) and each.stat().st_mtime * 1000 < seen - keep_ms):
            each.unlink(missing_ok=True)


def _inventory(db: sqlite3.Connection, now: int) -> Inventory:
    """The first look at the source: from here on it stands still for this connection."""
    (seen,) = db.execute("SELECT clock_mark FROM old.meta").fetchone()
    at = max(now, seen)
    receipts, waiting, keys, accounts = db.execute(
        """
        SELECT (SELECT count(*) FROM old.secrets),
               (SELECT count(*) FROM old.secrets WHERE state = 'active' AND expires_at > ?),
               (SELECT count(*) FROM old.api_keys WHERE revoked_at IS NULL),
               (SELECT count(*) FROM (SELECT account FROM old.api_keys UNION SELECT account FROM old.purged))
        """,
        (at,),
    ).fetchone()
    return Inventory(receipts=receipts, waiting=waiting, keys=keys, accounts=accounts, seen=seen, at=at)


def _copy_rows(db: sqlite3.Connection, at: int) -> None:
    tables, others = _objects(db, "type = 'table'"), _objects(db, "type <> 'table'")
    for statement in tables:
        db.execute(statement)
    for table, columns in KEPT.items():
        have = {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?, 'old')", (table,))}
        taken = {name: value for name, value in columns.items() if name in have}
        if not taken:
            continue  # a table that came later
        order = " ORDER BY rowid" if table == "events" else ""
        db.execute(
            f"INSERT INTO main.{table} ({', '.join(taken)}) SELECT {', '.join(taken.values())} FROM old.{table}{order}",
            {"at": at},
        )
    db.execute(
        "INSERT INTO main.events (secret, at, type)"
        " SELECT id, :at, 'restored' FROM old.secrets WHERE state = 'active' AND expires_at > :at",
        {"at": at},
    )
    for statement in others:
        db.execute(statement)
    (version,) = db.execute("PRAGMA old.user_version").fetchone()
    db.execute(f"PRAGMA main.user_version = {version}")
    db.execute(f"PRAGMA main.application_id = {APPLICATION_ID}")


def _objects(db: sqlite3.Connection, which: str) -> list[str]:
    """The statements that make the source's own tables, or what belongs to them."""
    rows = db.execute(
        f"SELECT sql FROM old.sqlite_schema WHERE sql IS NOT NULL AND {which} AND tbl_name IN {_NAMES} ORDER BY rowid"
    )
    return [sql for (sql,) in rows]

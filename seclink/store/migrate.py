"""From the tables of any earlier SecLink to those of this one, in one transaction: whatever interrupts it, the file is
the old one or the new one.

A step may move rows from one page to another, and secure_delete does not come back to the gaps that leaves: so tables
are made anew and the old ones dropped, which overwrites their pages as a whole.
"""

import functools
import sqlite3
from collections.abc import Callable, Iterator

from seclink.store.db_pages import whole_pages
from seclink.store.schema import APPLICATION_ID, MIGRATIONS

NEWEST = len(MIGRATIONS)


def version(db: sqlite3.Connection) -> int:
    (number,) = db.execute("PRAGMA user_version").fetchone()
    return int(number)


def upgrade(db: sqlite3.Connection) -> None:
    """Run the steps that are missing, on a connection nobody else uses. Raises sqlite3.DatabaseError."""
    db.execute("PRAGMA foreign_keys = OFF")  # or dropping a table would take along what refers to it
    db.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version(db) + 1, NEWEST + 1):  # none, if another process was quicker
            if number in _BY_HAND:
                _BY_HAND[number](db)
            _run(db, MIGRATIONS[number - 1])
        if db.execute("PRAGMA foreign_key_check").fetchone() or not has_our_tables(db):
            raise sqlite3.DatabaseError("the upgraded tables do not fit together")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {NEWEST}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def has_our_tables(db: sqlite3.Connection) -> bool:
    """Whether every table, index and trigger is there to the letter: erasure rests on them, too."""
    return _made_by(MIGRATIONS) <= _objects(db)


def has_our_table(db: sqlite3.Connection, name: str) -> bool:
    """Whether that one is there to the letter, whatever has become of the others."""
    return any(each[:2] == ("table", name) for each in _made_by(MIGRATIONS) & _objects(db))


def settle(db: sqlite3.Connection) -> None:
    """Bring any of the seven files that are called version 1 to the last of them.

    Earlier ones knew no `bytes`, let payloads share pages, or lacked the trigger that erases. Contents of ended
    secrets, should there be any, do not come along.
    """
    if _made_by(MIGRATIONS[:1]) <= _objects(db):
        return
    for kind, name, _ in _objects(db):
        if kind != "table":
            db.execute(f"DROP {kind} IF EXISTS {name}")  # a view takes its triggers along
    for table in _MOVES:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    _run(db, MIGRATIONS[0])
    db.execute("DELETE FROM meta")
    db.create_function("whole_pages", 2, whole_pages, deterministic=True)
    for table, (which, special) in _MOVES.items():
        names = [name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (f"old_{table}",))]
        values = {name: name for name in names} | special
        db.execute(
            f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM old_{table} {which}"
        )
    for table in _MOVES:
        db.execute(f"DROP TABLE old_{table}")


_IF_ACTIVE = {
    name: f"iif(state = 'active', {name}, NULL)" for name in ("access_hash", "passcode", "public_note", "label")
}
_BYTES = "iif(state = 'active', (SELECT length(payload) FROM old_payloads AS p WHERE p.id = old_secrets.id), 0)"
_LIVE = "(SELECT id FROM secrets WHERE state = 'active')"
# Table -> which rows move, and what becomes of which columns.
_MOVES: dict[str, tuple[str, dict[str, str]]] = {
    "secrets": ("", {**_IF_ACTIVE, "bytes": _BYTES}),
    "payloads": (f"WHERE id IN {_LIVE}", {"payload": "whole_pages(iv, payload)"}),
    "events": ("ORDER BY rowid", {}),
    "attempts": (f"WHERE secret IN {_LIVE}", {}),
    "purged": ("", {}),
    "api_keys": ("", {}),
    "meta": ("", {}),
}
_BY_HAND: dict[int, Callable[[sqlite3.Connection], None]] = {2: settle}


def _objects(db: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows}


@functools.cache  # who follows the audit trail asks twice a second
def _made_by(migrations: tuple[str, ...]) -> frozenset[tuple[str, str, str]]:
    db = sqlite3.connect(":memory:")
    for each in migrations:
        db.executescript(each)
    made = frozenset(_objects(db))
    db.close()
    return made


def _run(db: sqlite3.Connection, script: str) -> None:
    for statement in _statements(script):
        db.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """One by one: `executescript` would commit first."""
    statement = ""
    for piece in script.split(";")[:-1]:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

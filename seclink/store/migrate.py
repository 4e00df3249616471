"""Upgrading the tables of any earlier release in one transaction: if it is interrupted, the file is the old one.

A step may move rows from one page to another, and secure_delete does not come back to the gaps that this leaves. So
tables are created anew and the old ones dropped, which overwrites whole pages.
"""

import functools
import sqlite3
from collections.abc import Callable, Iterator

from seclink.store.db_pages import pad_to_whole_pages
from seclink.store.schema import APPLICATION_ID, MIGRATIONS

NEWEST = len(MIGRATIONS)


def version(db: sqlite3.Connection) -> int:
    (number,) = db.execute("PRAGMA user_version").fetchone()
    return int(number)


def upgrade(db: sqlite3.Connection) -> None:
    """Run the missing steps, on a connection of its own. Raises sqlite3.DatabaseError."""
    db.execute("PRAGMA foreign_keys = OFF")  # or dropping a table would delete the rows that refer to it
    db.execute("BEGIN IMMEDIATE")
    try:
        for number in range(version(db) + 1, NEWEST + 1):  # no step, if another process was faster
            if number in _PREPARE:
                _PREPARE[number](db)
            _run(db, MIGRATIONS[number - 1])
        if db.execute("PRAGMA foreign_key_check").fetchone() or not has_our_tables(db):
            raise sqlite3.DatabaseError("the upgraded tables are inconsistent")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {NEWEST}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def has_our_tables(db: sqlite3.Connection) -> bool:
    """Return whether every table, index and trigger is there to the letter: erasure depends on them, too."""
    return _schema_of(MIGRATIONS) <= _objects(db)


def has_our_table(db: sqlite3.Connection, name: str) -> bool:
    """Return whether that one table is there to the letter."""
    return any((kind, table) == ("table", name) for kind, table, _ in _schema_of(MIGRATIONS) & _objects(db))


def migrate_v1_variants(db: sqlite3.Connection) -> None:
    """Bring any of the seven schemas that are called version 1 to the last of them.

    Earlier ones had no `bytes`, let payloads share pages, or lacked the trigger that erases. If a file still has
    contents of ended secrets, they are left out.
    """
    if _schema_of(MIGRATIONS[:1]) <= _objects(db):
        return
    for kind, name, _ in _objects(db):
        if kind != "table":
            db.execute(f"DROP {kind} IF EXISTS {name}")  # a view's triggers are dropped with it
    for table in _MOVES:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    _run(db, MIGRATIONS[0])
    db.execute("DELETE FROM meta")
    db.create_function("whole_pages", 2, pad_to_whole_pages, deterministic=True)
    for table, (rows, changes) in _MOVES.items():
        names = [name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (f"old_{table}",))]
        values = {name: name for name in names} | changes
        db.execute(
            f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM old_{table} {rows}"
        )
    for table in _MOVES:
        db.execute(f"DROP TABLE old_{table}")


_IF_ACTIVE = {
    name: f"iif(state = 'active', {name}, NULL)" for name in ("access_hash", "passcode", "public_note", "label")
}
_BYTES = "iif(state = 'active', (SELECT length(payload) FROM old_payloads AS p WHERE p.id = old_secrets.id), 0)"
_LIVE = "(SELECT id FROM secrets WHERE state = 'active')"
# Table -> the rows to move, and the columns whose values change.
_MOVES: dict[str, tuple[str, dict[str, str]]] = {
    "secrets": ("", {**_IF_ACTIVE, "bytes": _BYTES}),
    "payloads": (f"WHERE id IN {_LIVE}", {"payload": "whole_pages(iv, payload)"}),
    "events": ("ORDER BY rowid", {}),
    "attempts": (f"WHERE secret IN {_LIVE}", {}),
    "purged": ("", {}),
    "api_keys": ("", {}),
    "meta": ("", {}),
}
_PREPARE: dict[int, Callable[[sqlite3.Connection], None]] = {2: migrate_v1_variants}


def _objects(db: sqlite3.Connection) -> set[tuple[str, str, str]]:
    rows = db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {(kind, name, " ".join(sql.split())) for kind, name, sql in rows}


@functools.cache  # `seclink audit --follow` asks twice a second
def _schema_of(migrations: tuple[str, ...]) -> frozenset[tuple[str, str, str]]:
    db = sqlite3.connect(":memory:")
    for script in migrations:
        db.executescript(script)
    objects = frozenset(_objects(db))
    db.close()
    return objects


def _run(db: sqlite3.Connection, script: str) -> None:
    for statement in _statements(script):
        db.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """Split a script into its statements: `executescript` would commit the transaction first."""
    statement = ""
    for piece in script.split(";")[:-1]:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""

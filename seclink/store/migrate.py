"""Upgrading the tables of any earlier release in one transaction: if it is interrupted, the file is the old one.

A step may move rows from one page to another, and secure_delete does not come back to the gaps that this leaves. So
tables are created anew and the old ones dropped, which overwrites whole pages.
"""

import contextlib
import functools
import hashlib
import sqlite3
from collections.abc import Callable, Iterator

from seclink.store.db_pages import pad_to_whole_pages
from seclink.store.schema import APPLICATION_ID, MIGRATIONS

NEWEST = len(MIGRATIONS)
# Digests of the six earlier schemas that are called version 1; the seventh is MIGRATIONS[0].
V1_VARIANTS = frozenset(
    (
        "fcd8a6e24c0b3631b1ce529ffc99a550",
        "b454b927d69c86ae45085b2a08f899af",
        "a79cb5a9cc63e9bfafb49980d9b1e47d",
        "cd6dd2e0e1e3d0ec08127fb9dec3349d",
        "d359b44a02ef1ff3fa707e4b8a999c7f",
        "600bc17e3047756dd59d52ec7027bfd1",
    )
)
# What ANALYZE leaves. SQLite allows no trigger on these tables.
_STATISTICS = frozenset(
    (
        ("table", "sqlite_stat1", "sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
        ("table", "sqlite_stat4", "sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
    )
)

SchemaObject = tuple[str, str, str, str]


def version(db: sqlite3.Connection, name: str = "main") -> int:
    (number,) = db.execute(f"PRAGMA {name}.user_version").fetchone()
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
        if db.execute("PRAGMA foreign_key_check").fetchone() or foreign_objects(db, NEWEST):
            raise sqlite3.DatabaseError("the upgraded tables are inconsistent")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {NEWEST}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def foreign_objects(db: sqlite3.Connection, schema: int, name: str = "main") -> list[str]:
    """Return the names of tables, indexes, triggers and views that are not as our migrations up to `schema` make them:
    missing ones, changed ones and additional ones.

    Erasure depends on equality: one trigger more could keep a copy of everything that is erased.
    """
    objects = _objects(db, name)
    if schema == 1 and _digest(objects) in V1_VARIANTS:
        return []
    return sorted({object[1] for object in objects ^ schema_of(schema)})


def create_statements(db: sqlite3.Connection, schema: int) -> list[tuple[str, str]]:
    """Return the type and the statement of everything a copy of the attached database `old` shall have.

    They are those of `old` if its schema is one of ours, else ours: no statement of another program is ever run.
    """
    if schema == 1 and not foreign_objects(db, schema, "old"):
        source, condition = db, "old.sqlite_schema"
    else:
        source, condition = _empty(schema), "sqlite_schema"
    rows = source.execute(
        f"SELECT type, sql FROM {condition} WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
    )
    return [(kind, sql) for kind, sql in rows]


def migrate_v1_variants(db: sqlite3.Connection) -> None:
    """Bring any of the seven schemas that are called version 1 to the last of them.

    Earlier ones had no `bytes`, let payloads share pages, or lacked the trigger that erases. If a file still has
    contents of ended secrets, they are left out.
    """
    objects = _objects(db)
    if schema_of(1) <= objects:
        return
    for kind, name, _, sql in objects:
        if kind != "table" and sql:
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


def _objects(db: sqlite3.Connection, name: str = "main") -> frozenset[SchemaObject]:
    rows = db.execute(f"SELECT type, name, tbl_name, coalesce(sql, '') FROM {name}.sqlite_schema")
    return frozenset((kind, own, table, _normalized(sql)) for kind, own, table, sql in rows) - _STATISTICS


def _normalized(sql: str) -> str:
    """Make all white space equal, unless a comment makes line ends count."""
    return sql if "--" in sql else " ".join(sql.split())


def _digest(objects: frozenset[SchemaObject]) -> str:
    return hashlib.sha256(repr(sorted(objects)).encode()).hexdigest()[:32]


@functools.cache  # `seclink audit --follow` asks twice a second
def schema_of(number: int) -> frozenset[SchemaObject]:
    """Return the tables, indexes, triggers and views that the first `number` migrations make."""
    with contextlib.closing(_empty(number)) as db:
        return _objects(db)


def _empty(number: int) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    for script in MIGRATIONS[: max(0, number)]:
        db.executescript(script)
    return db


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

"""What tests of the store share: the type of the `open_store` fixture, and reading a database file from outside."""

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from seclink.store.sqlite import SqliteStore

OpenStore = Callable[..., Awaitable[SqliteStore]]


def query(path: Path, sql: str) -> list[Any]:
    """Return the rows of a statement that only reads."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


KEEP = "CREATE TRIGGER keep BEFORE DELETE ON payloads BEGIN INSERT INTO {} SELECT hex(old.payload); END"
# Changes of a database that could keep contents after their end, or change what a reader is given.
FOREIGN_SCHEMAS = {
    "table and trigger": "CREATE TABLE copies (x); " + KEEP.format("copies (x)"),
    "trigger into one of our tables": KEEP.format("audit (entry)"),
    "trigger that ignores": "CREATE TRIGGER stay BEFORE DELETE ON payloads BEGIN SELECT RAISE(IGNORE); END",
    "trigger of the same name": (
        "DROP TRIGGER secrets_erase; CREATE TRIGGER secrets_erase AFTER DELETE ON purged BEGIN SELECT 1; END"
    ),
    "missing trigger": "DROP TRIGGER secrets_erase",
    "missing index": "DROP INDEX secrets_by_due_at",
    "missing column": "ALTER TABLE secrets DROP COLUMN peeked_at",
    "additional column": "ALTER TABLE events ADD COLUMN copy TEXT DEFAULT 'x'",
    "generated column": "ALTER TABLE payloads ADD COLUMN copy TEXT AS (hex(payload))",
    "index with contents": "CREATE INDEX copy ON payloads (payload)",
    "partial index": "CREATE INDEX copy ON payloads (hex(payload)) WHERE payload IS NOT NULL",
    "view": "CREATE VIEW copy AS SELECT * FROM payloads",
    "view for a table": "ALTER TABLE purged RENAME TO p; CREATE VIEW purged AS SELECT * FROM p",
    "instead of": "CREATE VIEW v AS SELECT 1 AS x; CREATE TRIGGER t INSTEAD OF INSERT ON v BEGIN SELECT 1; END",
    "virtual table": "CREATE VIRTUAL TABLE copy USING fts5 (payload)",
    "text in a comment": (
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = sql || ' -- x' WHERE name = 'events'"
    ),
    "version 0": "PRAGMA user_version = 0",
    "earlier version": "PRAGMA user_version = 2",
}  # fmt: skip
# ... and of its file: where two payloads share a page, erasing one leaves copies of the other.
FOREIGN_LAYOUTS = {
    "page size": "PRAGMA journal_mode = DELETE; PRAGMA page_size = 65536; VACUUM",
    "auto_vacuum": "PRAGMA auto_vacuum = FULL; VACUUM",
}


def change_schema(path: Path, change: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(change)

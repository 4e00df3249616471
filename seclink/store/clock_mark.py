"""The latest instant that the database has seen, read and set by an operator."""

import contextlib
import os
import sqlite3
from pathlib import Path

from seclink.store import audit_log, connection
from seclink.store.inspect import open_readonly
from seclink.store.reads import LAST_SEEN


def read(path: Path) -> int:
    """Return the instant. Raises StoreUnusable."""
    connection.check(path, max_bytes=0)
    try:
        with open_readonly(path) as db:
            return int(db.execute(LAST_SEEN).fetchone()[0])
    except sqlite3.Error as error:
        raise connection.unusable(path, error) from None


def accept(path: Path, now: int) -> None:
    """Make `now` the latest instant seen, with an entry in the audit trail. Raises StoreUnusable.

    Only a database that no server uses can be set back: the server would go on from its own time.
    """
    lock = connection.lock(path) if now < read(path) else None
    try:
        connection.open_or_create(path, is_alone=False)
        with contextlib.closing(connection.connect(path, sqlite3.Connection)) as db:
            db.execute("BEGIN IMMEDIATE")
            (last_seen_at,) = db.execute(LAST_SEEN).fetchone()
            entry = audit_log.AuditEntry(now, "clock_set", detail=f"{(now - last_seen_at) // 1000:+,} s")
            audit_log.append(db, audit_log.head(db), [entry])
            db.execute("UPDATE meta SET clock_mark = ?", (now,))
            db.execute("COMMIT")
    except sqlite3.Error as error:
        raise connection.unusable(path, error) from None
    finally:
        if lock is not None:
            os.close(lock)

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

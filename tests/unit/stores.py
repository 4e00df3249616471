"""Stores that a test opens, all closed when it is over, and a look into their files from outside."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from seclink.store.sqlite import SqliteStore

OPENED: list[SqliteStore] = []


async def open_store(path: Path, **options: Any) -> SqliteStore:
    """With the fixture `tidy`, which closes it."""
    OPENED.append(await SqliteStore.open(path, keep_seconds=30 * 86400, max_bytes=2**30, **options))
    return OPENED[-1]


def asked(path: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()

"""The log is emptied beside the writer once, and then only by the writer."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from test_store import secret

from seclink.store import wal_checkpoint
from seclink.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110  it has no event
            await asyncio.sleep(0.01)


async def test_no_second_checkpoint_meets_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    """SQLite before 3.51.3 may damage the file where a write resets the log during a checkpoint that follows a
    complete one.
    """
    monkeypatch.setattr(wal_checkpoint, "INTERVAL_SECONDS", 0.1)
    path, said = tmp_path / "store.db", []
    store = await SqliteStore.open(path, keep_seconds=1, max_bytes=2**30)
    await store._checkpointer.set_trace_callback(said.append)
    await store._writer.set_trace_callback(said.append)

    def count(mode: str) -> int:
        return sum(f"wal_checkpoint({mode})" in each for each in said)

    await store.add(secret("first"))
    with contextlib.closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM secrets").fetchone()
        await store.add(secret("second"))
        await until(lambda: count("TRUNCATE") >= 4)  # in vain
        assert count("PASSIVE") == 1
    wal = path.with_name("store.db-wal")
    await until(lambda: wal.stat().st_size == 0)
    assert count("PASSIVE") == 1
    await store.add(secret("third"))
    await until(lambda: wal.stat().st_size == 0)
    assert count("PASSIVE") == 2
    await store.close()

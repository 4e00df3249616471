"""The log is emptied: once beside the writer, then by the writer alone."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from support.waiting import TIMEOUT_SECONDS
from test_store import secret

from seclink.store import wal_checkpoint
from seclink.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not condition():  # noqa: ASYNC110  there is no event to wait for
            await asyncio.sleep(0.01)


async def test_passive_checkpoint_runs_once_per_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, anyio_backend: str
) -> None:
    """SQLite before 3.51.3 may damage the file if a write resets the log during a second one after a complete one."""
    monkeypatch.setattr(wal_checkpoint, "INTERVAL_SECONDS", 0.1)
    path, statements = tmp_path / "store.db", list[str]()
    store = await SqliteStore.open(path, keep_seconds=1, max_bytes=2**30)
    await store._checkpoint_connection.set_trace_callback(statements.append)
    await store._writer.set_trace_callback(statements.append)

    def count(mode: str) -> int:
        return sum(f"wal_checkpoint({mode})" in statement for statement in statements)

    await store.add(secret("first"))
    with contextlib.closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM secrets").fetchone()
        await store.add(secret("second"))
        await wait_until(lambda: count("TRUNCATE") >= 4)  # without success, because of the reader
        assert count("PASSIVE") == 1
    # Until its task has ended, too: a write in between would only prolong it.
    await wait_until(
        lambda: (
            store._checkpointer.wal_bytes() == 0
            and bool(store._checkpointer._task and store._checkpointer._task.done())
        )
    )
    assert count("PASSIVE") == 1
    await store.add(secret("third"))
    await wait_until(lambda: store._checkpointer.wal_bytes() == 0)
    assert count("PASSIVE") == 2
    await store.close()

"""Reads of single rows. Those that arrive together share one hop between threads and one statement, because the hop
costs more than the read.
"""

import asyncio
import sqlite3
from typing import Any

import aiosqlite

from seclink.errors import StorageFailed
from seclink.store.connection import placeholder_count

MAX_BATCH = 128


class BatchReader:
    """Reads rows by key: `sql` selects them with `IN ({})`, and their first column is the key."""

    def __init__(self, connection: aiosqlite.Connection, sql: str) -> None:
        self._connection, self._sql = connection, sql
        self._queue: dict[str | bytes, asyncio.Future[Any]] = {}
        self._task: asyncio.Task[None] | None = None

    async def get(self, key: str | bytes) -> Any:
        """Return the row of that key, None if there is none. Raises StorageFailed.

        Callers with the same key share a read that has not begun, never one that has: they see all that was written
        before they called.
        """
        future = self._queue.get(key)
        if future is None:
            future = self._queue[key] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_queue())
        return await asyncio.shield(future)

    async def _read_queue(self) -> None:
        while self._queue:
            keys = list(self._queue)[:MAX_BATCH]
            futures = {key: self._queue.pop(key) for key in keys}
            count = placeholder_count(len(keys))
            sql = self._sql.format(", ".join("?" * count))
            try:
                rows = await self._connection.execute_fetchall(sql, keys + [None] * (count - len(keys)))
            except (sqlite3.Error, ValueError):  # ValueError: closed meanwhile
                for future in futures.values():
                    future.set_exception(StorageFailed())
                    future.exception()  # retrieved, even if the caller was cancelled
            else:
                by_key = {row[0]: row for row in rows}
                for key, future in futures.items():
                    future.set_result(by_key.get(key))

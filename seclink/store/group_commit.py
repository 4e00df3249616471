"""Group commit: writes that arrive together share one transaction, one fsync and one hop between threads.

    event loop         write -> queue -> batch                            result -> future of each write
    writer's thread                             BEGIN, run_batch, COMMIT

While one batch is committed, the next one gathers in the queue.
"""

import asyncio
import sqlite3
from time import perf_counter
from typing import Any

import aiosqlite

from seclink.store.batch import Write, run_batch
from seclink.store.wal_checkpoint import WalCheckpointer
from seclink.store.write_connection import WriteConnection
from seclink.telemetry.counters import BATCHES, Histogram

MAX_BATCH = 128


class GroupCommit:
    """The queue of writes to `connection`, which is `writer` on its own thread.

    `batches` counts how many writes were committed together, `seconds` how long each batch took.
    """

    def __init__(
        self, writer: aiosqlite.Connection, connection: WriteConnection, checkpointer: WalCheckpointer
    ) -> None:
        self._writer, self._connection, self._checkpointer = writer, connection, checkpointer
        self._queue: list[tuple[Write, asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None
        self.batches, self.seconds = Histogram(BATCHES), Histogram()

    async def write(self, write: Write) -> Any:
        """Return the write's result once it is durable. Raises sqlite3.Error, SecLinkError."""
        future = asyncio.get_running_loop().create_future()
        self._queue.append((write, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._commit_queue())
        return await future

    async def finish(self) -> None:
        """Commit the queued writes, and stop emptying the log."""
        while self._task and not self._task.done():
            await asyncio.wait([self._task])
        await self._checkpointer.stop()

    async def _commit_queue(self) -> None:
        while self._queue:
            batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
            call = _BatchCall(self._connection, [write for write, _ in batch])
            try:
                rows: Any = await aiosqlite.Cursor(self._writer, call).fetchall()
                results, seconds = rows
                self.batches.observe(len(batch))
                self.seconds.observe(seconds)
            except Exception as error:  # a bug in one write must not leave all callers waiting
                failure = error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error))
                results = [failure] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue  # the caller was cancelled; what was written stays written
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
            self._checkpointer.schedule()


class _BatchCall(sqlite3.Cursor):
    """A call of `run_batch` in the shape of a cursor: aiosqlite runs a cursor's methods on the connection's thread.

    It has no public method that runs any function there.
    """

    def __init__(self, connection: WriteConnection, batch: list[Write]) -> None:
        super().__init__(connection)
        self._connection, self._batch = connection, batch

    def fetchall(self) -> list[Any]:
        """Return the results of the batch, and how many seconds it took."""
        start = perf_counter()
        results = run_batch(self._connection, self._batch)
        return [results, perf_counter() - start]

"""Group commits: writes that arrive together are committed together, and what they erased leaves the log soon after.

aiosqlite runs `commit()` of a connection on that connection's thread; ours is a subclass whose `commit()` takes
everything that waits, runs it in one transaction and commits once, so a batch costs one hop between threads, not one a
statement. A failing write fails alone: the batch is rolled back and its members run one by one. A failing commit fails
them all.
"""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import aiosqlite

from seclink.store import connection
from seclink.store.write_connection import Write, WriteConnection
from seclink.telemetry.counters import BATCHES, Histogram

BATCH = 128
SWEEP_SECONDS = 0.8  # what was erased leaves the log within a second
MAX_LOG_BYTES = 32 * 2**20  # empty the log sooner than the sweep when it grows fast

_WAIT = f"PRAGMA busy_timeout = {connection.PRAGMAS['busy_timeout']}"


class GroupCommit:
    """What waits for `writer` to commit it; `raw` is the same connection. `sweeper` moves the log into the file.

    `batches` counts how many writes were committed together, `seconds` how long that took.
    """

    def __init__(
        self, path: Path, writer: aiosqlite.Connection, raw: WriteConnection, sweeper: aiosqlite.Connection
    ) -> None:
        self._path, self._writer, self._raw, self._sweeper = path, writer, raw, sweeper
        self._waiting: list[tuple[Write, asyncio.Future[Any]]] = []
        self._drain: asyncio.Task[None] | None = None
        self._sweep: asyncio.Task[None] | None = None
        self.batches, self.seconds = Histogram(BATCHES), Histogram()

    async def write(self, write: Write) -> Any:
        """What became of it, once that is durable. Raises sqlite3.Error, SecLinkError."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._commit_waiting())
        return await future

    async def finish(self) -> None:
        """Commit what waits, and sweep no more."""
        while self._drain and not self._drain.done():
            await asyncio.wait([self._drain])
        if self._sweep:
            self._sweep.cancel()
            await asyncio.wait([self._sweep])

    def log_bytes(self) -> int:
        return size(f"{self._path}-wal")

    async def _commit_waiting(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            self._raw.batch = [write for write, _ in taken]
            try:
                await self._writer.commit()
                outcomes = self._raw.outcomes
                self.batches.observe(len(taken))
                self.seconds.observe(self._raw.seconds)
            except Exception as error:  # a mistake of ours in one write must not leave everybody waiting
                outcomes = [error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError(str(error))] * len(
                    taken
                )
            for (_, future), outcome in zip(taken, outcomes, strict=True):
                if future.done():
                    continue  # the asker was cancelled; what was written stays written
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)
            if self._sweep is None or self._sweep.done():
                self._sweep = asyncio.create_task(self._empty_log())

    async def _empty_log(self) -> None:
        """Move the log into the file and cut it to nothing, so that what was erased is nowhere any more.

        The bulk is copied beside the writer (PASSIVE); only what was written meanwhile and the cut (TRUNCATE) hold the
        writer up. The cut waits for readers, and all writes with it: for ours, which are done at once, but not for
        somebody's backup. A reader in the way: try again.

        Beside the writer only once, as the first copying since the log began anew: a second one, after one that was
        complete, may damage the database where a write resets the log meanwhile (the WAL-reset bug of SQLite before
        3.51.3). The cut shuts writers out.
        """
        is_first = True
        while True:
            for _ in range(int(SWEEP_SECONDS / 0.1)):
                await asyncio.sleep(0.1)
                if self.log_bytes() > MAX_LOG_BYTES:
                    break
            try:
                if is_first:
                    await self._sweeper.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
                is_first = False
                await self._writer.executescript(f"PRAGMA busy_timeout = 50; PRAGMA wal_checkpoint(TRUNCATE); {_WAIT}")
                if self.log_bytes() == 0:
                    return
            except sqlite3.Error:  # a full disk, say; the script may have stopped before its end
                await self._writer.execute_fetchall(_WAIT)


def size(path: str) -> int:
    """In bytes; 0 where there is no such file."""
    with contextlib.suppress(OSError):
        return os.stat(path).st_size  # noqa: PTH116  a call ten times a second, no Path made
    return 0

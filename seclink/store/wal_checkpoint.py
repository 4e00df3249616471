"""Emptying the write-ahead log, so that what was erased leaves the disk within a second."""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path

import aiosqlite

from seclink.store.connection import PRAGMAS

INTERVAL_SECONDS = 0.8
POLL_SECONDS = 0.1
MAX_WAL_BYTES = 32 * 2**20  # a log that grows fast is emptied before the interval is over

_WAIT = f"PRAGMA busy_timeout = {PRAGMAS['busy_timeout']}"


class WalCheckpointer:
    """Copies the log of `writer` into the database file and truncates it; `connection` is another one to the file."""

    def __init__(self, path: Path, writer: aiosqlite.Connection, connection: aiosqlite.Connection) -> None:
        self._path, self._writer, self._connection = Path(f"{path}-wal"), writer, connection
        self._task: asyncio.Task[None] | None = None

    def schedule(self) -> None:
        """Empty the log soon; has no effect while that is under way."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._empty())

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    def wal_bytes(self) -> int:
        return file_bytes(self._path)

    async def _empty(self) -> None:
        """Copy the log into the file and truncate it, again and again until no reader is in the way.

        Most of the copying is done beside the writer (PASSIVE). Only the rest and the truncation (TRUNCATE) hold up the
        writer. TRUNCATE waits for readers, and all writes wait with it: for our own readers, which finish at once, but
        not for another program's backup.

        PASSIVE is run only once, as the first checkpoint since the log was empty. A second checkpoint after a complete
        one may damage the database if a write resets the log meanwhile (the WAL-reset bug of SQLite before 3.51.3).
        TRUNCATE shuts writers out.
        """
        is_first = True
        while True:
            await self._wait()
            try:
                if is_first:
                    await self._connection.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
                is_first = False
                await self._writer.executescript(f"PRAGMA busy_timeout = 50; PRAGMA wal_checkpoint(TRUNCATE); {_WAIT}")
                if self.wal_bytes() == 0:
                    return
            except sqlite3.Error:  # a full disk, for example; the script may have stopped before its end
                await self._writer.execute_fetchall(_WAIT)

    async def _wait(self) -> None:
        for _ in range(int(INTERVAL_SECONDS / POLL_SECONDS)):
            await asyncio.sleep(POLL_SECONDS)
            if self.wal_bytes() > MAX_WAL_BYTES:
                return


def file_bytes(path: Path) -> int:
    """Return a file's size, 0 if there is none."""
    with contextlib.suppress(OSError):
        return os.stat(path).st_size  # noqa: PTH116  faster than path.stat(), and called ten times a second
    return 0

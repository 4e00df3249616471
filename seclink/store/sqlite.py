"""The store in one SQLite file: one writer that commits in groups, one reader for single rows, one for lists, one
sweeper that empties the log.

Writes that arrive together are committed together. aiosqlite runs `commit()` of a connection on that
connection's thread; ours is a subclass whose `commit()` takes everything that waits, runs it in one transaction
and commits once, so a batch costs one hop between threads, not one a statement. A failing write fails alone:
the batch is rolled back and its members run one by one. A failing commit fails them all.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from seclink.errors import Busy, SecLinkError, StorageFailed, StorageFull
from seclink.instruments import BATCHES, Histogram
from seclink.model import ApiKey, Attempt, Changes, Claimed, Filter, Page, Peek, Receipt, Secret, State, Stats
from seclink.store import copies, opening, reads, tries, writes
from seclink.store.base import Figures
from seclink.store.figures import OLDEST, USED, Census
from seclink.store.writer import Write, Writer
from seclink.store.writes import Claim

T = TypeVar("T")
BATCH = 128
SWEEP_SECONDS = 0.8  # what was erased leaves the log within a second
COPIES = 3
MAX_LOG_BYTES = 32 * 2**20  # empty the log sooner than the sweep when it grows fast

_SECRET_REFUSALS: dict[str, type[SecLinkError]] = {"SQLITE_FULL": StorageFull, "SQLITE_CONSTRAINT_UNIQUE": Busy}

_WAIT = f"PRAGMA busy_timeout = {opening.PRAGMAS['busy_timeout']}"


class SqliteStore:
    """`Store` on SQLite. Made by `open`."""

    def __init__(
        self,
        path: Path,
        lock: int | None,
        writer: aiosqlite.Connection,
        raw: Writer,
        others: tuple[aiosqlite.Connection, ...],
        upgraded: opening.Upgraded | None = None,
    ) -> None:
        self._path, self._lock, self.upgraded = path, lock, upgraded
        self._writer, self._raw = writer, raw
        self._reader, self._lister, self._sweeper = others
        self._waiting: list[tuple[Write, asyncio.Future[Any]]] = []
        self._drain: asyncio.Task[None] | None = None
        self._sweep: asyncio.Task[None] | None = None
        self._lookups: dict[bytes, asyncio.Future[ApiKey | None]] = {}
        self.engine = f"SQLite {sqlite3.sqlite_version}"
        self._census = Census(self._list)
        self._expired: Counter[str] = Counter()
        self._batches, self._commit_seconds = Histogram(BATCHES), Histogram()

    @classmethod
    async def open(cls, path: Path, *, keep_seconds: int, max_bytes: int, exclusive: bool = True) -> "SqliteStore":
        """Open or create the file.

        `exclusive` is how a server opens it: one at a time. Only so is an older file upgraded, which `upgraded` tells,
        and are the copies forgotten that were kept beside it. Raises StoreUnusable.
        """
        lock = opening.lock(path) if exclusive else None
        connections: list[aiosqlite.Connection] = []
        try:
            upgraded = opening.prepare(path, is_alone=exclusive)
            made: list[Writer] = []

            def connect() -> Writer:
                made.append(opening.connect(path, Writer))
                return made[0]

            connections.append(await aiosqlite.Connection(connect, 64))
            raw = made[0]
            (raw.next_id,) = raw.execute("SELECT coalesce(max(id), 0) + 1 FROM secrets").fetchone()
            raw.hold(keep_seconds, max_bytes)
            if exclusive:
                copies.forget_old(path, raw.execute(reads.CLOCK_MARK).fetchone()[0], raw.keep_ms)
            for _ in range(3):
                connections.append(await aiosqlite.Connection(partial(opening.connect, path, sqlite3.Connection), 64))
        except BaseException:
            for each in connections:
                await each.close()
            if lock is not None:
                os.close(lock)
            raise
        return cls(path, lock, connections[0], raw, (connections[1], connections[2], connections[3]), upgraded)

    def hold(self, keep_seconds: int, max_bytes: int) -> None:
        self._raw.hold(keep_seconds, max_bytes)

    async def close(self) -> None:
        """Finish what was asked, empty the log into the file, let go. Harmless when done twice."""
        while self._drain and not self._drain.done():
            await asyncio.wait([self._drain])
        if self._sweep:
            self._sweep.cancel()
            await asyncio.wait([self._sweep])
        await self._reader.close()
        await self._lister.close()
        await self._sweeper.close()
        with contextlib.suppress(sqlite3.Error, ValueError):
            await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        await self._writer.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Writing

    async def add(self, secret: Secret) -> None:
        await self._write(secret)

    async def claim(
        self, link_id: str, now: int, *, access_hash: str | None = None, passcode: str | None = None, client: str = ""
    ) -> Claimed | None:
        claimed: Claimed | None = await self._write(Claim(link_id, now, access_hash, passcode, client))
        return claimed

    async def attempt(self, link_id: str, client: str, now: int) -> Attempt | None:
        return await self._call(lambda db: tries.attempt(db, link_id, client, now))

    async def tries_left(self, link_id: str, client: str, now: int) -> int:
        return await self._call(lambda db: tries.left(db, link_id, client, now))

    async def record(self, link_id: str, event: str, now: int, reason: str | None = None) -> None:
        await self._call(lambda db: writes.record(db, link_id, event, now, reason))

    async def replace(self, receipt_id: str, changes: Changes, now: int) -> State | None:
        return await self._call(lambda db: writes.replace(db, receipt_id, changes, now, self._raw.max_bytes))

    async def burn(self, receipt_id: str, now: int) -> State | None:
        return await self._call(lambda db: writes.burn(db, receipt_id, now, self._raw.keep_ms))

    async def reap(self, now: int, limit: int) -> int:
        count, expired = await self._call(lambda db: writes.reap(db, now, limit, self._raw.keep_ms))
        self._expired.update(expired)
        return count

    async def add_key(self, key: ApiKey) -> None:
        await self._call(lambda db: writes.add_key(db, key))

    async def revoke_keys(self, prefix: str, now: int) -> tuple[ApiKey, ...]:
        revoked = await self._call(lambda db: writes.revoke_keys(db, prefix, now))
        return tuple(key for key in await self.keys() if key.digest in revoked)

    async def ping(self, now: int) -> None:
        await self._call(lambda db: writes.mark(db, now))

    # Looking

    async def peek(self, link_id: str, now: int) -> Peek | None:
        row = await self._one(reads.PEEK, (link_id,))
        return reads.peek(row, now) if row else None

    async def receipt(self, receipt_id: str, now: int) -> Receipt | None:
        row = await self._one(reads.RECEIPT, (receipt_id,))
        return reads.receipt(row, now, await self._all(reads.EVENTS, (receipt_id,))) if row else None

    async def receipts(self, wanted: Filter, now: int) -> Page:
        parameters = reads.filter_parameters(wanted, now)
        rows = await self._list(reads.RECEIPTS, parameters)
        (total,) = (await self._list(reads.COUNT, parameters))[0]
        return Page(
            receipts=tuple(reads.receipt(row, now) for row in rows), page=wanted.page, limit=wanted.limit, total=total
        )

    async def stats(self, account: str, now: int, since: tuple[int, int, int], format: str | None = None) -> Stats:
        day, week, month = since
        asked = {"account": account, "format": format, "now": now, "day": day, "week": week, "month": month}
        forgotten = await self._list(reads.PURGED, (account,)) if format is None else []
        return reads.stats([*await self._list(reads.STATS, asked), *forgotten])

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """Askers of the same key share a look that has not begun yet, never one that has:

        a revoked key is refused at once.
        """
        waiting = self._lookups.get(digest)
        if waiting is None:
            waiting = self._lookups[digest] = asyncio.ensure_future(self._look_up(digest))
        return await asyncio.shield(waiting)

    async def _look_up(self, digest: bytes) -> ApiKey | None:
        await asyncio.sleep(0)
        del self._lookups[digest]
        row = await self._one(reads.KEY, (digest,))
        return reads.key(row) if row else None

    async def keys(self) -> tuple[ApiKey, ...]:
        return tuple(reads.key(row) for row in await self._all(reads.KEYS, ()))

    async def room(self) -> int:
        return self._raw.max_bytes - int((await self._one(USED, ()))[0])

    async def figures(self, now: int) -> Figures:
        (oldest,) = (await self._list(OLDEST, ()))[0]
        return Figures(
            secrets=await self._census.counts(now),
            expired=self._expired,
            overdue_ms=0 if oldest is None else max(0, now - oldest),
            used_bytes=self._raw.max_bytes - await self.room(),
            max_bytes=self._raw.max_bytes,
            file_bytes=_size(f"{self._path}"),
            log_bytes=self._log_bytes(),
            batches=self._batches,
            commit_seconds=self._commit_seconds,
        )

    async def clock_mark(self) -> int:
        (mark,) = await self._one(reads.CLOCK_MARK, ())
        return int(mark)

    async def _one(self, sql: str, parameters: Any) -> Any:
        rows = await self._all(sql, parameters)
        return rows[0] if rows else None

    async def _all(self, sql: str, parameters: Any) -> Any:
        return await _look(self._reader, sql, parameters)

    async def _list(self, sql: str, parameters: Any) -> Any:
        """What may have to go through many rows: apart from the looks that every request waits for."""
        return await _look(self._lister, sql, parameters)

    # Committing and sweeping

    async def _call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        answer: T = await self._write(work)
        return answer

    async def _write(self, write: Write) -> Any:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._commit_waiting())
        try:
            return await future
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "") if isinstance(write, Secret) else ""
            raise _SECRET_REFUSALS.get(name, StorageFailed)() from error

    async def _commit_waiting(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            self._raw.batch = [write for write, _ in taken]
            try:
                await self._writer.commit()
                outcomes = self._raw.outcomes
                self._batches.observe(len(taken))
                self._commit_seconds.observe(self._raw.seconds)
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

        The bulk is copied beside the writer (PASSIVE), then what was written meanwhile, then what was written
        during that; only the little left and the cut (TRUNCATE) hold the writer up. The cut waits for readers,
        and all writes with it: for ours, which are done at once, but not for somebody's backup. A reader in the
        way: try again.
        """
        while True:
            for _ in range(int(SWEEP_SECONDS / 0.1)):
                await asyncio.sleep(0.1)
                if self._log_bytes() > MAX_LOG_BYTES:
                    break
            try:
                for _ in range(COPIES):
                    await self._sweeper.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
                await self._writer.executescript(f"PRAGMA busy_timeout = 50; PRAGMA wal_checkpoint(TRUNCATE); {_WAIT}")
                if self._log_bytes() == 0:
                    return
            except sqlite3.Error:  # a full disk, say; the script may have stopped before its end
                await self._writer.execute_fetchall(_WAIT)

    def _log_bytes(self) -> int:
        return _size(f"{self._path}-wal")


def _size(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size  # noqa: PTH116  a call ten times a second, no Path made
    return 0


async def _look(connection: aiosqlite.Connection, sql: str, parameters: Any) -> Any:
    try:
        return await connection.execute_fetchall(sql, parameters)
    except (sqlite3.Error, ValueError) as error:  # ValueError: closed meanwhile
        raise StorageFailed() from error

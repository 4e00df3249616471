"""The store in one SQLite file: one writer that commits in groups, one reader for single rows, one for lists, one
sweeper that empties the log (`commits`).
"""

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from seclink.errors import StorageFailed, StorageFull
from seclink.model import ApiKey, Attempt, Changes, Claimed, Filter, Page, Peek, Receipt, Secret, State, Stats
from seclink.store import audit_log, connection, keys, passcode_attempts, reads, snapshot, writes
from seclink.store.batch_reads import BatchReader
from seclink.store.contract import IdTaken, StoreStats
from seclink.store.group_commit import GroupCommit, size
from seclink.store.statistics import OLDEST, USED, SecretCounter
from seclink.store.write_connection import Write, WriteConnection
from seclink.store.writes import Claim

T = TypeVar("T")
AUDIT_SECONDS = 90 * 86400

_ADD_ERRORS: dict[str, type[Exception]] = {"SQLITE_FULL": StorageFull, "SQLITE_CONSTRAINT_UNIQUE": IdTaken}


class SqliteStore:
    """`Store` on SQLite. Made by `open`."""

    def __init__(
        self,
        path: Path,
        lock: int | None,
        writer: aiosqlite.Connection,
        raw: WriteConnection,
        others: tuple[aiosqlite.Connection, ...],
        upgraded: connection.Migrated | None = None,
    ) -> None:
        self._path, self._lock, self.upgraded = path, lock, upgraded
        self._writer, self._raw = writer, raw
        self._reader, self._lister, self._sweeper = others
        self._commits = GroupCommit(path, writer, raw, self._sweeper)
        self._secret_looks, self._key_looks = (
            BatchReader(self._reader, reads.PEEK),
            BatchReader(self._reader, reads.KEY),
        )
        self.engine = f"SQLite {sqlite3.sqlite_version}"
        self._census = SecretCounter(self._list)
        self._expired: Counter[str] = Counter()

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        keep_seconds: int,
        max_bytes: int,
        audit_seconds: int = AUDIT_SECONDS,
        exclusive: bool = True,
    ) -> "SqliteStore":
        """Open or create the file.

        `exclusive` is how a server opens it: one at a time. Only so is an older file upgraded, which `upgraded` tells,
        and are the copies forgotten that were kept beside it. Raises StoreUnusable.
        """
        lock = connection.lock(path) if exclusive else None
        connections: list[aiosqlite.Connection] = []
        try:
            upgraded = connection.open_or_create(path, is_alone=exclusive)
            made: list[WriteConnection] = []

            def connect() -> WriteConnection:
                made.append(connection.connect(path, WriteConnection))
                return made[0]

            connections.append(await aiosqlite.Connection(connect, 64))
            raw = made[0]
            (raw.next_id,) = raw.execute("SELECT coalesce(max(id), 0) + 1 FROM secrets").fetchone()
            raw.reconfigure(keep_seconds, audit_seconds, max_bytes)
            if exclusive:
                snapshot.forget_old(path, raw.execute(reads.CLOCK_MARK).fetchone()[0], raw.keep_ms)
            for _ in range(3):
                connections.append(
                    await aiosqlite.Connection(partial(connection.connect, path, sqlite3.Connection), 64)
                )
        except BaseException:
            for each in connections:
                await each.close()
            if lock is not None:
                os.close(lock)
            raise
        return cls(path, lock, connections[0], raw, (connections[1], connections[2], connections[3]), upgraded)

    def reconfigure(self, keep_seconds: int, audit_seconds: int, max_bytes: int) -> None:
        self._raw.reconfigure(keep_seconds, audit_seconds, max_bytes)

    async def close(self) -> None:
        """Finish what was asked, empty the log into the file, let go. Harmless when done twice."""
        await self._commits.finish()
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
        self,
        link_id: str,
        now: int,
        *,
        access_hash: str | None = None,
        passcode: str | None = None,
        client: str = "",
        by: str | None = None,
    ) -> Claimed | None:
        claimed: Claimed | None = await self._write(Claim(link_id, now, access_hash, passcode, client, by))
        return claimed

    async def attempt(self, link_id: str, client: str, now: int) -> Attempt | None:
        return await self._call(lambda db: passcode_attempts.attempt(db, link_id, client, now))

    async def attempts_left(self, link_id: str, client: str, now: int) -> int:
        return await self._call(lambda db: passcode_attempts.left(db, link_id, client, now))

    async def record(
        self, link_id: str, event: str, now: int, reason: str | None = None, by: str | None = None
    ) -> None:
        await self._call(lambda db: writes.record(db, link_id, event, now, reason, by))

    async def replace(
        self, receipt_id: str, changes: Changes, now: int, by: str | None = None, detail: str | None = None
    ) -> State | None:
        return await self._call(lambda db: writes.replace(db, receipt_id, changes, now, db.max_bytes, by, detail))

    async def burn(self, receipt_id: str, now: int, by: str | None = None, detail: str | None = None) -> State | None:
        return await self._call(lambda db: writes.burn(db, receipt_id, now, db.keep_ms, by, detail))

    async def reap(self, now: int, limit: int) -> int:
        count, expired = await self._call(lambda db: writes.reap(db, now, limit, db.keep_ms, db.audit_ms))
        self._expired.update(expired)
        return count

    async def add_key(self, key: ApiKey) -> None:
        await self._call(lambda db: keys.add(db, key))

    async def revoke_keys(self, prefix: str, now: int) -> tuple[ApiKey, ...]:
        revoked = await self._call(lambda db: keys.revoke(db, prefix, now))
        return tuple(key for key in await self.keys() if key.digest in revoked)

    async def ping(self, now: int) -> None:
        await self._call(lambda db: writes.update_last_seen(db, now))

    # Looking

    async def peek(self, link_id: str, now: int) -> Peek | None:
        row = await self._secret_looks.row(link_id)
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
        row = await self._key_looks.row(digest)
        return reads.key(row) if row else None

    async def keys(self) -> tuple[ApiKey, ...]:
        return tuple(reads.key(row) for row in await self._all(reads.KEYS, ()))

    async def free_bytes(self) -> int:
        return self._raw.max_bytes - int((await self._one(USED, ()))[0])

    async def statistics(self, now: int) -> StoreStats:
        (oldest,) = (await self._list(OLDEST, ()))[0]
        return StoreStats(
            secrets=await self._census.counts(now),
            expired=self._expired,
            overdue_ms=0 if oldest is None else max(0, now - oldest),
            used_bytes=self._raw.max_bytes - await self.free_bytes(),
            max_bytes=self._raw.max_bytes,
            file_bytes=size(f"{self._path}"),
            log_bytes=self._commits.log_bytes(),
            batches=self._commits.batches,
            commit_seconds=self._commits.seconds,
        )

    async def audit_checkpoint(self) -> str:
        last = await self._one(audit_log.LAST, ())
        return (audit_log.AuditHead(*last) if last else audit_log.NOTHING).mark

    async def last_seen_at(self) -> int:
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

    async def _call(self, work: Callable[[WriteConnection], T]) -> T:
        answer: T = await self._write(work)
        return answer

    async def _write(self, write: Write) -> Any:
        try:
            return await self._commits.write(write)
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "") if isinstance(write, Secret) else ""
            raise _ADD_ERRORS.get(name, StorageFailed)() from error


async def _look(connection: aiosqlite.Connection, sql: str, parameters: Any) -> Any:
    try:
        return await connection.execute_fetchall(sql, parameters)
    except (sqlite3.Error, ValueError) as error:  # ValueError: closed meanwhile
        raise StorageFailed() from error

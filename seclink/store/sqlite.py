"""The store in one SQLite file, on four connections with a thread each: one that writes, one for single rows, one for
lists, and one that empties the log.
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
import msgspec

from seclink.errors import StorageFailed, StorageFull
from seclink.model import ApiKey, Attempt, Changes, Claimed, Filter, Page, Peek, Receipt, Secret, State, Stats
from seclink.store import audit_log, connection, edits, keys, passcode_attempts, reads, snapshot, uploads, writes
from seclink.store.batch import Write
from seclink.store.batch_reads import BatchReader
from seclink.store.chunk_files import ChunkFolder, folder_of
from seclink.store.claims import Claim
from seclink.store.contract import MAX_BYTES, IdTaken, NewGrant, StoreStats
from seclink.store.group_commit import GroupCommit
from seclink.store.sqlite_uploads import SqliteUploads, reconcile
from seclink.store.statistics import OLDEST_DUE, USED_BYTES, SecretCounter
from seclink.store.wal_checkpoint import WalCheckpointer, file_bytes
from seclink.store.write_connection import WriteConnection

T = TypeVar("T")
AUDIT_SECONDS = 90 * 86400
ITER_CHUNK_SIZE = 64  # of aiosqlite's cursors, which are not used

_ADD_ERRORS: dict[str, type[Exception]] = {"SQLITE_FULL": StorageFull, "SQLITE_CONSTRAINT_UNIQUE": IdTaken}


class SqliteStore:
    """`Store` on SQLite; use `open`.

    `upgraded` says what an older file was upgraded from, None if nothing was; `lost_files` how many uploads of secrets
    have no file.
    """

    def __init__(
        self,
        path: Path,
        lock: int | None,
        write_connection: WriteConnection,
        connections: list[aiosqlite.Connection],
        upgraded: connection.Migrated | None = None,
        files: ChunkFolder | None = None,
    ) -> None:
        self._path, self._lock, self.upgraded, self._files = path, lock, upgraded, files
        self._write_connection = write_connection
        self._writer, self._reader, self._list_reader, self._checkpoint_connection = connections
        self._checkpointer = WalCheckpointer(path, self._writer, self._checkpoint_connection)
        self._commits = GroupCommit(self._writer, write_connection, self._checkpointer)
        self._peeks, self._keys = BatchReader(self._reader, reads.PEEK), BatchReader(self._reader, reads.KEY)
        self._list_turn = asyncio.Lock()  # one at a time: between two of them the log can be emptied
        self.engine = f"SQLite {sqlite3.sqlite_version}"
        self._counter = SecretCounter(self._fetch_list)
        self._expired: Counter[str] = Counter()
        self.lost_files = 0
        if files is not None:
            self.uploads = SqliteUploads(files, self._call, self._fetch, self._fetch_list)
            self.lost_files = reconcile(write_connection, files)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        keep_seconds: int,
        max_bytes: int,
        audit_seconds: int = AUDIT_SECONDS,
        exclusive: bool = True,
        files: Path | None = None,
    ) -> "SqliteStore":
        """Open or create the file, and the folder `files` of the chunks, which by default lies beside it. Raises
        StoreUnusable.

        A server opens it `exclusive`, which one process at a time can. Only then is an older file upgraded, are old
        copies beside it removed, and are there uploads.
        """
        lock = connection.lock(path) if exclusive else None
        folder: ChunkFolder | None = None
        connections: list[aiosqlite.Connection] = []
        try:
            upgraded = connection.open_or_create(path, is_alone=exclusive)
            write_connection = connection.connect(path, WriteConnection)
            connections.append(await aiosqlite.Connection(lambda: write_connection, ITER_CHUNK_SIZE))
            (write_connection.next_id,) = write_connection.execute(reads.NEXT_ID).fetchone()
            write_connection.reconfigure(keep_seconds, audit_seconds, max_bytes)
            if exclusive:
                (last_seen_at,) = write_connection.execute(reads.LAST_SEEN).fetchone()
                snapshot.remove_old(path, last_seen_at, write_connection.keep_ms)
            connect = partial(connection.connect, path, sqlite3.Connection)
            for _ in range(3):
                connections.append(await aiosqlite.Connection(connect, ITER_CHUNK_SIZE))
            folder = ChunkFolder.open(files or folder_of(path), is_needed=files is not None) if exclusive else None
            return cls(path, lock, write_connection, connections, upgraded, folder)
        except BaseException:
            if folder is not None:
                folder.close()
            for opened in connections:
                await opened.close()
            if lock is not None:
                os.close(lock)
            raise

    def reconfigure(self, keep_seconds: int, audit_seconds: int, max_bytes: int) -> None:
        self._write_connection.reconfigure(keep_seconds, audit_seconds, max_bytes)

    async def close(self) -> None:
        """Finish all writes, move the log into the file, close it. May be called twice."""
        await self._commits.finish()
        for reader in (self._reader, self._list_reader, self._checkpoint_connection):
            await reader.close()
        with contextlib.suppress(sqlite3.Error, ValueError):
            await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        await self._writer.close()
        if self._files is not None:
            self._files.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Writing

    async def add(self, secret: Secret) -> None:
        await self._add(secret)

    async def add_with_files(self, secret: Secret, upload_id: str, token_digest: bytes) -> int:
        remaining: int = await self._add(lambda db: uploads.add_with_secret(db, secret, upload_id, token_digest))
        return remaining

    async def _add(self, write: Write) -> Any:
        try:
            return await self._commits.write(write)
        except sqlite3.Error as error:
            raise _ADD_ERRORS.get(getattr(error, "sqlite_errorname", ""), StorageFailed)() from error

    async def claim(
        self,
        link_id: str,
        now: int,
        *,
        access_hash: str | None = None,
        passcode: str | None = None,
        client: str = "",
        by: str | None = None,
        max_bytes: int = MAX_BYTES,
        grant: NewGrant | None = None,
    ) -> Claimed | None:
        claim = Claim(link_id, now, access_hash, passcode, client, by, max_bytes, grant)
        claimed: Claimed | None = await self._write(claim)
        return claimed

    async def attempt(self, link_id: str, client: str, now: int) -> Attempt | None:
        return await self._call(lambda db: passcode_attempts.attempt(db, link_id, client, now))

    async def attempts_left(self, link_id: str, client: str, now: int) -> int:
        return await self._call(lambda db: passcode_attempts.attempts_left(db, link_id, client, now))

    async def record(
        self, link_id: str, event: str, now: int, reason: str | None = None, by: str | None = None
    ) -> None:
        await self._call(lambda db: writes.record(db, link_id, event, now, reason, by))

    async def edit(
        self, receipt_id: str, changes: Changes, now: int, by: str | None = None, detail: str | None = None
    ) -> State | None:
        return await self._call(lambda db: edits.edit(db, receipt_id, changes, now, by, detail))

    async def burn(
        self, receipt_id: str, now: int, by: str | None = None, detail: str | None = None, *, with_grants: bool = False
    ) -> State | None:
        return await self._call(lambda db: writes.burn(db, receipt_id, now, by, detail, with_grants=with_grants))

    async def reap(self, now: int, limit: int) -> int:
        count, expired = await self._call(lambda db: writes.reap(db, now, limit))
        self._expired.update(expired)
        return count

    async def add_key(self, key: ApiKey) -> None:
        await self._call(lambda db: keys.add(db, key))

    async def revoke_keys(self, prefix: str, now: int) -> tuple[ApiKey, ...]:
        return await self._call(lambda db: keys.revoke(db, prefix, now))

    async def ping(self, now: int) -> None:
        await self._call(lambda db: writes.update_last_seen(db, now))

    # Reading

    async def peek(self, link_id: str, now: int) -> Peek | None:
        row = await self._peeks.get(link_id)
        return reads.peek(row, now) if row else None

    async def receipt(self, receipt_id: str, now: int) -> Receipt | None:
        row = await self._fetch_one(reads.RECEIPT, (receipt_id,))
        events = await self._fetch(reads.EVENTS, (receipt_id,))
        files = await self._fetch(reads.RECEIPT_FILES, (now, receipt_id))
        locks = await self._fetch(passcode_attempts.LOCKS, (receipt_id, now))
        # As much work for none: time tells nobody.
        receipt = reads.receipt(row or reads.NO_RECEIPT, now, events, files, locks)
        return receipt if row else None

    async def receipts(self, filter: Filter, now: int) -> Page:
        parameters = reads.filter_parameters(filter, now)
        rows = await self._fetch_list(reads.RECEIPTS, parameters)
        [(total,)] = await self._fetch_list(reads.COUNT, parameters)
        listed = msgspec.json.encode([row[0] for row in rows]).decode()
        files = {row[-1]: row[:-1] for row in await self._fetch_list(reads.LISTED_FILES, (now, listed))}
        receipts = tuple(reads.receipt(row, now, files=[files[row[0]]] if row[0] in files else ()) for row in rows)
        return Page(receipts=receipts, page=filter.page, limit=filter.limit, total=total)

    async def stats(self, account: str, now: int, since: tuple[int, int, int], format: str | None = None) -> Stats:
        day, week, month = since
        parameters = {"account": account, "format": format, "now": now, "day": day, "week": week, "month": month}
        forgotten = await self._fetch_list(reads.FORGOTTEN_STATS, (account,)) if format is None else []
        return reads.stats([*await self._fetch_list(reads.STATS, parameters), *forgotten])

    async def find_key(self, digest: bytes) -> ApiKey | None:
        row = await self._keys.get(digest)
        return reads.key(row) if row else None

    async def keys(self) -> tuple[ApiKey, ...]:
        return tuple(reads.key(row) for row in await self._fetch(reads.KEYS, ()))

    async def free_bytes(self) -> int:
        (used,) = await self._fetch_one(USED_BYTES, ())
        return self._write_connection.max_bytes - int(used)

    async def statistics(self, now: int) -> StoreStats:
        [(oldest,)] = await self._fetch_list(OLDEST_DUE, ())
        return StoreStats(
            secrets=await self._counter.counts(now),
            expired=self._expired,
            overdue_ms=0 if oldest is None else max(0, now - oldest),
            used_bytes=self._write_connection.max_bytes - await self.free_bytes(),
            max_bytes=self._write_connection.max_bytes,
            file_bytes=file_bytes(self._path),
            log_bytes=self._checkpointer.wal_bytes(),
            batches=self._commits.batches,
            commit_seconds=self._commits.seconds,
            files=await self.uploads.usage(now),
        )

    async def audit_mark(self) -> str:
        row = await self._fetch_one(audit_log.LAST, ())
        return (audit_log.ChainPosition(*row) if row else audit_log.EMPTY).mark

    async def last_seen_at(self) -> int:
        (last_seen_at,) = await self._fetch_one(reads.LAST_SEEN, ())
        return int(last_seen_at)

    async def _fetch_one(self, sql: str, parameters: Any) -> Any:
        rows = await self._fetch(sql, parameters)
        return rows[0] if rows else None

    async def _fetch(self, sql: str, parameters: Any) -> Any:
        return await _fetch_all(self._reader, sql, parameters)

    async def _fetch_list(self, sql: str, parameters: Any) -> Any:
        """Read what may take many rows, apart from the reads that every request waits for."""
        async with self._list_turn:
            return await _fetch_all(self._list_reader, sql, parameters)

    async def _call(self, write: Callable[[WriteConnection], T]) -> T:
        result: T = await self._write(write)
        return result

    async def _write(self, write: Write) -> Any:
        try:
            return await self._commits.write(write)
        except sqlite3.Error as error:
            raise StorageFailed() from error


async def _fetch_all(connection: aiosqlite.Connection, sql: str, parameters: Any) -> Any:
    try:
        return await connection.execute_fetchall(sql, parameters)
    except (sqlite3.Error, ValueError) as error:  # ValueError: closed meanwhile
        raise StorageFailed() from error

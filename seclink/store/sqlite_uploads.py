"""The uploads of the SQLite store: their rows, beside the files that have their bytes."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from seclink.model import Grant, Upload
from seclink.store import uploads
from seclink.store.chunk_files import ChunkFolder
from seclink.store.contract import FilesUsage, Room
from seclink.store.write_connection import WriteConnection

Call = Callable[[Callable[[WriteConnection], Any]], Awaitable[Any]]
Fetch = Callable[[str, Any], Awaitable[Any]]


class SqliteUploads:
    """`UploadStore` on SQLite. `call` runs a write, `fetch` a read, `fetch_list` one of many rows."""

    def __init__(self, files: ChunkFolder, call: Call, fetch: Fetch, fetch_list: Fetch) -> None:
        self.files, self._call, self._fetch, self._fetch_list = files, call, fetch, fetch_list

    async def add(self, upload: Upload, plain_bytes: int, room: Room, disk_bytes: int) -> None:
        await self._call(lambda db: uploads.add(db, upload, plain_bytes, room, disk_bytes))

    async def find(self, upload_id: str) -> Upload | None:
        rows = await self._fetch(uploads.UPLOAD, (upload_id,))
        return uploads.upload(rows[0]) if rows else None

    async def add_chunk(self, upload_id: str, chunk: int, now: int) -> None:
        await self._call(lambda db: uploads.add_chunk(db, upload_id, chunk, now))

    async def end(self, upload_id: str) -> None:
        await self._call(lambda db: uploads.end(db, upload_id))

    async def attached_file(self, link_id: str) -> tuple[str, int] | None:
        rows = await self._fetch(uploads.ATTACHED_FILE, (link_id,))
        return (rows[0][0], rows[0][1]) if rows else None

    async def find_grant(self, digest: bytes, now: int) -> Grant | None:
        rows = await self._fetch(uploads.GRANT, (digest,))
        return uploads.grant(rows[0], now) if rows else None

    async def start_grant(self, digest: bytes, now: int) -> None:
        await self._call(lambda db: uploads.start_grant(db, digest, now))

    async def end_grant(self, digest: bytes, now: int) -> bool:
        is_ended: bool = await self._call(lambda db: uploads.end_grant(db, digest, now))
        return is_ended

    async def sweep(self, now: int) -> tuple[int, tuple[str, ...]]:
        ids = [id for (id,) in await self._fetch_list(uploads.DUE, {"now": now})]
        swept = await self._call(lambda db: uploads.sweep(db, ids, now)) if ids else uploads.NOTHING
        await self.files.erase(swept.files)
        return len(ids), tuple(swept.upload_ids)

    async def unfinished(self) -> Sequence[tuple[str, str | None]]:
        rows: Sequence[tuple[str, str | None]] = await self._fetch_list(uploads.UNFINISHED, ())
        return rows

    async def usage(self, now: int) -> FilesUsage:
        [numbers] = await self._fetch_list(uploads.USAGE, {"now": now})
        return FilesUsage(**dict(zip(FilesUsage.__struct_fields__, map(int, numbers), strict=True)))


def reconcile(db: sqlite3.Connection, files: ChunkFolder) -> int:
    """Make folder and database agree after a crash; return how many attached uploads have lost their file.

    Files that no row knows are erased, and uploads without their file, unless secrets wait for it: those stay, because
    the folder may come back, and until then they are not revealed.
    """
    known, present = {name for (name,) in db.execute(uploads.NAMES)}, files.names()
    files.remove(present - known)
    lost = sorted(known - present)
    db.executemany(
        "DELETE FROM uploads WHERE file = ? AND NOT EXISTS (SELECT 1 FROM attachments WHERE upload = uploads.id)",
        [(name,) for name in lost],
    )
    return sum(db.execute("SELECT count(*) FROM uploads WHERE file = ?", (name,)).fetchone()[0] for name in lost)

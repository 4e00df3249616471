"""The statements about files: uploads, their attachment to secrets, and the grants of readers. Like `writes`, in a
transaction of the caller.

The bytes are not here but in `chunk_files`. A chunk counts from the moment at which its bit is committed, which is
after its bytes are durable. A file is erased once its row here is gone: when no secret can be attached any more, and
none of those attached has a view or a grant left.
"""

import sqlite3
from typing import Any

import msgspec
from msgspec import Struct

from seclink.errors import FilesFull, UploadIncomplete, UploadUnknown, UploadUsed
from seclink.model import UPLOAD_IDLE_MS, UPLOAD_MS, Grant, Secret, Upload
from seclink.store.contract import Room
from seclink.store.reads import state_at
from seclink.store.write_connection import WriteConnection
from seclink.store.writes import add_all, add_event

MAX_SWEPT = 200

_COLUMNS = "upload_id, token_digest, file, account, size, received, outstanding, created_at, due_at"
UPLOAD = f"SELECT {_COLUMNS} FROM uploads WHERE upload_id = ?"
GRANT = """
    SELECT a.size, u.file, g.expires_at, g.ended_at, g.started_at, s.state, s.expires_at, s.ended_at
    FROM grants AS g JOIN attachments AS a ON a.secret = g.secret JOIN secrets AS s ON s.id = g.secret
         LEFT JOIN uploads AS u ON u.id = a.upload
    WHERE g.digest = ?
"""
ATTACHED_FILE = """
    SELECT u.file, u.size
    FROM secrets AS s JOIN attachments AS a ON a.secret = s.id JOIN uploads AS u ON u.id = a.upload
    WHERE s.link_id = ?
"""
USAGE = """
    SELECT count(*), total(plain_bytes), total(stored_bytes), total(size - stored_bytes), total(outstanding > 0),
           (SELECT count(*) FROM grants WHERE ended_at IS NULL AND expires_at > :now)
    FROM uploads
"""
NAMES = "SELECT file FROM uploads"
UNFINISHED = "SELECT upload_id, account FROM uploads WHERE outstanding > 0"
# An upload may go once no secret can be attached and each attached one has ended, and so have its readers' grants.
# With :now = 0 the clock decides nothing: only what was ended on purpose has ended.
_DONE = """
    outstanding = 0 AND NOT EXISTS (
        SELECT 1 FROM attachments AS a JOIN secrets AS s ON s.id = a.secret
        WHERE a.upload = uploads.id AND (
            s.state = 'active' AND s.expires_at > :now
            OR EXISTS (SELECT 1 FROM grants AS g
                       WHERE g.secret = a.secret AND g.ended_at IS NULL AND g.expires_at > :now)))
"""
DUE = f"""
    SELECT id FROM uploads WHERE (outstanding > 0 AND due_at <= :now) OR ({_DONE}) LIMIT {MAX_SWEPT}
"""


class Swept(Struct, frozen=True):
    """The uploads that have ended, and the files that nobody needs any more."""

    upload_ids: list[str]
    files: list[str]


NOTHING = Swept([], [])


def upload(row: tuple[Any, ...]) -> Upload:
    upload_id, token_digest, file, account, size, received, outstanding, created_at, due_at = row
    return Upload(
        upload_id=upload_id,
        token_digest=token_digest,
        file=file,
        account=account,
        size=size,
        received=received,
        outstanding=outstanding,
        created_at=created_at,
        expires_at=due_at,
    )


def grant(row: tuple[Any, ...], now: int) -> Grant:
    size, file, expires_at, ended_at, started_at, state, secret_expires_at, secret_ended_at = row
    return Grant(
        size=size,
        file=file,
        expires_at=expires_at,
        is_ended=ended_at is not None,
        was_started=started_at is not None,
        state=state_at(state, secret_expires_at, now),
        secret_ended_at=secret_ended_at,
    )


def add(db: WriteConnection, upload: Upload, plain_bytes: int, room: Room, disk_bytes: int) -> None:
    """Add an upload and reserve its room. Raises FilesFull."""
    (total, anonymous, unwritten) = db.execute(
        "SELECT total(plain_bytes), total(iif(account IS NULL, plain_bytes, 0)), total(size - stored_bytes)"
        " FROM uploads"
    ).fetchone()
    is_anonymous = upload.account is None
    if (
        total + plain_bytes > room.total_bytes
        or (is_anonymous and anonymous + plain_bytes > room.anonymous_bytes)
        or unwritten + upload.size > disk_bytes
    ):
        raise FilesFull()
    db.reserve(len(upload.received) + 512, is_anonymous=is_anonymous)
    db.execute(
        f"INSERT INTO uploads ({_COLUMNS}, plain_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            upload.upload_id,
            upload.token_digest,
            upload.file,
            upload.account,
            upload.size,
            upload.received,
            upload.outstanding,
            upload.created_at,
            upload.expires_at,
            plain_bytes,
        ),
    )


def add_chunk(db: sqlite3.Connection, upload_id: str, chunk: int, now: int) -> None:
    """Count a chunk whose bytes are durable. Raises UploadUnknown if the upload has ended meanwhile."""
    row = db.execute(f"{UPLOAD} AND outstanding > 0 AND due_at > ?", (upload_id, now)).fetchone()
    if row is None:
        raise UploadUnknown()
    known = upload(row)
    if known.has(chunk):
        return
    received = bytearray(known.received)
    received[chunk // 8] |= 1 << chunk % 8
    db.execute(
        "UPDATE uploads SET received = ?, stored_bytes = stored_bytes + ?, due_at = max(due_at, min(?, created_at + ?))"
        " WHERE upload_id = ?",
        (bytes(received), known.length(chunk), now + UPLOAD_IDLE_MS, UPLOAD_MS, upload_id),
    )


def add_with_secret(db: WriteConnection, secret: Secret, upload_id: str, token_digest: bytes) -> int:
    """Add a secret with the files of an upload; return how many more secrets the upload may be attached to.

    Raises UploadUnknown, UploadUsed, UploadIncomplete, StorageFull.
    """
    row = db.execute(f"SELECT {_COLUMNS}, id FROM uploads WHERE upload_id = ?", (upload_id,)).fetchone()
    known = upload(row[:-1]) if row else None
    if known is None or known.token_digest != token_digest or known.account != secret.account:
        raise UploadUnknown()
    if not known.outstanding:
        raise UploadUsed()
    if known.expires_at <= secret.created_at:
        raise UploadUnknown()
    if not all(map(known.has, range(known.chunks))):
        raise UploadIncomplete()
    id = db.next_id
    add_all(db, [secret])
    db.execute("INSERT INTO attachments (secret, upload, size) VALUES (?, ?, ?)", (id, row[-1], known.size))
    db.execute("UPDATE uploads SET outstanding = outstanding - 1 WHERE id = ?", (row[-1],))
    return known.outstanding - 1


def end(db: sqlite3.Connection, upload_id: str) -> None:
    """End what is outstanding of an upload."""
    db.execute("UPDATE uploads SET outstanding = 0 WHERE upload_id = ?", (upload_id,))


def start_grant(db: sqlite3.Connection, digest: bytes, now: int) -> None:
    """Note that a reader downloads, once."""
    row = db.execute(
        "UPDATE grants SET started_at = ? WHERE digest = ? AND started_at IS NULL RETURNING secret", (now, digest)
    ).fetchone()
    if row:
        add_event(db, row[0], "download_started", now)


def end_grant(db: sqlite3.Connection, digest: bytes, now: int) -> bool:
    """End a reader's grant, who has everything; return False if it had ended."""
    row = db.execute(
        "UPDATE grants SET ended_at = ?1 WHERE digest = ?2 AND ended_at IS NULL AND expires_at > ?1 RETURNING secret",
        (now, digest),
    ).fetchone()
    if row:
        add_event(db, row[0], "downloaded", now)
    return row is not None


def sweep(db: sqlite3.Connection, ids: list[int], now: int) -> Swept:
    """End those uploads that are due, and forget those that nobody needs any more."""
    parameters = {"ids": msgspec.json.encode(ids).decode(), "now": now}
    due = db.execute(
        "UPDATE uploads SET outstanding = 0 WHERE id IN (SELECT value FROM json_each(:ids))"
        " AND outstanding > 0 AND due_at <= :now RETURNING upload_id",
        parameters,
    ).fetchall()
    done = db.execute(
        f"DELETE FROM uploads WHERE id IN (SELECT value FROM json_each(:ids)) AND {_DONE} RETURNING upload_id, file",
        parameters,
    ).fetchall()
    ended = {upload_id for (upload_id,) in due} | {upload_id for upload_id, _ in done}
    return Swept(upload_ids=sorted(ended), files=[file for _, file in done])

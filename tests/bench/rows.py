"""A database with a million secrets, filled past the server with the store's own schema.

Rows are what creates would have left: random linkIds, receiptIds that grow with time, 1 KiB of random payload, a proof
of key, days left to live. They are written without a log or a sync, which is why this takes seconds; the file is whole
and on the disk before a server opens it.
"""

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from seclink.domain import tokens
from seclink.store import connection

from .dialects import ACCESS_HASH, PAYLOAD_BYTES

LIFE_MS = 8 * 86_400_000
SPACING_MS = 500  # between two creates
POOL = 8 * 2**20  # payloads are slices of so many random bytes

SECRET = """
    INSERT INTO secrets (id, link_id, receipt_id, manage_digest, format, expiry_type, created_at, expires_at, due_at,
                         max_views, access_hash, passcode_required)
    VALUES (?, ?, ?, ?, 'raw', 'view_once', ?, ?, ?, 1, ?, 0)
"""


def fill(path: Path, count: int, ids: Path) -> None:
    """Add `count` live secrets; `ids` gets their linkIds, in random order."""
    connection.open_or_create(path)
    link_ids: list[str] = []
    with _Fast(path) as db:
        (first,) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM secrets").fetchone()
        db.executemany(SECRET, _secrets(first, count, link_ids))
        db.executemany("INSERT INTO payloads (id, iv, payload) VALUES (?, ?, ?)", _payloads(first, count))
    random.shuffle(link_ids)
    ids.write_text("\n".join(link_ids) + "\n")


def expire(path: Path) -> int:
    """Let every live secret have expired long ago, one after the other; how many there are."""
    with _Fast(path) as db:
        return db.execute(
            "UPDATE secrets SET expires_at = created_at + 1, due_at = created_at + 1 WHERE state = 'active'"
        ).rowcount


class _Fast:
    """One big transaction, neither logged nor synced until its end."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        self._db = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("BEGIN")
        return self._db

    def __exit__(self, *_: object) -> None:
        self._db.execute("COMMIT")
        self._db.close()
        with self._path.open("rb+") as file:
            os.fsync(file)


def _secrets(first: int, count: int, link_ids: list[str]) -> Iterator[tuple[object, ...]]:
    begin = int(time.time() * 1000) - count * SPACING_MS
    for number in range(count):
        created_at = begin + number * SPACING_MS
        names = tokens.mint(created_at)
        link_ids.append(names.link_id)
        instants = (created_at, created_at + LIFE_MS, created_at + LIFE_MS)
        yield first + number, names.link_id, names.receipt_id, os.urandom(32), *instants, ACCESS_HASH


def _payloads(first: int, count: int) -> Iterator[tuple[int, bytes, bytes]]:
    pool = os.urandom(POOL)
    for id in range(first, first + count):
        at = random.randrange(POOL - PAYLOAD_BYTES)
        yield id, pool[at : at + 12], pool[at : at + PAYLOAD_BYTES]

"""Passcode tries: counted before they are checked, kept over restarts, given back when they were right.

A client range may try a few times in a window, everybody together a few times more; whoever lacks the link's key never
gets here, so strangers cannot use up a reader's tries.
"""

import hashlib
import sqlite3

from seclink.model import ATTEMPT_WINDOW_MS, ATTEMPTS_PER_CLIENT, ATTEMPTS_PER_SECRET, Attempt


def attempt(db: sqlite3.Connection, link_id: str, client: str, now: int) -> Attempt | None:
    row = db.execute(
        "SELECT id, passcode_tries, expires_at FROM secrets WHERE link_id = ? AND state = 'active' AND expires_at > ?",
        (link_id, now),
    ).fetchone()
    if row is None:
        return None
    id, total, expires_at = row
    if total >= ATTEMPTS_PER_SECRET:
        return Attempt(is_allowed=False, left=0, retry_after=_seconds(expires_at - now))
    # One statement counts the try, or opens a new window, or (no row back) refuses: nobody can slip in between.
    counted = db.execute(
        """
        INSERT INTO attempts (secret, client, since, tries) VALUES (:id, :client, :now, 1)
        ON CONFLICT DO UPDATE SET tries = iif(:now - since >= :window, 1, tries + 1),
            since = iif(:now - since >= :window, :now, since)
        WHERE tries < :limit OR :now - since >= :window
        RETURNING tries
        """,
        {
            "id": id,
            "client": _client(db, id, client),
            "now": now,
            "window": ATTEMPT_WINDOW_MS,
            "limit": ATTEMPTS_PER_CLIENT,
        },
    ).fetchall()
    if not counted:
        (since,) = db.execute(
            "SELECT since FROM attempts WHERE secret = ? AND client = ?", (id, _client(db, id, client))
        ).fetchone()
        return Attempt(is_allowed=False, left=0, retry_after=_seconds(since + ATTEMPT_WINDOW_MS - now))
    db.execute("UPDATE secrets SET passcode_tries = passcode_tries + 1 WHERE id = ?", (id,))
    return Attempt(
        is_allowed=True, left=min(ATTEMPTS_PER_CLIENT - counted[0][0], ATTEMPTS_PER_SECRET - total - 1), retry_after=0
    )


def left(db: sqlite3.Connection, link_id: str, client: str, now: int) -> int:
    row = db.execute(
        "SELECT id, passcode_tries FROM secrets WHERE link_id = ? AND state = 'active' AND expires_at > ?",
        (link_id, now),
    ).fetchone()
    if row is None:
        return 0
    used = db.execute(
        "SELECT tries FROM attempts WHERE secret = ? AND client = ? AND since > ?",
        (row[0], _client(db, row[0], client), now - ATTEMPT_WINDOW_MS),
    ).fetchone()
    tries = used[0] if used else 0
    return max(0, int(min(ATTEMPTS_PER_CLIENT - tries, ATTEMPTS_PER_SECRET - row[1])))


def refund(db: sqlite3.Connection, id: int, client: str) -> None:
    """The try was right and the secret lives on: many readers must not lock each other out."""
    db.execute("UPDATE secrets SET passcode_tries = max(passcode_tries - 1, 0) WHERE id = ?", (id,))
    db.execute(
        "UPDATE attempts SET tries = max(tries - 1, 0) WHERE secret = ? AND client = ?", (id, _client(db, id, client))
    )


def _client(db: sqlite3.Connection, id: int, client: str) -> bytes:
    """A client range as it is kept:

    salted, and different for each secret, so that the table is no list of addresses.
    """
    (salt,) = db.execute("SELECT salt FROM meta").fetchone()
    return hashlib.blake2b(f"{id} {client}".encode(), key=salt, digest_size=8).digest()


def _seconds(ms: int) -> int:
    return max(1, -(-ms // 1000))

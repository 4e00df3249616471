"""Passcode attempts: counted before the passcode is checked, kept over restarts, given back when it was right.

A client range has a few attempts in each window, and all clients together have a few more per secret. Only a caller
with the link's key gets this far, so strangers cannot use up a reader's attempts. The reaper erases who tried as soon
as it no longer counts.
"""

import hashlib
import sqlite3

from seclink.model import ATTEMPT_WINDOW_MS, ATTEMPTS_PER_CLIENT, ATTEMPTS_PER_SECRET, Attempt


def attempt(db: sqlite3.Connection, link_id: str, client: str, now: int) -> Attempt | None:
    secret = _live_secret(db, link_id, now)
    if secret is None:
        return None
    id, total, expires_at = secret
    if total >= ATTEMPTS_PER_SECRET:
        return Attempt(is_allowed=False, attempts_left=0, retry_after=_seconds(expires_at - now))
    client_digest = _client_digest(db, id, client)
    attempts = _count(db, id, client_digest, now)
    if attempts is None:
        (since,) = db.execute(
            "SELECT since FROM attempts WHERE secret = ? AND client = ?", (id, client_digest)
        ).fetchone()
        return Attempt(is_allowed=False, attempts_left=0, retry_after=_seconds(since + ATTEMPT_WINDOW_MS - now))
    db.execute("UPDATE secrets SET passcode_tries = passcode_tries + 1 WHERE id = ?", (id,))
    return Attempt(
        is_allowed=True,
        attempts_left=min(ATTEMPTS_PER_CLIENT - attempts, ATTEMPTS_PER_SECRET - total - 1),
        retry_after=0,
    )


def _count(db: sqlite3.Connection, id: int, client_digest: bytes, now: int) -> int | None:
    """Count an attempt of a client, in a new window if the last one is over.

    Return the attempts in the window, None if it is full. As one statement: nothing can slip in between.
    """
    rows = db.execute(
        """
        INSERT INTO attempts (secret, client, since, tries) VALUES (:id, :client, :now, 1)
        ON CONFLICT DO UPDATE SET tries = iif(:now - since >= :window, 1, tries + 1),
            since = iif(:now - since >= :window, :now, since)
        WHERE tries < :limit OR :now - since >= :window
        RETURNING tries
        """,
        {
            "id": id,
            "client": client_digest,
            "now": now,
            "window": ATTEMPT_WINDOW_MS,
            "limit": ATTEMPTS_PER_CLIENT,
        },
    ).fetchall()
    return int(rows[0][0]) if rows else None


def attempts_left(db: sqlite3.Connection, link_id: str, client: str, now: int) -> int:
    secret = _live_secret(db, link_id, now)
    if secret is None:
        return 0
    id, total, _ = secret
    row = db.execute(
        "SELECT tries FROM attempts WHERE secret = ? AND client = ? AND since > ?",
        (id, _client_digest(db, id, client), now - ATTEMPT_WINDOW_MS),
    ).fetchone()
    attempts = row[0] if row else 0
    return max(0, min(ATTEMPTS_PER_CLIENT - attempts, ATTEMPTS_PER_SECRET - total))


def refund(db: sqlite3.Connection, id: int, client: str) -> None:
    """Give back the attempt of a right passcode while the secret lives on: readers must not lock each other out."""
    db.execute("UPDATE secrets SET passcode_tries = max(passcode_tries - 1, 0) WHERE id = ?", (id,))
    db.execute(
        "UPDATE attempts SET tries = max(tries - 1, 0) WHERE secret = ? AND client = ?",
        (id, _client_digest(db, id, client)),
    )


def forget(db: sqlite3.Connection, now: int) -> None:
    """Erase which clients tried, where their window is over; how many tries a secret had stays."""
    db.execute("DELETE FROM attempts WHERE since <= ?", (now - ATTEMPT_WINDOW_MS,))


def _live_secret(db: sqlite3.Connection, link_id: str, now: int) -> tuple[int, int, int] | None:
    """Return id, attempts of all clients, and expiry of a live secret."""
    row: tuple[int, int, int] | None = db.execute(
        "SELECT id, passcode_tries, expires_at FROM secrets WHERE link_id = ? AND state = 'active' AND expires_at > ?",
        (link_id, now),
    ).fetchone()
    return row


def _client_digest(db: sqlite3.Connection, id: int, client: str) -> bytes:
    """Return a client range as it is stored: salted, and different for each secret, so the table lists no addresses.

    The salt lies beside it, and IPv4 addresses are few: who has the file can try them all, until the row is erased.
    """
    (salt,) = db.execute("SELECT salt FROM meta").fetchone()
    return hashlib.blake2b(f"{id} {client}".encode(), key=salt, digest_size=8).digest()


def _seconds(ms: int) -> int:
    return max(1, -(-ms // 1000))

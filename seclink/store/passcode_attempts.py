"""Passcode attempts: counted before the passcode is checked, kept over restarts, given back when it was right.

Where a secret asks for proof of its link's key, strangers never get this far: a client range has a few attempts in each
window, and all clients together have a few more. Where the linkId alone is enough, anyone who came across it could use
those up for the reader. So a range is locked for longer each time, and everybody pauses after every `PAUSE_AFTER`
attempts, for twice as long each time up to `MAX_PAUSE_MS`. The sender can forget all attempts.

A lock and a pause follow from the count of attempts, so giving an attempt back also ends the lock that it began. What
lies far ahead was noted by a wrong clock and counts for nothing. The reaper erases who tried as soon as it no longer
counts.
"""

import hashlib
import sqlite3
from collections.abc import Iterable

from msgspec import Struct

from seclink.model import (
    ATTEMPT_WINDOW_MS,
    ATTEMPTS_PER_CLIENT,
    ATTEMPTS_PER_SECRET,
    LOCKS_MS,
    MAX_PAUSE_MS,
    PAUSE_AFTER,
    PAUSE_MS,
    Attempt,
    Locks,
)

REMEMBERED_MS = 86_400_000  # after its last attempt, or the end of its lock, a range has a fresh start
_LONGEST_MS = LOCKS_MS[-1] + REMEMBERED_MS

LOCKS = """
    SELECT s.id, s.access_hash IS NOT NULL, s.passcode_tries, s.paused_at, s.expires_at,
           coalesce(a.tries, 0), coalesce(a.locks, 0), coalesce(a.since, 0), coalesce(a.due_at, 0)
    FROM secrets AS s LEFT JOIN attempts AS a ON a.secret = s.id
    WHERE s.receipt_id = :receipt AND s.state = 'active' AND s.expires_at > :now
"""


class _Total(Struct, frozen=True):
    """The attempts of all clients on a live secret. `paused_at` is when the latest pause began."""

    id: int
    needs_key: bool
    tries: int
    paused_at: int
    expires_at: int

    def closed_until(self, now: int) -> int:
        """Return until when nobody can try, 0 if somebody can."""
        if self.needs_key:
            return self.expires_at if self.tries >= ATTEMPTS_PER_SECRET else 0
        pauses, rest = divmod(self.tries, PAUSE_AFTER)
        if not pauses or rest or self.paused_at > now + MAX_PAUSE_MS:
            return 0
        until = self.paused_at + min(PAUSE_MS << min(pauses - 1, 30), MAX_PAUSE_MS)
        return until if until > now else 0

    def remaining(self) -> int:
        """Return the attempts of all clients until the next pause, or the end."""
        return ATTEMPTS_PER_SECRET - self.tries if self.needs_key else PAUSE_AFTER - self.tries % PAUSE_AFTER


class _Range(Struct, frozen=True):
    """The attempts of one client range. `since` is the start of their window, or the last attempt where no proof of key
    is needed. Each of the `locks` that are over made the next one longer.
    """

    tries: int = 0
    locks: int = 0
    since: int = 0
    due_at: int = 0

    def at(self, now: int, *, needs_key: bool) -> "_Range":
        """Return what counts of it now."""
        if not now < self.due_at <= now + _LONGEST_MS:
            return _Range()
        if self.tries >= ATTEMPTS_PER_CLIENT and self.until(needs_key=needs_key) <= now:
            return _Range(0, self.locks + 1, self.since, self.due_at)
        return self

    def until(self, *, needs_key: bool) -> int:
        """Return when its lock ends, 0 if it has none."""
        if self.tries < ATTEMPTS_PER_CLIENT:
            return 0
        return self.since + (ATTEMPT_WINDOW_MS if needs_key else LOCKS_MS[min(self.locks, len(LOCKS_MS) - 1)])

    def with_one_more(self, now: int, *, needs_key: bool) -> "_Range":
        since = self.since if needs_key and self.tries else now
        more = _Range(self.tries + 1, self.locks, since)
        due_at = since + ATTEMPT_WINDOW_MS if needs_key else max(now, more.until(needs_key=False)) + REMEMBERED_MS
        return _Range(more.tries, more.locks, since, due_at)


def attempt(db: sqlite3.Connection, link_id: str, client: str, now: int) -> Attempt | None:
    total = _total(db, link_id, now)
    if total is None:
        return None
    digest = _client_digest(db, total.id, client)
    counted = _range(db, total, digest, now)
    until = max(total.closed_until(now), counted.until(needs_key=total.needs_key))
    if until:
        return Attempt(is_allowed=False, attempts_left=0, retry_after=_seconds(until - now))
    counted = counted.with_one_more(now, needs_key=total.needs_key)
    db.execute(
        "INSERT OR REPLACE INTO attempts (secret, client, since, tries, locks, due_at) VALUES (?, ?, ?, ?, ?, ?)",
        (total.id, digest, counted.since, counted.tries, counted.locks, counted.due_at),
    )
    db.execute(
        "UPDATE secrets SET passcode_tries = passcode_tries + 1,"
        " paused_at = iif((passcode_tries + 1) % ?, paused_at, ?) WHERE id = ?",
        (PAUSE_AFTER, now, total.id),
    )
    remaining = min(ATTEMPTS_PER_CLIENT - counted.tries, total.remaining() - 1)
    return Attempt(is_allowed=True, attempts_left=remaining, retry_after=0)


def attempts_left(db: sqlite3.Connection, link_id: str, client: str, now: int) -> int:
    total = _total(db, link_id, now)
    if total is None or total.closed_until(now):
        return 0
    counted = _range(db, total, _client_digest(db, total.id, client), now)
    return min(ATTEMPTS_PER_CLIENT - counted.tries, total.remaining())


def refund(db: sqlite3.Connection, id: int, client: str) -> None:
    """Give back the attempt of a right passcode while the secret lives on: readers must not lock each other out."""
    db.execute("UPDATE secrets SET passcode_tries = max(passcode_tries - 1, 0) WHERE id = ?", (id,))
    db.execute(
        "UPDATE attempts SET tries = max(tries - 1, 0) WHERE secret = ? AND client = ?",
        (id, _client_digest(db, id, client)),
    )


def reset(db: sqlite3.Connection, id: int) -> bool:
    """Forget all attempts on a secret, and with them locks and pauses; return whether there was any."""
    ranges = db.execute("DELETE FROM attempts WHERE secret = ?", (id,)).rowcount
    tries = db.execute(
        "UPDATE secrets SET passcode_tries = 0, paused_at = 0 WHERE id = ? AND (passcode_tries > 0 OR paused_at > 0)",
        (id,),
    ).rowcount
    return ranges + tries > 0


def forget(db: sqlite3.Connection, now: int) -> None:
    """Erase which clients tried, where it no longer counts; how many tries a secret had stays."""
    db.execute("DELETE FROM attempts WHERE due_at <= ? OR due_at > ?", (now, now + _LONGEST_MS))


def locks(rows: Iterable[tuple[int, ...]], now: int) -> Locks:
    """Return the locks of a secret, as its sender sees them, from the rows of `LOCKS`."""
    until, clients = 0, 0
    for id, needs_key, tries, paused_at, expires_at, *client in rows:
        total = _Total(id, bool(needs_key), tries, paused_at, expires_at)
        until = total.closed_until(now)
        clients += _Range(*client).at(now, needs_key=total.needs_key).tries >= ATTEMPTS_PER_CLIENT
    return Locks(until or None, clients)


def _total(db: sqlite3.Connection, link_id: str, now: int) -> _Total | None:
    """Return the attempts of all clients on a live secret."""
    row = db.execute(
        "SELECT id, access_hash IS NOT NULL, passcode_tries, paused_at, expires_at FROM secrets"
        " WHERE link_id = ? AND state = 'active' AND expires_at > ?",
        (link_id, now),
    ).fetchone()
    return row and _Total(row[0], bool(row[1]), *row[2:])


def _range(db: sqlite3.Connection, total: _Total, digest: bytes, now: int) -> _Range:
    """Return what counts of a client range now."""
    row = db.execute(
        "SELECT tries, locks, since, due_at FROM attempts WHERE secret = ? AND client = ?", (total.id, digest)
    ).fetchone()
    return _Range(*row or ()).at(now, needs_key=total.needs_key)


def _client_digest(db: sqlite3.Connection, id: int, client: str) -> bytes:
    """Return a client range as it is stored: salted, and different for each secret, so the table lists no addresses.

    The salt lies beside it, and IPv4 addresses are few: who has the file can try them all, until the row is erased.
    """
    (salt,) = db.execute("SELECT salt FROM meta").fetchone()
    return hashlib.blake2b(f"{id} {client}".encode(), key=salt, digest_size=8).digest()


def _seconds(ms: int) -> int:
    return max(1, -(-ms // 1000))

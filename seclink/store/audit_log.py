"""The audit trail: who did what to which secret or key, each entry sealed by a digest of itself and all before it.

An entry is written in the same transaction as the change it records, so neither exists without the other. It names
accounts, receiptIds and key prefixes, which open nothing. It holds nothing of a secret, no address and no free text.

Entries past their retention are pruned from the beginning: the last pruned one stays as a bare digest, to which the
rest is chained. A chain alone cannot show that its end was cut off or that all of it was rewritten. A *mark*, noted
outside the database, can.
"""

import hashlib
import itertools
import sqlite3

import msgspec
from msgspec import Struct

MAX_PRUNED, PRUNE_INTERVAL_MS = 1000, 3_600_000
PRUNED = "forgotten"  # the event of the entry that records a pruning
MARK_DIGITS = 32
LAST = "SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1"
OLDEST = """
    SELECT seq, coalesce(CASE WHEN json_valid(entry) THEN CAST(entry ->> 'at' AS INTEGER) END, 0),
           CASE WHEN json_valid(entry) THEN entry ->> 'event' END
    FROM audit WHERE entry IS NOT NULL ORDER BY seq LIMIT ?
"""
ADD = "INSERT INTO audit SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)"  # one, however many rows
AFTER = "SELECT seq, entry, digest FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"


class AuditEntry(Struct, frozen=True, omit_defaults=True):
    """One event.

    `at` is in epoch milliseconds. `account` owns the secret or key. `by` is the account whose key was used: None for a
    holder of the link or the manage token, for the server itself, and for the command line.
    """

    at: int
    event: str
    account: str | None = None
    by: str | None = None
    receipt: str | None = None
    detail: str | None = None


class ChainPosition(Struct, frozen=True):
    """The place of an entry in the chain: its number, and its digest in 64 hexadecimal digits."""

    seq: int
    digest: str

    @property
    def mark(self) -> str:
        return f"{self.seq}:{self.digest[:MARK_DIGITS]}"


class AuditedConnection(sqlite3.Connection):
    """A connection whose transactions end with the `pending` audit entries.

    `head` is the end of the trail after the last write here, None if it must be read again. `prune_at` is when to look
    for old entries next.
    """

    pending: list[AuditEntry]
    head: ChainPosition | None = None
    prune_at: int = 0


EMPTY = ChainPosition(0, "")
_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(AuditEntry).decode


def chained(head: ChainPosition, entry: AuditEntry) -> tuple[ChainPosition, str]:
    """Return the head of the trail with the entry added, and the entry's text."""
    text = _encode(entry).decode()
    return ChainPosition(head.seq + 1, chained_digest(head, text)), text


def chained_digest(previous: ChainPosition, text: str) -> str:
    return hashlib.sha256(f"{previous.digest} {previous.seq + 1} {text}".encode()).hexdigest()


def head(db: sqlite3.Connection) -> ChainPosition:
    """Read the end of the trail. An emptied trail can be appended to all the same, but will not verify."""
    row = db.execute(LAST).fetchone()
    return ChainPosition(*row) if row else EMPTY


def append(db: sqlite3.Connection, after: ChainPosition, entries: list[AuditEntry]) -> ChainPosition:
    """Add entries in the current transaction. Raises sqlite3.IntegrityError if `after` is no longer the end."""
    rows = []
    for entry in entries:
        after, text = chained(after, entry)
        rows.append((after.seq, text, after.digest))
    db.execute(ADD, (msgspec.json.encode(rows).decode(),))
    return after


def prune(db: AuditedConnection, before: int, now: int) -> int:
    """Drop entries older than `before` from the beginning, at most 1,000 at a time and once an hour; return the count.

    An entry records how far the trail was pruned: entries that are missing without it were removed by someone else.
    Such an entry is not pruned on its own, or each pruning would leave another one behind.

    An unreadable entry, or one with a time after `now`, has no known age: it is pruned together with its neighbours.
    Another process may have written some of the pruned entries, so the remembered head is forgotten: it might be gone,
    and an entry chained to it would not collide with anything.
    """
    if now < db.prune_at:
        return 0
    cursor = db.execute(OLDEST, (MAX_PRUNED,))
    old = list(itertools.takewhile(lambda row: not before <= row[1] <= now, cursor))
    cursor.close()
    db.prune_at = now if len(old) == MAX_PRUNED else now + PRUNE_INTERVAL_MS
    while old and not 0 < old[-1][1] < before:
        old.pop()
    if all(event == PRUNED for _, _, event in old):
        return 0
    last = old[-1][0]
    db.execute("UPDATE audit SET entry = NULL WHERE seq = ?", (last,))
    db.execute("DELETE FROM audit WHERE seq < ?", (last,))
    db.head = None
    db.pending.append(AuditEntry(now, PRUNED, detail=pruned_detail(last)))
    return len(old)


def pruned_detail(last: int) -> str:
    return f"up to entry {last}"


def rows(db: sqlite3.Connection, after: int, limit: int) -> list[tuple[int, str | None, str]]:
    """Return number, text and digest of the entries behind number `after`. A pruned first one has no text."""
    return db.execute(AFTER, (after, limit)).fetchall()

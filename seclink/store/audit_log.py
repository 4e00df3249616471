"""The audit trail: who did what to which secret or key, each entry sealed by a digest of itself and all before it.

An entry is written in the transaction of what it tells, so neither is there without the other. It names accounts,
receiptIds and key prefixes, which open nothing, and holds nothing of a secret, no address and no text anybody wrote.
What is older than the trail is kept leaves it from its beginning: the last entry that left stays as a bare digest, to
which the rest is chained. A chain alone cannot tell whether its end was cut off or all of it was made anew; a *mark*,
noted elsewhere, can.
"""

import hashlib
import itertools
import sqlite3

import msgspec
from msgspec import Struct

PRUNED_AT_ONCE, PAUSE_MS = 1000, 3_600_000
FORGOTTEN = "forgotten"
MARK_DIGITS = 32
LAST = "SELECT seq, digest FROM audit ORDER BY seq DESC LIMIT 1"
OLDEST = """
    SELECT seq, coalesce(CASE WHEN json_valid(entry) THEN CAST(entry ->> 'at' AS INTEGER) END, 0),
           CASE WHEN json_valid(entry) THEN entry ->> 'event' END
    FROM audit WHERE entry IS NOT NULL ORDER BY seq LIMIT ?
"""
ADD = "INSERT INTO audit SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?)"  # one, however many there are
AFTER = "SELECT seq, entry, digest FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"


class AuditEntry(Struct, frozen=True, omit_defaults=True):
    """`at` in epoch milliseconds. `account` is whose secret or key it is, `by` the account whose key it was done with:
    None for whoever held the link or the manage token, for the server itself, and for the command line.
    """

    at: int
    event: str
    account: str | None = None
    by: str | None = None
    receipt: str | None = None
    detail: str | None = None


class AuditHead(Struct, frozen=True):
    """Where the trail ends: the number of its last entry, and that entry's digest in 64 hexadecimal digits."""

    seq: int
    digest: str

    @property
    def mark(self) -> str:
        return f"{self.seq}:{self.digest[:MARK_DIGITS]}"


class Audited(sqlite3.Connection):
    """A connection that ends its transactions with the entries that were told in them. `head` is where the trail ended
    when it last wrote to it; None: it has to look. `prune_due` is when it looks again for what is too old.
    """

    told: list[AuditEntry]
    head: AuditHead | None = None
    prune_due: int = 0


NOTHING = AuditHead(0, "")
_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(AuditEntry).decode


def chained(head: AuditHead, entry: AuditEntry) -> tuple[AuditHead, str]:
    """The entry's text, and where the trail ends with it."""
    text = _encode(entry).decode()
    return AuditHead(head.seq + 1, digest_of(head, text)), text


def digest_of(previous: AuditHead, text: str) -> str:
    return hashlib.sha256(f"{previous.digest} {previous.seq + 1} {text}".encode()).hexdigest()


def head(db: sqlite3.Connection) -> AuditHead:
    """Where the trail ends. One that somebody has emptied goes on all the same, and will not verify."""
    row = db.execute(LAST).fetchone()
    return AuditHead(*row) if row else NOTHING


def append(db: sqlite3.Connection, after: AuditHead, entries: list[AuditEntry]) -> AuditHead:
    """Write entries, in a transaction. sqlite3.IntegrityError where `after` is not the end any more."""
    rows = []
    for each in entries:
        after, text = chained(after, each)
        rows.append((after.seq, text, after.digest))
    db.execute(ADD, (msgspec.json.encode(rows).decode(),))
    return after


def prune(db: Audited, before: int, now: int) -> int:
    """Let what is older than `before` leave the trail from its beginning, some at a time, once an hour; how many did.
    An entry says so: what has gone without one did not leave, it was taken. Of itself such an entry does not leave, or
    there would always be another.

    An entry that cannot be read or is ahead of `now` is of no known age: it leaves with its neighbours. Among what
    leaves may be what another process has written: an end that was remembered before could be gone, and an entry after
    it would collide with nothing.
    """
    if now < db.prune_due:
        return 0
    oldest = db.execute(OLDEST, (PRUNED_AT_ONCE,))
    leaving = list(itertools.takewhile(lambda row: not before <= row[1] <= now, oldest))
    oldest.close()
    db.prune_due = now if len(leaving) == PRUNED_AT_ONCE else now + PAUSE_MS
    while leaving and not 0 < leaving[-1][1] < before:
        leaving.pop()
    if all(event == FORGOTTEN for _, _, event in leaving):
        return 0
    last = leaving[-1][0]
    db.execute("UPDATE audit SET entry = NULL WHERE seq = ?", (last,))
    db.execute("DELETE FROM audit WHERE seq < ?", (last,))
    db.head = None
    db.told.append(AuditEntry(now, FORGOTTEN, detail=f"up to entry {last}"))
    return len(leaving)


def rows(db: sqlite3.Connection, after: int, limit: int) -> list[tuple[int, str | None, str]]:
    """Number, text and digest of what comes after that number. The first may be one that has left: it has no text."""
    return db.execute(AFTER, (after, limit)).fetchall()

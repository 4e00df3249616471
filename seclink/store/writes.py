"""The statements that add, end and remove secrets, in full. Each function runs in a transaction of the caller.

Adding, claiming and ending work on whole sets. A thread that steps through rows one by one loses the interpreter lock
at every step, and under load waits up to a switch interval to get it back; so a batch is a handful of single-row
statements, whatever its size.
"""

import sqlite3
from typing import Any

import msgspec

from seclink.model import Secret, State
from seclink.store import audit_log, passcode_attempts
from seclink.store.audit_log import AuditedConnection, AuditEntry, ChainPosition
from seclink.store.connection import placeholder_count
from seclink.store.db_pages import pad_to_whole_pages
from seclink.store.reads import state_at
from seclink.store.write_connection import WriteConnection

ROW_BYTES = 8192  # what a secret takes besides its payload, generously
# In one round: erasing rewrites every page, and SQLite keeps the old ones in memory until the commit.
MAX_REAPED_BYTES = 4 * 2**20
HISTORY = ("peeked", "passcode_wrong", "locked", "reported")  # the events of `record` that a receipt shows
LONGEST_LIFE_MS = 366 * 86_400_000
MAX_EVENTS = 100  # of a kind, per secret: a secret that is revealed without limit must not grow without limit

_COLUMNS = (
    "id, link_id, receipt_id, manage_digest, account, format, expiry_type, created_at, expires_at, due_at, max_views,"
    " access_hash, passcode, passcode_required, public_note, label, bytes, iv, payload, seq, entry, digest"
)
_WIDTH = _COLUMNS.count(",") + 1
_ROW = "(?" + ",?" * (_WIDTH - 1) + ")"


def add_all(db: WriteConnection, secrets: list[Secret]) -> None:
    """Add secrets with their payloads and audit entries, in one statement: it is atomic without a transaction, too.

    Raises StorageFull.
    """
    db.reserve(
        sum(len(secret.payload) + ROW_BYTES for secret in secrets),
        is_anonymous=any(secret.account is None for secret in secrets),
    )
    head = db.head or audit_log.head(db)
    values: list[Any] = []
    for id, secret in enumerate(secrets, db.next_id):
        created = AuditEntry(
            secret.created_at, "created", secret.account, secret.account, secret.receipt_id, secret.format
        )
        head, entry = audit_log.chained(head, created)
        values += _values(id, secret, head, entry)
    count = placeholder_count(len(secrets))
    values += [None] * (_WIDTH * (count - len(secrets)))  # the view's trigger ignores rows without an id
    db.execute(f"INSERT INTO arrivals ({_COLUMNS}) VALUES {_ROW}" + f",{_ROW}" * (count - 1), values)
    db.head, db.next_id = head, db.next_id + len(secrets)


def _values(id: int, secret: Secret, head: ChainPosition, entry: str) -> tuple[Any, ...]:
    """Return the values of _COLUMNS for a new secret."""
    return (
        id,
        secret.link_id,
        secret.receipt_id,
        secret.manage_digest,
        secret.account,
        secret.format,
        secret.expiry_type,
        secret.created_at,
        secret.expires_at,
        secret.expires_at,
        secret.max_views,
        secret.access_hash,
        secret.passcode,
        secret.passcode is not None,
        secret.public_note,
        secret.label,
        len(secret.payload),
        secret.iv,
        pad_to_whole_pages(secret.iv, secret.payload),
        head.seq,
        entry,
        head.digest,
    )


def end_and_erase(db: WriteConnection, ended: list[tuple[int, int]], state: State, views: int = 0) -> None:
    """End secrets, as pairs of (id, instant), and count `views` for each; erase all but what their receipts show.

    The schema's trigger erases payloads and attempts in the same statement.
    """
    if not ended:
        return
    db.execute(
        """
        UPDATE secrets SET state = ?, views = views + ?, ended_at = ended.value ->> 1,
               due_at = (ended.value ->> 1) + ?, bytes = 0,
               access_hash = NULL, passcode = NULL, public_note = NULL, label = NULL
        FROM json_each(?) AS ended WHERE secrets.id = ended.value ->> 0
        """,
        (state, views, db.keep_ms, msgspec.json.encode(ended).decode()),
    )


def record(
    db: AuditedConnection, link_id: str, event: str, now: int, reason: str | None = None, by: str | None = None
) -> None:
    row = db.execute("SELECT id, account, receipt_id FROM secrets WHERE link_id = ?", (link_id,)).fetchone()
    if row is None:
        return
    id, account, receipt_id = row
    if event == "peeked":
        updated = db.execute(
            "UPDATE secrets SET peeked_at = ? WHERE id = ? AND peeked_at IS NULL AND state = 'active'", (now, id)
        )
        if updated.rowcount:
            add_event(db, id, event, now)
    elif event not in HISTORY or add_event(db, id, event, now, reason):
        name, detail = ("reported", None) if event == "reported" else ("failed", event)
        db.pending.append(AuditEntry(now, name, account, by, receipt_id, detail))


def burn(
    db: WriteConnection,
    receipt_id: str,
    now: int,
    by: str | None = None,
    detail: str | None = None,
    *,
    with_grants: bool = False,
) -> State | None:
    row = db.execute(
        "SELECT id, state, expires_at, account FROM secrets WHERE receipt_id = ?", (receipt_id,)
    ).fetchone()
    if row is None:
        return None
    id, stored_state, expires_at, account = row
    state = state_at(stored_state, expires_at, now)
    has_grants = with_grants and _end_grants(db, id, now)
    if state is State.ACTIVE:
        end_and_erase(db, [(id, now)], State.BURNED)
    elif has_grants:  # the state stays as it was, and only the event tells
        add_event(db, id, "burned", now)
        state = State.ACTIVE
    if state is State.ACTIVE:
        db.pending.append(AuditEntry(now, "burned", account, by, receipt_id, detail))
    return state


def _end_grants(db: sqlite3.Connection, secret: int, now: int) -> bool:
    """End all grants of a secret; return whether there was one."""
    ended = db.execute(
        "UPDATE grants SET ended_at = ?1 WHERE secret = ?2 AND ended_at IS NULL AND expires_at > ?1", (now, secret)
    )
    return ended.rowcount > 0


def reap(db: WriteConnection, now: int, limit: int) -> tuple[int, list[str]]:
    """End expired secrets, delete rows past their retention, prune the audit trail, forget who tried a passcode.

    Return the number of those rows, and the formats of the expired secrets.
    """
    (due_json,) = db.execute(
        """
        SELECT json_group_array(json_array(id, expires_at, state, format, account, receipt_id))
        FROM (SELECT *, sum(bytes) OVER (ORDER BY due_at, id) - bytes AS before
              FROM (SELECT * FROM secrets WHERE due_at <= ? ORDER BY due_at, id LIMIT ?))
        WHERE before < ?
        """,
        (now, limit, MAX_REAPED_BYTES),
    ).fetchone()
    due: list[tuple[int, int, str, str, str | None, str]] = msgspec.json.decode(due_json)
    expired = [row for row in due if row[2] == State.ACTIVE]
    end_and_erase(db, [(id, expires_at) for id, expires_at, *_ in expired], State.EXPIRED)
    db.pending += [AuditEntry(at, "expired", account, None, receipt_id) for _, at, _, _, account, receipt_id in expired]
    _forget(db, [id for id, _, state, *_ in due if state != State.ACTIVE])
    _pull_back(db, now)
    passcode_attempts.forget(db, now)
    update_last_seen(db, now)
    return len(due) + audit_log.prune(db, now - db.audit_ms, now), [format for _, _, _, format, _, _ in expired]


def _pull_back(db: WriteConnection, now: int) -> None:
    """Move rows whose end lies further ahead than any end may into the present: their clock was wrong."""
    db.execute(
        """
        UPDATE secrets SET created_at = min(created_at, :now), ended_at = min(ended_at, :now),
               expires_at = min(created_at, :now) + min(expires_at - created_at, :longest),
               due_at = iif(state <> 'active', :now + :keep,
                            min(created_at, :now) + min(expires_at - created_at, :longest))
        WHERE due_at > :now + :keep + :longest AND (state = 'active' OR ended_at > :now)
        """,
        {"now": now, "keep": db.keep_ms, "longest": LONGEST_LIFE_MS},
    )


def _forget(db: sqlite3.Connection, ids: list[int]) -> None:
    """Remove ended secrets, and add them to the totals of their accounts."""
    if not ids:
        return
    parameters = (msgspec.json.encode(ids).decode(),)
    db.execute(
        """
        INSERT INTO purged (account, total, revealed, burned, expired, views, with_passcode)
        SELECT account, count(*), total(state = 'revealed'), total(state = 'burned'), total(state = 'expired'),
               sum(views), sum(passcode_required)
        FROM secrets WHERE id IN (SELECT value FROM json_each(?)) AND account IS NOT NULL GROUP BY account
        ON CONFLICT DO UPDATE SET total = total + excluded.total, revealed = revealed + excluded.revealed,
            burned = burned + excluded.burned, expired = expired + excluded.expired, views = views + excluded.views,
            with_passcode = with_passcode + excluded.with_passcode
        """,
        parameters,
    )
    db.execute("DELETE FROM secrets WHERE id IN (SELECT value FROM json_each(?))", parameters)


def update_last_seen(db: sqlite3.Connection, now: int) -> None:
    db.execute("UPDATE meta SET clock_mark = max(clock_mark, ?)", (now,))


def add_event(db: sqlite3.Connection, id: int, type: str, at: int, reason: str | None = None) -> bool:
    """Add to a secret's history; return False if it is full of that kind. No kind of event can crowd out another."""
    added = db.execute(
        "INSERT INTO events (secret, at, type, reason) SELECT ?1, ?2, ?3, ?4"
        " WHERE (SELECT count(*) FROM events WHERE secret = ?1 AND type = ?3) < ?5",
        (id, at, type, reason, MAX_EVENTS),
    )
    return added.rowcount > 0

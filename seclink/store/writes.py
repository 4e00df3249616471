"""Every statement that changes the database, in full. Each function runs inside the writer's transaction and never
opens one.

Adding and claiming work on whole sets: a thread that steps through rows one by one loses the interpreter lock
at every step, and under load waits up to a switch interval to get it back; so a batch is a handful of
single-row statements, whatever its size. The claim is the only place that reads a payload, and it hands out the
last view only together with its erasure.
"""

import sqlite3
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from seclink.errors import BadRequest, Fault, Limit, StorageFull
from seclink.model import Changes, Claimed, Secret, State
from seclink.store import audit_log, passcode_attempts
from seclink.store.audit_log import Audited, AuditEntry, AuditHead
from seclink.store.db_pages import used_bytes, whole_pages

# A round of reaping: erasing rewrites every page, and SQLite keeps their former selves in memory until it is done.
REAPED_BYTES = 4 * 2**20
HISTORY = ("peeked", "passcode_wrong", "reported")  # what a receipt shows of what `record` is told
CHANGED = {
    "expires_at": "lifetime",
    "max_views": "views",
    "label": "label",
    "public_note": "note",
    "passcode": "passcode",
    "payload": "content",
}
KEPT_EVENTS = 100  # of a kind, per secret: an unlimited one that is read for ever must not grow for ever


class Claim(Struct, frozen=True):
    """What `Store.claim` was asked."""

    link_id: str
    now: int
    access_hash: str | None
    passcode: str | None
    client: str
    by: str | None = None


_COLUMNS = (
    "id, link_id, receipt_id, manage_digest, account, format, expiry_type, created_at, expires_at, due_at, max_views,"
    " access_hash, passcode, passcode_required, public_note, label, bytes, iv, payload, seq, entry, digest"
)
COLUMNS = 22
_ROW = "(?" + ",?" * (COLUMNS - 1) + ")"
_decode_found = msgspec.json.Decoder(
    list[tuple[int, int, str, str, str, int, int | None, int, str | None, int, str | None]]
).decode


def add_all(db: sqlite3.Connection, first_id: int, secrets: list[Secret], head: AuditHead) -> AuditHead:
    """One statement, so that it is atomic also where no transaction is open. `head` is where the audit trail ends; the
    answer, where it does then.
    """
    rows: list[Any] = []
    for number, each in enumerate(secrets, first_id):
        entry = AuditEntry(each.created_at, "created", each.account, each.account, each.receipt_id, each.format)
        head, text = audit_log.chained(head, entry)
        rows += (
            number,
            each.link_id,
            each.receipt_id,
            each.manage_digest,
            each.account,
            each.format,
            each.expiry_type,
            each.created_at,
            each.expires_at,
            each.expires_at,
            each.max_views,
            each.access_hash,
            each.passcode,
            each.passcode is not None,
            each.public_note,
            each.label,
            len(each.payload),
            each.iv,
            whole_pages(each.iv, each.payload),
            head.seq,
            text,
            head.digest,
        )
    places = _places(len(secrets))
    rows += [None] * (COLUMNS * (places - len(secrets)))  # rows without an id do not arrive
    db.execute(f"INSERT INTO arrivals ({_COLUMNS}) VALUES {_ROW}" + f",{_ROW}" * (places - 1), rows)
    return head


def _places(count: int) -> int:
    """Sets are filled up to a power of two: each size is a statement of its own in SQLite's memory."""
    return 1 << (count - 1).bit_length()


def claim_all(db: Audited, claims: list[Claim], keep_ms: int) -> list[Claimed | None]:
    """Take a view for each claim that fits. The claims name different secrets. Answers in their order."""
    asked = [(each.link_id, each.now, each.access_hash, each.passcode) for each in claims]
    links = [each.link_id for each in claims for _ in (0, 1)]
    places = _places(len(claims))
    one = ", (SELECT iv FROM payloads WHERE id = {0}), (SELECT payload FROM payloads WHERE id = {0})"
    one = one.format("(SELECT id FROM secrets WHERE link_id = ?)")
    found_json, *held = db.execute(
        """
        SELECT (SELECT json_group_array(json_array(asked.key, s.id, s.receipt_id, s.format, s.expiry_type, s.views + 1,
                                           s.max_views, s.expires_at, s.passcode, s.bytes, s.account))
        FROM json_each(?) AS asked JOIN secrets AS s ON s.link_id = asked.value ->> 0
        WHERE s.state = 'active' AND s.expires_at > asked.value ->> 1
          AND s.access_hash IS asked.value ->> 2
          AND (s.passcode IS NULL OR s.passcode = asked.value ->> 3))
        """
        + one * places,
        (msgspec.json.encode(asked).decode(), *links, *[None] * (2 * places - len(links))),
    ).fetchone()
    found = _decode_found(found_json)
    answers: list[Claimed | None] = [None] * len(claims)
    if not found:
        return answers
    for index, _, receipt_id, format, expiry_type, views, max_views, expires_at, _, size, account in found:
        answers[index] = Claimed(
            receipt_id=receipt_id,
            format=format,
            expiry_type=expiry_type,
            iv=held[2 * index],
            payload=held[2 * index + 1][:size],
            views_left=None if max_views is None else max_views - views,
            expires_at=expires_at,
        )
        if views <= KEPT_EVENTS or views == max_views:
            view, claim = f"view {views}" + (f" of {max_views}" if max_views else ""), claims[index]
            db.told.append(AuditEntry(claim.now, "revealed", account, claim.by, receipt_id, view))
    _end(db, [(row[1], claims[row[0]].now) for row in found if row[5] == row[6]], State.REVEALED, keep_ms, viewed=1)
    for index, id, *_, views, max_views, _, passcode, _, _ in found:
        if views != max_views:
            _view(db, id, claims[index], passcode is not None)
    return answers


def _view(db: sqlite3.Connection, id: int, claim: Claim, refund: bool) -> None:
    """One of several views: count it, and give a right passcode its try back."""
    db.execute("UPDATE secrets SET views = views + 1 WHERE id = ?", (id,))
    _event(db, id, "revealed", claim.now)
    if refund:
        passcode_attempts.refund(db, id, claim.client)


def _end(db: sqlite3.Connection, ended: list[tuple[int, int]], state: State, keep_ms: int, viewed: int = 0) -> None:
    """Bring secrets, given as (id, instant), to their end: erase everything but what their receipts tell.

    Payloads and tries go by the schema's trigger, in the same statement.
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
        (state, viewed, keep_ms, msgspec.json.encode(ended).decode()),
    )


def record(db: Audited, link_id: str, event: str, now: int, reason: str | None = None, by: str | None = None) -> None:
    row = db.execute("SELECT id, account, receipt_id FROM secrets WHERE link_id = ?", (link_id,)).fetchone()
    if row is None:
        return
    id, account, receipt_id = row
    if event == "peeked":
        updated = db.execute(
            "UPDATE secrets SET peeked_at = ? WHERE id = ? AND peeked_at IS NULL AND state = 'active'", (now, id)
        )
        if updated.rowcount:
            _event(db, id, event, now)
    elif event not in HISTORY or _event(db, id, event, now, reason):
        told = ("reported", None) if event == "reported" else ("failed", event)
        db.told.append(AuditEntry(now, told[0], account, by, receipt_id, told[1]))


def replace(
    db: Audited,
    receipt_id: str,
    changes: Changes,
    now: int,
    max_bytes: int,
    by: str | None = None,
    detail: str | None = None,
) -> State | None:
    row = db.execute(
        "SELECT id, state, expires_at, views, account FROM secrets WHERE receipt_id = ?", (receipt_id,)
    ).fetchone()
    if row is None:
        return None
    id, state, expires_at, views, account = row
    if state != State.ACTIVE or expires_at <= now:
        return State(state) if state != State.ACTIVE else State.EXPIRED
    if isinstance(changes.max_views, int) and changes.max_views <= views:
        message = f"must be more than the {views} already spent"
        raise BadRequest(faults=(Fault("maxViews", message, "out_of_range", Limit(min=views + 1)),))
    columns: dict[str, Any] = {
        name: getattr(changes, name)
        for name in ("expires_at", "max_views", "label", "public_note", "passcode")
        if getattr(changes, name) is not UNSET
    }
    if "expires_at" in columns:
        columns["due_at"] = columns["expires_at"]
    if "passcode" in columns:
        columns |= {"passcode_required": columns["passcode"] is not None, "passcode_tries": 0}
        db.execute("DELETE FROM attempts WHERE secret = ?", (id,))
    if columns:
        db.execute(
            f"UPDATE secrets SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?", (*columns.values(), id)
        )
    if changes.payload is not UNSET:
        padded = whole_pages(bytes(changes.iv or b""), changes.payload)
        if used_bytes(db) + len(padded) > max_bytes:
            raise StorageFull()
        db.execute("UPDATE payloads SET payload = ?, iv = ? WHERE id = ?", (padded, changes.iv, id))
        db.execute("UPDATE secrets SET bytes = ? WHERE id = ?", (len(changes.payload), id))
    if _event(db, id, "changed", now):
        what = ", ".join(CHANGED[name] for name in CHANGED if getattr(changes, name) is not UNSET)
        db.told.append(
            AuditEntry(now, "changed", account, by, receipt_id, " ".join(filter(None, (what, detail))) or None)
        )
    return State.ACTIVE


def burn(
    db: Audited, receipt_id: str, now: int, keep_ms: int, by: str | None = None, detail: str | None = None
) -> State | None:
    row = db.execute(
        "SELECT id, state, expires_at, account FROM secrets WHERE receipt_id = ?", (receipt_id,)
    ).fetchone()
    if row is None:
        return None
    id, state, expires_at, account = row
    if state != State.ACTIVE or expires_at <= now:
        return State(state) if state != State.ACTIVE else State.EXPIRED
    _end(db, [(id, now)], State.BURNED, keep_ms)
    db.told.append(AuditEntry(now, "burned", account, by, receipt_id, detail))
    return State.ACTIVE


def reap(db: Audited, now: int, limit: int, keep_ms: int, audit_ms: int) -> tuple[int, list[str]]:
    """How many were due, and the formats of those that have expired."""
    (due_json,) = db.execute(
        """
        SELECT json_group_array(json_array(id, expires_at, state, format, account, receipt_id))
        FROM (SELECT *, sum(bytes) OVER (ORDER BY due_at, id) - bytes AS before
              FROM (SELECT * FROM secrets WHERE due_at <= ? ORDER BY due_at, id LIMIT ?))
        WHERE before < ?
        """,
        (now, limit, REAPED_BYTES),
    ).fetchone()
    due: list[tuple[int, int, str, str, str | None, str]] = msgspec.json.decode(due_json)
    expired = [each for each in due if each[2] == State.ACTIVE]
    _end(db, [(id, expires_at) for id, expires_at, *_ in expired], State.EXPIRED, keep_ms)
    db.told += [AuditEntry(at, "expired", account, None, receipt_id) for _, at, _, _, account, receipt_id in expired]
    _forget(db, [id for id, _, state, *_ in due if state != State.ACTIVE])
    update_last_seen(db, now)
    return len(due) + audit_log.prune(db, now - audit_ms, now), [format for _, _, _, format, _, _ in expired]


def _forget(db: sqlite3.Connection, ids: list[int]) -> None:
    """Drop the remains of ended secrets; their account keeps the bare counts."""
    if not ids:
        return
    gone = (msgspec.json.encode(ids).decode(),)
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
        gone,
    )
    db.execute("DELETE FROM secrets WHERE id IN (SELECT value FROM json_each(?))", gone)


def update_last_seen(db: sqlite3.Connection, now: int) -> None:
    db.execute("UPDATE meta SET clock_mark = max(clock_mark, ?)", (now,))


def _event(db: sqlite3.Connection, id: int, type: str, at: int, reason: str | None = None) -> bool:
    """Whether there was still room for it in the secret's history; no kind of event can crowd out another."""
    added = db.execute(
        "INSERT INTO events (secret, at, type, reason) SELECT ?1, ?2, ?3, ?4"
        " WHERE (SELECT count(*) FROM events WHERE secret = ?1 AND type = ?3) < ?5",
        (id, at, type, reason, KEPT_EVENTS),
    )
    return added.rowcount > 0

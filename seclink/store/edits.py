"""Editing a live secret. Like `writes`, in a transaction of the caller."""

import sqlite3

from msgspec import UNSET

from seclink.errors import BadRequest, Fault, Limit, TooManyChanges
from seclink.model import Changes, State
from seclink.store import passcode_attempts
from seclink.store.audit_log import AuditEntry
from seclink.store.db_pages import pad_to_whole_pages
from seclink.store.reads import state_at
from seclink.store.write_connection import WriteConnection
from seclink.store.writes import MAX_EVENTS, add_event

# Member of Changes -> its name in the audit trail.
NAMES = {
    "expires_at": "lifetime",
    "max_views": "views",
    "label": "label",
    "public_note": "note",
    "passcode": "passcode",
    "payload": "content",
    "unlock": "unlock",
}
COLUMNS = ("expires_at", "max_views", "label", "public_note")


def edit(
    db: WriteConnection, receipt_id: str, changes: Changes, now: int, by: str | None = None, detail: str | None = None
) -> State | None:
    row = db.execute(
        "SELECT id, state, expires_at, views, account FROM secrets WHERE receipt_id = ?", (receipt_id,)
    ).fetchone()
    if row is None:
        return None
    id, stored_state, expires_at, views, account = row
    state = state_at(stored_state, expires_at, now)
    if state is not State.ACTIVE:
        return state
    events = _events(db, id, changes)
    if not events:
        return state
    if not all(add_event(db, id, type, now) for type in events):  # every one is in the audit trail, which has a bound
        raise TooManyChanges(f"A secret can be changed {MAX_EVENTS} times, and this one has been")
    _check_views(changes, views)
    _set_columns(db, id, changes)
    _set_passcode(db, id, changes)
    _set_payload(db, id, changes, is_anonymous=account is None)
    names = ", ".join(NAMES[name] for name in NAMES if getattr(changes, name) is not UNSET)
    text = " ".join(part for part in (names, detail) if part)
    db.pending.append(AuditEntry(now, "changed", account, by, receipt_id, text or None))
    return state


def _events(db: sqlite3.Connection, id: int, changes: Changes) -> list[str]:
    """Unlock if the changes say so; return the types of their events, none if nothing was locked or else changed."""
    is_unlock, is_unlocked = changes.unlock is True, False
    if is_unlock:
        is_unlocked = passcode_attempts.reset(db, id)
    is_changed = not is_unlock or any(getattr(changes, name) is not UNSET for name in NAMES if name != "unlock")
    return ["changed"] * is_changed + ["unlocked"] * is_unlocked


def _check_views(changes: Changes, views: int) -> None:
    """Raise BadRequest if the new maximum would end the secret."""
    if isinstance(changes.max_views, int) and changes.max_views <= views:
        message = f"must be more than the {views} already spent"
        raise BadRequest(faults=(Fault("maxViews", message, "out_of_range", Limit(min=views + 1)),))


def _set_columns(db: sqlite3.Connection, id: int, changes: Changes) -> None:
    columns = {name: value for name in COLUMNS if (value := getattr(changes, name)) is not UNSET}
    if "expires_at" in columns:
        columns["due_at"] = columns["expires_at"]
    if columns:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        db.execute(f"UPDATE secrets SET {assignments} WHERE id = ?", (*columns.values(), id))


def _set_passcode(db: sqlite3.Connection, id: int, changes: Changes) -> None:
    """Set or remove the passcode; either starts with fresh attempts."""
    if changes.passcode is UNSET:
        return
    passcode_attempts.reset(db, id)
    db.execute(
        "UPDATE secrets SET passcode = ?, passcode_required = ? WHERE id = ?",
        (changes.passcode, changes.passcode is not None, id),
    )


def _set_payload(db: WriteConnection, id: int, changes: Changes, *, is_anonymous: bool) -> None:
    """Replace the payload. Raises StorageFull."""
    if changes.payload is UNSET:
        return
    padded = pad_to_whole_pages(bytes(changes.iv or b""), changes.payload)
    db.reserve(len(padded), is_anonymous=is_anonymous)
    db.execute("UPDATE payloads SET payload = ?, iv = ? WHERE id = ?", (padded, changes.iv, id))
    db.execute("UPDATE secrets SET bytes = ? WHERE id = ?", (len(changes.payload), id))

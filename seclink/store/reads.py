"""Every statement that only looks, and how its rows become records. None of them reads a payload."""

from typing import Any

from seclink.model import ApiKey, Event, Filter, Peek, Rate, Receipt, Scope, State, Stats

PEEK = """
    SELECT link_id, receipt_id, format, expiry_type, state, created_at, expires_at, ended_at, max_views, views,
           access_hash, passcode, passcode_required, public_note, peeked_at
    FROM secrets WHERE link_id IN ({})
"""

_RECEIPT = """
    SELECT receipt_id, link_id, manage_digest, account, state, label, public_note, created_at, expires_at, ended_at,
           max_views, views, passcode_required, format
    FROM secrets
"""
RECEIPT = _RECEIPT + "WHERE receipt_id = ?"

EVENTS = """
    SELECT at, type, reason FROM events
    WHERE secret = (SELECT id FROM secrets WHERE receipt_id = ?) ORDER BY at, rowid
"""

_WANTED = """
    WHERE (:account IS NULL OR account = :account) AND (:format IS NULL OR format = :format)
      AND (:state IS NULL OR :state = iif(state = 'active' AND expires_at <= :now, 'expired', state))
      AND (:has_ended IS NULL OR :has_ended = (state <> 'active' OR expires_at <= :now))
      AND (:search IS NULL
           OR instr(lower(coalesce(label, '') || char(10) || coalesce(public_note, '')), lower(:search)))
"""
RECEIPTS = _RECEIPT + _WANTED + "ORDER BY id DESC LIMIT :limit OFFSET :offset"
COUNT = "SELECT count(*) FROM secrets" + _WANTED

STATS = """
    SELECT count(*), total(state = 'active' AND expires_at > :now),
           total(state = 'expired' OR state = 'active' AND expires_at <= :now),
           total(state = 'revealed'), total(state = 'burned'), total(views), total(passcode_required),
           total(created_at >= :day), total(created_at >= :week), total(created_at >= :month)
    FROM secrets WHERE account = :account AND (:format IS NULL OR format = :format)
"""
PURGED = "SELECT total, 0, expired, revealed, burned, views, with_passcode, 0, 0, 0 FROM purged WHERE account = ?"

_KEY = """
    SELECT digest, prefix, account, scopes, created_at, expires_at, rate_count, rate_seconds, revoked_at FROM api_keys
"""
KEY = _KEY + "WHERE digest IN ({})"
KEYS = _KEY + "ORDER BY created_at"

CLOCK_MARK = "SELECT clock_mark FROM meta"


def peek(row: Any, now: int) -> Peek:
    state, ended_at = _state(row[4], row[6], row[7], now)
    return Peek(
        receipt_id=row[1],
        format=row[2],
        expiry_type=row[3],
        state=state,
        created_at=row[5],
        expires_at=row[6],
        ended_at=ended_at,
        max_views=row[8],
        views=row[9],
        access_hash=row[10],
        passcode=row[11],
        passcode_required=bool(row[12]),
        public_note=row[13],
        was_peeked=row[14] is not None,
    )


def receipt(row: Any, now: int, events: Any = ()) -> Receipt:
    """Creation and end stand in the row itself; only what lies between was kept as events."""
    state, ended_at = _state(row[4], row[8], row[9], now)
    history = [Event(row[7], "created"), *(Event(at, type, reason) for at, type, reason in events)]
    if ended_at is not None:
        history.append(Event(ended_at, str(state)))
    return Receipt(
        receipt_id=row[0],
        link_id=row[1],
        manage_digest=row[2],
        account=row[3],
        format=row[13],
        state=state,
        label=row[5],
        public_note=row[6],
        created_at=row[7],
        expires_at=row[8],
        max_views=row[10],
        views=row[11],
        passcode_required=bool(row[12]),
        events=tuple(sorted(history, key=lambda event: event.at)),
    )


def filter_parameters(wanted: Filter, now: int) -> dict[str, Any]:
    return {
        "account": wanted.account,
        "format": wanted.format,
        "state": wanted.state,
        "has_ended": wanted.has_ended,
        "search": wanted.search,
        "now": now,
        "limit": wanted.limit,
        "offset": (wanted.page - 1) * wanted.limit,
    }


def stats(rows: Any) -> Stats:
    """The counts of what is kept and of what has been forgotten, added up."""
    return Stats(*(int(sum(column)) for column in zip(*rows, strict=True)))


def key(row: Any) -> ApiKey:
    return ApiKey(
        digest=row[0],
        prefix=row[1],
        account=row[2],
        scopes=frozenset(Scope(each) for each in row[3].split()),
        created_at=row[4],
        expires_at=row[5],
        rate=Rate(row[6], row[7]) if row[6] else None,
        revoked_at=row[8],
    )


def _state(state: str, expires_at: int, ended_at: int | None, now: int) -> tuple[State, int | None]:
    """A live secret past its time is expired, whether or not the reaper has come by."""
    if state == State.ACTIVE and expires_at <= now:
        return State.EXPIRED, expires_at
    return State(state), ended_at

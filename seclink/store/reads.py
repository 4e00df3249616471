"""The statements that only read, and the records that their rows become. None of them reads a payload.

Rows are unpacked in the order of their SELECT: access by name (`sqlite3.Row`) takes ten times as long, 5 us.
"""

from collections.abc import Iterable
from typing import Any

from seclink.model import ApiKey, Event, Filter, Peek, Rate, Receipt, ReceiptFiles, Scope, State, Stats
from seclink.store import passcode_attempts

PEEK = """
    SELECT link_id, receipt_id, format, expiry_type, state, created_at, expires_at, ended_at, max_views, views,
           access_hash, passcode, passcode_required, public_note, peeked_at, bytes,
           (SELECT size FROM attachments WHERE secret = secrets.id)
    FROM secrets WHERE link_id IN ({})
"""

# Events that may come after the end of a secret, if it has files.
AFTER_END = ("download_started", "downloaded", "burned")

_RECEIPT = """
    SELECT receipt_id, link_id, manage_digest, account, state, label, public_note, created_at, expires_at, ended_at,
           max_views, views, passcode_required, format
    FROM secrets
"""
NO_RECEIPT = ("", "", b"", None, "active", None, None, 0, 0, None, None, 0, 0, "")
RECEIPT = _RECEIPT + "WHERE receipt_id = ?"

EVENTS = """
    SELECT at, type, reason FROM events
    WHERE secret = (SELECT id FROM secrets WHERE receipt_id = ?) ORDER BY at, rowid
"""

_FILES = """
    SELECT a.size, count(g.digest), max(g.expires_at){}
    FROM attachments AS a
         LEFT JOIN grants AS g ON g.secret = a.secret AND g.ended_at IS NULL AND g.expires_at > :now
    WHERE a.secret {} GROUP BY a.secret
"""
RECEIPT_FILES = _FILES.format("", "= (SELECT id FROM secrets WHERE receipt_id = :receipt)")
LISTED_FILES = _FILES.format(
    ", (SELECT receipt_id FROM secrets WHERE id = a.secret)",
    "IN (SELECT id FROM secrets WHERE receipt_id IN (SELECT value FROM json_each(:receipts)))",
)

_FILTER = """
    WHERE (:account IS NULL OR account = :account) AND (:format IS NULL OR format = :format)
      AND (:state IS NULL OR :state = iif(state = 'active' AND expires_at <= :now, 'expired', state))
      AND (:has_ended IS NULL OR :has_ended = (state <> 'active' OR expires_at <= :now))
      AND (:search IS NULL
           OR instr(lower(coalesce(label, '') || char(10) || coalesce(public_note, '')), lower(:search)))
"""
RECEIPTS = _RECEIPT + _FILTER + "ORDER BY id DESC LIMIT :limit OFFSET :offset"
COUNT = "SELECT count(*) FROM secrets" + _FILTER

STATS = """
    SELECT count(*), total(state = 'active' AND expires_at > :now),
           total(state = 'expired' OR state = 'active' AND expires_at <= :now),
           total(state = 'revealed'), total(state = 'burned'), total(views), total(passcode_required),
           total(created_at >= :day), total(created_at >= :week), total(created_at >= :month)
    FROM secrets WHERE account = :account AND (:format IS NULL OR format = :format)
"""
FORGOTTEN_STATS = (
    "SELECT total, 0, expired, revealed, burned, views, with_passcode, 0, 0, 0 FROM purged WHERE account = ?"
)

KEY_COLUMNS = "digest, prefix, account, scopes, created_at, expires_at, rate_count, rate_seconds, revoked_at"
KEY = f"SELECT {KEY_COLUMNS} FROM api_keys WHERE digest IN ({{}})"
KEYS = f"SELECT {KEY_COLUMNS} FROM api_keys ORDER BY created_at"

LAST_SEEN = "SELECT clock_mark FROM meta"
NEXT_ID = "SELECT coalesce(max(id), 0) + 1 FROM secrets"


def peek(row: tuple[Any, ...], now: int) -> Peek:
    (
        _, receipt_id, format, expiry_type, state, created_at, expires_at, ended_at, max_views, views,
        access_hash, passcode, passcode_required, public_note, peeked_at, size, files_size,
    ) = row  # fmt: skip
    state = state_at(state, expires_at, now)
    return Peek(
        receipt_id=receipt_id,
        format=format,
        expiry_type=expiry_type,
        state=state,
        created_at=created_at,
        expires_at=expires_at,
        ended_at=_ended_at(state, expires_at, ended_at),
        max_views=max_views,
        views=views,
        access_hash=access_hash,
        passcode=passcode,
        passcode_required=bool(passcode_required),
        public_note=public_note,
        was_peeked=peeked_at is not None,
        size=size,
        files_size=files_size,
    )


def receipt(
    row: tuple[Any, ...],
    now: int,
    events: Iterable[tuple[Any, ...]] = (),
    files: Iterable[tuple[int, int, int | None]] = (),
    locks: Iterable[tuple[int, ...]] = (),
) -> Receipt:
    """Return a receipt. Its creation and end come from the row itself; only the events in between have rows."""
    (
        receipt_id, link_id, manage_digest, account, state, label, public_note, created_at, expires_at, ended_at,
        max_views, views, passcode_required, format,
    ) = row  # fmt: skip
    state = state_at(state, expires_at, now)
    ended_at = _ended_at(state, expires_at, ended_at)
    history = [Event(created_at, "created"), *(Event(*event) for event in events)]
    if ended_at is not None:
        history.append(Event(ended_at, str(state)))
    history.sort(key=lambda event: (event.at, event.type in AFTER_END and event.type != state))
    return Receipt(
        receipt_id=receipt_id,
        link_id=link_id,
        manage_digest=manage_digest,
        account=account,
        format=format,
        state=state,
        label=label,
        public_note=public_note,
        created_at=created_at,
        expires_at=expires_at,
        max_views=max_views,
        views=views,
        passcode_required=bool(passcode_required),
        events=tuple(history),
        files=next((ReceiptFiles(*row) for row in files), None),
        locks=passcode_attempts.locks(locks, now),
    )


def state_at(stored: str, expires_at: int, now: int) -> State:
    """Return the state of a secret: an active one past its time is expired, reaped or not."""
    return State.EXPIRED if stored == State.ACTIVE and expires_at <= now else State(stored)


def _ended_at(state: State, expires_at: int, stored: int | None) -> int | None:
    return expires_at if state is State.EXPIRED and stored is None else stored


def filter_parameters(filter: Filter, now: int) -> dict[str, Any]:
    return {
        "account": filter.account,
        "format": filter.format,
        "state": filter.state,
        "has_ended": filter.has_ended,
        "search": filter.search,
        "now": now,
        "limit": filter.limit,
        "offset": (filter.page - 1) * filter.limit,
    }


def stats(rows: Iterable[tuple[float, ...]]) -> Stats:
    """Return the sums of the rows: the counts of existing secrets, and of forgotten ones."""
    return Stats(*(int(sum(column)) for column in zip(*rows, strict=True)))


def key(row: tuple[Any, ...]) -> ApiKey:
    digest, prefix, account, scopes, created_at, expires_at, rate_count, rate_seconds, revoked_at = row
    return ApiKey(
        digest=digest,
        prefix=prefix,
        account=account,
        scopes=frozenset(map(Scope, scopes.split())),
        created_at=created_at,
        expires_at=expires_at,
        rate=Rate(rate_count, rate_seconds) if rate_count else None,
        revoked_at=revoked_at,
    )

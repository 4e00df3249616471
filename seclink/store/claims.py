"""Taking views: the only place that reads a payload. The last view is handed out only together with its erasure.

Claims work on whole sets: see `writes`.
"""

import functools
import sqlite3
from typing import Any

import msgspec
from msgspec import Struct

from seclink.model import Claimed, FilesGrant, State
from seclink.store import passcode_attempts
from seclink.store.audit_log import AuditEntry
from seclink.store.connection import placeholder_count
from seclink.store.contract import NewGrant
from seclink.store.write_connection import WriteConnection
from seclink.store.writes import MAX_EVENTS, add_event, end_and_erase


class Claim(Struct, frozen=True):
    """The arguments of `Store.claim`."""

    link_id: str
    now: int
    access_hash: str | None
    passcode: str | None
    client: str
    by: str | None
    max_bytes: int
    grant: NewGrant | None = None


class _View(Struct, frozen=True, array_like=True):
    """A view that a claim may take: `claim` is its index, `number` counts this view, `size` is the payload's.

    In the order of the JSON array that the query builds.
    """

    claim: int
    id: int
    receipt_id: str
    format: str
    expiry_type: str
    number: int
    max_views: int | None
    expires_at: int
    passcode: str | None
    size: int
    account: str | None
    files_size: int | None

    @property
    def is_last(self) -> bool:
        return self.number == self.max_views

    def __str__(self) -> str:
        return f"view {self.number}" + (f" of {self.max_views}" if self.max_views else "")


_decode_views = msgspec.json.Decoder(list[_View]).decode


def claim_all(db: WriteConnection, claims: list[Claim]) -> list[Claimed | None]:
    """Take a view for each claim that may have one. The claims name different secrets; results are in their order."""
    results: list[Claimed | None] = [None] * len(claims)
    views, payloads = _find(db, claims)
    for view in views:
        iv, payload = payloads[view.claim]
        results[view.claim] = Claimed(
            receipt_id=view.receipt_id,
            format=view.format,
            expiry_type=view.expiry_type,
            iv=iv,
            payload=payload[: view.size],
            views_left=None if view.max_views is None else view.max_views - view.number,
            expires_at=view.expires_at,
            files=_add_grant(db, view, claims[view.claim].grant),
        )
        if view.number <= MAX_EVENTS or view.is_last:
            claim = claims[view.claim]
            db.pending.append(AuditEntry(claim.now, "revealed", view.account, claim.by, view.receipt_id, str(view)))
    end_and_erase(db, [(view.id, claims[view.claim].now) for view in views if view.is_last], State.REVEALED, views=1)
    for view in views:
        if not view.is_last:
            _count(db, view, claims[view.claim])
    return results


def _find(db: sqlite3.Connection, claims: list[Claim]) -> tuple[list[_View], list[tuple[bytes, bytes]]]:
    """Read, in one row, the views that the claims may take, and (iv, payload) for each claim in turn."""
    count = placeholder_count(len(claims))
    conditions = [
        (claim.link_id, claim.now, claim.access_hash, claim.passcode, claim.max_bytes, claim.grant is not None)
        for claim in claims
    ]
    names: list[Any] = [name for claim in claims for name in (claim.link_id, claim.max_bytes)]
    names += [None] * (2 * (count - len(claims)))
    views, *payloads = db.execute(_query(count), (msgspec.json.encode(conditions).decode(), *names)).fetchone()
    return _decode_views(views), list(zip(payloads[::2], payloads[1::2], strict=True))


@functools.cache
def _query(count: int) -> str:
    """A query whose parameters 2 to 2 * `count` + 1 are link ids and the largest payload to read of each, in turn."""
    payloads = "".join(
        f""",
        (SELECT iv FROM payloads WHERE id = (SELECT id FROM secrets WHERE link_id = ?{number})),
        (SELECT payload FROM payloads
         WHERE id = (SELECT id FROM secrets WHERE link_id = ?{number} AND bytes <= ?{number + 1}))"""
        for number in range(2, 2 * count + 2, 2)
    )
    return f"""
        SELECT (
            SELECT json_group_array(json_array(
                claim.key, s.id, s.receipt_id, s.format, s.expiry_type, s.views + 1, s.max_views, s.expires_at,
                s.passcode, s.bytes, s.account, a.size))
            FROM json_each(?1) AS claim JOIN secrets AS s ON s.link_id = claim.value ->> 0
                 LEFT JOIN attachments AS a ON a.secret = s.id
            WHERE s.state = 'active' AND s.expires_at > claim.value ->> 1
              AND s.access_hash IS claim.value ->> 2 AND s.bytes <= claim.value ->> 4
              AND (s.passcode IS NULL OR s.passcode = claim.value ->> 3)
              AND (a.secret IS NULL OR claim.value ->> 5)
        ){payloads}"""


def _add_grant(db: sqlite3.Connection, view: _View, grant: NewGrant | None) -> FilesGrant | None:
    """Give the reader the right to download the secret's files, if it has any."""
    if grant is None or view.files_size is None:
        return None
    db.execute(
        "INSERT INTO grants (digest, secret, expires_at) VALUES (?, ?, ?)", (grant.digest, view.id, grant.expires_at)
    )
    return FilesGrant(size=view.files_size, token="", expires_at=grant.expires_at)


def _count(db: sqlite3.Connection, view: _View, claim: Claim) -> None:
    """Count one of several views, and give a right passcode its attempt back."""
    db.execute("UPDATE secrets SET views = views + 1 WHERE id = ?", (view.id,))
    add_event(db, view.id, "revealed", claim.now)
    if view.passcode is not None:
        passcode_attempts.refund(db, view.id, claim.client)

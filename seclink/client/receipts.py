"""The sender's side: receipts, counts and the account. Each call is a generator that asks and is answered."""

import re
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from seclink.client.models import AccountInfo, AccountStats, ReceiptInfo, ReceiptList
from seclink.client.protocol import Flow, HttpRequest, exchange
from seclink.client.session import Session, seconds
from seclink.errors import BadRequest, Fault

RECEIPT_ID = re.compile(r"[A-Za-z0-9]{20}")


class Keep(Enum):
    """What `update` takes for "leave it as it is", since None has a meaning of its own."""

    KEEP = "keep"


KEEP = Keep.KEEP


def list_secrets(
    session: Session, status: str | None = None, search: str | None = None, page: int = 1, limit: int = 50
) -> Flow[ReceiptList]:
    """One page of the key's own receipts.

    `status` is active, revealed, burned or expired, `search` looks in labels and notes.
    """
    given = {"status": status, "search": search, "page": page, "limit": limit}
    query = urlencode({name: value for name, value in given.items() if value is not None}, errors="replace")
    return (yield from exchange(session.read(f"/receipts?{query}"), ReceiptList.of))


def get_details(session: Session, receipt_id: str, manage_token: str | None = None) -> Flow[ReceiptInfo]:
    """One receipt with its events, by its manage token or the key that created it."""
    return (yield from exchange(session.read(_receipt(receipt_id), manage_token), ReceiptInfo.of))


def update(
    session: Session,
    receipt_id: str,
    manage_token: str | None = None,
    *,
    hours: float | None = None,
    views: int | Keep | None = KEEP,
    description: str | Keep | None = KEEP,
    note: str | Keep | None = KEEP,
) -> Flow[ReceiptInfo]:
    """Change an active secret: `hours` from now, `views` in all (None: any number), None clears a label or
    note.
    """
    given = {"maxViews": views, "label": description, "publicNote": note}
    changes: dict[str, Any] = {member: value for member, value in given.items() if value is not KEEP}
    if hours is not None:
        changes["expiresIn"] = seconds(hours)
    request = HttpRequest("PATCH", session.url(_receipt(receipt_id)), session.headers(manage_token), changes)
    return (yield from exchange(request, ReceiptInfo.of))


def delete(session: Session, receipt_id: str, manage_token: str | None = None) -> Flow[None]:
    """Burn it: the payload is erased, whoever holds the link finds it gone."""
    request = HttpRequest("DELETE", session.url(_receipt(receipt_id)), session.headers(manage_token))
    return (yield from exchange(request, lambda _: None))


def get_stats(session: Session) -> Flow[AccountStats]:
    """The account's counts."""
    return (yield from exchange(session.read("/stats"), AccountStats.of))


def get_account(session: Session) -> Flow[AccountInfo]:
    """Whose key this is."""
    return (yield from exchange(session.read("/account"), AccountInfo.of))


def _receipt(receipt_id: str) -> str:
    # Refused here, because what people paste instead is the link, key and all.
    if not RECEIPT_ID.fullmatch(receipt_id):
        raise BadRequest(
            "That is not a receipt", (Fault("receiptId", "must be 20 letters and digits", "wrong_format"),)
        )
    return f"/receipts/{receipt_id}"

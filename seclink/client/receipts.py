"""The sender's calls: receipts, counts and the account. Each is a generator (see `protocol`)."""

import re
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from seclink.client.models import AccountInfo, AccountStats, ReceiptInfo, ReceiptList
from seclink.client.protocol import exchange
from seclink.client.session import Session, to_seconds
from seclink.client.steps import Flow, HttpRequest
from seclink.errors import BadRequest, Fault, LinkIncomplete
from seclink.format.link import LINK_ID
from seclink.format.pasted_link import parse_receipt

RECEIPT_ID = re.compile(r"[A-Za-z0-9]{20}")
_ID = re.compile(rf"{RECEIPT_ID.pattern}|{LINK_ID.pattern}")


class Keep(Enum):
    """The type of the default of `update`'s arguments, "leave unchanged", since None has its own meaning there."""

    KEEP = "keep"


KEEP = Keep.KEEP


def list_secrets(
    session: Session, status: str | None = None, search: str | None = None, page: int = 1, limit: int = 50
) -> Flow[ReceiptList]:
    """Return one page of the receipts of the API key's account, newest first.

    `status` is active, revealed, burned or expired; `search` is a text in the label or note; `limit` is the number of
    receipts per page, at most 100. Raises KeyRequired without an API key.
    """
    parameters = {"status": status, "search": search, "page": page, "limit": limit}
    query = urlencode({name: value for name, value in parameters.items() if value is not None}, errors="replace")
    return (yield from exchange(session.get(f"/receipts?{query}"), ReceiptList.of))


def get_details(session: Session, receipt_id: str, manage_token: str | None = None) -> Flow[ReceiptInfo]:
    """Return one receipt with its events. It needs the manage token, or the API key that created the secret.

    `receipt_id`, here and below, is the id, the receipt's link, which has the manage token, or the secret's linkId.

    Raises NotFound if the receipt does not exist or neither of them opens it.
    """
    url, credentials = _target(session, receipt_id, manage_token)
    return (yield from exchange(HttpRequest("GET", url, credentials, repeatable=True), ReceiptInfo.of))


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
    """Change an active secret and return its receipt. Arguments that are left out change nothing.

    `hours` is the new lifetime from now, `views` the total number of views (None: unlimited). `description` is what the
    rest of SecLink calls the label; None clears the label or the note. Raises NotActive if the secret has ended,
    TooManyChanges if it was changed a hundred times, BadRequest if a value is not allowed.
    """
    members = {"maxViews": views, "label": description, "publicNote": note}
    changes: dict[str, Any] = {member: value for member, value in members.items() if value is not KEEP}
    if hours is not None:
        changes["expiresIn"] = to_seconds(hours)
    request = HttpRequest("PATCH", *_target(session, receipt_id, manage_token), changes)
    return (yield from exchange(request, ReceiptInfo.of))


def unlock(session: Session, receipt_id: str, manage_token: str | None = None) -> Flow[ReceiptInfo]:
    """Forget the wrong passcodes of an active secret, so that its readers can try again, and return its receipt.

    Raises NotActive if the secret has ended, TooManyChanges if it was changed a hundred times.
    """
    request = HttpRequest("PATCH", *_target(session, receipt_id, manage_token), {"unlock": True})
    return (yield from exchange(request, ReceiptInfo.of))


def delete(session: Session, receipt_id: str, manage_token: str | None = None) -> Flow[None]:
    """Burn a secret: the server erases its payload, and opening the link raises Gone."""
    request = HttpRequest("DELETE", *_target(session, receipt_id, manage_token))
    return (yield from exchange(request, lambda _: None))


def get_stats(session: Session) -> Flow[AccountStats]:
    """Return the counts of the account. Raises KeyRequired without an API key."""
    return (yield from exchange(session.get("/stats"), AccountStats.of))


def get_account(session: Session) -> Flow[AccountInfo]:
    """Return the account and the scopes of the API key. Raises KeyRequired without one."""
    return (yield from exchange(session.get("/account"), AccountInfo.of))


def _target(session: Session, receipt: str, manage_token: str | None) -> tuple[str, dict[str, str]]:
    """Return the URL of a receipt and the headers that authorize a request for it.

    The server of a link gets the link's own token or nothing: the caller's token and API key are for this session's
    server.
    """
    if _ID.fullmatch(receipt):
        return session.url(f"/receipts/{receipt}"), session.credentials(manage_token)
    try:
        link = parse_receipt(receipt)
    except LinkIncomplete:
        # Rejected before it is sent: people paste the secret's link by mistake, and it contains the key.
        fault = Fault("receiptId", "must have 20 letters and digits, or 12 if it is a linkId", "wrong_format")
        raise BadRequest("That is not a receipt", (fault,)) from None
    if not (link.manage_token or session.is_own(link.base)):
        own = f"no other token or key is sent there, as this client's server is {session.server}"
        raise LinkIncomplete(f"The link has no whole manage token and leads to {link.base}: {own}")
    return session.receipt_url(link), session.credentials(link.manage_token or manage_token)

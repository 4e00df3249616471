"""The server that the client talks to, and the credentials it sends.

Two rules hold for every request. The link's fragment, the passcode and the content key are never sent, only values that
`envelope` derives from them. And the API key is sent only to the server it belongs to, never to the server of a link.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from seclink.client.steps import HttpRequest
from seclink.errors import BadRequest, Fault
from seclink.format.host import is_usable
from seclink.format.link import Link, ReceiptLink

API = "/api/v1"
DEFAULT_SERVER = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Session:
    """A server and an API key. `server` is a URL without a trailing slash; `key` is None or empty without an API key.

    `random(n)` returns n random bytes.
    """

    server: str
    key: str | None = field(repr=False)
    random: Callable[[int], bytes]

    def url(self, path: str) -> str:
        return f"{self.server}{API}{path}"

    def credentials(self, manage_token: str | None = None) -> dict[str, str]:
        """Return the headers that authorize a request. A manage token is sent without the API key: it opens its
        receipt even if the key belongs to another account or was revoked.
        """
        if manage_token:
            if not (manage_token.isascii() and manage_token.isprintable()):
                fault = Fault("manageToken", "must consist of letters and digits", "wrong_format")
                raise BadRequest("That is not a manage token", (fault,))
            return {"SecLink-Manage": manage_token}
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def idempotency_key(self, key: str | None = None) -> dict[str, str]:
        """Return a header with a new key, to be repeated in every attempt of one call, or with the one of an earlier
        call. It has 192 bits, because it fetches a revealed secret again for a minute.
        """
        return {"Idempotency-Key": key or base64.urlsafe_b64encode(self.random(24)).decode()}

    def get(self, path: str, manage_token: str | None = None) -> HttpRequest:
        return HttpRequest("GET", self.url(path), self.credentials(manage_token), repeatable=True)

    def secret_url(self, link: Link, path: str) -> str:
        """Return a URL below `/secrets/{linkId}` of the link's server."""
        return f"{self.api_url(link)}/secrets/{link.link_id}{path}"

    def receipt_url(self, link: ReceiptLink) -> str:
        """Return the URL of a receipt at the server of its link."""
        return f"{self.api_url(link)}/receipts/{link.receipt_id}"

    def api_url(self, link: Link | ReceiptLink) -> str:
        """Return the URL of the API of a link's server."""
        return f"{self._server_of(link)}{API}"

    def is_own(self, base: str) -> bool:
        """Return whether the base of a link is at this session's server."""
        return is_at(self.server, base)

    def _server_of(self, link: Link | ReceiptLink) -> str:
        """Return this session's server if the link is under it, as its path prefix is known, else the link's origin."""
        return self.server if self.is_own(link.base) else link.origin


def is_at(server: str, base: str) -> bool:
    """Return whether the base of a link is at a server, whose URL is as of `server_address`."""
    return f"{base}/".startswith(f"{server}/")


def server_address(text: str) -> str:
    """Return the canonical form of a server's URL, in which it is stored and compared.

    Raises BadRequest if it is not an http or https URL.
    """
    try:
        parts = urlsplit(text.rstrip("/"))
    except ValueError:
        parts = urlsplit("")
    is_address = parts.scheme in ("http", "https") and is_usable(parts.netloc.lower())
    if not is_address or parts.query or parts.fragment or not text.isprintable():
        fault = Fault("server", "must be written https://host or http://host:port", "wrong_format")
        raise BadRequest("The server's address is not valid", (fault,))
    path = parts.path.removesuffix("/api/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def to_seconds(hours: float) -> int:
    try:
        return round(hours * 3600)
    except (ValueError, OverflowError):
        fault = Fault("hours", "is not a number of hours", "out_of_range")
        raise BadRequest("That is not a lifetime", (fault,)) from None

"""Whom the client asks, and as whom.

Two rules hold for every call. A link's fragment, a passcode and a content key never enter a request: only
what `envelope` derives from them does. And the API key goes to the server it was given for, never to where a
link points.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from seclink.client.protocol import HttpRequest
from seclink.errors import BadRequest, Fault
from seclink.format.link import Link

API = "/api/v1"
DEFAULT_SERVER = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Session:
    """Whom to ask and as whom: `server` without a trailing slash, `key` None or empty for nobody.

    `random` gives bytes.
    """

    server: str
    key: str | None = field(repr=False)
    random: Callable[[int], bytes]

    def url(self, path: str) -> str:
        return f"{self.server}{API}{path}"

    def headers(self, manage_token: str | None = None) -> dict[str, str]:
        """A manage token goes alone: it opens its receipt even where the key is somebody else's or has been
        revoked.
        """
        if manage_token:
            if not (manage_token.isascii() and manage_token.isprintable()):
                raise BadRequest(
                    "That is not a manage token", (Fault("manageToken", "is letters and digits", "wrong_format"),)
                )
            return {"SecLink-Manage": manage_token}
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def once(self) -> dict[str, str]:
        """A name for one intention, the same in every try of it: 192 bits, since for a minute it replays a
        secret.
        """
        return {"Idempotency-Key": base64.urlsafe_b64encode(self.random(24)).decode()}

    def read(self, path: str, manage_token: str | None = None) -> HttpRequest:
        return HttpRequest("GET", self.url(path), self.headers(manage_token), repeatable=True)

    def at(self, target: Link, path: str) -> str:
        """Where a link's server answers: our own, if the link is under it (we know any prefix), else the
        link's origin.
        """
        own = f"{target.base}/".startswith(f"{self.server}/")
        return f"{self.server if own else target.origin}{API}/secrets/{target.link_id}{path}"


def server_address(text: str) -> str:
    """The address in the one form it is kept and compared in.

    BadRequest for what is not an http or https address.
    """
    try:
        parts = urlsplit(text.rstrip("/"))
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.query or parts.fragment or not text.isprintable():
        raise BadRequest(
            "The server's address is not valid",
            (Fault("server", "is written https://host or http://host:port", "wrong_format"),),
        )
    path = parts.path.removesuffix("/api/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def seconds(hours: float) -> int:
    try:
        return round(hours * 3600)
    except (ValueError, OverflowError):
        raise BadRequest("That is no lifetime", (Fault("hours", "is not a number of hours", "out_of_range"),)) from None

"""Whom the client asks, and as whom.

Two rules hold for every call. A link's fragment, a passcode and a content key never enter a request: only
what `envelope` derives from them does. And the API key goes to the server it was given for, never to where a
link points.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field

from seclink.client.exchange import Request
from seclink.errors import BadRequest
from seclink.link import Link

API = "/api/v1"


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
            return {"SecLink-Manage": manage_token}
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def once(self) -> dict[str, str]:
        """A name for one intention, the same in every try of it: 192 bits, since for a minute it replays a
        secret.
        """
        return {"Idempotency-Key": base64.urlsafe_b64encode(self.random(24)).decode()}

    def read(self, path: str, manage_token: str | None = None) -> Request:
        return Request("GET", self.url(path), self.headers(manage_token), repeatable=True)

    def at(self, target: Link, path: str) -> str:
        """Where a link's server answers: our own, if the link is under it (we know any prefix), else the
        link's origin.
        """
        own = f"{target.base}/".startswith(f"{self.server}/")
        return f"{self.server if own else target.origin}{API}/secrets/{target.link_id}{path}"


def seconds(hours: float) -> int:
    try:
        return round(hours * 3600)
    except (ValueError, OverflowError):
        raise BadRequest("That is no lifetime", (("hours", "is not a number of hours"),)) from None

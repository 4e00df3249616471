"""The link: `{public_url}/{linkId}#{fragment}`, written and read.

    linkId    12 characters of [A-Za-z0-9], drawn by the server
    fragment  base64url(0x01 || K || SHA-256(0x01 || K)[0:3]): 48 characters, checked before anything is asked

A link travels through chat programs, mail clients and paper. What they add is ignored: whitespace and
brackets around, `?fbclid=...` after the path, and everything from the first character after the `#` that no
key is written with. What they take away cannot be put back, and the checksum says so: `LinkIncomplete`, while
nothing is spent.

A raw secret's fragment is its sender's own AES key in base64 or base64url. Only the server knows which kind a
linkId is, so `parse` leaves the fragment as it is and the caller asks `key_of` or `raw_key_of`.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from seclink.errors import LinkIncomplete

LINK_ID = re.compile(r"[A-Za-z0-9]{12}")

_VERSION = b"\x01"
_FRAGMENT_CHARS = 48
_RAW_KEY_BYTES = (16, 32)
_LINK = re.compile(
    r"""[\s<(\[{"'`*]*
    (?P<base> https?://[^\s/?\#<>"\\]+ (?:/[^\s?\#<>"\\]*)? )
    /(?P<link_id> [A-Za-z0-9]{12} ) /?
    (?: \?[^\#]* )?
    (?: \#(?P<fragment> [A-Za-z0-9+/=_-]* ) .* )?""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Link:
    """`base` is the public_url the link was made under, without the trailing slash.

    The fragment is not yet checked.
    """

    base: str
    link_id: str
    fragment: str = field(repr=False)

    @property
    def origin(self) -> str:
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"


def draw_key(random: Callable[[int], bytes]) -> bytes:
    """K from `random(32)`, drawn again until the fragment ends in a letter or digit: mail clients cut `-` and
    `_` off.
    """
    while not fragment_of(key := random(32))[-1].isalnum():
        pass
    return key


def build(share_url: str, key: bytes) -> str:
    return f"{share_url}#{fragment_of(key)}"


def fragment_of(key: bytes) -> str:
    checked = _VERSION + key
    return base64.urlsafe_b64encode(checked + _checksum(checked)).decode()


def parse(text: str) -> Link:
    """The link in what somebody pasted; LinkIncomplete where there is none."""
    found = _LINK.fullmatch(text.rstrip())
    # user@host is how a link pretends to lead elsewhere; no server of ours writes one.
    if found is None or "@" in found["base"]:
        raise LinkIncomplete
    link = Link(found["base"].rstrip("/"), found["link_id"], found["fragment"] or "")
    try:
        urlsplit(link.base).port  # noqa: B018 - reading it is the check
    except ValueError:
        raise LinkIncomplete from None
    return link


def key_of(fragment: str) -> bytes:
    """K, or LinkIncomplete for another length, version or checksum."""
    if len(fragment) != _FRAGMENT_CHARS:
        raise LinkIncomplete
    decoded = _decode(fragment)
    checked, checksum = decoded[:-3], decoded[-3:]
    if checked[:1] != _VERSION or checksum != _checksum(checked):
        raise LinkIncomplete
    return checked[1:]


def raw_key_of(fragment: str) -> bytes:
    """The AES key of a raw secret: base64 or base64url of 16 or 32 bytes, padded or not.

    Else LinkIncomplete.
    """
    key = _decode(fragment)
    if len(key) not in _RAW_KEY_BYTES:
        raise LinkIncomplete
    return key


def _checksum(checked: bytes) -> bytes:
    return hashlib.sha256(checked).digest()[:3]


def _decode(fragment: str) -> bytes:
    standard = fragment.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise LinkIncomplete from None

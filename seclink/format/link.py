"""The link `{public_url}/{linkId}#{fragment}`: building and parsing it.

    linkId    12 characters of [A-Za-z0-9], drawn by the server
    fragment  base64url(0x01 || K || SHA-256(0x01 || K)[0:3]): 48 characters, checked before the first request

`pasted_link` finds it in what chat programs and mail clients make of it. Missing characters cannot be restored; the
checksum detects them, and `LinkIncomplete` is raised before a view is spent.

The fragment of a raw secret is its sender's own AES key in base64 or base64url. Only the server knows which kind a
linkId is, so the fragment of a `Link` is text, and the caller decodes it with `key_of` or `raw_key_of`.
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
_TO_URLSAFE = str.maketrans("+/", "-_")


@dataclass(frozen=True, slots=True)
class _ServerLink:
    """The server of a link: `base` is its public_url without a trailing slash."""

    base: str

    @property
    def origin(self) -> str:
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Link(_ServerLink):
    """The parts of a link. `fragment` is "" without a whole key; `is_exposed`: servers on its way may have seen it."""

    link_id: str
    fragment: str = field(repr=False)
    is_exposed: bool = False


@dataclass(frozen=True, slots=True)
class ReceiptLink(_ServerLink):
    """The parts of a receipt's link; `manage_token` is "" if it has none, `is_exposed` as for a `Link`."""

    receipt_id: str
    manage_token: str = field(repr=False)
    is_exposed: bool = False


def draw_key(random: Callable[[int], bytes]) -> bytes:
    """Draw K from `random(32)` until its fragment ends in a letter or digit: mail clients cut off a last `-` or `_`."""
    while not fragment_of(key := random(32))[-1].isalnum():
        pass
    return key


def build(share_url: str, key: bytes) -> str:
    return f"{share_url}#{fragment_of(key)}"


def fragment_of(key: bytes) -> str:
    checked = _VERSION + key
    return base64.urlsafe_b64encode(checked + _checksum(checked)).decode()


def key_of(fragment: str) -> bytes:
    """Return K. Raises LinkIncomplete if length, version or checksum is wrong."""
    if len(fragment) != _FRAGMENT_CHARS:
        raise LinkIncomplete
    decoded = _decode(fragment)
    checked, checksum = decoded[:-3], decoded[-3:]
    if checked[:1] != _VERSION or checksum != _checksum(checked):
        raise LinkIncomplete
    return checked[1:]


def raw_key_of(fragment: str) -> bytes:
    """Return the AES key of a raw secret: base64 or base64url of 16 or 32 bytes, padded or not.

    Raises LinkIncomplete for anything else, also if unused bits of the last character are not zero.
    """
    key = _decode(fragment)
    padded = base64.urlsafe_b64encode(key).decode()
    if len(key) not in _RAW_KEY_BYTES or fragment.translate(_TO_URLSAFE) not in (padded, padded.rstrip("=")):
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

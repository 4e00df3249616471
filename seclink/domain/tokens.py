"""Ids and tokens: drawing, digesting and comparing them. Randomness is an argument.

linkId      12 of [A-Za-z0-9], 71 bits, unbiased. A dialect with ids of its own form puts its name and a dot before
            them (`config.dialects`), so that the ids of two dialects never collide
receiptId   8 + 12 of [A-Za-z0-9]: the time, then 71 random bits. It grants nothing (the manage token does), and because
            it grows with time, its index is only ever appended to, however many rows there are
upload      20 of [A-Za-z0-9]; its token and a reader's grant have 43, 256 bits
manage      32 of [A-Za-z0-9], 190 bits: a plain SHA-256 is enough at rest
API key     sk_live_ + 32 of [A-Za-z0-9] + 6 check characters, which distinguish a typing error from a guess
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from typing import NamedTuple

from seclink.config.dialects import DIALECTS

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_PREFIX = "sk_live_"
DRAWN_ID = re.compile(r"[A-Za-z0-9]{12}")
LINK_ID = re.compile(
    "|".join((DRAWN_ID.pattern, *(rf"{row.name}\.{row.id_pattern}" for row in DIALECTS if row.id_pattern)))
)
RECEIPT_ID = re.compile(r"[A-Za-z0-9]{20}")
UPLOAD_CHARACTERS, TOKEN_CHARACTERS = 20, 43
UPLOAD_ID = re.compile(rf"[A-Za-z0-9]{{{UPLOAD_CHARACTERS}}}")
LINK_END = r"[^A-Za-z0-9#%;\x00-\x1f\x7f]*(?s:;[^#%]*)?(?s:(?:#|%(?:25)*23).*)?"
"""A pattern of what programs add to a link's path: marks, `;...`, and the key if they escape its `#`."""
API_KEY = re.compile(r"sk_live_[A-Za-z0-9]{38}")
SHOWN_PREFIX = len(KEY_PREFIX) + 6

Random = Callable[[int], bytes]

# Bytes below 248 = 4 * 62 map evenly to the alphabet; the others are drawn again.
_CHARACTER = bytes(ALPHABET[i % 62].encode()[0] for i in range(256))
_REJECTED = bytes(range(248, 256))


class Names(NamedTuple):
    """The ids and the manage token of a new secret."""

    link_id: str
    receipt_id: str
    manage_token: str


def draw(length: int, random: Random = secrets.token_bytes) -> str:
    """Return `length` characters of the alphabet, all equally probable."""
    text = ""
    while len(text) < length:
        text += random(length + length // 8 + 2).translate(_CHARACTER, _REJECTED).decode()
    return text[:length]


def mint(now: int, random: Random = secrets.token_bytes) -> Names:
    """Draw the ids and the manage token of a new secret."""
    drawn = draw(56, random)
    return Names(drawn[:12], _base62(now, 8) + drawn[12:24], drawn[24:])


def file_name(random: Random = secrets.token_bytes) -> str:
    """Draw the name of a file of chunks, which says nothing about them."""
    return random(16).hex()


def mint_key(random: Random = secrets.token_bytes) -> str:
    """Draw an API key."""
    body = draw(32, random)
    return KEY_PREFIX + body + _check(body)


def is_key(text: str) -> bool:
    """Return whether `text` has the shape and the check characters of an API key, known or not."""
    return bool(API_KEY.fullmatch(text)) and equal(_check(text[8:40]), text[40:])


def digest(token: str) -> bytes:
    """Return the SHA-256 that is stored instead of a token."""
    return hashlib.sha256(token.encode()).digest()


def equal(one: str | bytes, other: str | bytes) -> bool:
    """Compare in constant time, wherever the values differ."""
    return hmac.compare_digest(_bytes(one), _bytes(other))


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _check(body: str) -> str:
    return _base62(int.from_bytes(hashlib.sha256((KEY_PREFIX + body).encode()).digest()[:4]), 6)


def _base62(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, rest = divmod(number, 62)
        text = ALPHABET[rest] + text
    return text

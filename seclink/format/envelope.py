"""The link's key made into everything else, and the sealed envelope: version 1 of the format.

    pc_salt      = HKDF(K, "seclink/v1/passcode-salt", 16)
    S            = PBKDF2-HMAC-SHA-256(UTF-8(NFC(passcode)), pc_salt, 600000, 32)     empty without a passcode
    content_key  = HKDF(K || S, "seclink/v1/content", 32)      never leaves the client
    access       = HKDF(K, "seclink/v1/access", 32)            shown to the server when revealing
    accessHash   = hex(SHA-256(access))                        given to the server when creating
    passcodeHash = hex(HKDF(K || S, "seclink/v1/passcode", 32))

    encryptedBlob = AES-256-GCM(content_key, iv, plaintext, AAD "seclink/v1"), tag appended
    plaintext     = u32 length of header || header (JSON object) || body || zero bytes up to padded(...)

The passcode is part of the content key, so a server that claims there is none can make a reader fail but not
read; type and file name are inside, so it cannot change them either. Every function here is pure: key and iv
are arguments. Whatever does not open is `NotAuthentic`, for one reader-visible reason: damaged, forged, or
not this key.
"""

import base64
import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from seclink.errors import BadRequest, Fault, NotAuthentic

FORMAT = "seclink/v1"
KEY_BYTES = 32
IV_BYTES = 12
PBKDF2_ROUNDS = 600_000
SMALLEST = 256

_AAD = FORMAT.encode()


@dataclass(frozen=True, slots=True)
class Keys:
    """What one K and one passcode give. Only the last three are ever shown to a server."""

    content_key: bytes = field(repr=False)
    access: str = field(repr=False)
    access_hash: str
    passcode_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A header as its sender wrote it, unknown members included, and the body's exact bytes."""

    header: Mapping[str, Any]
    body: bytes = field(repr=False)

    @property
    def type(self) -> str:
        return str(self.header["type"])


def derive(key: bytes, passcode: str | None = None) -> Keys:
    """All keys of a secret; with a passcode this takes a good tenth of a second, on purpose.

    An empty passcode is no passcode. BadRequest for one that has no UTF-8 form (a lone surrogate).
    """
    stretched = _stretch(passcode, _hkdf(key, "passcode-salt", 16)) if passcode else b""
    access = _hkdf(key, "access")
    return Keys(
        content_key=_hkdf(key + stretched, "content"),
        access=base64.urlsafe_b64encode(access).rstrip(b"=").decode(),
        access_hash=hashlib.sha256(access).hexdigest(),
        passcode_hash=_hkdf(key + stretched, "passcode").hex() if passcode else None,
    )


def padded(length: int) -> int:
    """Padmé: leaks O(log log n) bits of the length and costs at most 12 %; short secrets all look alike."""
    if length <= SMALLEST:
        return SMALLEST
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return (length + step - 1) // step * step


def seal(content_key: bytes, iv: bytes, header: Mapping[str, Any], body: bytes) -> bytes:
    """The encryptedBlob. `header` needs its `type`; `size` is put second, other members follow.

    One content_key must never seal twice under one iv.
    """
    members = {"type": header["type"], "size": len(body), **{k: v for k, v in header.items() if k != "size"}}
    encoded = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    plain = len(encoded).to_bytes(4, "big") + encoded + body
    return AESGCM(content_key).encrypt(iv, plain.ljust(padded(len(plain)), b"\0"), _AAD)


def open(content_key: bytes, iv: bytes, blob: bytes) -> Opened:
    """Header and body, or NotAuthentic.

    Members of the header that are not known here are kept and ignored.
    """
    plain = _decrypt(content_key, iv, blob, _AAD)
    length = int.from_bytes(plain[:4], "big")
    if len(plain) < 4 or length > len(plain) - 4:
        raise NotAuthentic
    header = _header(plain[4 : 4 + length])
    start = 4 + length
    if header["size"] > len(plain) - start:
        raise NotAuthentic
    return Opened(header, plain[start : start + header["size"]])


def open_raw(key: bytes, iv: bytes, blob: bytes) -> bytes:
    """A secret made by somebody else's code: AES-GCM under the fragment's key of 16 or 32 bytes, nothing
    bound to it.
    """
    return _decrypt(key, iv, blob, None)


def raw_passcode_hash(passcode: str) -> str:
    """What the documented API calls passcodeHash: plain SHA-256, as there is no K to bind it to."""
    return hashlib.sha256(_utf8(passcode)).hexdigest()


def _header(encoded: bytes) -> dict[str, Any]:
    try:
        header = json.loads(encoded.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotAuthentic from None
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        raise NotAuthentic
    # bool is an int to Python, not to JavaScript: `true` bytes is nobody's size.
    if type(header.get("size")) is not int or header["size"] < 0:
        raise NotAuthentic
    return header


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _decrypt(key: bytes, iv: bytes, blob: bytes, aad: bytes | None) -> bytes:
    try:
        return AESGCM(key).decrypt(iv, blob, aad)
    except (InvalidTag, ValueError):  # ValueError: an iv or a key of a length AES-GCM does not take
        raise NotAuthentic from None


def _hkdf(secret: bytes, info: str, length: int = 32) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=f"{FORMAT}/{info}".encode()).derive(secret)


def _stretch(passcode: str, salt: bytes) -> bytes:
    # NFC: the same word typed on a Mac and on Windows is different bytes and must be the same passcode.
    normal = _utf8(unicodedata.normalize("NFC", passcode))
    return hashlib.pbkdf2_hmac("sha256", normal, salt, PBKDF2_ROUNDS, 32)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadRequest(faults=(Fault("passcode", "is not valid text", "not_unicode"),)) from None

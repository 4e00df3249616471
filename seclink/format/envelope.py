"""The key schedule and the sealed envelope: version 1 of the format.

    pc_salt      = HKDF(K, "seclink/v1/passcode-salt", 16)
    S            = PBKDF2-HMAC-SHA-256(UTF-8(NFC(passcode)), pc_salt, 600000, 32)     empty without a passcode
    content_key  = HKDF(K || S, "seclink/v1/content", 32)      never leaves the client
    access       = HKDF(K, "seclink/v1/access", 32)            sent to the server when revealing
    accessHash   = hex(SHA-256(access))                        sent to the server when creating
    passcodeHash = hex(HKDF(K || S, "seclink/v1/passcode", 32))

    encryptedBlob = AES-256-GCM(content_key, iv, plaintext, AAD "seclink/v1"), tag appended
    plaintext     = u32 length of header || header (JSON object) || body || zero bytes up to padded(...)

The passcode is part of the content key: a server that hides it can make opening fail, but cannot read the secret.
Type and file name are sealed too, so the server cannot change them. Every function here is pure: key and iv are
arguments. Whatever fails to open raises `NotAuthentic`, without telling a damaged or forged payload from a wrong key.
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
from seclink.format import file_header

FORMAT = "seclink/v1"
KEY_BYTES = 32
IV_BYTES = 12
PBKDF2_ROUNDS = 600_000
MIN_PADDED_BYTES = 256

_AAD = FORMAT.encode()


@dataclass(frozen=True, slots=True)
class Keys:
    """Everything derived from one K and one passcode. Only the last three are ever sent to a server."""

    content_key: bytes = field(repr=False)
    access: str = field(repr=False)
    access_hash: str
    passcode_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """The header as its sender wrote it, unknown members included, and the body's exact bytes."""

    header: Mapping[str, Any]
    body: bytes = field(repr=False)

    @property
    def type(self) -> str:
        return str(self.header["type"])


def derive(key: bytes, passcode: str | None = None) -> Keys:
    """Derive all keys of a secret from K (32 bytes). With a passcode this takes a good tenth of a second, on purpose.

    An empty passcode counts as none. Raises BadRequest for a passcode with a lone surrogate, which has no UTF-8 form.
    """
    stretched = _stretch(passcode, hkdf(key, "passcode-salt", 16)) if passcode else b""
    access = hkdf(key, "access")
    return Keys(
        content_key=hkdf(key + stretched, "content"),
        access=base64.urlsafe_b64encode(access).rstrip(b"=").decode(),
        access_hash=hashlib.sha256(access).hexdigest(),
        passcode_hash=hkdf(key + stretched, "passcode").hex() if passcode else None,
    )


def padded(length: int) -> int:
    """Return the padded length (Padmé): it leaks O(log log n) bits of `length` and adds at most 12 %.

    Everything up to 256 bytes gets the same length.
    """
    if length <= MIN_PADDED_BYTES:
        return MIN_PADDED_BYTES
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return (length + step - 1) // step * step


def hkdf(secret: bytes, info: str, length: int = 32) -> bytes:
    """Derive a key for the purpose `info` from a secret key."""
    return HKDF(SHA256(), length, salt=None, info=f"{FORMAT}/{info}".encode()).derive(secret)


def seal(content_key: bytes, iv: bytes, header: Mapping[str, Any], body: bytes) -> bytes:
    """Return the encryptedBlob. `header` needs a `type`; `size` is inserted second, other members follow.

    Never seal twice with the same content_key and iv.
    """
    members = {"type": header["type"], "size": len(body), **{k: v for k, v in header.items() if k != "size"}}
    encoded = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    plain = len(encoded).to_bytes(4, "big") + encoded + body
    return AESGCM(content_key).encrypt(iv, plain.ljust(padded(len(plain)), b"\0"), _AAD)


def open(content_key: bytes, iv: bytes, blob: bytes) -> Opened:
    """Return header and body. Raises NotAuthentic. Unknown members of the header are kept."""
    plain = _decrypt(content_key, iv, blob, _AAD)
    length = int.from_bytes(plain[:4], "big")
    if len(plain) < 4 or length > len(plain) - 4:
        raise NotAuthentic
    header = _header(plain[4 : 4 + length])
    file_header.read(header)
    start = 4 + length
    if header["size"] > len(plain) - start:
        raise NotAuthentic
    return Opened(header, plain[start : start + header["size"]])


def open_raw(key: bytes, iv: bytes, blob: bytes) -> bytes:
    """Decrypt a secret of the documented raw API: AES-GCM under the fragment's key of 16 or 32 bytes, without
    additional data. Raises NotAuthentic.
    """
    return _decrypt(key, iv, blob, None)


def raw_passcode_hash(passcode: str) -> str:
    """Return the passcodeHash of a raw secret: plain SHA-256 in hex, as there is no K to bind it to."""
    return hashlib.sha256(_utf8(passcode)).hexdigest()


def _header(encoded: bytes) -> dict[str, Any]:
    try:
        header = json.loads(encoded.decode(), parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise NotAuthentic from None
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        raise NotAuthentic
    # bool is an int in Python but not in JavaScript: `true` must not pass for a size.
    if type(header.get("size")) is not int or header["size"] < 0:
        raise NotAuthentic
    return header


def _reject_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _decrypt(key: bytes, iv: bytes, blob: bytes, aad: bytes | None) -> bytes:
    try:
        return AESGCM(key).decrypt(iv, blob, aad)
    except (InvalidTag, ValueError):  # ValueError: AES-GCM does not accept this length of iv or key
        raise NotAuthentic from None


def _stretch(passcode: str, salt: bytes) -> bytes:
    # NFC: the same word typed on macOS and on Windows differs in its bytes, but must be the same passcode.
    normal = _utf8(unicodedata.normalize("NFC", passcode))
    return hashlib.pbkdf2_hmac("sha256", normal, salt, PBKDF2_ROUNDS, 32)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadRequest(faults=(Fault("passcode", "is not valid text", "not_unicode"),)) from None

"""The calls for secrets: create, reveal, meta and report. Each is a generator (see `protocol`).

A view is spent only after the server has checked the proof of the link's key, the passcode and everything else; and the
client sends a request only for a complete link.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from seclink.client.models import (
    CreatedSecret,
    Json,
    RevealedSecret,
    SecretInfo,
    instant,
    integer,
    integer_or_none,
    link_id_of,
    string,
)
from seclink.client.protocol import Body, Flow, HttpRequest, exchange
from seclink.client.session import Session, to_seconds
from seclink.errors import BadRequest, Fault, LinkIncomplete, NotAuthentic
from seclink.format import envelope
from seclink.format import passcode as passcodes
from seclink.format.envelope import Keys
from seclink.format.link import Link, build, draw_key, key_of, raw_key_of
from seclink.format.pasted_link import is_sharokey_key, parse

SecretType = Literal["text", "redirect", "neogram", "file"]


class RawNotOpened(NotAuthentic):
    """A raw secret that AES-GCM does not open.

    Its view is spent, so the payload is here, as `blob` and `iv`: the sender may have encrypted it in another way.
    """

    def __init__(self, blob: bytes, iv: bytes) -> None:
        super().__init__("The secret was not encrypted with AES-GCM under this link's key")
        self.blob = blob
        self.iv = iv


MAX_PAYLOAD_BYTES = 96 * 2**20
"""The largest payload a server can be configured to accept is 64 MiB, which is 86 MiB in base64."""

_HEADER_BYTES, _TAG_BYTES = 64, 16
_PLAIN_URL = re.compile(r"[A-Za-z0-9:/._~%\[\]-]+")


def create(
    session: Session,
    text: str | bytes,
    hours: float | None = None,
    views: int | None = 1,
    description: str | None = None,
    password: str | None = None,
    *,
    type: SecretType = "text",
    note: str | None = None,
    expires_in: int | None = None,
    name: str | None = None,
    media_type: str | None = None,
) -> Flow[CreatedSecret]:
    """Seal `text` here and store the ciphertext on the server.

    The secret expires after `hours` or `expires_in` seconds, else after the server's default lifetime, and can be
    revealed `views` times (None: without limit). A value that is not allowed raises BadRequest. The recipient sees
    `note` before revealing. Type redirect needs an http or https URL, type file a `name`.
    `password` is the passcode, to be told on another channel; `description` is the label, which only the sender sees.
    """
    body = _body(text, type)
    if password is not None and (fault := passcodes.fault(password)):
        raise BadRequest("That passcode could not be typed again", (fault,))
    key = draw_key(session.random)
    keys = envelope.derive(key, password)
    sealed = _sealed(keys, session.random(envelope.IV_BYTES), _header(type, name, media_type), body)
    lifetime = to_seconds(hours) if expires_in is None and hours is not None else expires_in
    terms = {"expiryType": "view_once"} if lifetime is None else {"expiresIn": lifetime}
    members = sealed | terms | {"label": description, "publicNote": note}
    present = {name: value for name, value in members.items() if value is not None}
    headers = session.credentials() | session.idempotency_key()
    request = HttpRequest("POST", session.url("/secrets"), headers, present | {"maxViews": views}, repeatable=True)
    return (yield from exchange(request, lambda data: _created_secret(data, lifetime, key)))


def reveal(session: Session, link: str, passcode: str | None = None) -> Flow[RevealedSecret]:
    """Spend a view and return the opened secret. `link` is a pasted text, with what mail and chat programs make of it.

    Raises LinkIncomplete, PasscodeRequired, PasscodeWrong, or AccessDenied for the key of another secret: these spend
    no view. Raises Gone if the secret has ended, NotAuthentic if the payload does not open.
    """
    # A view must not be spent on a secret that this key or passcode does not fit. The proof of a native link's key
    # ensures that. A raw secret's key proves nothing, and a secret may have no passcode: then `meta` is read first.
    target = parse(link)
    if passcode == "":
        raise BadRequest("That passcode is empty; no view was spent", (Fault("passcode", "is empty", "required"),))
    if "." in target.link_id:
        raise _opened_elsewhere(target.link_id.partition(".")[0])
    if is_sharokey_key(target.fragment) and (yield from _meta(session, target)).format == "sharokey":
        raise _opened_elsewhere("sharokey")
    format, key = _format_and_key(target.fragment)
    if passcode or format == "raw":
        info = yield from _meta(session, target)
        if info.format != format:
            raise LinkIncomplete
        if passcode and not info.passcode_required:
            message = "This secret has no passcode; no view was spent"
            raise BadRequest(message, (Fault("passcode", "was given, but none is set", "unexpected"),))
    if format == "raw":
        return (yield from _reveal_raw(session, target, key, passcode))
    keys = envelope.derive(key, passcode and passcodes.cleaned(passcode))
    payload = yield from _claim(session, target, {"access": keys.access, "passcodeHash": keys.passcode_hash})
    # Format and passcode follow from the link alone, so that a lying server cannot weaken them.
    opened = envelope.open(keys.content_key, payload.iv, payload.blob)
    return _revealed(target, payload, opened.body, opened.type, opened.header)


def meta(session: Session, link: str) -> Flow[SecretInfo]:
    """Return the public facts of a secret. Spends no view and works without the link's fragment."""
    return (yield from _meta(session, parse(link)))


def report(session: Session, link: str, reason: str) -> Flow[None]:
    """Report an abused link to the operator. The response does not disclose whether the link exists."""
    request = HttpRequest("POST", session.secret_url(parse(link), "/report"), body={"reason": reason})
    return (yield from exchange(request, lambda _: None))


def max_body_bytes(max_sealed_bytes: int) -> int:
    """Return the size of the longest text whose padded envelope fits into `max_sealed_bytes`."""
    fits, too_long = 0, max_sealed_bytes
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if envelope.padded(middle + _HEADER_BYTES) + _TAG_BYTES <= max_sealed_bytes:
            fits = middle
        else:
            too_long = middle
    return fits


@dataclass(frozen=True, slots=True)
class _ClaimedPayload:
    blob: bytes
    iv: bytes
    views_left: int | None
    expires_at: datetime


class _PayloadMembers(msgspec.Struct, rename="camel"):
    """The members of a revealed secret that are read; others are skipped, as millions would fill the memory."""

    encrypted_blob: str
    iv: str
    views_left: int | None
    expires_at: int


def _payload_members(body: Body) -> Json:
    """Raises ValueError if members are missing or have other types."""
    try:
        return msgspec.structs.asdict(msgspec.json.decode(body, type=_PayloadMembers))
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("not a payload") from None


def _format_and_key(fragment: str) -> tuple[str, bytes]:
    """Return the format and key of a fragment that is not a native one as raw, even if it is a truncated native one."""
    try:
        return envelope.FORMAT, key_of(fragment)
    except LinkIncomplete:
        return "raw", raw_key_of(fragment)


def _reveal_raw(session: Session, target: Link, key: bytes, passcode: str | None) -> Flow[RevealedSecret]:
    proof = {"passcodeHash": envelope.raw_passcode_hash(passcode) if passcode else None}
    payload = yield from _claim(session, target, proof)
    try:
        body = envelope.open_raw(key, payload.iv, payload.blob)
    except NotAuthentic:
        raise RawNotOpened(payload.blob, payload.iv) from None
    return _revealed(target, payload, body, "text", {"type": "text", "size": len(body)})


def _revealed(target: Link, payload: _ClaimedPayload, body: bytes, kind: str, header: Json) -> RevealedSecret:
    return RevealedSecret(body, kind, header, payload.views_left, payload.expires_at, target.is_exposed)


def _opened_elsewhere(system: str) -> BadRequest:
    fault = Fault("link", f"was made by a client of {system}", "unsupported")
    return BadRequest("This link opens only in a browser; no view was spent", (fault,))


def _claim(session: Session, target: Link, proof: Mapping[str, str | None]) -> Flow[_ClaimedPayload]:
    body = {member: value for member, value in proof.items() if value is not None}
    url, headers = session.secret_url(target, "/reveal"), session.idempotency_key()
    request = HttpRequest("POST", url, headers, body, repeatable=True, max_bytes=MAX_PAYLOAD_BYTES)
    return (yield from exchange(request, _claimed_payload, _payload_members))


def _meta(session: Session, target: Link) -> Flow[SecretInfo]:
    request = HttpRequest("GET", session.secret_url(target, "/meta"), repeatable=True)
    return (yield from exchange(request, SecretInfo.of))


def _body(text: str | bytes, kind: str) -> bytes:
    try:
        body = text.encode() if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError:
        fault = Fault("text", "has a lone surrogate", "not_unicode")
        raise BadRequest("The text is not valid Unicode", (fault,)) from None
    if kind == "redirect" and not _is_web_address(body):
        fault = Fault("text", "must be an http or https URL, and nothing else", "wrong_format")
        raise BadRequest("A redirect needs an http or https URL", (fault,))
    return body


def _is_web_address(body: bytes) -> bool:
    try:
        parts = urlsplit(address := body.decode())
        has_host = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
    # Browsers read a backslash as a slash: in `https://good\@evil` they see the host good, urlsplit sees evil.
    is_one_word = address.isprintable() and " " not in address and "\\" not in address
    return parts.scheme in ("http", "https") and has_host and is_one_word


def _header(kind: str, name: str | None, media_type: str | None) -> dict[str, str]:
    if kind not in ("text", "redirect", "neogram", "file"):
        fault = Fault("type", "must be text, redirect, neogram or file", "not_one_of")
        raise BadRequest("There is no such type of secret", (fault,))
    if kind != "file":
        return {"type": kind}
    base = re.split(r"[/\\]", name or "")[-1]
    if base in ("", ".", ".."):
        raise BadRequest("A file needs a name", (Fault("name", "is missing", "required"),))
    return {"type": kind, "name": base, "mediaType": media_type or "application/octet-stream"}


def _sealed(keys: Keys, iv: bytes, header: Mapping[str, str], body: bytes) -> dict[str, str | int | None]:
    return {
        "encryptedBlob": _base64(envelope.seal(keys.content_key, iv, header, body)),
        "iv": _base64(iv),
        "format": envelope.FORMAT,
        "accessHash": keys.access_hash,
        "passcodeHash": keys.passcode_hash,
    }


def _created_secret(data: Json, lifetime: int | None, key: bytes) -> CreatedSecret:
    link_id, share_url = link_id_of(data), string(data["shareUrl"])
    link = build(share_url, key)
    if share_url.rsplit("/", 1)[-1] != link_id or not _PLAIN_URL.fullmatch(share_url) or not _opens(link, link_id):
        raise ValueError("shareUrl")
    # Both are printed, stored and offered by the shell's completion, so only letters and digits are accepted.
    receipt_id, manage_token = string(data["receiptId"]), string(data["manageToken"])
    if not (receipt_id + manage_token).isalnum() or not (receipt_id + manage_token).isascii():
        raise ValueError("receiptId")
    return CreatedSecret(
        link=link,
        link_id=link_id,
        receipt_id=receipt_id,
        manage_token=manage_token,
        expires_at=instant(data["expiresAt"]),
        expires_at_ms=integer(data["expiresAt"]),
        lifetime=lifetime,
        views=integer_or_none(data["maxViews"]),
    )


def _opens(link: str, link_id: str) -> bool:
    """Return whether a link leads to a secret of this id, for every client."""
    try:
        return parse(link).link_id == link_id
    except LinkIncomplete:
        return False


def _claimed_payload(data: Json) -> _ClaimedPayload:
    return _ClaimedPayload(
        blob=base64.b64decode(data["encrypted_blob"], validate=True),
        iv=base64.b64decode(data["iv"], validate=True),
        views_left=integer_or_none(data["views_left"]),
        expires_at=instant(data["expires_at"]),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

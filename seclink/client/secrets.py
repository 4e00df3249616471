"""The recipient's side: secrets. Each call is a generator that asks and is answered (see `exchange`).

Nothing but a right answer to every question spends a view, and on this side nothing but a whole link asks
one.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from seclink.client.models import (
    CreatedSecret,
    Json,
    RevealedSecret,
    SecretInfo,
    link_id_of,
    moment,
    number,
    number_or_none,
    word,
)
from seclink.client.protocol import Flow, HttpRequest, exchange
from seclink.client.session import Session, seconds
from seclink.errors import BadRequest, Fault, LinkIncomplete, NotAuthentic
from seclink.format import envelope
from seclink.format.envelope import Keys
from seclink.format.link import Link, build, draw_key, key_of, parse, raw_key_of

SecretType = Literal["text", "redirect", "neogram", "file"]


class RawNotOpened(NotAuthentic):
    """A raw secret that AES-GCM does not open.

    It is spent, so what came is here: its sender may have encrypted it otherwise.
    """

    def __init__(self, blob: bytes, iv: bytes) -> None:
        super().__init__("The secret was not encrypted with AES-GCM under this link's key")
        self.blob = blob
        self.iv = iv


_LIFETIMES = re.compile(r"must be [0-9]+ to ([0-9]{1,9}) seconds")  # as the server's policy words it
_HEADER_BYTES, _TAG_BYTES = 64, 16
_PLAIN_URL = re.compile(r"[A-Za-z0-9:/._~%\[\]-]+")


def create(
    session: Session,
    text: str | bytes,
    hours: float = 24,
    views: int | None = 1,
    description: str | None = None,
    password: str | None = None,
    *,
    type: SecretType = "text",
    note: str | None = None,
    expires_in: int | None = None,
    name: str | None = None,
    media_type: str | None = None,
    or_longest: bool = False,
) -> Flow[CreatedSecret]:
    """Seal `text` here and hand the ciphertext to the server.

    It lives `hours`, or `expires_in` seconds, and can be revealed `views` times (None: any number). What the server
    does not keep that long is refused, or with `or_longest` kept as long as it may be.
    `description` is the label the sender alone sees, `note` what the recipient sees before revealing,
    `password` the passcode to be told on another channel. Type redirect wants an http or https URL; type file
    wants its `name`.
    """
    body = _body(text, type)
    key = draw_key(session.random)
    keys = envelope.derive(key, password)
    sealed = _sealed(keys, session.random(envelope.IV_BYTES), _header(type, name, media_type), body)
    lifetime = seconds(hours) if expires_in is None else expires_in
    terms = {"maxViews": views, "label": description, "publicNote": note}
    # Absent and null are different for maxViews alone: null is any number of views.
    wire = {each: value for each, value in (sealed | terms).items() if value is not None or each == "maxViews"}
    try:
        return (yield from _hand_over(session, wire, lifetime, key))
    except BadRequest as refusal:
        longest = _longest(refusal) if or_longest else None
        if longest is None or longest >= lifetime:
            raise
    return (yield from _hand_over(session, wire, longest, key))


def reveal(session: Session, link: str, passcode: str | None = None) -> Flow[RevealedSecret]:
    """Spend a view and open what comes. LinkIncomplete, PasscodeRequired and PasscodeWrong spend nothing.

    A secret that the link's key does not open must not be spent on it. The server wants proof of a key of ours, and
    refuses a proof where it wants none (AccessDenied); a raw secret's key proves nothing, and a passcode may be given
    where there is none (BadRequest), so then the server is asked first.
    """
    target = parse(link)
    format, key = _key_in(target.fragment)
    if passcode or format == "raw":
        known = yield from _meta(session, target)
        if known.format != format:
            raise LinkIncomplete
        if passcode and not known.passcode_required:
            message = "This secret has no passcode; nothing was used up"
            raise BadRequest(message, (Fault("passcode", "was given, but none is set", "unexpected"),))
    if format == "raw":
        return (yield from _reveal_raw(session, target, key, passcode))
    keys = envelope.derive(key, passcode)
    answer = yield from _claim(session, target, {"access": keys.access, "passcodeHash": keys.passcode_hash})
    # The link says how it was sealed; whatever the server says about format or passcode cannot weaken that.
    opened = envelope.open(keys.content_key, answer.iv, answer.blob)
    return RevealedSecret(opened.body, opened.type, opened.header, answer.views_left, answer.expires_at)


def meta(session: Session, link: str) -> Flow[SecretInfo]:
    """What can be known before revealing; spends nothing, and works without the fragment."""
    return (yield from _meta(session, parse(link)))


def report(session: Session, link: str, reason: str) -> Flow[None]:
    """Tell the operator that a link is abused. The answer never says whether it exists."""
    request = HttpRequest("POST", session.at(parse(link), "/report"), body={"reason": reason})
    return (yield from exchange(request, lambda _: None))


def longest_body(sealed_bytes: int) -> int:
    """How long a text may be for its envelope, padded, to have at most so many bytes."""
    fits, too_much = 0, sealed_bytes
    while too_much - fits > 1:
        middle = (fits + too_much) // 2
        if envelope.padded(middle + _HEADER_BYTES) + _TAG_BYTES <= sealed_bytes:
            fits = middle
        else:
            too_much = middle
    return fits


@dataclass(frozen=True, slots=True)
class _Claimed:
    blob: bytes
    iv: bytes
    views_left: int | None
    expires_at: datetime


def _key_in(fragment: str) -> tuple[str, bytes]:
    """The format that has such fragments, and the key: ours; else a raw secret's, or ours mangled into one."""
    try:
        return envelope.FORMAT, key_of(fragment)
    except LinkIncomplete:
        return "raw", raw_key_of(fragment)


def _reveal_raw(session: Session, target: Link, key: bytes, passcode: str | None) -> Flow[RevealedSecret]:
    proof = {"passcodeHash": envelope.raw_passcode_hash(passcode) if passcode else None}
    answer = yield from _claim(session, target, proof)
    try:
        body = envelope.open_raw(key, answer.iv, answer.blob)
    except NotAuthentic:
        raise RawNotOpened(answer.blob, answer.iv) from None
    header = {"type": "text", "size": len(body)}
    return RevealedSecret(body, "text", header, answer.views_left, answer.expires_at)


def _claim(session: Session, target: Link, proof: Mapping[str, str | None]) -> Flow[_Claimed]:
    body = {member: value for member, value in proof.items() if value is not None}
    request = HttpRequest("POST", session.at(target, "/reveal"), session.once(), body, repeatable=True)
    return (yield from exchange(request, _claimed))


def _meta(session: Session, target: Link) -> Flow[SecretInfo]:
    return (yield from exchange(HttpRequest("GET", session.at(target, "/meta"), repeatable=True), SecretInfo.of))


def _hand_over(
    session: Session, wire: Mapping[str, str | int | None], lifetime: int, key: bytes
) -> Flow[CreatedSecret]:
    body = {**wire, "expiresIn": lifetime}
    request = HttpRequest("POST", session.url("/secrets"), session.headers() | session.once(), body, repeatable=True)
    return (yield from exchange(request, lambda answer: _created(answer, lifetime, key)))


def _longest(refusal: BadRequest) -> int | None:
    """The lifetime in seconds that a refusal names as the longest, if nothing else was wrong."""
    if [fault.field for fault in refusal.faults] != ["expiresIn"]:
        return None
    named = _LIFETIMES.fullmatch(refusal.faults[0].message)
    return int(named[1]) if named else None


def _body(text: str | bytes, kind: str) -> bytes:
    try:
        body = text.encode() if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError:
        raise BadRequest(
            "The text is not valid Unicode", (Fault("text", "holds a lone surrogate", "not_unicode"),)
        ) from None
    if kind == "redirect" and not _is_web_address(body):
        raise BadRequest("A redirect leads to an http or https address", (Fault("text", "is not one", "wrong_format"),))
    return body


def _is_web_address(body: bytes) -> bool:
    try:
        parts = urlsplit(address := body.decode())
        leads_somewhere = bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
    # To a browser a backslash is a slash: what stands before it is the host there, and a user's name here.
    is_one_word = address.isprintable() and " " not in address and "\\" not in address
    return parts.scheme in ("http", "https") and leads_somewhere and is_one_word


def _header(kind: str, name: str | None, media_type: str | None) -> dict[str, str]:
    if kind not in ("text", "redirect", "neogram", "file"):
        raise BadRequest(
            "There is no such type of secret", (Fault("type", "is text, redirect, neogram or file", "not_one_of"),)
        )
    if kind != "file":
        return {"type": kind}
    base = re.split(r"[/\\]", name or "")[-1]
    if base in ("", ".", ".."):
        raise BadRequest("A file needs its name", (Fault("name", "is missing", "required"),))
    return {"type": kind, "name": base, "mediaType": media_type or "application/octet-stream"}


def _sealed(keys: Keys, iv: bytes, header: Mapping[str, str], body: bytes) -> dict[str, str | int | None]:
    return {
        "encryptedBlob": _base64(envelope.seal(keys.content_key, iv, header, body)),
        "iv": _base64(iv),
        "format": envelope.FORMAT,
        "accessHash": keys.access_hash,
        "passcodeHash": keys.passcode_hash,
    }


def _created(answer: Json, lifetime: int, key: bytes) -> CreatedSecret:
    link_id, share_url = link_id_of(answer), word(answer["shareUrl"])
    shared = urlsplit(share_url)
    if shared.scheme not in ("http", "https") or not shared.hostname or shared.query or shared.fragment:
        raise ValueError("shareUrl")
    if share_url.rsplit("/", 1)[-1] != link_id or not _PLAIN_URL.fullmatch(share_url):
        raise ValueError("shareUrl")
    # Both are printed, kept and offered by the shell's completion: nothing but letters and digits may be in them.
    receipt_id, manage_token = word(answer["receiptId"]), word(answer["manageToken"])
    if not (receipt_id + manage_token).isalnum() or not (receipt_id + manage_token).isascii():
        raise ValueError("receiptId")
    return CreatedSecret(
        link=build(share_url, key),
        link_id=link_id,
        receipt_id=receipt_id,
        manage_token=manage_token,
        expires_at=moment(answer["expiresAt"]),
        expires_at_ms=number(answer["expiresAt"]),
        lifetime=lifetime,
        views=number_or_none(answer["maxViews"]),
    )


def _claimed(answer: Json) -> _Claimed:
    return _Claimed(
        blob=base64.b64decode(word(answer["encryptedBlob"]), validate=True),
        iv=base64.b64decode(word(answer["iv"]), validate=True),
        views_left=number_or_none(answer["viewsLeft"]),
        expires_at=moment(answer["expiresAt"]),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

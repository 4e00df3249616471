"""The calls that create and report secrets. Each is a generator (see `steps`)."""

import base64
import re
from collections.abc import Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from seclink.client import uploads
from seclink.client.models import CreatedSecret, Json, instant, integer, integer_or_none, link_id_of, string
from seclink.client.protocol import exchange
from seclink.client.session import Session, to_seconds
from seclink.client.sources import FileInput
from seclink.client.steps import Flow, HttpRequest, Progress
from seclink.client.uploads import BegunUpload
from seclink.errors import BadRequest, Fault, LinkIncomplete, SecLinkError
from seclink.format import envelope
from seclink.format import passcode as passcodes
from seclink.format.envelope import Keys
from seclink.format.link import build, draw_key
from seclink.format.pasted_link import parse

SecretType = Literal["text", "redirect", "neogram", "file"]


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
    files: Sequence[FileInput] = (),
    upload: BegunUpload | None = None,
    progress: Progress | None = None,
) -> Flow[CreatedSecret]:
    """Seal `text` here and store the ciphertext on the server.

    The secret expires after `hours` or `expires_in` seconds, else after the server's default lifetime, and can be
    revealed `views` times (None: without limit). A value that is not allowed raises BadRequest. The recipient sees
    `note` before revealing. Type redirect needs an http or https URL, type file a `name`.
    `password` is the passcode, to be told on another channel; `description` is the label, which only the sender sees.

    `files` are paths, binary streams, or tuples of a name and either; they are encrypted and uploaded first, as by
    `upload`, whose result may be given instead. `progress` is called with the bytes done and the bytes in all.
    """
    body = _body(text, type)
    if password is not None and (fault := passcodes.fault(password)):
        raise BadRequest("That passcode could not be typed again", (fault,))
    if type != "text" and (files or upload):
        raise BadRequest("Only a text can have files", (Fault("type", "must be text beside files", "conflict"),))
    header = _header(type, name, media_type)
    lifetime = to_seconds(hours) if expires_in is None and hours is not None else expires_in
    terms: dict[str, Any] = {"expiryType": "view_once"} if lifetime is None else {"expiresIn": lifetime}
    terms |= {"label": description, "publicNote": note}
    key = draw_key(session.random)
    keys = envelope.derive(key, password)
    attached = (yield from uploads.upload(session, files, progress=progress)) if files else upload
    if attached:
        header |= attached.header.members()
        terms["upload"] = {"id": attached.id, "token": attached.token}
    members = terms | _sealed(keys, session.random(envelope.IV_BYTES), header, body)
    present = {name: value for name, value in members.items() if value is not None}
    headers = session.credentials() | session.idempotency_key()
    request = HttpRequest("POST", session.url("/secrets"), headers, present | {"maxViews": views}, repeatable=True)
    try:
        return (yield from exchange(request, lambda data: _created_secret(data, lifetime, key)))
    except SecLinkError:
        if files and attached:
            yield from uploads.give_up(session, attached)
        raise


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


def _header(kind: str, name: str | None, media_type: str | None) -> dict[str, Any]:
    if kind not in ("text", "redirect", "neogram", "file"):
        fault = Fault("type", "must be text, redirect, neogram or file", "not_one_of")
        raise BadRequest("There is no such type of secret", (fault,))
    if kind != "file":
        return {"type": kind}
    base = re.split(r"[/\\]", name or "")[-1]
    if base in ("", ".", ".."):
        raise BadRequest("A file needs a name", (Fault("name", "is missing", "required"),))
    return {"type": kind, "name": base, "mediaType": media_type or "application/octet-stream"}


def _sealed(keys: Keys, iv: bytes, header: Json, body: bytes) -> dict[str, str | None]:
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


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

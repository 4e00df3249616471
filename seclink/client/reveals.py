"""The calls that open secrets: reveal, reopen and meta. Each is a generator (see `steps`).

A view is spent only after the server has checked the proof of the link's key, the passcode and everything else; and the
client sends a request only for a complete link.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from seclink.client.downloads import FileDownload
from seclink.client.models import Json, RevealedSecret, SecretInfo, instant, integer_or_none
from seclink.client.protocol import exchange
from seclink.client.session import Session
from seclink.client.steps import Body, Flow, HttpRequest
from seclink.errors import BadRequest, Fault, Gone, LinkIncomplete, NotAuthentic
from seclink.format import envelope, file_header
from seclink.format import passcode as passcodes
from seclink.format.envelope import Keys, Opened
from seclink.format.file_stream import FileStream
from seclink.format.link import Link, key_of, raw_key_of
from seclink.format.pasted_link import is_sharokey_key, parse

Revealed = RevealedSecret[FileDownload | None]

MAX_PAYLOAD_BYTES = 96 * 2**20
"""The largest payload a server can be configured to accept is 64 MiB, which is 86 MiB in base64."""


class RawNotOpened(NotAuthentic):
    """A raw secret that AES-GCM does not open.

    Its view is spent, so the payload is here, as `blob` and `iv`: the sender may have encrypted it in another way.
    """

    def __init__(self, blob: bytes, iv: bytes) -> None:
        super().__init__("The secret was not encrypted with AES-GCM under this link's key")
        self.blob = blob
        self.iv = iv


def reveal(
    session: Session,
    link: str,
    passcode: str | None = None,
    *,
    with_files: bool = True,
    idempotency_key: str | None = None,
) -> Flow[Revealed]:
    """Spend a view and return the opened secret. `link` is a pasted text, with what mail and chat programs make of it.

    Raises LinkIncomplete, PasscodeRequired, PasscodeWrong, or AccessDenied for the key of another secret: these spend
    no view. Raises Gone if the secret has ended, NotAuthentic if the payload does not open. Its files are downloaded
    when they are read or saved; without `with_files`, HasFiles is raised if there are any, and no view is spent. A call
    with the `idempotency_key` of an earlier one (16 characters or more) repeats its response for a minute.
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
        try:
            _check_fits((yield from _meta(session, target)), format, passcode)
        except Gone:
            if idempotency_key is None:  # otherwise the earlier call has spent the view, and its response is asked for
                raise
    headers = session.idempotency_key(idempotency_key)
    if format == "raw":
        return (yield from _reveal_raw(session, target, key, passcode, headers))
    keys = _keys(key, passcode)
    headers |= {"SecLink-Files": "1"} if with_files else {}
    proof = {"access": keys.access, "passcodeHash": keys.passcode_hash}
    return _opened(session, target, keys, (yield from _claim(session, target, proof, headers)))


def reopen(session: Session, link: str, response: Json, passcode: str | None = None) -> Flow[Revealed]:
    """Open the secret of an earlier `reveal` again, from its `response`, to go on with its files. Sends nothing.

    Raises NotAuthentic, also for another passcode.
    """
    yield from ()
    target = parse(link)
    try:
        payload = _claimed_payload(msgspec.to_builtins(msgspec.convert(response, _PayloadMembers)))
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError):
        raise NotAuthentic from None
    return _opened(session, target, _keys(key_of(target.fragment), passcode), payload)


def meta(session: Session, link: str) -> Flow[SecretInfo]:
    """Return the public facts of a secret. Spends no view and works without the link's fragment."""
    return (yield from _meta(session, parse(link)))


@dataclass(frozen=True, slots=True)
class _ClaimedPayload:
    blob: bytes
    iv: bytes
    views_left: int | None
    expires_at: datetime
    files: Json | None
    response: Json


class _FilesMembers(msgspec.Struct, rename="camel"):
    size: int
    chunks: int
    grant: str
    grant_expires_at: int


class _PayloadMembers(msgspec.Struct, rename="camel"):
    """The members of a revealed secret that are read; others are skipped, as millions would fill the memory."""

    encrypted_blob: str
    iv: str
    views_left: int | None
    expires_at: int
    files: _FilesMembers | None = None


def _payload_members(body: Body) -> Json:
    """Raises ValueError if members are missing or have other types."""
    try:
        members: Json = msgspec.to_builtins(msgspec.json.decode(body, type=_PayloadMembers))
        return members
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("not a payload") from None


def _format_and_key(fragment: str) -> tuple[str, bytes]:
    """Return the format and key of a fragment that is not a native one as raw, even if it is a truncated native one."""
    try:
        return envelope.FORMAT, key_of(fragment)
    except LinkIncomplete:
        return "raw", raw_key_of(fragment)


def _check_fits(info: SecretInfo, format: str, passcode: str | None) -> None:
    """Raise LinkIncomplete or BadRequest for a secret that this kind of key or a passcode does not fit."""
    if info.format != format:
        raise LinkIncomplete
    if passcode and not info.passcode_required:
        message = "This secret has no passcode; no view was spent"
        raise BadRequest(message, (Fault("passcode", "was given, but none is set", "unexpected"),))


def _reveal_raw(
    session: Session, target: Link, key: bytes, passcode: str | None, headers: Mapping[str, str]
) -> Flow[Revealed]:
    proof = {"passcodeHash": envelope.raw_passcode_hash(passcode) if passcode else None}
    payload = yield from _claim(session, target, proof, headers)
    try:
        body = envelope.open_raw(key, payload.iv, payload.blob)
    except NotAuthentic:
        raise RawNotOpened(payload.blob, payload.iv) from None
    return _revealed(target, payload, Opened({"type": "text", "size": len(body)}, body))


def _keys(key: bytes, passcode: str | None) -> Keys:
    return envelope.derive(key, passcode and passcodes.cleaned(passcode))


def _opened(session: Session, target: Link, keys: Keys, payload: _ClaimedPayload) -> Revealed:
    # Format and passcode follow from the link alone, so that a lying server cannot weaken them.
    opened = envelope.open(keys.content_key, payload.iv, payload.blob)
    header, files = file_header.read(opened.header), payload.files
    if header is None:
        return _revealed(target, payload, opened)
    if files is None:
        raise NotAuthentic("The server does not have the files of the secret")
    FileStream(header.key, header.size).check(files["size"], files["chunks"])
    return _revealed(target, payload, opened, FileDownload(session.api_url(target), files["grant"], header))


def _revealed(target: Link, payload: _ClaimedPayload, opened: Opened, files: FileDownload | None = None) -> Revealed:
    return RevealedSecret(
        body=opened.body,
        type=opened.type,
        header=opened.header,
        views_left=payload.views_left,
        expires_at=payload.expires_at,
        files=files,
        response=payload.response,
        is_key_exposed=target.is_exposed,
    )


def _opened_elsewhere(system: str) -> BadRequest:
    fault = Fault("link", f"was made by a client of {system}", "unsupported")
    return BadRequest("This link opens only in a browser; no view was spent", (fault,))


def _claim(
    session: Session, target: Link, proof: Mapping[str, str | None], headers: Mapping[str, str]
) -> Flow[_ClaimedPayload]:
    body = {member: value for member, value in proof.items() if value is not None}
    url = session.secret_url(target, "/reveal")
    request = HttpRequest("POST", url, headers, body, repeatable=True, max_bytes=MAX_PAYLOAD_BYTES)
    return (yield from exchange(request, _claimed_payload, _payload_members))


def _meta(session: Session, target: Link) -> Flow[SecretInfo]:
    request = HttpRequest("GET", session.secret_url(target, "/meta"), repeatable=True)
    return (yield from exchange(request, SecretInfo.of))


def _claimed_payload(data: Json) -> _ClaimedPayload:
    files = data["files"]
    if files is not None and not (files["grant"].isascii() and files["grant"].isalnum()):
        raise ValueError("grant")
    return _ClaimedPayload(
        blob=base64.b64decode(data["encryptedBlob"], validate=True),
        iv=base64.b64decode(data["iv"], validate=True),
        views_left=integer_or_none(data["viewsLeft"]),
        expires_at=instant(data["expiresAt"]),
        files=files,
        response=data,
    )

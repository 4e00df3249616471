"""Reading a request's JSON strictly, and writing answers.

Stricter than the framework: only application/json in UTF-8; no duplicate member (readers disagree on which one
counts), NaN or trailing bytes; base64 exactly as it would be written again, so that what comes back is what was
sent. A failure names the member, never its value.

Bodies are decoded on the event loop, so one of millions of tiny parts would hold up everybody: what has more of them
than anybody honest has, or deeper ones, is refused before or without much work.
"""

import binascii
import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from seclink.errors import BadRequest, Fault, PayloadTooLarge, UnsupportedMediaType
from seclink.web.cors import CORS_HEADERS
from seclink.web.middleware import Message, Receive, Send
from seclink.web.type_faults import first_fault

T = TypeVar("T", bound=Struct)
PARTS, DEPTH, DIGITS = 4096, 32, 19
HUGE = 10_000_000_000_000_000_000
SMALL_BODY = 16_384  # for requests that carry no payload
_JSON = re.compile(rb"application/json\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_encode = msgspec.json.Encoder().encode
_JSON_HEADERS = [(b"content-type", b"application/json"), *CORS_HEADERS]


def parse(body: bytes, content_type: bytes | None, kind: type[T], *, may_be_empty: bool = False) -> T:
    """The body as `kind`. Raises UnsupportedMediaType, BadRequest. An empty one, where allowed, has no members and
    needs no type; a form's has one, also when it is empty, and forms come from anywhere."""
    if may_be_empty and not body and content_type is None:
        return kind()
    check_type(content_type)
    return kind() if may_be_empty and not body else convert(document(body), kind)


def check_type(content_type: bytes | None) -> None:
    """Raises UnsupportedMediaType."""
    if content_type is None or not _JSON.fullmatch(content_type):
        raise UnsupportedMediaType()


def document(body: bytes) -> Any:
    """What the JSON says. Raises BadRequest."""
    try:
        return _read(body)
    except (ValueError, RecursionError) as error:
        # BadRequest is no ValueError: a duplicate member comes through with its own words.
        raise BadRequest("The body is not valid JSON") from error


def convert(payload: Any, kind: type[T], *, strict: bool = True) -> T:
    """Return decoded JSON as `kind`; unless `strict`, numbers may be written as texts. Raise BadRequest."""
    try:
        return msgspec.convert(payload, kind, strict=strict)
    except msgspec.ValidationError:
        raise BadRequest(faults=(first_fault(payload, kind, strict=strict),)) from None


def decode_base64(name: str, text: str | UnsetType) -> bytes:
    """Strict: alphabet, padding, canonical. Raises BadRequest naming the member."""
    try:
        if isinstance(text, str):
            decoded = binascii.a2b_base64(text, strict_mode=True)
            if encode_base64(decoded) == text:
                return decoded
    except (binascii.Error, ValueError):
        pass
    raise BadRequest(faults=(Fault(name, "must be standard base64, padded and canonical", "not_base64"),))


def encode_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def optional_base64(name: str, text: str | UnsetType) -> bytes | UnsetType:
    return UNSET if text is UNSET else decode_base64(name, text)


class RequestContext:
    """A request as handlers see it: the ASGI scope, with an Actor in it where the route is limited, and the body."""

    __slots__ = ("_receive", "scope")

    def __init__(self, scope: Any, receive: Receive) -> None:
        self.scope, self._receive = scope, receive

    async def body(self, most: int | None = None) -> bytes:
        """All of it. The gate holds it to its time and to what any request may have, `most` to less than that."""
        message = await self._receive()
        body: bytes | bytearray = message.get("body", b"")
        if message.get("more_body"):
            body = bytearray(body)  # grows in place: a million small pieces must not be copied a million times
        while message.get("more_body") and (most is None or len(body) <= most):
            message = await self._receive()
            body += message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise BadRequest("The request broke off")
        if most is not None and len(body) > most:
            raise PayloadTooLarge()
        return bytes(body)


class Response:
    """A status, headers and a body, sent as they are: the framework's response builds its headers anew for each."""

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self._status, self._body, self._headers = status, body, headers

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": self._status, "headers": list(self._headers)}
        await send(start)
        await send({"type": "http.response.body", "body": self._body})


def json_response(content: Struct | dict[str, Any], status: int = 200) -> Response:
    body = _encode(content)
    return Response(status, body, [*_JSON_HEADERS, (b"content-length", b"%d" % len(body))])


def no_content() -> Response:
    return Response(204, b"", CORS_HEADERS)


def _read(body: bytes) -> Any:
    """Raises ValueError, RecursionError, BadRequest. Work is bounded by the count of its parts."""
    if body.count(b"{") + body.count(b"[") + body.count(b",") > PARTS:
        raise BadRequest("The body has too many members")
    text = body.decode("utf-8")
    document = _decode(text)
    if _is_deep(document):
        raise BadRequest("The body is nested too deeply")
    if "\\u" in text:  # an escape may have made half a surrogate pair: no text, and nothing that can be kept
        json.dumps(document, ensure_ascii=False).encode()
    return document


def _is_deep(document: Any) -> bool:
    """Whether lists and objects are nested more than DEPTH times."""
    level = [document]
    for _ in range(DEPTH):
        level = [inner for each in level if isinstance(each, dict | list) for inner in _inside(each)]
    return any(isinstance(each, dict | list) for each in level)


def _inside(each: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return each.values() if isinstance(each, dict) else each


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadRequest("The body names a member twice")
    return members


def _refuse_constant(_: str) -> None:
    raise ValueError


def _integer(text: str) -> int:
    """Reading one takes time that grows with the square of its digits. One of more than these is read as HUGE or its
    negative: as far from what any member takes, and the member is named."""
    if len(text.removeprefix("-")) <= DIGITS:
        return int(text)
    return -HUGE if text.startswith("-") else HUGE


_decode = json.JSONDecoder(object_pairs_hook=_members, parse_int=_integer, parse_constant=_refuse_constant).decode

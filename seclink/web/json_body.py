"""Strict decoding of JSON request bodies, and base64.

Stricter than Litestar: only application/json in UTF-8; no duplicate members (readers disagree on which one counts), no
NaN, no trailing bytes; base64 must be canonical, so that the recipient gets exactly what the sender sent. An error
names the member, never its value.

Bodies are decoded on the event loop, so a body of millions of tiny parts would block every other request. Bodies with
more parts than any honest one has, or with deeper nesting, are rejected before or without much work.
"""

import binascii
import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from seclink.errors import BadRequest, Fault, UnsupportedMediaType
from seclink.web.type_faults import faults

T = TypeVar("T", bound=Struct)
MAX_PARTS, MAX_DEPTH, MAX_DIGITS = 4096, 32, 19
HUGE = 10_000_000_000_000_000_000
_JSON = re.compile(r"application/json\s*(;\s*(charset\s*=\s*(\"utf-?8\"|utf-?8)\s*)?)*", re.IGNORECASE | re.ASCII)


def parse(body: bytes, content_type: str | None, model: type[T], *, may_be_empty: bool = False) -> T:
    """Return the body as `model`. Raises UnsupportedMediaType, BadRequest.

    An empty body, where allowed, needs no content type. If it has one it must be JSON: an empty form still has the
    type of a form, and any site can send a form.
    """
    if may_be_empty and not body and content_type is None:
        return model()
    check_type(content_type)
    return model() if may_be_empty and not body else convert(decode(body), model)


def check_type(content_type: str | None) -> None:
    """Raise UnsupportedMediaType unless the content type is JSON in UTF-8."""
    if content_type is None or not _JSON.fullmatch(content_type):
        raise UnsupportedMediaType()


def decode(body: bytes) -> Any:
    """Return the body's JSON as Python objects. Raises BadRequest."""
    try:
        return _decode_bounded(body)
    except (ValueError, RecursionError) as error:
        # BadRequest is not a ValueError, so a duplicate member keeps its own message.
        raise BadRequest("The body is not valid JSON") from error


def convert(content: Any, model: type[T], *, strict: bool = True) -> T:
    """Return decoded JSON as `model`. Unless `strict`, numbers may be written as strings. Raises BadRequest."""
    try:
        return msgspec.convert(content, model, strict=strict)
    except msgspec.ValidationError:
        raise BadRequest(faults=faults(content, model, strict=strict)) from None


def decode_base64(name: str, text: str | UnsetType) -> bytes:
    """Return the bytes of canonical, padded base64. Raises BadRequest naming the member."""
    try:
        if isinstance(text, str):
            data = binascii.a2b_base64(text, strict_mode=True)
            if encode_base64(data) == text:
                return data
    except (binascii.Error, ValueError):
        pass
    raise BadRequest(faults=(Fault(name, "must be standard base64, padded and canonical", "not_base64"),))


def encode_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def optional_base64(name: str, text: str | UnsetType) -> bytes | UnsetType:
    return UNSET if text is UNSET else decode_base64(name, text)


def _decode_bounded(body: bytes) -> Any:
    """Return the decoded JSON. Raises ValueError, RecursionError, BadRequest. The number of parts bounds the work."""
    if body.count(b"{") + body.count(b"[") + body.count(b",") > MAX_PARTS:
        raise BadRequest("The body has too many members")
    text = body.decode("utf-8")
    content = _decode_json(text)
    if _is_too_deep(content):
        raise BadRequest("The body is nested too deeply")
    if "\\u" in text:  # an escape can leave half a surrogate pair, which is not text and cannot be stored
        json.dumps(content, ensure_ascii=False).encode()
    return content


def _is_too_deep(content: Any) -> bool:
    """Return True if lists and objects are nested more than MAX_DEPTH times."""
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [value for parent in level if isinstance(parent, dict | list) for value in _children(parent)]
    return any(isinstance(value, dict | list) for value in level)


def _children(parent: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return parent.values() if isinstance(parent, dict) else parent


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadRequest("The body names a member twice")
    return members


def _reject_constant(_: str) -> None:
    raise ValueError


def _integer(text: str) -> int:
    """Return the integer, or plus or minus HUGE for one of more than MAX_DIGITS.

    Parsing takes time that grows with the square of the digits. HUGE is far outside every member's range, so the error
    still names the member.
    """
    if len(text.removeprefix("-")) <= MAX_DIGITS:
        return int(text)
    return -HUGE if text.startswith("-") else HUGE


_decode_json = json.JSONDecoder(object_pairs_hook=_members, parse_int=_integer, parse_constant=_reject_constant).decode

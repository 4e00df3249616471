"""Strict parsing of forms (application/x-www-form-urlencoded), as of JSON: UTF-8, bounded, no duplicate members.

An empty member is one that was not filled in, so it counts as missing. A list is accepted as PHP, Python or a person
write it: `a[0]=x&a[1]=y`, `a[]=x&a[]=y`, `a=x`. A list for a member that is not one is rejected, never taken in part.

Values are unquoted in pieces, because the standard library makes an object of every quoted byte at once.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from seclink.domain.policy import raise_faults
from seclink.errors import BadRequest, Fault, UnsupportedMediaType

MAX_MEMBERS, PIECE_BYTES = 500, 65_536
_FORM = re.compile(r"application/x-www-form-urlencoded\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_INTEGER = re.compile(r"-?[0-9]{1,10}")
_LIST_INDEX = re.compile(r"\[[^\[\]]{0,10}\]")


def parse(body: bytes, content_type: str | None, lists: Collection[str] = ()) -> dict[str, Any]:
    """Return the members: strings, and lists of strings for those in `lists`.

    Raises BadRequest, UnsupportedMediaType.
    """
    if content_type is None or not _FORM.fullmatch(content_type):
        raise UnsupportedMediaType("This address accepts only application/x-www-form-urlencoded")
    try:
        pairs = list(_pairs(body))
    except ValueError:
        raise BadRequest("The body is not a valid form") from None
    members: dict[str, Any] = {}
    for key, value in pairs:
        name, bracket, _ = key.partition("[")
        if name in lists and (not bracket or _LIST_INDEX.fullmatch(key, len(name))):
            members.setdefault(name, []).extend([value] if value else [])
        elif bracket or name in members:
            # A password sent as a list, for example, must not be ignored as an unknown member.
            raise BadRequest("The body names a member twice, or as a list")
        else:
            members[name] = value
    return {name: value for name, value in members.items() if value}


def from_document(document: Any, lists: Collection[str], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the members of a JSON object as those of a form, under the form's `names` for them. Raises BadRequest."""
    if not isinstance(document, dict):
        raise BadRequest("The body must be a JSON object")
    members: dict[str, Any] = {}
    for key, value in document.items():
        name = names.get(key, key)
        if name in members:
            raise BadRequest("The body names a member twice")
        is_list = name in lists and isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not (is_list or value is None or isinstance(value, str | int)):
            raise BadRequest(faults=(Fault(name[:64], "must be a string or an integer", "wrong_type"),))
        members[name] = value if is_list or not isinstance(value, int) else str(int(value))
    return {name: value for name, value in members.items() if value}


def check_integers(members: dict[str, Any], names: Collection[str]) -> None:
    """Raise BadRequest unless these members, where present, are integers, and not written like 1.0 or 1e3."""
    malformed = sorted(name for name in names if not _INTEGER.fullmatch(members.get(name, "0")))
    raise_faults(Fault(name, "must be an integer", "wrong_type") for name in malformed)


def _pairs(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the names and values, unquoted. Raises ValueError."""
    if body.count(b"&") >= MAX_MEMBERS:
        raise ValueError
    body.decode()  # the unquoted part must be UTF-8 by itself
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        if pair:
            yield _unquote(name), _unquote(value)


def _unquote(quoted: bytes) -> str:
    """Return the text. Raises ValueError if it is not UTF-8."""
    quoted = quoted.replace(b"+", b" ")
    begin, pieces = 0, []
    while begin < len(quoted):
        end = begin + PIECE_BYTES
        last = quoted.find(b"%", end - 2, end)  # the start of a %XX that would be cut
        end = end if last < 0 else last
        pieces.append(unquote_to_bytes(quoted[begin:end]))
        begin = end
    return b"".join(pieces).decode()

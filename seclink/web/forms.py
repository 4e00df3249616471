"""Reading a form (application/x-www-form-urlencoded) as strictly as the JSON: in UTF-8, bounded, no member twice.

An empty member is one that was not filled in, and the same as none. A list comes as PHP, Python or hand write it:
`a[0]=x&a[1]=y`, `a[]=x&a[]=y`, `a=x`. Where no list belongs one is refused, and not half of it taken.

What is quoted is unquoted in pieces: the library makes an object of every single quoted byte, at once.
"""

import re
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from seclink.errors import BadRequest, UnsupportedMediaType

MEMBERS, PIECE = 500, 65_536
_FORM = re.compile(r"application/x-www-form-urlencoded\s*(;\s*charset=\"?utf-8\"?\s*)?", re.IGNORECASE)
_LISTED = re.compile(r"\[[^\[\]]{0,10}\]")


def parse(body: bytes, content_type: str | None, lists: Collection[str] = ()) -> dict[str, Any]:
    """The members: texts, and for those in `lists` lists of them. Raises BadRequest, UnsupportedMediaType."""
    if content_type is None or not _FORM.fullmatch(content_type):
        raise UnsupportedMediaType("Only application/x-www-form-urlencoded is taken here")
    try:
        pairs = list(_pairs(body))
    except ValueError:
        raise BadRequest("The body is not a valid form") from None
    members: dict[str, Any] = {}
    for written, value in pairs:
        name, bracket, _ = written.partition("[")
        if name in lists and (not bracket or _LISTED.fullmatch(written, len(name))):
            members.setdefault(name, []).extend([value] if value else [])
        elif bracket or name in members:
            # A password that came as a list, say, may not be left out as something unknown.
            raise BadRequest("The body names a member twice, or as a list")
        else:
            members[name] = value
    return {name: value for name, value in members.items() if value}


def _pairs(body: bytes) -> Iterator[tuple[str, str]]:
    """Raises ValueError."""
    if body.count(b"&") >= MEMBERS:
        raise ValueError
    body.decode()  # what is not quoted is UTF-8 without what is
    for each in body.split(b"&"):
        name, _, value = each.partition(b"=")
        if each:
            yield _unquoted(name), _unquoted(value)


def _unquoted(quoted: bytes) -> str:
    """Raises ValueError for what is no UTF-8."""
    quoted = quoted.replace(b"+", b" ")
    begin, pieces = 0, []
    while begin < len(quoted):
        end = begin + PIECE
        last = quoted.find(b"%", end - 2, end)  # of a %XX that would be cut
        end = end if last < 0 else last
        pieces.append(unquote_to_bytes(quoted[begin:end]))
        begin = end
    return b"".join(pieces).decode()

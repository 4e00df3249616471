"""Finds the link in a pasted text, as mail and chat programs pass it on.

What they add is ignored, and what they rewrite is undone where the result is certain: a key has a fixed length and
alphabet, SecLink's own also a checksum. A key that lacks a character, has one more letter or digit, or holds another
character is none. `static/js/pasted-link.js` does the same; `tests/vectors/pasted_*.json` and
`foreign_addresses_*.json` are for both.

    added       text in front and behind, marks at the end (also - and _), invisible characters, `?utm_source=...`,
                `/`, `.` or `;...` behind the id
    rewritten   escapes (`%5F`, `%255F`, quoted-printable `=3D`), line breaks, the case of scheme and host
    exposed     `%23` instead of `#`, or the link inside another one (Safe Links and the like): a server may have read
                the key
    refused     a host that is broken, escaped or has invisible characters, since it reads as another one; a whole link
                behind a damaged one of another server
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote

from seclink.errors import LinkIncomplete
from seclink.format.host import is_usable
from seclink.format.link import Link, ReceiptLink, key_of, raw_key_of

MAX_TEXT_CHARS = 100_000
MAX_URLS = 20  # looked at in one text
MAX_ESCAPES = 3  # on top of each other
MAX_TAIL_CHARS = 1000
MAX_KEY_CHARS = 64

INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
# With the backslashes that Markdown and JSON put before these marks.
_DROPPED = re.compile(rf"[{INVISIBLE}]|\\(?=[-_#~/])")
_LINE_BREAK = re.compile(r"=?\r?\n[\s>|]*")
_GAP = re.compile(rf"{_LINE_BREAK.pattern}|\s+")
_QUOTED_PRINTABLE = re.compile(r"=([0-9A-F]{2})")
_URL = re.compile(r'(?=(https?://[^\s/?#<>"\\]+)([^\s?#<>"\\]*)(?:\?[^\s#]*)?(?:#(.*))?)', re.IGNORECASE | re.DOTALL)
_AROUND = re.compile(r'[\s<>"()\[\]]')
# Behind a key: marks that keys have, too, and then no letter or digit.
_END = re.compile(r"[-_=+/~$]*(?![-_=+/~$A-Za-z0-9])")
_BEHIND_PATH = r"[^A-Za-z0-9;]*(?:;.*)?$"
# Behind a raw key of 16 bytes: what may be the rest of a damaged one of 32, and is no tracker or word.
_MAY_GO_ON = re.compile(
    r"""(?![-_+/~$]*[?&][A-Za-z0-9_]+=)[^\s<>"'()\[\]{}A-Za-z0-9]+[A-Za-z0-9]|[^A-Za-z0-9]+(?:[A-Za-z]+>)?[A-Za-z0-9+/_-]{16}"""
)
_SHORT_KEY_CHARS = 22
_UNUSUAL_PATH = re.compile("@|://")  # makes a link look as if it led elsewhere; no SecLink server builds one

_BAD_HOST = "The server's name in this link is not a usable one, or was broken; nothing was sent"
_SECOND_LINK = "The link to {} is incomplete or was changed, and {} is another one; nothing was sent"


@dataclass(frozen=True, slots=True)
class _Form:
    """A form of links: their path, whose group is the id, and what is a key; None for links without one."""

    path: re.Pattern[str]
    is_key: Callable[[str], object] | None
    format: str = ""

    @classmethod
    def of(cls, path: str, is_key: Callable[[str], object] | None, format: str = "") -> "_Form":
        return cls(re.compile(path + _BEHIND_PATH, re.DOTALL), is_key, format)


@dataclass(frozen=True, slots=True)
class _Candidate:
    form: _Form
    base: str
    id: str
    key: str
    is_exposed: bool
    is_damaged: bool


def parse(text: str) -> Link:
    """Return the link of a secret in a pasted text; without a whole key, its fragment is empty.

    The link id of another system's link begins with the system's name and a dot. Raises LinkIncomplete if there is no
    link.
    """
    candidate = _find(text, SECRETS)
    return Link(candidate.base, _link_id(candidate), candidate.key, candidate.is_exposed)


def parse_receipt(text: str) -> ReceiptLink:
    """Return the link of a receipt in a pasted text; without a whole manage token, that is empty.

    Raises LinkIncomplete if there is no link.
    """
    candidate = _find(text, _RECEIPTS)
    return ReceiptLink(candidate.base, candidate.id, candidate.key, candidate.is_exposed)


def is_sharokey_key(fragment: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9]{24}", fragment))


def _is_own_key(text: str) -> bool:
    return _is_accepted(key_of, text)


def _is_native_key(text: str) -> bool:
    return is_sharokey_key(text) or _is_own_key(text) or _is_accepted(raw_key_of, text)


def _is_seecret_key(text: str) -> bool:
    return len(text) == 43 and not set("+/=") & set(text) and _is_accepted(raw_key_of, text)


def _is_accepted(decode: Callable[[str], bytes], text: str) -> bool:
    try:
        return bool(decode(text))
    except LinkIncomplete:
        return False


# As in `config.dialects`; a test compares them.
SECRETS = (
    _Form.of(r"/scrt-link/s()", re.compile(r"[A-Za-z0-9$~_.-]{36}").fullmatch, "scrt-link"),
    _Form.of(r"/seecret/_([A-Za-z0-9]{6})", _is_seecret_key, "seecret"),
    _Form.of(r"/enigmacrypt/s/([A-Za-z0-9]{8})", None, "enigmacrypt"),
    _Form.of(r"/([A-Za-z0-9]{12})", _is_native_key),
)
_RECEIPTS = (_Form.of(r"/receipt/([A-Za-z0-9]{20})", re.compile(r"[A-Za-z0-9]{32}").fullmatch),)


def _find(text: str, forms: tuple[_Form, ...]) -> _Candidate:
    """Return the first link with a whole key, in the text as it is or with its escapes undone, else one without."""
    keyless = None
    for variant, source, is_escaped in _variants(text[:MAX_TEXT_CHARS]):
        for url in islice(_URL.finditer(variant), MAX_URLS):
            candidate = _match(url, forms, source, is_escaped or _is_wrapped(variant[: url.start()]))
            if candidate and (candidate.key or not candidate.form.is_key):
                if keyless and keyless.is_damaged and keyless.base != candidate.base and not candidate.is_exposed:
                    raise LinkIncomplete(_SECOND_LINK.format(keyless.base, candidate.base))
                return candidate
            keyless = keyless or candidate
    if keyless is None or keyless.form.format == "scrt-link":  # its id is in the key
        raise LinkIncomplete
    return keyless


def _variants(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the text with ever more of its rewriting undone, the text in which its hosts must stand as they are, and
    whether a `#` in it may have been escaped.
    """
    whole, shown = _DROPPED.sub("", text), text.replace("\\", "")
    joined = _LINE_BREAK.sub("", whole)
    sources = [source.lower() for source in _undone(shown, _unescape)]
    yield whole, sources[0], False
    yield joined, sources[0], False
    for variant in dict.fromkeys((whole, joined)):
        for depth, plain in enumerate(islice(_unescaped(variant), 1, None), 1):
            yield plain, sources[min(depth, len(sources) - 1)], True
    for pattern, rewrite in _PROOFPOINT:
        yield _DROPPED.sub("", pattern.sub(rewrite, joined)), pattern.sub(rewrite, shown).lower(), True


def _unescaped(text: str) -> Iterator[str]:
    """Yield the text, and then with its escapes undone and invisible characters dropped once, twice, ..."""
    return _undone(text, lambda escaped: _DROPPED.sub("", _unescape(escaped)))


def _undone(text: str, undo: Callable[[str], str]) -> Iterator[str]:
    """Yield the text, and then what `undo` makes of it once, twice, ..., as long as that changes it."""
    for _ in range(MAX_ESCAPES + 1):
        yield text
        before, text = text, undo(text)
        if text == before:
            return


def _unescape(text: str) -> str:
    return unquote(_QUOTED_PRINTABLE.sub(r"%\1", text), errors="replace")


# Proofpoint's rewriting, versions 2 and 3, and what undoes it.
_PROOFPOINT: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"https?-3A__[^&\s]+", re.IGNORECASE),
        lambda url: _unescape(url[0].replace("_", "/").replace("-", "%")),
    ),
    (
        re.compile(r"(?<=/v3/__)https?:.{0,400}?(?=__;)", re.IGNORECASE),
        lambda url: url[0].replace("*", "#"),
    ),
)


def _is_wrapped(before: str) -> bool:
    """Return whether the text before a URL is the beginning of another one."""
    return "://" in _AROUND.split(before)[-1]


def _match(url: re.Match[str], forms: tuple[_Form, ...], source: str, is_exposed: bool) -> _Candidate | None:
    host, path, tail = url.groups(default="")
    *_, plain = _unescaped(path)
    path, _, escaped_key = plain.partition("#")  # which is read when the escapes of the whole text are undone
    for form in forms:
        match = form.path.search(path)
        if match is None:
            continue
        host = host.lower()
        if not is_usable(host.partition("://")[2]) or host not in source:
            raise LinkIncomplete(_BAD_HOST)
        base = host + path[: match.start()].rstrip("/")
        if _UNUSUAL_PATH.search(base, len(host)):
            return None
        key = _key(tail, form.is_key) if form.is_key and not escaped_key else ""
        return _Candidate(form, base, match[1], key, is_exposed, bool(tail or escaped_key) and not key)
    return None


def _link_id(candidate: _Candidate) -> str:
    if candidate.form.format == "scrt-link":
        return f"scrt-link.{hashlib.sha256(candidate.key[28:].encode()).hexdigest()}"
    return f"{candidate.form.format}.{candidate.id}".removeprefix(".")


def _key(tail: str, is_key: Callable[[str], object]) -> str:
    """Return the key at the beginning of what stands behind the `#`, or "" if there is none or more than one."""
    *_, plain = _unescaped(tail[:MAX_TAIL_CHARS])
    pieces = _GAP.split(plain.lstrip("#"), maxsplit=MAX_KEY_CHARS)
    keys, start = set(), ""
    for count, piece in enumerate(pieces, 1):
        if len(start) >= MAX_KEY_CHARS:
            break
        start += piece
        keys.add(_longest_key(start, " ".join(["", *pieces[count:]]), is_key))
    keys.discard("")
    # A part of a broken key can look like a raw one, which has no checksum.
    certain = {key for key in keys if len(keys) == 1 or _is_own_key(key)}
    return certain.pop() if certain else ""


def _longest_key(text: str, rest: str, is_key: Callable[[str], object]) -> str:
    for end in range(min(len(text), MAX_KEY_CHARS), _SHORT_KEY_CHARS - 1, -1):
        if _END.match(text, end) and is_key(text[:end]):
            is_part = end == _SHORT_KEY_CHARS and _MAY_GO_ON.match(text[end:] + rest)
            return "" if is_part else text[:end].rstrip("=")
    return ""

"""The hosts that a link or a setting may name: those that every client reads alike.

A name that ends in a number is an IPv4 address in its usual form, as browsers take `010.1.2.3` for 8.1.2.3. Nothing is
escaped or of compatibility forms, such as full-width letters. `static/js/host.js` has the same rules;
`tests/vectors/pasted_hosts.json` is for both.
"""

import ipaddress
import re
import unicodedata

import idna

MAX_NAME_CHARS, MAX_PORT = 253, 65535

_WITH_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]@/]+)(?::([1-9][0-9]{0,4}))?")
_LABEL = re.compile(r"[a-z0-9_\x80-\U0010ffff](?:[a-z0-9_\x80-\U0010ffff-]{0,61}[a-z0-9_\x80-\U0010ffff])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_BYTE}(?:\.{_BYTE}){{3}}")


def is_usable(text: str) -> bool:
    """Return whether a text in lower case is a host that can be used, perhaps with a port."""
    match = _WITH_PORT.fullmatch(text)
    if not match or int(match[2] or 1) > MAX_PORT:
        return False
    return _is_ipv6(match[1][1:-1]) if text.startswith("[") else _is_name(match[1])


def _is_ipv6(text: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def _is_name(name: str) -> bool:
    labels = name.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return bool(_IPV4.fullmatch(name))
    is_written_once = unicodedata.normalize("NFKC", name) == name
    return len(name) <= MAX_NAME_CHARS and is_written_once and all(map(_is_label, labels))


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    try:
        return label.isascii() or bool(idna.alabel(label))
    except UnicodeError:  # idna's own errors are its subclasses
        return False

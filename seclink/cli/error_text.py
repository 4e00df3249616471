"""A refusal of what `create` asked for, in the words and units of its options: the API speaks of its own members.

What is not worded as this release's server does keeps the server's words.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from seclink.cli.terminal import printable
from seclink.client.secrets import max_body_bytes
from seclink.errors import BadRequest, PayloadTooLarge, SecLinkError

_RANGE = re.compile(r"must be ([0-9]{1,9}) to ([0-9]{1,9}) seconds")
_CHARACTERS = re.compile(r"must have at most ([0-9]{1,9}) characters")
_BYTES = re.compile(r"must have 1 to ([0-9]{1,9}) bytes|A secret may have at most ([0-9]{1,9}) bytes here, sealed")
_OPTIONS = {"maxViews": "--views", "publicNote": "--note", "label": "--label", "hours": "--hours"}
_UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


class RequestedOptions(NamedTuple):
    """What was given: the lifetime by the option it came from, texts by theirs, the secret by its size."""

    lifetime: tuple[str, float]
    texts: Mapping[str, str | None]
    size: int


def in_options(error: BadRequest | PayloadTooLarge, asked: RequestedOptions) -> SecLinkError:
    """The same refusal, as one line for each thing that is wrong."""
    if isinstance(error, PayloadTooLarge):
        return PayloadTooLarge(_size(error.message, asked.size))
    lines = [printable(_line(fault.field, fault.message, asked)) for fault in error.faults]
    return BadRequest("\n  ".join(lines) or error.message)


def _line(member: str, message: str, asked: RequestedOptions) -> str:
    option, seconds = asked.lifetime
    if member == "encryptedBlob" and _BYTES.fullmatch(message):
        return _size(message, asked.size)
    if member == "expiresIn":
        return f"{option}: {_lifetime(message, option, seconds)}"
    if member == "text":
        return "--type redirect: what is sealed must be an http or https address, and nothing else"
    option, found = _OPTIONS.get(member, member), _CHARACTERS.fullmatch(message)
    given = asked.texts.get(option)
    if found and given:
        return f"{option}: at most {found[1]} characters on this server, and this has {len(given)}"
    return f"{option}: {message}"


def _lifetime(message: str, option: str, seconds: float) -> str:
    found = _RANGE.fullmatch(message)
    if not found:
        return message
    bound, limit = ("at least", int(found[1])) if seconds < int(found[1]) else ("at most", int(found[2]))
    count, unit = next((limit // each, name) for name, each in _UNITS.items() if limit % each == 0)
    if option == "--expires" and unit != "second":
        return f"{bound} {count}{unit[0]} on this server"
    in_words = f"{count} {unit}{'' if count == 1 else 's'}"
    if option == "--expires":
        return f"{bound} {in_words} on this server"
    return f"{bound} {round(limit / 3600, 4):.10g}{'' if unit == 'hour' else f' ({in_words})'} on this server"


def _size(message: str, size: int) -> str:
    found = _BYTES.fullmatch(message)
    most = f", at most {max_body_bytes(int(found[1] or found[2])):,} on this server" if found else ""
    return f"the secret is too large: {size:,} bytes{most}"

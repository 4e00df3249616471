"""Values of options: from what the TOML says to their types, their bounds in words, where in the file they stand."""

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from seclink.config.types import (
    Cidr,
    Colour,
    Duration,
    Endpoint,
    FilePath,
    HostName,
    ImagePath,
    PublicUrl,
    Url,
    cidr,
    colour,
    endpoint,
    file_path,
    host_name,
    image_path,
    parse_duration,
    parse_rate,
    public_url,
    to_toml,
    url,
)
from seclink.model import Rate

LINK_CHARACTERS = 40


def typed(value: Any, annotated: Any, folder: Path) -> Any:
    """The value as an option's type; relative paths begin at `folder`. Raises ValueError, msgspec.ValidationError."""
    kind, meta = get_args(annotated)[:2]
    if kind is Duration:
        return _duration(value, meta)
    if kind is Rate:
        return parse_rate(value if isinstance(value, str) else "")
    if kind == PublicUrl | None:
        return public_url(value)
    if kind in _FROM_TEXT:
        return _FROM_TEXT[kind](msgspec.convert(value, str))
    if kind == ImagePath | None:
        return image_path(_printable(msgspec.convert(value, str)), folder)
    if kind == FilePath | None:
        return file_path(msgspec.convert(value, str), folder)
    if kind in _LISTS:
        return [_LISTS[kind](each) for each in msgspec.convert(value, list[str])]
    if kind == list[Duration]:
        few = msgspec.convert(value, Annotated[list[Any], Meta(min_length=meta.min_length, max_length=meta.max_length)])
        return [_duration(each, (meta.extra or {})["each"]) for each in few]
    if kind == dict[str, Url]:
        return _links(value, meta)
    if kind is str and isinstance(value, str) and _printable(value).isspace():
        raise ValueError("must not be blank")
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise ValueError(f"must be {bounds(kind, meta)}")
    if kind is int and not (type(value) is int and meta.ge <= value <= meta.le):
        raise ValueError(f"must be a whole number, {bounds(kind, meta)}")
    return msgspec.convert(value, annotated)


_FROM_TEXT: dict[Any, Callable[[str], Any]] = {
    HostName: host_name,
    HostName | None: host_name,
    Colour | None: colour,
    Endpoint | None: endpoint,
}
_LISTS: dict[Any, Callable[[str], Any]] = {list[Cidr]: cidr, list[HostName]: host_name}


def _duration(value: Any, meta: Meta) -> Duration:
    if not isinstance(value, str):
        raise ValueError('write a duration in quotes, like "24h"')
    seconds = parse_duration(value)
    if not (meta.ge or 0) <= seconds <= (meta.le or 0):
        raise ValueError(f"must be {bounds(Duration, meta)}")
    return seconds


def _links(value: Any, meta: Meta) -> dict[str, Url]:
    given = msgspec.convert(value, dict[str, str])
    if len(given) > (meta.max_length or 0):
        raise ValueError(f"must be {bounds(dict[str, Url], meta)}")
    if not all(1 <= len(text) <= LINK_CHARACTERS and text.strip() for text in given):
        raise ValueError(f"a link's text must have 1 to {LINK_CHARACTERS} characters")
    return {_printable(text): url(each) for text, each in given.items()}


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not contain control characters")
    return value


def bounds(kind: Any, meta: Meta) -> str:
    """What may be said, in words."""
    if kind == list[Duration]:
        return f"{meta.min_length} to {meta.max_length}, each {bounds(Duration, (meta.extra or {})['each'])}"
    if kind is Duration:
        return f"{to_toml(Duration(meta.ge or 0))} to {to_toml(Duration(meta.le or 0))}"
    if kind is int:
        return f"{meta.ge} to {meta.le}"
    if get_origin(kind) is Literal:
        return " or ".join(json.dumps(each) for each in get_args(kind))
    if kind is str and meta.max_length:
        return f"{meta.min_length or 0} to {meta.max_length} characters"
    named = {
        Rate: "N/second, minute, hour or day",
        str: "text",
        bool: "true or false",
        HostName: "text",
        HostName | None: "text",
        PublicUrl | None: "a URL",
        Colour | None: "#RRGGBB",
        Endpoint | None: "HOST:PORT",
        FilePath | None: "a path",
        ImagePath | None: "a path to an .svg, .png or .webp",
        dict[str, Url]: f"at most {meta.max_length}: text = URL, http, https or mailto",
    }
    return named.get(kind, "a list of texts")


def hint(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"


def plain(error: Exception) -> str:
    return (
        str(error).partition(" - at")[0].replace("`", "").lower()
        if isinstance(error, msgspec.ValidationError)
        else str(error)
    )

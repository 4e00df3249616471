"""The types of options: how each is parsed, described, and written as TOML.

A type without bounds is a constant, such as HOST_NAME; one with bounds is made by a function, such as `integer`.
Parsing raises ValueError with a hint that never repeats the value, because that could be a password.
"""

import ipaddress
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args
from urllib.parse import urlsplit

from msgspec import Struct

from seclink.config.durations import format_duration, parse_duration
from seclink.model import Rate

DEFAULT_PORTS = {"http": 80, "https": 443}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
PICTURES = {".svg": b"<", ".png": b"\x89PNG\r\n\x1a\n", ".webp": b"RIFF"}
PICTURE_BYTES = 65_536
LINK_CHARACTERS, URL_CHARACTERS = 40, 500
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?", re.IGNORECASE)


class Endpoint(str):
    """An address to listen on, with its port: `127.0.0.1:9464`, `[::1]:9464`."""

    __slots__ = ()

    @property
    def host(self) -> str:
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.rpartition(":")[2])


def to_toml(value: Any) -> str:
    """Return a string, number, boolean, list or table as TOML."""
    if isinstance(value, list):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{to_toml(name)} = {to_toml(item)}' for name, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


class OptionType(NamedTuple):
    """`parse` takes a value of the TOML file and the folder at which relative paths begin, and raises ValueError."""

    parse: Callable[[Any, Path], Any]
    bounds: str
    to_toml: Callable[[Any], str] = to_toml


class Declared(Struct, frozen=True):
    """The metadata of an option, inside the `Annotated[...]` of its field. A reload does not change `at_start`."""

    type: OptionType
    help: str
    example: str = ""
    at_start: bool = False


def integer(low: int, high: int) -> OptionType:
    def parse(value: Any, _: Path) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"must be a whole number, {low} to {high}")
        return value

    return OptionType(parse, f"{low} to {high}")


def choice(literal: Any) -> OptionType:
    """Return the type of the values of a `Literal`."""
    bounds = " or ".join(map(to_toml, get_args(literal)))

    def parse(value: Any, _: Path) -> Any:
        if value not in get_args(literal):
            raise ValueError(f"must be {bounds}")
        return value

    return OptionType(parse, bounds)


def duration(shortest: str, longest: str) -> OptionType:
    bounds = f'"{shortest}" to "{longest}"'

    def parse(value: Any, _: Path) -> int:
        if not isinstance(value, str):
            raise ValueError('write a duration in quotes, like "24h"')
        seconds = parse_duration(value)
        if not parse_duration(shortest) <= seconds <= parse_duration(longest):
            raise ValueError(f"must be {bounds}")
        return seconds

    return OptionType(parse, bounds, lambda seconds: f'"{format_duration(seconds)}"')


def text(min_length: int = 0, max_length: int | None = None) -> OptionType:
    bounds = "text" if max_length is None else f"{min_length} to {max_length} characters"

    def parse(value: Any, _: Path) -> str:
        string = _string(value, bounds)
        if max_length is not None and not min_length <= len(string) <= max_length:
            raise ValueError(f"must have {bounds}")
        if string.isspace() or len(string) < min_length:
            raise ValueError("must not be blank")
        return string

    return OptionType(parse, bounds)


def list_of(item: OptionType, min_length: int = 0, max_length: int | None = None) -> OptionType:
    count = "" if max_length is None else f" of {min_length} to {max_length}"
    bounds = f"a list{count}, each {item.bounds}"

    def parse(value: Any, folder: Path) -> list[Any]:
        if not isinstance(value, list) or not min_length <= len(value) <= (max_length or len(value)):
            raise ValueError(f"must be {bounds}")
        return [item.parse(element, folder) for element in value]

    return OptionType(parse, bounds, lambda values: f"[{', '.join(map(item.to_toml, values))}]")


def links(max_length: int) -> OptionType:
    """Return the type of a table of URLs by the texts that link to them."""
    bounds = f"a table of at most {max_length}: text = URL, http, https or mailto"

    def parse(value: Any, _: Path) -> dict[str, str]:
        if not isinstance(value, dict) or len(value) > max_length:
            raise ValueError(f"must be {bounds}")
        if not all(len(name) <= LINK_CHARACTERS and name.strip() for name in value):
            raise ValueError(f"a link's text must have 1 to {LINK_CHARACTERS} characters")
        return {_string(name, "text"): _link_url(_string(url, "a URL")) for name, url in value.items()}

    return OptionType(parse, bounds)


def parse_rate(string: str) -> Rate:
    """Return the rate that `20/hour` stands for. Raise ValueError with an example."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})/(second|minute|hour|day)", string)
    if not match:
        raise ValueError("write a rate like 20/hour (second, minute, hour or day)")
    return Rate(int(match[1]), PERIODS[match[2]])


def format_rate(rate: Rate) -> str:
    return f"{rate.count}/{next(name for name, seconds in PERIODS.items() if seconds == rate.seconds)}"


def _string(value: Any, bounds: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string in quotes ({bounds})")
    if not value.isprintable():
        raise ValueError("must not contain control characters")
    return value


def _boolean(value: Any, _: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false, without quotes")
    return value


def _host_name(string: str) -> str:
    """Return a host name or address, an IPv6 address without the brackets that it has in URLs."""
    host = string[1:-1] if ":" in string and string.startswith("[") and string.endswith("]") else string
    if not _is_host(host):
        raise ValueError("write a host name or address without a port; names with other letters as xn--...")
    return host


def _endpoint(string: str) -> Endpoint:
    host, _, port = string.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    is_host = _is_host(host[1:-1] if is_bracketed else host) and (":" in host) == is_bracketed
    if not is_host or not re.fullmatch("[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise ValueError("write an address with a port like 127.0.0.1:9464 or [::1]:9464")
    return Endpoint(string)


def _is_host(string: str) -> bool:
    if ":" not in string:
        return bool(_HOST_NAME.fullmatch(string))
    try:
        return ipaddress.IPv6Address(string).scope_id is None
    except ValueError:
        return False


def _public_url(string: str) -> str:
    is_plain = re.fullmatch(r"[!-~]+", string) and not re.search(r"[?#@\\]", string)
    parts = urlsplit(string if is_plain else "")
    if parts.scheme not in ("http", "https") or not _is_host(parts.hostname or "") or parts.port == 0:
        raise ValueError("write an address like https://secrets.example.org, without query or fragment")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https: browsers only encrypt on https or on this machine itself")
    return string.rstrip("/")


def _origin(string: str) -> str:
    parts = urlsplit(_public_url(string).lower())
    if parts.path:
        raise ValueError("write an origin like https://send.example.org, without a path")
    return parts.geturl().removesuffix(f":{DEFAULT_PORTS[parts.scheme]}")


def _cidr(string: str) -> str:
    try:
        interface = ipaddress.ip_interface(string)
    except ValueError:
        raise ValueError("write addresses or ranges like 10.0.0.1, fd00::1 without brackets, or 10.0.0.0/8") from None
    network, address = interface.network, interface.ip
    if network.network_address != address:  # one address is meant, or the whole range: trusting is not for guesses
        raise ValueError(f"write {network} for the range, or {address} for the address")
    return str(network)


def _colour(string: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", string):
        raise ValueError("write a colour like #1a5fb4")
    return string.lower()


def _link_url(string: str) -> str:
    parts = urlsplit(string)
    has_target = bool(parts.path if parts.scheme == "mailto" else parts.hostname)
    is_word = len(string) <= URL_CHARACTERS and not re.search(r'[\s\\"<>]', string)
    if parts.scheme not in ("http", "https", "mailto") or not has_target or not is_word:
        raise ValueError("write addresses like https://example.org/imprint or mailto:help@example.org")
    return string


def _file_path(value: Any, folder: Path) -> str:
    if not value:
        raise ValueError("write the path of a file")
    return os.path.abspath(folder / _string(value, "a path"))  # noqa: PTH100  Path.resolve would follow links, which may change


def _image_path(value: Any, folder: Path) -> str:
    path = (folder / _string(value, "a path")).resolve()
    first_bytes = PICTURES.get(path.suffix.lower())
    if first_bytes is None:
        raise ValueError("must be an .svg, .png or .webp file")
    try:
        with path.open("rb") as file:
            content = file.read(PICTURE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > PICTURE_BYTES:
        raise ValueError(f"is larger than {PICTURE_BYTES} bytes")
    if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(first_bytes):
        raise ValueError(f"has other content than {path.suffix} files have")
    return str(path)


def _from_string(parse: Callable[[str], Any], bounds: str, to_toml: Callable[[Any], str] = to_toml) -> OptionType:
    return OptionType(lambda value, _: parse(_string(value, bounds)), bounds, to_toml)


BOOLEAN = OptionType(_boolean, "true or false")
RATE = _from_string(parse_rate, "N/second, minute, hour or day", lambda rate: f'"{format_rate(rate)}"')
HOST_NAME = _from_string(_host_name, "a host name or address")
ENDPOINT = _from_string(_endpoint, "HOST:PORT")
PUBLIC_URL = _from_string(_public_url, "a URL")
ORIGIN = _from_string(_origin, "https://HOST or https://HOST:PORT")
CIDR = _from_string(_cidr, "an address or CIDR range")
COLOUR = _from_string(_colour, "#RRGGBB")
FILE_PATH = OptionType(_file_path, "a path")
IMAGE_PATH = OptionType(_image_path, "a path to an .svg, .png or .webp")

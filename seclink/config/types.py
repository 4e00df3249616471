"""Durations, rates, addresses and colours, as the TOML and the command line write them.

Durations are to_toml `90s`, `15m`, `24h`, `7d`; rates `20/hour`; colours `#1a5fb4`.
"""

import ipaddress
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seclink.model import Rate

LOOPBACK = ("localhost", "127.0.0.1", "::1")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PERIODS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class Duration(int):
    """Whole seconds, to_toml with a unit."""


class PublicUrl(str):
    """Where people reach the appliance:

    https, or http on this machine alone; no query or fragment, no trailing slash.
    """

    __slots__ = ()


class Cidr(str):
    """An IP address or CIDR range."""

    __slots__ = ()


class HostName(str):
    """A host name or an IP address, without a port."""

    __slots__ = ()


class Endpoint(str):
    """An address to listen on, with its port: `127.0.0.1:9464`, `[::1]:9464`."""

    __slots__ = ()

    @property
    def host(self) -> str:
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.rpartition(":")[2])


class Colour(str):
    """Red, green and blue in hexadecimal: `#1a5fb4`."""

    __slots__ = ()


class ImagePath(str):
    """The absolute path of an image that was there and fit to be shown when it was checked."""

    __slots__ = ()


class FilePath(str):
    """The absolute path of a file, with links in it as they were: what they lead to may change."""

    __slots__ = ()


class Url(str):
    """Where a link in the footer leads: an http, https or mailto URL."""

    __slots__ = ()


PICTURES = {".svg": b"<", ".png": b"\x89PNG\r\n\x1a\n", ".webp": b"RIFF"}
PICTURE_BYTES = 65_536
HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?", re.IGNORECASE)


def to_toml(value: Any) -> str:
    """A value as the TOML writes it."""
    if isinstance(value, Rate):
        return json.dumps(f"{value.count}/{next(name for name, s in PERIODS.items() if s == value.seconds)}")
    if isinstance(value, Duration):
        unit = next(u for u in ("d", "h", "m", "s") if value % UNITS[u] == 0)
        return json.dumps(f"{value // UNITS[unit]}{unit}")
    if isinstance(value, list):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{to_toml(name)} = {to_toml(each)}' for name, each in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def parse_duration(text: str) -> Duration:
    """`90s`, `15m`, `24h`, `7d` -> seconds. Raises ValueError."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    if not match:
        raise ValueError("write a duration like 90s, 15m, 24h or 7d")
    return Duration(int(match[1]) * UNITS[match[2]])


def parse_rate(text: str) -> Rate:
    """`20/hour` -> Rate. Raises ValueError."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})/(second|minute|hour|day)", text)
    if not match:
        raise ValueError("write a rate like 20/hour (second, minute, hour or day)")
    return Rate(int(match[1]), PERIODS[match[2]])


def host_name(value: str) -> HostName:
    if not _is_host(value.removeprefix("[").removesuffix("]") if ":" in value else value):
        raise ValueError("write a host name or address without a port; names with other letters as xn--...")
    return HostName(value)


def endpoint(value: str) -> Endpoint:
    host, _, port = value.rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    is_host = _is_host(host[1:-1] if is_bracketed else host) and (":" in host) == is_bracketed
    if not is_host or not re.fullmatch("[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise ValueError("write an address with a port like 127.0.0.1:9464 or [::1]:9464")
    return Endpoint(value)


def _is_host(value: str) -> bool:
    if ":" not in value:
        return bool(HOST_NAME.fullmatch(value))
    try:
        return ipaddress.IPv6Address(value).scope_id is None
    except ValueError:
        return False


def public_url(value: Any) -> PublicUrl:
    parts = urlsplit(value) if isinstance(value, str) else urlsplit("")
    is_plain = value == "".join(str(value).split()) and value.isascii() and not set("?#@\\") & set(value)
    if parts.scheme not in ("http", "https") or not is_plain or not _is_host(parts.hostname or "") or parts.port == 0:
        raise ValueError("write an address like https://secrets.example.org, without query or fragment")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("must be https: browsers only encrypt on https or on this machine itself")
    return PublicUrl(value.rstrip("/"))


def cidr(value: str) -> Cidr:
    try:
        return Cidr(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("write addresses or ranges like 10.0.0.1 or 10.0.0.0/8") from None


def colour(value: str) -> Colour:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise ValueError("write a colour like #1a5fb4")
    return Colour(value.lower())


def url(value: str) -> Url:
    parts = urlsplit(value)
    is_somewhere = bool(parts.path if parts.scheme == "mailto" else parts.hostname)
    if parts.scheme not in ("http", "https", "mailto") or not is_somewhere or not _is_one_word(value):
        raise ValueError("write addresses like https://example.org/imprint or mailto:help@example.org")
    return Url(value)


def _is_one_word(value: str) -> bool:
    return value.isprintable() and not any(each.isspace() or each in '\\"<>' for each in value) and len(value) <= 500


def file_path(value: str, folder: Path) -> FilePath:
    """`value` is relative to `folder`. Whether there is such a file is seen by whoever reads it."""
    if not value or not value.isprintable():
        raise ValueError("write the path of a file")
    return FilePath(os.path.abspath(folder / value))  # noqa: PTH100  Path.resolve would follow links


def image_path(value: str, folder: Path) -> ImagePath:
    """The image at `value`, which is relative to `folder`. Raises ValueError where pages could not show it."""
    path = (folder / value).resolve()
    begins = PICTURES.get(path.suffix.lower())
    if begins is None:
        raise ValueError("must be an .svg, .png or .webp file")
    try:
        with path.open("rb") as file:
            content = file.read(PICTURE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > PICTURE_BYTES:
        raise ValueError(f"is larger than {PICTURE_BYTES} bytes")
    if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(begins):
        raise ValueError(f"is not what {path.suffix} files are")
    return ImagePath(path)

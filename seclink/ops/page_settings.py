"""What a page says of its server, read back into a configuration.

A page is the shipped file with the server's settings in it. To know whether there is anything else in it, its settings
are taken out, put through the very checks that the TOML goes through, and the page is made anew with them: what comes
out must be the same bytes. So a value can be no more than an operator may write down, and can hide nothing.
"""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from seclink.config.durations import format_duration
from seclink.config.parser import parse
from seclink.config.schema import Config
from seclink.config.types import PICTURES, to_toml
from seclink.errors import ConfigError
from seclink.web.assets import ICON, Assets, load

SETTINGS = re.compile(rb'<html lang="[a-z-]{2,8}" data-settings="([^"]{2,20000})">')
VERSION = re.compile(rb'/static/([0-9a-f]{12})/css/style\.css"')
ACCENT = re.compile(rb"\n:root\{--accent:(#[0-9a-f]{6});[^\n]{1,200}\n\Z")

Fetch = Callable[[str], bytes]
"""A path below the public URL -> what is there."""


def settings_from_page(page: bytes, address: str, fetch: Fetch) -> tuple[Config, Assets]:
    """The configuration that a start page declares, and all that the installed release makes of it.

    Raises ConfigError where the page declares what no TOML file may say.
    """
    told, version = _settings(page), VERSION.search(page)
    if told is None or version is None:
        raise ConfigError("this is not SecLink's start page")
    below = f"/static/{version[1].decode()}/"
    accent = ACCENT.search(fetch(f"{below}css/style.css"))
    try:
        with TemporaryDirectory() as folder:
            logo = _logo(str(told["logo"]), Path(folder), lambda name: fetch(below + name))
            config = parse(_toml(told, accent[1].decode() if accent else None, logo), "its settings", Path(folder))
            return config, load(config, address)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ConfigError("the settings of its pages are not of the known shape") from None


def _settings(page: bytes) -> dict[str, Any] | None:
    found = SETTINGS.search(page)
    try:
        told = json.loads(html.unescape(found[1].decode())) if found else None
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _logo(address: str, folder: Path, fetch: Fetch) -> str | None:
    """The operator's picture as a file, whose type and size `parse` checks; None for the shipped one."""
    if address.endswith(f"/{ICON}"):
        return None
    name = PurePosixPath(address).name
    if name.removeprefix("logo") not in PICTURES:
        raise ValueError
    (folder / name).write_bytes(fetch(f"img/{name}"))
    return name


def _toml(told: dict[str, Any], accent: str | None, logo: str | None) -> str:
    """Only what the pages show of it; the rest is at its default."""
    branding = {"name": told["name"], "footer": told["footer"], "accent": accent, "logo": logo}
    sections = {
        "access": {"create": told["create"]},
        "limits": {"payload_bytes": told["payloadBytes"]},
        "expiry": {
            "default": format_duration(told["default"]),
            "max": format_duration(told["max"]),
            "choices": [format_duration(each) for each in told["choices"]],
        },
        "branding": {**branding, "footer_links": dict(told["links"])},
    }
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{name} = {to_toml(each)}" for name, each in options.items() if each is not None)]
    return "\n".join(lines)

"""Reading a server's settings back from its start page.

A page is an installed file with the server's settings filled in. To find anything else in it, its settings are read,
checked by the same rules as the TOML file, and the page is rendered anew with them: the result must be the same bytes.
So a setting can only have a value that an operator may set, and can hide nothing.
"""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from seclink.config.durations import format_duration
from seclink.config.option_types import PICTURES
from seclink.config.parser import from_document
from seclink.config.schema import Config
from seclink.errors import ConfigError
from seclink.web.assets import ICON, Assets, load

SETTINGS = re.compile(rb'<html lang="[a-z-]{2,8}" data-settings="([^"]{2,20000})">')
VERSION = re.compile(rb'/static/([0-9a-f]{12})/css/style\.css"')
ACCENT = re.compile(rb"\n:root\{--accent:(#[0-9a-f]{6});[^\n]{1,200}\n\Z")

Fetch = Callable[[str], bytes]
"""A path below the public URL -> the body of its response."""


def settings_from_page(page: bytes, address: str, fetch: Fetch) -> tuple[Config, Assets]:
    """Return the configuration that a start page declares, and the assets of the installed release for it.

    Raises ConfigError if it declares settings that no TOML file may have.
    """
    settings, version = _settings(page), VERSION.search(page)
    if settings is None or version is None:
        raise ConfigError("this is not SecLink's start page")
    static = f"/static/{version[1].decode()}/"
    accent = ACCENT.search(fetch(f"{static}css/style.css"))
    try:
        with TemporaryDirectory() as folder:  # for the logo, whose file the configuration names
            logo = _save_logo(str(settings["logo"]), Path(folder), lambda name: fetch(static + name))
            document = _document(settings, accent[1].decode() if accent else None, logo)
            config = from_document(document, "its settings", Path(folder))
            return config, load(config, address)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise ConfigError("the settings of its pages do not have the known form") from None


def _settings(page: bytes) -> dict[str, Any] | None:
    match = SETTINGS.search(page)
    try:
        settings = json.loads(html.unescape(match[1].decode())) if match else None
    except (ValueError, RecursionError):
        return None
    return settings if isinstance(settings, dict) else None


def _save_logo(url: str, folder: Path, fetch: Fetch) -> str | None:
    """Save the operator's logo, and return its file name; None for the installed one."""
    if url.endswith(f"/{ICON}"):
        return None
    name = PurePosixPath(url).name
    if name.removeprefix("logo") not in PICTURES:
        raise ValueError
    (folder / name).write_bytes(fetch(f"img/{name}"))
    return name


def _document(settings: dict[str, Any], accent: str | None, logo: str | None) -> dict[str, Any]:
    """Return the sections of a TOML file with these settings; the pages do not show the others."""
    branding = {"name": settings["name"], "footer": settings["footer"], "accent": accent, "logo": logo}
    return {
        "access": {"create": settings["create"]},
        "limits": {"payload_bytes": settings["payloadBytes"]},
        "expiry": {
            "default": _duration(settings["default"]),
            "max": _duration(settings["max"]),
            "choices": [_duration(seconds) for seconds in settings["choices"]],
        },
        "branding": {
            **{name: value for name, value in branding.items() if value is not None},
            "footer_links": dict(settings["links"]),
        },
    }


def _duration(seconds: Any) -> str:
    if type(seconds) is not int:
        raise TypeError
    return format_duration(seconds)

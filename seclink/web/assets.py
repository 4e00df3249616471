"""The files of the pages, read once: scripts, styles and texts as they are, HTML filled in for every language.

An element `<p data-t="key"></p>` gets its text here, `data-t-placeholder`, `-label`, `-title` and `-content` become
attributes, so that a page reads right before its script runs, or without. `{{name}}` stands for a setting. A key or
setting that is not known stops the start. The files' addresses carry a version made of all their bytes: what a
browser has kept is right for ever, and a change of a file or of the branding is seen at once. What a page loads by
itself it names with its SHA-256, so that a byte changed on the way is not run.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from seclink.config.schema import Config
from seclink.domain.policy import LABEL_CHARACTERS, NOTE_CHARACTERS
from seclink.web.manifest import fingerprint, manifest

FOLDER = Path(__file__).parents[1] / "static"
FIRST_LANGUAGE = "en"
ICON = "img/icon.svg"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
}
OURS = re.compile(
    r'<(?:script type="module" src|link rel="(?:stylesheet|modulepreload)" href)='
    r'"\{\{base\}\}/static/\{\{version\}\}/([^"]*)"'
)
READABLE = 4.5
GROUNDS = (("#f6f5f1", "#000000"), ("#1c2220", "#ffffff"))
"""In light and in dark: of the style's grounds the one that is nearer to the ink, and the ink."""
ATTRIBUTES = {"placeholder": "placeholder", "label": "aria-label", "title": "title", "content": "content"}
Texts = dict[str, Any]


class Assets(Struct, frozen=True):
    """`files` by their paths below the version, `pages` by name and language; the first language is the one for
    whoever wants none of them. `root` is the path that everything on the public URL lies below, `""` for most."""

    root: str
    version: str
    languages: tuple[str, ...]
    files: Mapping[str, bytes]
    pages: Mapping[tuple[str, str], bytes]


def load(config: Config, public_url: str, folder: Path = FOLDER) -> Assets:
    """Raises ValueError where a page says what is not known."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in MEDIA_TYPES and not path.name.startswith(".")
    }
    spoken = {name[5:-3]: texts(text) for name, text in files.items() if re.fullmatch(r"i18n/[a-z-]+\.js", name)}
    languages = (FIRST_LANGUAGE, *sorted(spoken.keys() - {FIRST_LANGUAGE}))
    logo = _brand(files, config)
    root, version = urlsplit(public_url).path.rstrip("/"), _version(files)
    values = {
        "base": root,
        "version": version,
        "name": config.branding.name,
        "logo": f"{root}/static/{version}/{logo}",
        "fingerprint": fingerprint(manifest(folder)),
    }
    names = {name: spoken[name].get("language", name) for name in languages}
    values["settings"] = json.dumps(_settings(config, values["logo"], names), ensure_ascii=False, separators=(",", ":"))
    pages = {}
    for path in sorted(folder.glob("*.html")):
        for language in languages:
            said = spoken[FIRST_LANGUAGE] | spoken[language]
            page = sealed(path.read_text("utf-8").replace("{{lang}}", language), files)
            pages[path.stem, language] = fill(page, said, values).encode()
    return Assets(root, version, languages, files, pages)


def sealed(page: str, files: Mapping[str, bytes]) -> str:
    """A page that says of every script and style it loads what its bytes are. Raises ValueError for a file that is not
    there.
    """

    def integrity(match: re.Match[str]) -> str:
        if match[1] not in files:
            raise ValueError(f"a page wants the file {match[1]!r}, which is not there")
        digest = hashlib.sha256(files[match[1]]).digest()
        return f'{match[0]} integrity="sha256-{base64.b64encode(digest).decode()}"'

    return OURS.sub(integrity, page)


def fill(page: str, said: Texts, values: Mapping[str, str]) -> str:
    """A page with its texts and settings. Raises ValueError for a key that is not there, or a text with another
    inside. Settings come last, so nothing in them is taken for a placeholder."""

    def text(key: str) -> str:
        words = said.get(key)
        if not isinstance(words, str):
            raise ValueError(f"a page wants the text {key!r}, which is not there")
        return html.escape(words)

    def attribute(match: re.Match[str]) -> str:
        return f'{match[0]} {ATTRIBUTES[match[1]]}="{text(match[2])}"'

    def setting(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(f"a page wants the setting {match[1]!r}, which is not there")
        return html.escape(values[match[1]])

    page = re.sub(rf'data-t-({"|".join(ATTRIBUTES)})="([^"]*)"', attribute, page)
    page = re.sub(r'(data-t="([^"]*)"[^>]*>)(?=<)', lambda match: match[1] + text(match[2]), page)
    return re.sub(r"\{\{(\w*)\}\}", setting, page)


def texts(module: bytes) -> Texts:
    """The strict JSON in `export default {...};`."""
    _, _, value = module.decode("utf-8").partition("export default ")
    said: Texts = json.loads(value.strip().removesuffix(";"))
    return said


def _brand(files: dict[str, bytes], config: Config) -> str:
    """Put the operator's colour and logo among the files. The logo's path."""
    branding = config.branding
    if branding.accent is not None:
        files["css/style.css"] = files.get("css/style.css", b"") + b"\n" + _colours(branding.accent).encode()
    if branding.logo is None:
        return ICON
    path = Path(branding.logo)
    name = f"img/logo{path.suffix.lower()}"
    files[name] = path.read_bytes()
    return name


def _colours(accent: str) -> str:
    """The accent as it is for what is filled with it, and so far darker or lighter that it can be read as text."""
    on_accent = max(("#ffffff", "#000000"), key=lambda ink: contrast(ink, accent))
    light, dark = (_readable(accent, *each) for each in GROUNDS)
    always = f":root{{--accent:{accent};--on-accent:{on_accent};--accent-text:{light}}}"
    return f"{always}@media (prefers-color-scheme: dark){{:root{{--accent-text:{dark}}}}}\n"


def _readable(colour: str, ground: str, ink: str) -> str:
    steps = [[a + (b - a) * step // 32 for a, b in zip(_parts(colour), _parts(ink), strict=True)] for step in range(33)]
    mixed = ["#" + bytes(each).hex() for each in steps]
    return next((each for each in mixed if contrast(each, ground) >= READABLE), ink)


def contrast(one: str, other: str) -> float:
    """WCAG's, of two colours."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [each / 255 for each in _parts(colour)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _parts(colour: str) -> bytes:
    return bytes.fromhex(colour[1:])


def _version(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(b"%d %s %d " % (len(name.encode()), name.encode(), len(content)) + content)
    return digest.hexdigest()[:12]


def _settings(config: Config, logo: str, languages: dict[str, str]) -> dict[str, Any]:
    """What the pages' scripts know of this server."""
    most = config.expiry.max
    return {
        "name": config.branding.name,
        "logo": logo,
        "footer": config.branding.footer,
        "links": config.branding.footer_links,
        "create": config.access.create,
        "choices": [each for each in config.expiry.choices if each <= most] or [most],
        "default": config.expiry.default,
        "max": most,
        "payloadBytes": config.limits.payload_bytes,
        "noteCharacters": NOTE_CHARACTERS,
        "labelCharacters": LABEL_CHARACTERS,
        "languages": languages,
    }

"""The files of the pages, read once: scripts and styles unchanged, HTML and texts filled in for every language.

An element `<p data-t="key"></p>` gets its text here, and `data-t-placeholder`, `-label`, `-title` and `-content` become
attributes, so that a page is readable before its script runs, or without it. `{{name}}` is replaced by a setting. An
unknown key or setting stops the start. The URLs of the files contain a version derived from all their bytes, so that a
browser can cache them forever and still sees a changed file or branding at once. A page names each script and style it
loads with its SHA-256, so that a browser does not run one that was changed on the way.
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
from seclink.web.page_manifest import fingerprint, manifest

FOLDER = Path(__file__).parents[1] / "static"
FIRST_LANGUAGE = "en"
FIRST_WORDS = f"words/{FIRST_LANGUAGE}.txt"
ICON = "img/icon.svg"
ICONS = {ICON, "img/revealed.svg", "img/ended.svg"}
OUR_ACCENT = b"#14624f"
DOCUMENT, ERROR = "document", "error"
TEMPLATES = (DOCUMENT, ERROR)
"""Pages that are filled in again for each document and error, in English."""
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
}
ASSET_TAG = re.compile(
    r'<(?:script type="module" src|link rel="(?:stylesheet|modulepreload)" href)='
    r'"\{\{base\}\}/static/\{\{version\}\}/([^"]*)"'
)
WITHOUT_SCRIPT = re.compile(r'<noscript>.*?</noscript>|<section class="card not-started".*?</section>', re.DOTALL)
READABLE_CONTRAST = 4.5
BACKGROUNDS = (("#f6f5f1", "#000000"), ("#1c2220", "#ffffff"))
"""For the light and the dark theme: the background with the least contrast to text, and the text colour."""
ATTRIBUTES = {
    "placeholder": "placeholder",
    "label": "aria-label",
    "title": "title",
    "content": "content",
    "other": "data-other",  # the label that a button shows for a while instead of its own
}
Texts = dict[str, Any]


class Assets(Struct, frozen=True):
    """`files` by their path below the version, `pages` by name and language, `templates` by name, in English.

    The first of `languages` is for clients that accept none of them. `root` is the path of the public URL, usually "",
    and `logo` the path of the operator's or our own.
    """

    root: str
    version: str
    languages: tuple[str, ...]
    files: Mapping[str, bytes]
    pages: Mapping[tuple[str, str], bytes]
    templates: Mapping[str, bytes]
    logo: str


def load(config: Config, public_url: str, folder: Path = FOLDER) -> Assets:
    """Load the files of `folder` with the branding of `config`. Raises ValueError for an unknown key or file."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in MEDIA_TYPES and not path.name.startswith(".")
    }
    texts = {
        name[5:-3]: read_texts(module) for name, module in files.items() if re.fullmatch(r"i18n/[a-z-]+\.js", name)
    }
    languages = (FIRST_LANGUAGE, *sorted(texts.keys() - {FIRST_LANGUAGE}))
    names = {name: texts[name].get("language", name) for name in languages}
    texts = {language: texts[FIRST_LANGUAGE] | texts[language] for language in languages}
    templates = {path.stem: path.read_text("utf-8") for path in sorted(folder.glob("*.html"))}
    _make_files(files, templates, texts)
    logo = _brand(files, config)
    root, version = urlsplit(public_url).path.rstrip("/"), _version(files)
    values = {
        "base": root,
        "version": version,
        "name": config.branding.name,
        "logo": f"{root}/static/{version}/{logo}",
        "fingerprint": fingerprint(manifest(folder)),
    }
    values["settings"] = json.dumps(_settings(config, values["logo"], names), ensure_ascii=False, separators=(",", ":"))
    pages = {}
    for name, page in templates.items():
        for language in languages if name not in TEMPLATES else (FIRST_LANGUAGE,):
            whole = with_integrity(page.replace("{{lang}}", language), files)
            pages[name, language] = fill(whole, texts[language], values).encode()
    filled = {name: pages.pop((name, FIRST_LANGUAGE), b"") for name in TEMPLATES}
    return Assets(root, version, languages, files, pages, filled, logo)


def _make_files(files: dict[str, bytes], templates: Mapping[str, str], texts: Mapping[str, Texts]) -> None:
    """Add to the files what a page loads in each language: its texts, and words for passcodes."""
    for language in texts:
        if FIRST_WORDS in files:
            files.setdefault(f"words/{language}.txt", files[FIRST_WORDS])
        for name, page in templates.items():
            if "/i18n/" in page:
                files[f"i18n/{name}/{language}.js"] = page_texts(page, files, texts[language])


def page_texts(page: str, files: Mapping[str, bytes], texts: Texts) -> bytes:
    """Return a module with the texts that a page and its scripts name, by key or by the beginning of keys.

    A page loads about half of the texts: those of scripts that it loads later too, but none of those that are shown
    while no script runs.
    """
    page = WITHOUT_SCRIPT.sub("", page)
    sources, names = page, re.findall(r"/(js/[\w-]+\.js)\"", page)
    for name in names:
        script = files.get(name, b"").decode()
        sources += script
        names += {f"js/{later}" for later in re.findall(r'(?:import\(|from )"\./([\w-]+\.js)"', script)} - set(names)
    keys = set(re.findall(r'"([\w.]+)"', sources))
    beginnings = tuple(re.findall(r"`(\w+\.\w*)\$\{", sources))
    needed = {key: text for key, text in texts.items() if key in keys or key.startswith(beginnings)}
    return f"export default {json.dumps(needed, ensure_ascii=False, separators=(',', ':'))};\n".encode()


def with_integrity(page: str, files: Mapping[str, bytes]) -> str:
    """Return a page whose scripts and styles carry their SHA-256. Raises ValueError for a missing file."""

    def integrity(match: re.Match[str]) -> str:
        if match[1] not in files:
            raise ValueError(f"a page needs the file {match[1]!r}, which does not exist")
        digest = hashlib.sha256(files[match[1]]).digest()
        return f'{match[0]} integrity="sha256-{base64.b64encode(digest).decode()}"'

    return ASSET_TAG.sub(integrity, page)


def fill(page: str, texts: Texts, values: Mapping[str, str]) -> str:
    """Return a page with its texts and settings. Raises ValueError for an unknown key or setting.

    Settings come last, so that nothing in them is taken for a placeholder.
    """

    def text(key: str) -> str:
        value = texts.get(key)
        if not isinstance(value, str):
            raise ValueError(f"a page needs the text {key!r}, which does not exist")
        return html.escape(value)

    def attribute(match: re.Match[str]) -> str:
        return f'{match[0]} {ATTRIBUTES[match[1]]}="{text(match[2])}"'

    def setting(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(f"a page needs the setting {match[1]!r}, which does not exist")
        return html.escape(values[match[1]])

    page = re.sub(rf'data-t-({"|".join(ATTRIBUTES)})="([^"]*)"', attribute, page)
    page = re.sub(r'(data-t="([^"]*)"[^>]*>)(?=<| – )', lambda match: match[1] + text(match[2]), page)
    return re.sub(r"\{\{(\w*)\}\}", setting, page)


def read_texts(module: bytes) -> Texts:
    """Return the JSON in `export default {...};`."""
    _, _, value = module.decode("utf-8").partition("export default ")
    texts: Texts = json.loads(value.strip().removesuffix(";"))
    return texts


def _brand(files: dict[str, bytes], config: Config) -> str:
    """Add the operator's colour and logo to the files; return the logo's path."""
    branding = config.branding
    if branding.accent is not None:
        for name in ICONS & files.keys():
            files[name] = files[name].replace(OUR_ACCENT, branding.accent.encode())
        files["css/style.css"] = files.get("css/style.css", b"") + b"\n" + _colours(branding.accent).encode()
    if branding.logo is None:
        return ICON
    path = Path(branding.logo)
    name = f"img/logo{path.suffix.lower()}"
    files[name] = path.read_bytes()
    return name


def _colours(accent: str) -> str:
    """Return CSS with the accent colour for fills, and a darker or lighter shade of it that is readable as text."""
    on_accent = max(("#ffffff", "#000000"), key=lambda ink: contrast(ink, accent))
    light, dark = (_readable(accent, background, ink) for background, ink in BACKGROUNDS)
    always = f":root{{--accent:{accent};--on-accent:{on_accent};--accent-text:{light}}}"
    return f"{always}@media (prefers-color-scheme: dark){{:root{{--accent-text:{dark}}}}}\n"


def _readable(colour: str, background: str, ink: str) -> str:
    """Return the first of 33 steps from the colour to the ink that has enough contrast to the background."""
    pairs = list(zip(_channels(colour), _channels(ink), strict=True))
    shades = ["#" + bytes(a + (b - a) * step // 32 for a, b in pairs).hex() for step in range(33)]
    return next((shade for shade in shades if contrast(shade, background) >= READABLE_CONTRAST), ink)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [channel / 255 for channel in _channels(colour)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _channels(colour: str) -> bytes:
    return bytes.fromhex(colour[1:])


def _version(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(b"%d %s %d " % (len(name.encode()), name.encode(), len(content)) + content)
    return digest.hexdigest()[:12]


def _settings(config: Config, logo: str, languages: dict[str, str]) -> dict[str, Any]:
    """Return the settings that the pages' scripts read from `data-settings`."""
    max_seconds = config.expiry.max
    return {
        "name": config.branding.name,
        "logo": logo,
        "footer": config.branding.footer,
        "links": config.branding.footer_links,
        "create": config.access.create,
        "files": config.file_creators,
        "choices": [choice for choice in config.expiry.choices if choice <= max_seconds] or [max_seconds],
        "default": config.expiry.default,
        "max": max_seconds,
        "payloadBytes": config.limits.payload_bytes,
        "noteCharacters": NOTE_CHARACTERS,
        "labelCharacters": LABEL_CHARACTERS,
        "languages": languages,
    }

"""The contents of the pages: the language, the branding, and that all of it is text, never markup."""

import html
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from page_helpers import BROWSER, outside, settings, version
from support.appliance import MakeAppliance

from seclink.config.addresses import public_url
from seclink.config.parser import parse
from seclink.web import assets

pytestmark = pytest.mark.anyio
MakeWeb = Callable[..., Awaitable[httpx.AsyncClient]]
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Minimal pages in three languages."""
    folder = tmp_path / "static"
    for name, content in {
        "create.html": '<html lang="{{lang}}" data-settings="{{settings}}"><p data-t="hello" class="a"></p>'
        '<input data-t-placeholder="hello" data-t-label="bye"><meta data-t-content="bye"><b data-t-title="bye"></b>',
        "reveal.html": '<p data-t="bye"></p>{{base}} {{version}} {{name}} {{logo}}',
        "receipt.html": "x",
        "missing.html": '<p data-t="hello"></p>',
        "i18n/en.js": 'export default {\n  "language": "English",\n  "hello": "Hello",\n  '
        '  "bye": "<\\"bye\\" & \'so\'>"\n};',
        "i18n/fr.js": '/** Un. */\nexport default {"language": "Français", "hello": "Bonjour", "bye": "Salut"};\n',
        "i18n/pt.js": 'export default {"language": "Português", "hello": "Olá", "bye": "Tchau"}\n',
        "img/icon.svg": SVG,
        "css/style.css": ":root{--accent:#123456}\n",
        "js/a.js": "export const a = 1;\n",
        ".hidden.js": "x",
        "draft.js~": "x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
async def make_web(make_appliance: MakeAppliance, folder: Path) -> MakeWeb:
    async def make(toml: str = "") -> httpx.AsyncClient:
        config = parse(toml, "test.toml")
        return outside(await make_appliance(toml, assets=assets.load(config, public_url(config), folder)))

    return make


@pytest.mark.parametrize(
    ("query", "accept_language", "hello"),
    [
        ("", None, "Hello"), ("", "fr", "Bonjour"), ("", "fr-CA,fr;q=0.9,en;q=0.8", "Bonjour"),
        ("", "de, pt;q=0.3", "Olá"), ("", "en;q=0.4, fr;q=0.9", "Bonjour"), ("", "fr;q=0, en", "Hello"),
        ("", "fr;q=0", "Hello"), ("", "de", "Hello"), ("", "*", "Hello"), ("", "PT-br", "Olá"),
        ("", "x" * 5000, "Hello"), ("", "fr;q=nan, pt", "Olá"), ("", "fr;q=", "Bonjour"), ("?lang=fr", "pt", "Bonjour"),
        ("?a=b&lang=pt", "fr", "Olá"), ("?lang=xx", "fr", "Bonjour"), ("?lang=", "fr", "Bonjour"),
        ("?lang=%66r", None, "Hello"), ("?lang=fr&lang=pt", None, "Bonjour"), ("?langu=fr", None, "Hello"),
    ],
)  # fmt: skip
async def test_page_is_in_the_readers_language(
    make_web: MakeWeb, query: str, accept_language: str | None, hello: str
) -> None:
    web = await make_web()
    headers = {} if accept_language is None else {"Accept-Language": accept_language}
    response = await web.get(f"/{query}", headers=headers)
    assert f'<p data-t="hello" class="a">{hello}</p>' in response.text
    assert "Accept-Language" in response.headers["vary"]
    missing = await web.get(f"/nothing{query}", headers=BROWSER | headers)
    assert (missing.status_code, missing.text) == (404, f'<p data-t="hello">{hello}</p>')


async def test_texts_in_attributes_are_escaped(make_web: MakeWeb) -> None:
    """XSS-01"""
    page = (await (await make_web()).get("/")).text
    bye = "&lt;&quot;bye&quot; &amp; &#x27;so&#x27;&gt;"
    assert f'<input data-t-placeholder="hello" placeholder="Hello" data-t-label="bye" aria-label="{bye}">' in page
    assert f'<meta data-t-content="bye" content="{bye}"><b data-t-title="bye" title="{bye}"></b>' in page
    assert '<html lang="en"' in page
    assert settings(page)["languages"] == {"en": "English", "fr": "Français", "pt": "Português"}


@pytest.mark.parametrize(
    "page", ['<p data-t="nothing"></p>', '<p data-t-label="nothing">', "{{nothing}}", "{{}}", '<p data-t="plural"></p>']
)
async def test_page_that_needs_a_missing_text_stops_the_start(make_web: MakeWeb, folder: Path, page: str) -> None:
    (folder / "create.html").write_text(page)
    (folder / "i18n/en.js").write_text('export default {"language": "English", "plural": {"one": "a", "other": "b"}};')
    with pytest.raises(ValueError, match="a page needs"):
        await make_web()


HOSTILE = '</p><script>alert(1)</script>" onload="x" {{settings}}'


async def test_branding_is_escaped(make_web: MakeWeb, tmp_path: Path) -> None:
    """XSS-01"""
    (tmp_path / "Logo.SVG").write_text(SVG + "<!-- ours -->")
    name = '<b>"{{lang}}" & Söhne</b>'
    branding = {"name": name, "footer": HOSTILE, "logo": str(tmp_path / "Logo.SVG")}
    options = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in branding.items())
    links = '[branding.footer_links]\n"<i>x</i>" = "https://example.org/?a=b&c=\'d\'"\n'
    web = await make_web(f"[branding]\n{options}{links}")
    page, reveal_page = (await web.get("/")).text, (await web.get("/AbCdEfGhIjKl")).text
    page_settings = settings(page)
    assert (page_settings["name"], page_settings["footer"]) == (name, HOSTILE)
    assert page_settings["links"] == {"<i>x</i>": "https://example.org/?a=b&c='d'"}
    assert html.escape(name) in reveal_page
    assert "<script" not in page + reveal_page
    assert "<b>" not in reveal_page
    logo = await web.get(page_settings["logo"])
    assert (logo.headers["content-type"], logo.text) == ("image/svg+xml", SVG + "<!-- ours -->")
    assert page_settings["logo"] in reveal_page


async def test_page_has_the_settings_of_the_server(make_web: MakeWeb) -> None:
    page_settings = settings((await (await make_web()).get("/")).text)
    root = page_settings["logo"].removesuffix("img/icon.svg")
    assert re.fullmatch(r"/static/[0-9a-f]{12}/", root)
    assert page_settings == {
        "name": "SecLink", "logo": f"{root}img/icon.svg", "footer": "", "links": {}, "create": "anyone",
            "files": "anyone",
        "choices": [600, 3600, 86400, 604800, 2592000], "default": 604800, "max": 2592000, "payloadBytes": 2097152,
        "noteCharacters": 300, "labelCharacters": 200,
        "languages": {"en": "English", "fr": "Français", "pt": "Português"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expiry", "choices"),
    [
        ('max = "1d"\ndefault = "1d"', [600, 3600, 86400]),
        ('choices = ["2d", "3d"]\nmax = "1d"\ndefault = "1h"', [86400]),
        ('choices = ["90m"]', [5400]),
    ],
)
async def test_offered_lifetimes_are_at_most_the_maximum(make_web: MakeWeb, expiry: str, choices: list[int]) -> None:
    web = await make_web(f'[access]\ncreate = "keys"\n[expiry]\n{expiry}\n')
    page_settings = settings((await web.get("/")).text)
    assert (page_settings["choices"], page_settings["create"]) == (choices, "keys")


@pytest.mark.parametrize(
    ("accent", "on_accent", "light", "dark"),
    [
        ("#000000", "#ffffff", "#000000", "#8f8f8f"),
        ("#FFFFFF", "#000000", "#6f6f6f", "#ffffff"),
        ("#1a5fb4", "#ffffff", "#1a5fb4", "#5a8cc9"),
        ("#f9f06b", "#000000", "#747032", "#f9f06b"),
        ("#777777", "#000000", "#6f6f6f", "#888888"),
    ],
)
async def test_accent_is_last_in_the_style_and_readable_in_both_themes(
    make_web: MakeWeb, accent: str, on_accent: str, light: str, dark: str
) -> None:
    web = await make_web(f'[branding]\naccent = "{accent}"\n')
    reveal_page = (await web.get("/AbCdEfGhIjKl")).text
    style = (await web.get(f"/static/{version(reveal_page)}/css/style.css")).text
    base = f":root{{--accent:{accent.lower()};--on-accent:{on_accent};--accent-text:{light}}}"
    accents = f"{base}@media (prefers-color-scheme: dark){{:root{{--accent-text:{dark}}}}}"
    assert style == f":root{{--accent:#123456}}\n\n{accents}\n"
    for text_color, (background, _) in zip((light, dark), assets.BACKGROUNDS, strict=True):
        assert assets.contrast(text_color, background) >= 4.5


def test_accent_contrast_is_computed_with_the_backgrounds_of_the_style() -> None:
    style = (assets.FOLDER / "css/style.css").read_text()
    light, dark = style.partition("@media (prefers-contrast")[0].split("@media (prefers-color-scheme: dark)")
    for sheet, (nearest, text_color) in zip((light, dark), assets.BACKGROUNDS, strict=True):
        colors = dict(re.findall(r"--(background|surface): (#[0-9a-f]{3,6});", sheet)).values()
        full = [color if len(color) == 7 else "#" + "".join(2 * digit for digit in color[1:]) for color in colors]
        assert min(full, key=lambda color: assets.contrast(color, text_color)) == nearest


async def test_version_changes_with_every_byte_and_with_branding(
    make_web: MakeWeb, folder: Path, tmp_path: Path
) -> None:
    """So that a file that a browser caches forever is never out of date."""
    (tmp_path / "logo.svg").write_text(SVG)

    async def current_version(toml: str = "") -> str:
        return version((await (await make_web(toml)).get("/AbCdEfGhIjKl")).text)

    versions = [await current_version(), await current_version('[branding]\naccent = "#1a5fb4"\n')]
    versions.append(await current_version(f'[branding]\nlogo = "{tmp_path / "logo.svg"}"\n'))
    (folder / "js/a.js").write_text("export const a = 2;\n")
    versions.append(await current_version())
    (folder / "js/a.js").rename(folder / "js/b.js")
    versions.append(await current_version())
    assert len(set(versions)) == len(versions)
    with_footer = await current_version('[branding]\nfooter = "a text of the page"\n')
    assert await current_version() == with_footer == versions[-1]


async def test_files_that_are_not_for_the_pages_are_not_served(make_web: MakeWeb) -> None:
    web = await make_web()
    root = version((await web.get("/AbCdEfGhIjKl")).text)
    for name in ("draft.js~", "create.html", "i18n", "js/", ".hidden.js"):
        assert (await web.get(f"/static/{root}/{name}")).status_code == 404, name


async def test_pages_of_a_server_below_a_path_have_its_prefix(make_web: MakeWeb) -> None:
    web = await make_web('[server]\npublic_url = "https://secrets.example.org/sub/"\n')
    reveal_page = (await web.get("/AbCdEfGhIjKl")).text
    assert f"/sub {version(reveal_page)} SecLink /sub/static/{version(reveal_page)}/img/icon.svg" in reveal_page

"""What the pages say: in which language, with whose name and colours, and always as text."""

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from page_helpers import BROWSER, outside, settings, version
from support.appliance import MakeAppliance

from seclink.web import assets

pytestmark = pytest.mark.anyio
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pages as small as they can be, in three languages."""
    made = tmp_path / "static"
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
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(content)
    return made


@pytest.fixture
async def make_web(make_appliance: MakeAppliance, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(assets.load, "__defaults__", (folder,))

    async def make(toml: str = "") -> httpx.AsyncClient:
        return outside(await make_appliance(toml))

    return make


@pytest.mark.parametrize(
    ("query", "wish", "hello"),
    [
        ("", None, "Hello"), ("", "fr", "Bonjour"), ("", "fr-CA,fr;q=0.9,en;q=0.8", "Bonjour"),
        ("", "de, pt;q=0.3", "Olá"), ("", "en;q=0.4, fr;q=0.9", "Bonjour"), ("", "fr;q=0, en", "Hello"),
        ("", "fr;q=0", "Hello"), ("", "de", "Hello"), ("", "*", "Hello"), ("", "PT-br", "Olá"),
        ("", "x" * 5000, "Hello"), ("", "fr;q=nan, pt", "Olá"), ("", "fr;q=", "Bonjour"), ("?lang=fr", "pt", "Bonjour"),
        ("?a=b&lang=pt", "fr", "Olá"), ("?lang=xx", "fr", "Bonjour"), ("?lang=", "fr", "Bonjour"),
        ("?lang=%66r", None, "Hello"), ("?lang=fr&lang=pt", None, "Bonjour"), ("?langu=fr", None, "Hello"),
    ],
)  # fmt: skip
async def test_page_speaks_the_readers_language(make_web: Any, query: str, wish: str | None, hello: str) -> None:
    web = await make_web()
    answer = await web.get(f"/{query}", headers={} if wish is None else {"Accept-Language": wish})
    assert f'<p data-t="hello" class="a">{hello}</p>' in answer.text
    assert "Accept-Language" in answer.headers["vary"]
    missing = await web.get(f"/nothing{query}", headers=BROWSER | ({} if wish is None else {"Accept-Language": wish}))
    assert (missing.status_code, missing.text) == (404, f'<p data-t="hello">{hello}</p>')


async def test_texts_become_attributes_and_stay_texts(make_web: Any) -> None:
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
async def test_page_that_wants_what_is_not_there_stops_the_start(make_web: Any, folder: Path, page: str) -> None:
    (folder / "create.html").write_text(page)
    (folder / "i18n/en.js").write_text('export default {"language": "English", "plural": {"one": "a", "other": "b"}};')
    with pytest.raises(ValueError, match="a page needs"):
        await make_web()


HOSTILE = '</p><script>alert(1)</script>" onload="x" {{settings}}'


async def test_branding_is_text_and_never_markup(make_web: Any, tmp_path: Path) -> None:
    """XSS-01"""
    (tmp_path / "Logo.SVG").write_text(SVG + "<!-- ours -->")
    name = '<b>"{{lang}}" & Söhne</b>'
    branding = {"name": name, "footer": HOSTILE, "logo": str(tmp_path / "Logo.SVG")}
    said = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in branding.items())
    links = '[branding.footer_links]\n"<i>x</i>" = "https://example.org/?a=b&c=\'d\'"\n'
    web = await make_web(f"[branding]\n{said}{links}")
    page, reading = (await web.get("/")).text, (await web.get("/AbCdEfGhIjKl")).text
    told = settings(page)
    assert (told["name"], told["footer"]) == (name, HOSTILE)
    assert told["links"] == {"<i>x</i>": "https://example.org/?a=b&c='d'"}
    assert html.escape(name) in reading
    assert "<script" not in page + reading
    assert "<b>" not in reading
    logo = await web.get(told["logo"])
    assert (logo.headers["content-type"], logo.text) == ("image/svg+xml", SVG + "<!-- ours -->")
    assert told["logo"] in reading


async def test_settings_are_those_of_the_server(make_web: Any) -> None:
    told = settings((await (await make_web()).get("/")).text)
    root = told["logo"].removesuffix("img/icon.svg")
    assert re.fullmatch(r"/static/[0-9a-f]{12}/", root)
    assert told == {
        "name": "SecLink", "logo": f"{root}img/icon.svg", "footer": "", "links": {}, "create": "anyone",
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
async def test_lifetimes_on_offer_are_within_the_longest(make_web: Any, expiry: str, choices: list[int]) -> None:
    web = await make_web(f'[access]\ncreate = "keys"\n[expiry]\n{expiry}\n')
    told = settings((await web.get("/")).text)
    assert (told["choices"], told["create"]) == (choices, "keys")


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
async def test_accent_comes_last_in_the_style_readable_in_both_themes(
    make_web: Any, accent: str, on_accent: str, light: str, dark: str
) -> None:
    web = await make_web(f'[branding]\naccent = "{accent}"\n')
    reading = (await web.get("/AbCdEfGhIjKl")).text
    style = (await web.get(f"/static/{version(reading)}/css/style.css")).text
    always = f":root{{--accent:{accent.lower()};--on-accent:{on_accent};--accent-text:{light}}}"
    inks = f"{always}@media (prefers-color-scheme: dark){{:root{{--accent-text:{dark}}}}}"
    assert style == f":root{{--accent:#123456}}\n\n{inks}\n"
    for ink, (ground, _) in zip((light, dark), assets.BACKGROUNDS, strict=True):
        assert assets.contrast(ink, ground) >= 4.5


def test_accent_is_made_readable_on_the_grounds_of_the_style() -> None:
    style = (assets.FOLDER / "css/style.css").read_text()
    light, dark = style.partition("@media (prefers-contrast")[0].split("@media (prefers-color-scheme: dark)")
    for sheet, (nearest, ink) in zip((light, dark), assets.BACKGROUNDS, strict=True):
        grounds = dict(re.findall(r"--(background|surface): (#[0-9a-f]{3,6});", sheet))
        full = [each if len(each) == 7 else "#" + "".join(2 * digit for digit in each[1:]) for each in grounds.values()]
        assert min(full, key=lambda each: assets.contrast(each, ink)) == nearest


async def test_version_changes_with_every_byte_and_with_branding(make_web: Any, folder: Path, tmp_path: Path) -> None:
    """What a browser keeps for ever is never out of date."""
    (tmp_path / "logo.svg").write_text(SVG)

    async def now(toml: str = "") -> str:
        return version((await (await make_web(toml)).get("/AbCdEfGhIjKl")).text)

    versions = [await now(), await now('[branding]\naccent = "#1a5fb4"\n')]
    versions.append(await now(f'[branding]\nlogo = "{tmp_path / "logo.svg"}"\n'))
    (folder / "js/a.js").write_text("export const a = 2;\n")
    versions.append(await now())
    (folder / "js/a.js").rename(folder / "js/b.js")
    versions.append(await now())
    assert len(set(versions)) == len(versions)
    assert await now() == await now('[branding]\nfooter = "said by the page itself"\n') == versions[-1]


async def test_what_is_no_file_of_the_pages_is_not_served(make_web: Any) -> None:
    web = await make_web()
    root = version((await web.get("/AbCdEfGhIjKl")).text)
    for name in ("draft.js~", "create.html", "i18n", "js/", ".hidden.js"):
        assert (await web.get(f"/static/{root}/{name}")).status_code == 404, name


async def test_pages_of_a_server_below_a_path_name_it(make_web: Any) -> None:
    web = await make_web('[server]\npublic_url = "https://secrets.example.org/sub/"\n')
    reading = (await web.get("/AbCdEfGhIjKl")).text
    assert f"/sub {version(reading)} SecLink /sub/static/{version(reading)}/img/icon.svg" in reading

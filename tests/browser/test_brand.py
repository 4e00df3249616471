"""The operator's name, colour, logo and footer on every page, without weakening what a page may do."""

from collections.abc import Iterator
from typing import Literal

import pytest
from page_actions import axe, choose, create, reveal, text_of, visit
from playwright.sync_api import Page, expect
from support.server import Serve, Server
from watch import Watch

from seclink import Client

LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="#c00"/></svg>'
BRAND = """
[branding]
name = "Ærø & <b>Söhne</b>"
logo = "logo.svg"
accent = "{accent}"
footer = "Run by “us” <i>"
[branding.footer_links]
"Imprint & <more>" = "https://example.org/imprint?a=1&b=2"
Mail = "mailto:help@example.org"
"""
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
ACCENTS = {"dark": "#1a1a66", "light": "#ffd84d", "middling": "#777777"}


@pytest.fixture(scope="module", params=ACCENTS.values(), ids=list(ACCENTS))
def accent(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def branded(accent: str, serve: Serve) -> Server:
    return serve(BRAND.replace("{accent}", accent), {"logo.svg": LOGO})


@pytest.fixture
def mine(branded: Server, watch: Watch) -> Iterator[Client]:
    watch.allow(branded.url)
    watch.expect("status of 404")
    with Client(branded.url) as client:
        yield client


def wears_the_brand(page: Page, scripted: bool = True) -> None:
    expect(page.locator(".brand span")).to_have_text("Ærø & <b>Söhne</b>")
    shown = page.locator(".brand img").evaluate("(each) => each.decode().then(() => each.currentSrc)")
    assert shown.endswith("/img/logo.svg")
    assert page.locator("b, i").count() == 0
    if scripted:
        expect(page.locator("footer > p")).to_have_text("Run by “us” <i>")
        links = page.locator("footer a")
        expect(links).to_have_text(["Imprint & <more>", "Mail"])
        expect(links.nth(0)).to_have_attribute("href", "https://example.org/imprint?a=1&b=2")
        expect(links.nth(1)).to_have_attribute("href", "mailto:help@example.org")


def is_readable(page: Page) -> None:
    for scheme in SCHEMES:
        page.emulate_media(reduced_motion="reduce", color_scheme=scheme)
        assert axe(page) == [], scheme


def test_every_page_wears_it_and_stays_readable(page: Page, branded: Server, mine: Client) -> None:
    """HDR-04: no policy is broken by it; the accent is readable in both themes."""
    visit(page, branded.url)
    wears_the_brand(page)
    choose(page, kind="neogram")
    is_readable(page)
    created = create(page, None, "branded")
    is_readable(page)
    page.goto(created.receipt_url)
    expect(page.locator("#state")).to_have_text(text_of("state.active"))
    wears_the_brand(page)
    is_readable(page)
    visit(page, created.link)
    wears_the_brand(page)
    is_readable(page)
    reveal(page, mine.create("https://example.org/", type="redirect").link)
    expect(page.locator("#content a")).to_be_visible()
    is_readable(page)
    page.goto(f"{branded.url}/no/such/page")
    expect(page.locator("h1")).to_have_text(text_of("missing.title"))
    wears_the_brand(page, scripted=False)
    is_readable(page)


def test_the_accent_is_seen_and_the_focus_too(page: Page, accent: str, branded: Server, mine: Client) -> None:
    """Filled areas have the accent itself. Text and lines have it if it is readable on the page's backgrounds, else a
    shade of its hue: contrast at least 4.5:1 in both themes."""
    rgb = f"rgb({', '.join(str(part) for part in bytes.fromhex(accent[1:]))})"
    create(page, branded.url, "x")
    page.locator("#copy").click()  # which fails: the page may not
    expect(page.locator("#status")).to_be_visible()
    stored = []
    for scheme in SCHEMES:
        page.emulate_media(reduced_motion="reduce", color_scheme=scheme)
        assert page.locator("#copy").evaluate("(each) => getComputedStyle(each).backgroundColor") == rgb
        page.keyboard.press("Tab")
        ring = page.evaluate("getComputedStyle(document.activeElement).outlineColor")
        message = page.locator("#status").evaluate("(each) => getComputedStyle(each).color")
        framed = page.locator("#link").evaluate("(each) => getComputedStyle(each).borderColor")
        grounds = page.evaluate("""[document.body, document.querySelector("#result .card")]
            .map((each) => getComputedStyle(each).backgroundColor)""")
        assert ring == message == framed
        assert all(contrast(ring, ground) >= 4.5 for ground in grounds), scheme
        stored.append(ring == rgb)
    assert stored == {"#1a1a66": [True, False], "#ffd84d": [False, True], "#777777": [False, False]}[accent]


def contrast(one: str, other: str) -> float:
    """WCAG's, of two colours written rgb(1, 2, 3)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(value) / 255 for value in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * item for weight, item in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_printed_sheet_names_the_service(page: Page, branded: Server, mine: Client) -> None:
    create(page, branded.url, "x")
    page.emulate_media(media="print")
    assert "Ærø & <b>Söhne</b>" in page.locator("#print-sheet").inner_text()


def test_the_404_page_leads_home_and_asks_nothing(page: Page, server: Server, watch: Watch) -> None:
    watch.expect("status of 404")
    response = page.goto(f"{server.url}/no/such/page#AQAB")
    assert response
    assert response.status == 404
    expect(page.locator("h1")).to_have_text(text_of("missing.title"))
    expect(page.locator("main p")).to_have_text([text_of("missing.why"), text_of("missing.next")])
    assert watch.urls("/api/") == []
    page.get_by_role("link", name=text_of("missing.home")).click()
    expect(page.locator("#secret")).to_be_focused()

"""A page whose script does not begin says so by itself, and no longer once it has begun."""

import re
from collections.abc import Callable

import pytest
from page_actions import axe, text_of, texts, visit
from playwright.sync_api import BrowserContext, Page, Route, expect
from support.server import Server
from watch import Watch

from seclink import Client

PAGES = ["create", "reveal", "receipt"]
LATER = 200  # times as quick: what comes after seconds is there at once


@pytest.fixture
def addresses(server: Server, python: Client) -> dict[str, str]:
    created = python.create("x")
    receipt = f"{server.url}/receipt/{created.receipt_id}#{created.manage_token}"
    return {"create": f"{server.url}/", "reveal": created.link, "receipt": receipt}


def pace(page: Page, rate: float) -> None:
    """Set the speed of the page's animations; 0 stops them."""
    page.context.new_cdp_session(page).send("Animation.setPlaybackRate", {"playbackRate": rate})


def is_said(page: Page, language: str = "en") -> None:
    expect(page.locator(".not-started")).to_be_visible()
    for key, line in zip(("title", "what", "next"), page.locator(".not-started :is(h1, p)").all(), strict=True):
        expect(line).to_have_text(str(texts(language)[f"late.{key}"]))


def test_a_page_whose_script_does_not_come_says_so_after_a_while(
    page: Page, watch: Watch, addresses: dict[str, str]
) -> None:
    watch.expect("ERR_FAILED")
    for name in PAGES:
        page.route(f"**/js/{name}.js", lambda route: route.abort())
        pace(page, 0)
        page.goto(addresses[name])
        expect(page.locator(".not-started"), name).to_be_hidden()
        pace(page, LATER)
        is_said(page)
        assert axe(page) == [], name


def test_missing_module_shows_message(page: Page, watch: Watch, addresses: dict[str, str]) -> None:
    watch.expect("ERR_FAILED", "Failed to fetch dynamically imported module")
    pace(page, LATER)
    for lost in ("js/bytes.js", "i18n/reveal/en.js"):
        page.route(f"**/{lost}", lambda route: route.abort())
        page.goto("about:blank")
        page.goto(addresses["reveal"])
        is_said(page)
        page.unroute_all()


def test_an_older_browser_gets_a_message(page: Page, addresses: dict[str, str]) -> None:
    """One that takes a script of this type for data, as browsers did before there were modules."""

    def older(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('type="module"', 'type="not-known-yet"'))

    page.route(re.compile(r"^[^#]*(/|/\w{12}|/receipt/\w+)$"), older)
    pace(page, LATER)
    for name in PAGES:
        page.goto(addresses[name])
        is_said(page)


def test_a_page_whose_script_broke_is_not_blank(page: Page, watch: Watch, addresses: dict[str, str]) -> None:
    """A browser that has modules, and not all that they need."""
    watch.expect("PluralRules is not a constructor")
    page.add_init_script("delete Intl.PluralRules;")
    pace(page, LATER)
    page.goto(addresses["create"])
    is_said(page)


@pytest.mark.parametrize("language", ["fr", "es", "ru"])
def test_the_message_is_in_the_readers_language(
    make_context: Callable[..., BrowserContext], watch: Watch, addresses: dict[str, str], language: str
) -> None:
    watch.expect("ERR_FAILED")
    page = make_context(locale=language).new_page()
    page.route("**/js/reveal.js", lambda route: route.abort())
    pace(page, LATER)
    page.goto(addresses["reveal"])
    is_said(page, language)


def test_the_message_disappears_when_the_script_starts(page: Page, addresses: dict[str, str]) -> None:
    waiting: list[Route] = []
    for name in PAGES:
        page.route(f"**/js/{name}.js", lambda route: waiting.append(route))
        pace(page, LATER)
        page.goto(addresses[name], wait_until="commit")
        is_said(page)
        waiting.pop().continue_()
        page.locator("body[data-ready]").wait_for()
        expect(page.locator(".not-started"), name).to_be_hidden()


def test_a_page_that_begins_in_time_never_says_it(page: Page, addresses: dict[str, str]) -> None:
    for name in PAGES:
        pace(page, 1)
        visit(page, addresses[name])
        pace(page, LATER)
        expect(page.locator(".not-started"), name).to_have_count(0)


def test_without_scripts_there_is_one_message(
    make_context: Callable[..., BrowserContext], addresses: dict[str, str]
) -> None:
    """Without JavaScript the page says only that, not that its script did not start."""
    context: BrowserContext = make_context(java_script_enabled=False)
    page = context.new_page()
    pace(page, LATER)
    for name in PAGES:
        page.goto(addresses[name])
        expect(page.locator("noscript h1"), name).to_have_text(text_of("noscript.title"))
        assert page.locator(".not-started").evaluate("(each) => getComputedStyle(each).display") == "none", name

"""Every state of every page, on a phone and a desktop, light and dark: axe finds nothing, nothing sticks out, and
what is to be touched is large enough. The phone is 320 px wide, which is also what 200 % zoom leaves of a small window.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from file_secrets import create_with_files, open_for_download
from page_actions import (
    LANGUAGES,
    Raw,
    axe,
    choose,
    create,
    ended_text,
    open_secret,
    receipt_address,
    reveal,
    text_of,
    texts,
    try_wrong,
    visit,
)
from playwright.sync_api import Page, Route, ViewportSize, expect
from support.server import Serve, Server
from watch import Watch

from seclink import Client

LONG = "W" * 300
LABEL = "W" * 200
ADDRESS = f"https://{'w' * 60}.{'w' * 60}.example.org/{LONG}?q={LONG}"
ALL_LONG = f"""
[access]
create = "keys"
[branding]
name = "{LABEL[:40]}"
footer = "{LABEL}"
[branding.footer_links]
Imprint = "https://example.org/"
"{LABEL[:40]}" = "mailto:somebody@example.org"
"""
PHONE: ViewportSize = {"width": 320, "height": 640}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}
COLOURS = ("color-contrast", "link-in-text-block")

STICKS_OUT = """() => {
  const root = document.scrollingElement;
  const wide = root.scrollWidth > root.clientWidth ? [`${root.scrollWidth} of ${root.clientWidth}`] : [];
  return [...wide, ...Array.from(document.querySelectorAll("body *"))
    .filter((each) => each.checkVisibility() && !each.closest(".visually-hidden, noscript"))
    .filter((each) => each.getBoundingClientRect().right > root.clientWidth || each.getBoundingClientRect().left < 0)
    .map((each) => each.outerHTML.slice(0, 150))];
}"""
# A menu is as wide as its widest choice, or that one is cut off where it is chosen; a text is as wide as its box.
CUT_OFF = """() => {
  const shown = (each) => each.checkVisibility() && !each.closest(".visually-hidden, noscript, svg");
  const menus = Array.from(document.querySelectorAll("select")).filter(shown).filter((each) => {
    const free = each.cloneNode(true);
    free.style.cssText = "position: absolute; width: auto; max-width: none; flex: none";
    each.after(free);
    const wanted = free.offsetWidth;
    free.remove();
    return wanted > each.offsetWidth + 1;
  });
  const texts = Array.from(document.querySelectorAll("body *:not(input, textarea, pre, option)")).filter(shown)
    .filter((each) => each.clientWidth && each.scrollWidth > each.clientWidth + 1);
  return [...menus, ...texts].map((each) => each.outerHTML.slice(0, 200));
}"""
# A control inside its label is touched by the label; a link in a line of text may be as low as the line.
TOO_SMALL = """() => Array.from(document.querySelectorAll("button, a[href], input, select, textarea, summary"))
  .filter((each) => each.checkVisibility() && !each.matches(".visually-hidden"))
  .map((each) => (each.matches("[type=radio], [type=checkbox]") ? each.closest("label") : each))
  .filter((each) => {
    const { width, height } = each.getBoundingClientRect();
    const least = each.matches("footer a, .brand") ? 24 : 44;
    return width < least || height < least;
  }).map((each) => `${each.outerHTML.slice(0, 100)} ${JSON.stringify(each.getBoundingClientRect())}`)"""


class Visitor:
    """A person at a page, and the servers there are."""

    def __init__(self, page: Page, server: Server, python: Client, keys_only: Server) -> None:
        self.page, self.server, self.python, self.keys_only = page, server, python, keys_only

    def link(self, text: str | bytes = LONG, **terms: Any) -> str:
        return self.python.create(text, **terms).link

    def receipt(self, **terms: Any) -> Any:
        created = self.python.create("x", **terms)
        return created, f"{self.server.url}/receipt/{created.receipt_id}#{created.manage_token}"

    def shows(self, key: str) -> None:
        """A dead end says what to do next and leads to the start page."""
        expect(self.page.locator("#notice h1")).to_have_text(text_of(key))
        expect(self.page.locator("#notice a", has_text=text_of("missing.home"))).to_be_visible()
        assert self.page.title() == f"{texts()[key]} – SecLink"


def create_empty(the: Visitor) -> None:
    visit(the.page, the.server.url)


def create_filled(the: Visitor) -> None:
    create_empty(the)
    choose(the.page, kind="neogram", views="any", passcode=LABEL, note=LONG, label=LABEL)
    the.page.locator("#generator > summary").click()
    the.page.locator("#secret").fill(LONG)
    the.page.locator("#key-panel summary").click()


def create_refused(the: Visitor) -> None:
    create_empty(the)
    choose(the.page, kind="redirect", note=f"{LONG}W")
    the.page.locator("#create").click()
    the.page.locator("#secret").fill(ADDRESS)
    the.page.locator("#create").click()
    expect(the.page.locator("#problem")).to_have_text(text_of("create.noteTooLong"))


def create_without_key(the: Visitor) -> None:
    visit(the.page, the.keys_only.url)
    the.page.locator("#secret").fill("x")
    the.page.locator("#create").click()
    the.page.locator("#key").fill("sk_live_wrong")
    the.page.locator("#key").press("Enter")
    expect(the.page.locator("#key-problem")).to_be_visible()


def create_with_key(the: Visitor) -> None:
    visit(the.page, the.keys_only.url)
    the.page.locator("#key").fill(the.keys_only.key("create", account="W" * 40))
    the.page.locator("#key").press("Enter")
    expect(the.page.locator("#key-in-use")).to_be_visible()


def result_plain(the: Visitor) -> None:
    create(the.page, the.server.url, "x")


def result_with_everything(the: Visitor) -> None:
    create(the.page, the.server.url, "x", passcode=LABEL, views="100")
    the.page.locator("#show-qr").click()
    the.page.locator("#burn").click()
    expect(the.page.locator("#qr svg")).to_be_visible()


def result_burned(the: Visitor) -> None:
    create(the.page, the.server.url, "x", passcode="words")
    the.page.locator("#burn").dblclick()
    expect(the.page.locator("#state")).to_have_text(ended_text("state.burned"))


def reveal_ready(the: Visitor) -> None:
    visit(the.page, the.link(note=LONG, views=3))
    the.page.locator("#report summary").click()


def reveal_wrong_passcode(the: Visitor) -> None:
    reveal(the.page, the.link(password="right", note="x"), LABEL)
    expect(the.page.locator("#problem")).to_be_visible()


def reveal_text(the: Visitor) -> None:
    open_secret(the.page, the.link(LONG + "\n" * 50, views=3))
    the.page.locator("#burn").click()
    expect(the.page.locator("#burn")).to_have_text(text_of("opened.burnSure"))


def reveal_hidden_text(the: Visitor) -> None:
    open_secret(the.page, the.link())
    the.page.locator("#content button", has_text=re.compile("Hide")).click()


def reveal_address(the: Visitor) -> None:
    open_secret(the.page, the.link(ADDRESS, type="redirect"))


def reveal_neogram(the: Visitor) -> None:
    the.page.emulate_media(reduced_motion="reduce")
    reveal(the.page, the.link(LONG, type="neogram"))
    expect(the.page.locator("#countdown")).to_have_text(text_of("opened.neogramWipes"))


def reveal_file(the: Visitor) -> None:
    reveal(the.page, the.link(b"\xff", type="file", name=LONG))
    expect(the.page.locator("#content")).to_contain_text("W" * 120)


def reveal_wiped(the: Visitor) -> None:
    open_secret(the.page, the.link(views=2))
    the.page.locator("#wipe").click()
    the.shows("wiped.title")


def reveal_incomplete(the: Visitor) -> None:
    visit(the.page, the.link()[:-3])
    the.shows("incomplete.title")


def reveal_gone(the: Visitor) -> None:
    link = the.link()
    the.python.reveal(link)
    visit(the.page, link)
    the.page.locator("#report summary").click()
    the.page.locator("#reason").fill(LONG)
    the.page.locator("#report button").click()
    expect(the.page.locator("#report-status")).to_have_text(text_of("report.sent"))


def reveal_not_found(the: Visitor) -> None:
    created = the.python.create("x")
    visit(the.page, created.link.replace(created.link_id, "A" * 12))
    the.shows("notFound.title")


def reveal_offline(the: Visitor) -> None:
    the.page.clock.install()
    the.page.route("**/meta", lambda route: route.abort())
    the.page.goto(the.link())
    the.page.wait_for_event("requestfailed")
    the.page.clock.run_for(10_000)
    the.shows("offline.title")


def reveal_not_opening(the: Visitor) -> None:
    reveal(the.page, Raw(the.server, b"x").link(key=bytes(32)))
    the.shows("rawFailed.title")


def reveal_over_plain_http(the: Visitor) -> None:
    the.page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false });")
    the.page.goto(the.link())
    the.shows("insecure.title")


def receipt_waiting(the: Visitor) -> None:
    created, url = the.receipt(description=LABEL, note=LONG, views=3)
    the.python.reveal(created.link)
    visit(the.page, url)
    the.page.locator("#change [type=submit]").click()
    expect(the.page.locator("#status")).to_have_text(text_of("receipt.noChange"))


def receipt_refused(the: Visitor) -> None:
    visit(the.page, the.receipt()[1])
    the.page.locator("#note").fill(LONG * 2)
    the.page.locator("#change [type=submit]").click()
    expect(the.page.locator("#problem")).to_be_visible()


def receipt_locked(the: Visitor) -> None:
    raw = Raw(the.server, b"x", passcode="right")
    try_wrong(the.server, raw.link_id)
    visit(the.page, receipt_address(the.server.url, raw))
    expect(the.page.locator("#lock")).to_be_visible()


def receipt_unlocked(the: Visitor) -> None:
    receipt_locked(the)
    the.page.locator("#unlock").click()
    expect(the.page.locator("#unlocked")).to_be_visible()


def receipt_with_downloads(the: Visitor) -> None:
    created = create_with_files(the.server.url, [("a", b"x")])
    open_for_download(the.server.url, created.link)
    visit(the.page, receipt_address(the.server.url, created))
    the.page.locator("#burn").click()
    expect(the.page.locator("#burn")).to_have_text(text_of("receipt.eraseSure"))


def receipt_ended(the: Visitor) -> None:
    created, url = the.receipt(description="x")
    the.python.reveal(created.link)
    visit(the.page, url)


def receipt_missing(the: Visitor) -> None:
    the.page.goto(the.receipt()[1].split("#")[0])
    the.shows("receipt.missingTitle")


def unknown_host(the: Visitor) -> None:
    """The server's own error, whose policy must allow its style."""

    def rename(route: Route) -> None:
        route.fulfill(response=route.fetch(headers={**route.request.headers, "host": "evil.example"}))

    the.page.route(f"{the.server.url}/", rename)
    the.page.goto(the.server.url)
    assert the.page.locator(".card").evaluate("(each) => getComputedStyle(each).borderRadius") == "16px"


def no_page(the: Visitor) -> None:
    the.page.goto(f"{the.server.url}/no/such/page")


STATES = [
    *(create_empty, create_filled, create_refused, create_without_key, create_with_key),
    *(result_plain, result_with_everything, result_burned),
    *(
        reveal_ready,
        reveal_wrong_passcode,
        reveal_text,
        reveal_hidden_text,
        reveal_address,
        reveal_neogram,
        reveal_file,
    ),
    *(reveal_wiped, reveal_incomplete, reveal_gone, reveal_not_found, reveal_offline, reveal_not_opening),
    reveal_over_plain_http,
    *(receipt_waiting, receipt_refused, receipt_locked, receipt_unlocked, receipt_with_downloads),
    *(receipt_ended, receipt_missing, unknown_host, no_page),
]


@pytest.fixture(scope="module")
def keys_only(serve: Serve) -> Server:
    """A server with all that branding can make long, on which only keys may create."""
    return serve(ALL_LONG)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_state_is_fit_for_everybody(
    page: Page, server: Server, python: Client, keys_only: Server, watch: Watch, state: Callable[[Visitor], None]
) -> None:
    watch.allow(keys_only.url)
    watch.expect(r"status of 4\d\d", "ERR_FAILED")
    state(Visitor(page, server, python, keys_only))
    page.emulate_media(reduced_motion="reduce")  # colours are then what they are at once
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme="light")
        assert axe(page) == []
        page.emulate_media(color_scheme="dark")
        assert axe(page, *COLOURS) == []
        assert page.evaluate(STICKS_OUT) == []
    assert page.evaluate(TOO_SMALL) == []
    for language in LANGUAGES if page.locator("#language").count() else ():
        page.select_option("#language", language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        for width in (360, 320):
            page.set_viewport_size({**PHONE, "width": width})
            assert page.evaluate(STICKS_OUT) == [], language
            assert page.evaluate(CUT_OFF) == [], language


@pytest.mark.parametrize("state", [create_filled, result_with_everything, reveal_wrong_passcode, receipt_waiting])
def test_text_of_twice_the_size_is_whole_on_a_phone(
    page: Page, server: Server, python: Client, keys_only: Server, watch: Watch, state: Callable[[Visitor], None]
) -> None:
    watch.expect(r"status of 4\d\d")
    page.set_viewport_size({"width": 360, "height": 740})
    state(Visitor(page, server, python, keys_only))
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    for language in LANGUAGES:
        page.select_option("#language", language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        assert page.evaluate(STICKS_OUT) == [], language
        lines = page.locator(".brand span").evaluate(
            "(each) => each.offsetHeight / parseFloat(getComputedStyle(each).lineHeight)"
        )
        assert round(lines) == 1, "the name is broken letter by letter"

"""Tabs that outlive a network or an upgrade, translators, clipboards that do not answer: nothing fails silently, and
nothing that is on the page is lost."""

import re
from dataclasses import dataclass

import pytest
from page_actions import clipboard, create, reveal, text_of, visit
from playwright.sync_api import BrowserContext, Page, Route, expect
from support.server import Server
from watch import Watch

from seclink import Client

LANGUAGE = "fr"
NEVER = "navigator.clipboard.writeText = () => new Promise(() => {})"
REFUSED = "navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'))"
# Resolves to what is selected, once that matches the pattern or at the latest after 20 seconds.
SELECTED = """async (pattern) => {
  for (let left = 400; ; left -= 1) {
    const { value, selectionStart, selectionEnd } = document.activeElement;
    const selected = value?.slice(selectionStart, selectionEnd) || String(getSelection());
    if (new RegExp(`^(?:${pattern})$`).test(selected) || !left) return selected;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}"""


@dataclass
class Cut:
    """Cuts the network, or replaces all files of the pages, as an upgrade does."""

    context: BrowserContext
    is_upgrade: bool

    def make(self) -> None:
        if self.is_upgrade:
            self.context.route(re.compile("/static/"), self._refuse)
        else:
            self.context.set_offline(True)

    def _refuse(self, route: Route) -> None:
        route.fulfill(status=404, content_type="application/problem+json", body='{"code": "not_found"}')


@pytest.fixture(params=[False, True], ids=["network", "upgrade"])
def cut(request: pytest.FixtureRequest, context: BrowserContext, watch: Watch) -> Cut:
    watch.expect("Failed to load resource", "net::ERR", "Failed to fetch dynamically")
    return Cut(context, request.param)


def missing(page: Page) -> None:
    expect(page.locator("#missing")).to_have_text(text_of("error.missing"))


def test_result_works_or_says_so(context: BrowserContext, page: Page, server: Server, cut: Cut) -> None:
    context.grant_permissions(["clipboard-write"], origin=server.url)
    page.add_init_script('window.print = () => document.body.dataset.printed = ""')
    created = create(page, server.url, "x", passcode="words")
    page.wait_for_load_state("networkidle")
    cut.make()
    page.locator("#show-qr").click()
    expect(page.locator("#qr svg")).to_be_visible()
    page.locator("#print").click()
    expect(page.locator("body")).to_have_attribute("data-printed", "")
    expect(page.locator("#missing")).to_have_count(0)
    page.select_option("#message-language", LANGUAGE)
    missing(page)
    expect(page.locator("#message-language")).to_have_value("en")
    for button in ("copy", "copy-passcode", "message", "copy-receipt"):
        page.locator(f"#{button}").click()
        expect(page.locator("#status")).to_have_text(text_of("result.copied"))
    page.select_option("#language", LANGUAGE)
    missing(page)
    expect(page.locator("#language")).to_have_value("en")
    assert page.locator("#link").input_value() == created.link
    page.locator("#another").click()
    expect(page.locator("#secret")).to_be_focused()


def test_start_page_keeps_the_text_and_says_what_is_missing(page: Page, server: Server, cut: Cut) -> None:
    visit(page, server.url)
    page.wait_for_load_state("networkidle")
    with page.expect_response("**/qr.js"):  # the last part of the result
        page.locator("#secret").fill("x")
    cut.make()
    page.locator("#options > summary").click()
    page.select_option("#passcode-kind", "words")
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("error.missing"))
    page.select_option("#language", LANGUAGE)
    missing(page)
    assert page.locator("#secret").input_value() == "x"
    if cut.is_upgrade:  # everything else still works
        page.select_option("#passcode-kind", "")
        page.locator("#create").click()
        expect(page.locator("#link")).to_be_visible()
        page.locator("#show-qr").click()
        missing(page)


def test_start_page_that_cannot_load_the_result_creates_nothing(page: Page, server: Server, cut: Cut) -> None:
    visit(page, server.url)
    page.wait_for_load_state("networkidle")
    cut.make()
    page.locator("#secret").fill("x")
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("error.missing"))
    assert page.locator("#secret").input_value() == "x"


def test_reader_s_page_has_the_words_and_says_what_is_missing(page: Page, python: Client, cut: Cut) -> None:
    """Without the list, a passcode written as it was heard would spend an attempt."""
    created = python.create("x", password="academy-accent-account-acid")
    visit(page, created.link)
    cut.make()
    page.select_option("#language", LANGUAGE)
    missing(page)
    page.locator("#passcode").fill("Academy accent, account acid")
    page.locator("#reveal").click()
    if cut.is_upgrade:
        expect(page.locator("#content pre")).to_have_text("x")
    else:
        expect(page.locator("#problem")).to_have_text(text_of("offline.what"))


def test_receipt_says_so(page: Page, server: Server, python: Client, cut: Cut) -> None:
    created = python.create("x", note="about")
    visit(page, f"{server.url}/receipt/{created.receipt_id}#{created.manage_token}")
    page.wait_for_load_state("networkidle")
    cut.make()
    page.select_option("#language", LANGUAGE)
    missing(page)
    expect(page.locator("#language")).to_have_value("en")
    expect(page.locator("#note")).to_have_value("about")


# Copying


@pytest.mark.parametrize("broken", [NEVER, REFUSED], ids=["never", "refused"])
def test_clipboard_that_does_not_copy_leaves_the_right_text_selected(
    page: Page, server: Server, python: Client, broken: str
) -> None:
    page.add_init_script(broken)
    created = create(page, server.url, "x", passcode="words")
    texts = {
        "copy": created.link,
        "copy-passcode": created.passcode or "",
        "message": rf"[^|]*{created.link}[^|]*",
        "copy-receipt": created.receipt_url,
    }
    for button, text in texts.items():
        page.locator(f"#{button}").click()
        expect(page.locator("#status")).to_have_text(text_of("result.copyFailed"))
        assert re.fullmatch(text, selected := page.evaluate(SELECTED, text)), selected
    reveal(page, python.create("the secret").link)
    page.locator("#content button").nth(1).click()
    page.locator("#content button").nth(0).click()
    expect(page.locator("#status")).to_have_text(text_of("result.copyFailed"))
    assert page.evaluate(SELECTED, "the secret\\n*").strip() == "the secret"


@pytest.mark.parametrize("body", ["one line", "two\nlines", "ends\n"])
def test_triple_click_copies_no_more_than_a_line(
    context: BrowserContext, page: Page, server: Server, python: Client, body: str
) -> None:
    context.grant_permissions(["clipboard-write"], origin=server.url)
    reveal(page, python.create(body).link)
    page.locator("#content pre").click(click_count=3, position={"x": 12, "y": 12})
    page.keyboard.press("Control+c")
    assert clipboard(context, server.url) in (body, body.splitlines()[0])


def test_nothing_that_must_stay_as_it_is_gets_translated(page: Page, server: Server, python: Client) -> None:
    kept = "(ids) => ids.filter((id) => document.querySelector(id).translate)"
    visit(page, server.url)
    ids = ["#secret", "#own-passcode", "#note", "#label", "#link", "#passcode", "#by-hand"]
    assert page.evaluate(kept, ids) == []
    reveal(page, python.create("https://example.org/a", type="redirect", note="x").link)
    expect(page.locator("#content .host")).to_be_visible()
    assert page.evaluate(kept, ["#note-text", "#passcode", "#content pre", "#content .host"]) == []
    reveal(page, python.create("x", type="neogram").link)
    expect(page.locator("#content .neogram")).to_be_visible()
    assert page.evaluate(kept, ["#content .neogram", "#content .visually-hidden"]) == []

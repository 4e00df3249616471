"""A button whose label changes keeps its size, in any language on any screen: nothing moves under the finger."""

from typing import Any

import pytest
from file_secrets import create_with_files, open_for_download
from page_actions import LANGUAGES, Raw, create, open_secret, receipt_address, try_wrong, visit
from playwright.sync_api import Page, expect
from support.server import Server

from seclink import Client

# Each button that shows another label for a while, if anything moves meanwhile or stays moved afterwards.
MOVES = """async (url) => {
  const { relabel } = await import(url);
  const page = { locale: { t: (key) => texts[key] }, setText: (target, key) => (target.textContent = texts[key]) };
  let texts = {};
  const all = Array.from(document.querySelectorAll("button")).filter((each) => each.checkVisibility());
  const places = () => JSON.stringify(all.map((each) => each.getBoundingClientRect()));
  return all.filter((each) => each.dataset.other).filter((button) => {
    const { tOther, other } = button.dataset;
    const { dataset: { t }, textContent } = button.firstElementChild;
    texts = { [t]: textContent, [tOther]: other };
    const before = places();
    relabel(button, page, tOther);
    const meanwhile = places();
    relabel(button, page);
    return meanwhile !== before || places() !== before;
  }).map((button) => `${button.id} ${button.dataset.other}`);
}"""


def result(page: Page, server: Server, python: Client) -> list[str]:
    create(page, server.url, "x", passcode="words")
    return ["copy", "copy-passcode", "message", "copy-receipt", "burn"]


def opened(page: Page, server: Server, python: Client) -> list[str]:
    open_secret(page, python.create("x", views=2).link)
    return ["burn"]


def files(page: Page, server: Server, python: Client) -> list[str]:
    visit(page, create_with_files(server.url, [("a", b"x"), ("b", b"x")]).link)
    page.locator("#reveal").click()
    expect(page.locator(".files")).to_be_visible()
    return []


def receipt(page: Page, server: Server, python: Client) -> list[str]:
    raw = Raw(server, b"x", passcode="right")
    try_wrong(server, raw.link_id)
    visit(page, receipt_address(server.url, raw))
    return ["unlock", "copy", "burn"]


def receipt_with_downloads(page: Page, server: Server, python: Client) -> list[str]:
    created = create_with_files(server.url, [("a", b"x")])
    open_for_download(server.url, created.link)
    visit(page, receipt_address(server.url, created))
    return ["copy", "burn"]


@pytest.mark.parametrize(
    "state", [result, opened, files, receipt, receipt_with_downloads], ids=lambda state: state.__name__
)
def test_nothing_moves_when_a_button_shows_its_other_label(
    page: Page, server: Server, python: Client, static_url: str, state: Any
) -> None:
    changing = state(page, server, python)
    page.emulate_media(reduced_motion="reduce")
    for language in LANGUAGES:
        page.select_option("#language", language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        for width in (320, 360, 1180):
            page.set_viewport_size({"width": width, "height": 640})
            assert page.evaluate(MOVES, f"{static_url}/js/ui.js") == [], (language, width)
    found = page.evaluate("() => Array.from(document.querySelectorAll('[data-other]'), ({ id }) => id)")
    assert set(changing) <= set(found)


def test_a_long_label_keeps_its_lines_while_it_is_another(page: Page, server: Server, python: Client) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    visit(page, receipt_address(server.url, python.create("x")))
    page.select_option("#language", "fr")
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    page.evaluate("() => void (navigator.clipboard.writeText = () => Promise.resolve())")
    size = "(button) => [button.getBoundingClientRect().width, button.getBoundingClientRect().height]"
    before = page.locator("#copy").evaluate(size)
    page.locator("#copy").click()
    expect(page.locator("#copy")).to_have_text("Copié")
    assert page.locator("#copy").evaluate(size) == before

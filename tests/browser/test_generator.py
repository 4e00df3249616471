"""The password generator beside the field of the secret."""

import re

import pytest
from page_actions import STATIC, choose, create, text_of, visit
from playwright.sync_api import Page, expect
from support.server import Server
from watch import Watch

from seclink import Client

DRAW = """async ([base, count, length, options]) => {
  const { drawPassword } = await import(`${base}/js/generator.js`);
  return Array.from({ length: count }, () => drawPassword(length, options));
}"""
# Draws a passcode from the given numbers, over and over, and counts them.
DRAW_DIGITS = """async ([base, numbers]) => {
  const { drawPasscode } = await import(`${base}/js/generator.js`);
  let count = 0;
  crypto.getRandomValues = (array) => array.fill(numbers[count++ % numbers.length]);
  return [await drawPasscode("digits", "en"), count];
}"""
CLASSES = ["[a-z]", "[A-Z]", "[0-9]", "[!#$%&*+=?@]"]


def open_panel(page: Page) -> None:
    with page.expect_response("**/js/generator.js"):
        page.locator("#generator > summary").click()


def generate(page: Page) -> str:
    """Press the button until its text is in the field."""
    before = page.locator("#secret").input_value()
    page.locator("#generate").click()
    expect(page.locator("#secret")).not_to_have_value(before)
    return page.locator("#secret").input_value()


def test_password_is_put_into_the_field_and_sent(page: Page, server: Server, python: Client) -> None:
    visit(page, server.url)
    open_panel(page)
    first = generate(page)
    assert re.fullmatch(r"[A-Za-z0-9!#$%&*+=?@]{20}", first)
    assert not set(first) & set("0Oo1Il")
    expect(page.locator("#generated")).to_have_text(text_of("generator.inserted"))
    assert len(generate(page)) == 20, "another one replaces it"
    page.locator("#generator-kind").select_option("letters")
    page.locator("#generator-length").fill("12")
    assert re.fullmatch("[A-Za-z0-9]{12}", generate(page))
    page.locator("#language").select_option("fr")
    expect(page.locator("#generate")).to_have_text(text_of("generator.insert", "fr"))
    expect(page.locator("#generator-length")).to_have_value("12")
    page.locator("#generator-kind").select_option("words")
    expect(page.locator("#no-look-alikes")).to_be_hidden()
    words = generate(page)
    assert len(words.split("-")) == 6
    assert set(words.split("-")) <= set((STATIC / "words/fr.txt").read_text().split())
    assert python.reveal(create(page, None, words).link).text == words
    page.locator("#another").click()
    assert re.fullmatch(r"\S{20}", generate(page)), "the panel is as it was at first"


def test_password_is_put_where_the_cursor_is(page: Page, server: Server) -> None:
    visit(page, server.url)
    open_panel(page)
    page.locator("#secret").fill("user: anna\npassword: \nhost: a")
    page.evaluate("document.querySelector('#secret').setSelectionRange(21, 21)")
    assert re.fullmatch(r"user: anna\npassword: \S{20}\nhost: a", generate(page))
    assert re.fullmatch(r"user: anna\npassword: \S{20}\nhost: a", generate(page))


def test_numbers_that_would_favour_some_characters_are_drawn_again(page: Page, server: Server, static_url: str) -> None:
    """Of 2^32 numbers, the last six are too many for ten digits."""
    page.goto(server.url)
    assert page.evaluate(DRAW_DIGITS, [static_url, [2**32 - 6, 2**32 - 1, 2**32 - 7]]) == ["999999", 18]


@pytest.mark.parametrize(("typed", "length"), [("3", 8), ("1000", 64), ("", 20), ("9.7", 9), ("-5", 8)])
def test_impossible_lengths_become_the_nearest(page: Page, server: Server, typed: str, length: int) -> None:
    visit(page, server.url)
    open_panel(page)
    page.locator("#generator-length").fill(typed)
    assert len(generate(page)) == length
    expect(page.locator("#generator-length")).to_have_value(str(length))


def test_characters_of_all_classes_are_drawn_alike(page: Page, server: Server, static_url: str) -> None:
    """No character is drawn more often: 256 % 72 = 40 would favour the first 40 if bytes were divided."""
    page.goto(server.url)
    for symbols, look_alikes in ((True, True), (False, False)):
        options = {"symbols": symbols, "lookAlikes": look_alikes}
        passwords = page.evaluate(DRAW, [static_url, 3000, 64, options])
        classes = CLASSES if symbols else CLASSES[:3]
        assert all(re.search(each, password) for password in passwords for each in classes)
        counts = {character: "".join(passwords).count(character) for character in set("".join(passwords))}
        assert len(counts) == (72 if symbols else 56)
        expected = 3000 * 64 / len(counts)
        assert all(abs(count - expected) < 7 * expected**0.5 for count in counts.values()), counts
        assert all(re.search(each, password) for password in page.evaluate(DRAW, [static_url, 300, 8, options])
                   for each in classes)  # fmt: skip


def test_generator_that_cannot_be_loaded_says_so(page: Page, server: Server, watch: Watch) -> None:
    watch.expect("ERR_FAILED")
    visit(page, server.url)
    page.locator("#secret").fill("typed")
    page.route("**/js/generator.js", lambda route: route.abort())
    page.locator("#generator > summary").click()
    expect(page.locator("#generated")).to_have_text(text_of("error.missing"))
    expect(page.locator("#secret")).to_have_value("typed")
    choose(page, passcode="digits")
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("error.missing"))
    expect(page.locator("#secret")).to_have_value("typed")
    assert watch.urls("/api/") == []


def test_web_links_are_not_generated(page: Page, server: Server) -> None:
    visit(page, server.url)
    expect(page.locator("#generator")).to_be_visible()
    page.locator(".kinds label:has([value=redirect])").click()
    expect(page.locator("#generator")).to_be_hidden()

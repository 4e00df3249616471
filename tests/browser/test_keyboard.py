"""Without a mouse, and for eyes that need more: every step can be reached, and what has the focus is seen."""

from collections.abc import Callable

from page_actions import text_of, visit
from playwright.sync_api import BrowserContext, Page, expect
from support.server import Server

from seclink import Client


def focused(page: Page) -> str:
    """Return the focused element's id, and check that an outline around it or its label shows the focus."""
    where, outline = page.evaluate("""() => {
      const now = document.activeElement;
      const seen = now.matches("[type=radio]") ? now.nextElementSibling : now;
      const { outlineStyle, outlineWidth } = getComputedStyle(seen);
      const label = (now.matches("button") && now.firstElementChild) || now;
      const name = now.id || label.dataset.t || now.parentElement.id || now.value;
      return [name, `${outlineStyle} ${outlineWidth}`];
    }""")
    assert outline == "solid 3px", where
    return str(where)


def tab(page: Page, key: str = "Tab", until: str = "") -> list[str]:
    """Press Tab once, or until an element, and return the stops."""
    stops: list[str] = []
    while not stops or (until and stops[-1] != until):
        page.keyboard.press(key)
        stops.append(focused(page))
        assert len(stops) < 30, stops
    return stops


def test_the_keyboard_alone_creates_with_all_choices(page: Page, server: Server, python: Client) -> None:
    visit(page, server.url)
    assert focused(page) == "secret"
    page.keyboard.type("keys only")
    tab(page, "Shift+Tab")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".kinds input:checked")).to_have_value("redirect")
    page.keyboard.press("ArrowLeft")
    assert tab(page) == ["secret"]
    assert tab(page, until="options") == ["generator", "options"]
    page.keyboard.press("Enter")
    assert tab(page, until="passcode-kind") == ["lifetime", "views", "passcode-kind"]
    page.keyboard.press("m")
    assert tab(page) == ["own-passcode"]
    page.keyboard.type("my passcode")
    assert tab(page) == ["note"]
    page.keyboard.type("my note")
    assert tab(page, until="neogram") == ["label", "neogram"]
    page.keyboard.press("Space")
    assert tab(page) == ["create"]
    page.keyboard.press("Enter")
    expect(page.locator("#link")).to_be_focused()
    link = page.locator("#link").input_value()
    buttons = ["copy", "copy-passcode", "message", "message-language", "show-qr", "print", "receipt", "copy-receipt"]
    assert [item for item in tab(page, until="another") if item != "share"] == [*buttons, "burn", "another"]
    assert python.meta(link).public_note == "my note"
    page.keyboard.press("Space")
    expect(page.locator("#secret")).to_be_focused()
    opened = python.reveal(link, "my passcode")
    assert (opened.text, opened.type) == ("keys only", "neogram")


def test_the_keyboard_alone_reveals_and_burns(page: Page, python: Client) -> None:
    created = python.create("keys only", views=3, password="right")
    visit(page, created.link)
    assert focused(page) == "passcode"
    page.keyboard.type("right")
    assert tab(page) == ["reveal"]
    page.keyboard.press("Space")
    expect(page.locator("#opened-title")).to_be_focused()
    stops = tab(page, until="wipe")
    assert stops == ["content", "opened.copy", "opened.hide", "opened.download", "burn", "wipe"]
    tab(page, "Shift+Tab", until="opened.hide")
    page.keyboard.press("Space")
    expect(page.locator("#content pre")).not_to_contain_text("keys only")
    tab(page, until="burn")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#remaining")).to_have_text(text_of("opened.burned"))


def test_forced_colours_show_choice_and_focus(make_context: Callable[..., BrowserContext], server: Server) -> None:
    page = make_context(forced_colors="active").new_page()
    visit(page, server.url)
    border = "(each) => [getComputedStyle(each).borderTopWidth, getComputedStyle(each).borderTopColor].join(' ')"
    choices = page.locator(".kinds span")
    chosen, other = choices.nth(0).evaluate(border), choices.nth(1).evaluate(border)
    assert chosen.startswith("2px")
    assert chosen != other
    tab(page, "Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert focused(page) == "redirect"
    assert choices.nth(1).evaluate(border) == chosen
    assert choices.nth(0).evaluate(border) == other
    tab(page, until="create")
    assert page.locator("#create").evaluate(border).startswith("2px")


def test_more_contrast_is_shown_on_request(page: Page, server: Server) -> None:
    visit(page, server.url)
    hint = page.locator(".assurance")
    colour = "(each) => getComputedStyle(each).color"
    plain = hint.evaluate(colour)
    page.emulate_media(contrast="more")
    assert hint.evaluate(colour) == page.locator("h1").filter(visible=True).evaluate(colour) != plain

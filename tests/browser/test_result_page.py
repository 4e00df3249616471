"""After sealing: the ways to hand the link on, what becomes of it, and what is left of it in the page."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from page_actions import (
    LANGUAGES,
    Created,
    blank,
    clipboard,
    create,
    page_contents,
    scan_qr_codes,
    text_of,
    texts,
)
from playwright.sync_api import BrowserContext, Page, expect
from support.server import Server
from watch import Watch

from seclink import Client

SECRET = "correct horse battery staple"
SHARING = "navigator.share = async (given) => { window.shared = given; };"
PRINTING = "window.print = () => { window.printed = true; };"


@pytest.fixture
def sealed(page: Page, server: Server) -> Created:
    """The page after a secret with everything was sealed."""
    choices = {"passcode": "words", "views": "3", "note": "the note", "label": "the label"}
    return create(page, server.url, SECRET, **choices)


def test_the_note_is_for_the_reader_and_the_label_for_the_sender(sealed: Created) -> None:
    meta, receipt = sealed.meta(), sealed.receipt()
    assert meta["publicNote"] == receipt["publicNote"] == "the note"
    assert receipt["label"] == "the label"
    assert "the label" not in str(meta)


def test_the_link_is_selected_and_copied(context: BrowserContext, page: Page, server: Server) -> None:
    context.grant_permissions(["clipboard-write"], origin=server.url)
    created = create(page, server.url, SECRET)
    expect(page.locator("#status")).to_have_text(text_of("result.copied"))
    expect(page.locator("#link")).to_be_focused()
    assert page.evaluate("getSelection().toString()") == created.link
    assert clipboard(context, server.url) == created.link
    with blank(context, server.url) as other:
        other.evaluate("navigator.clipboard.writeText('something else')")
    page.clock.install()
    page.locator("#copy").click()
    expect(page.locator("#copy")).to_have_text(text_of("result.copied"))
    expect(page.locator("#status")).to_have_text(text_of("result.copied"))
    assert clipboard(context, server.url) == created.link
    page.clock.fast_forward(3000)
    expect(page.locator("#copy")).to_have_text(text_of("result.copy"))


def test_of_a_link_that_is_too_long_its_beginning_is_seen(page: Page, server: Server) -> None:
    """Below the title, which says that it is ready."""
    page.set_viewport_size({"width": 320, "height": 640})
    create(page, server.url, "x")
    expect(page.locator("#copy")).to_be_in_viewport(ratio=1)
    expect(page.locator("#result-title")).to_be_in_viewport(ratio=1)
    assert page.locator("#link").evaluate("(each) => [each.scrollLeft, each.scrollWidth > each.clientWidth]") == [
        0,
        True,
    ]


def test_without_the_clipboard_the_page_says_so(context: BrowserContext, page: Page, server: Server) -> None:
    devtools = context.new_cdp_session(page)
    visitor = devtools.send("Target.getTargetInfo")["targetInfo"]["browserContextId"]
    denied = {"permission": {"name": "clipboard-write"}, "setting": "denied", "browserContextId": visitor}
    devtools.send("Browser.setPermission", denied)
    created = create(page, server.url, SECRET)
    expect(page.locator("#copy")).to_have_text(text_of("result.copy"))
    assert page.evaluate("getSelection().toString()") == created.link
    page.locator("#copy").click()
    expect(page.locator("#status")).to_have_text(text_of("result.copyFailed"))
    assert page.evaluate("getSelection().toString()") == created.link


def test_the_message_speaks_the_readers_language(make_context: Callable[..., BrowserContext], server: Server) -> None:
    context = make_context(timezone_id="Asia/Kathmandu", permissions=["clipboard-write"])
    page = context.new_page()
    created = create(page, server.url, SECRET, views="5", passcode="words")
    until = datetime.fromtimestamp(created.receipt()["expiresAt"] / 1000, UTC).astimezone(ZoneInfo("Asia/Kathmandu"))
    messages = set()
    for language in LANGUAGES:
        page.locator("#copy").click()
        expect(page.locator("#status")).to_have_text(text_of("result.copied"))
        page.select_option("#message-language", language)
        page.locator("#message").click()
        expect(page.locator("#status")).to_have_text(text_of("result.copied"))
        message = clipboard(context, server.url)
        assert created.link in message.splitlines()
        assert re.search(rf"\b{until.day}\b.*{until.year}.*:{until.minute:02}.*(GMT|UTC)\+5:45", message)
        assert re.search(r"\b5\b", message.replace(created.link, "").partition(str(until.year))[0])
        assert texts(language)["message.passcode"].strip() in message
        assert "{" not in message
        messages.add(message)
    assert len(messages) == len(LANGUAGES)


def test_the_share_sheet_gets_the_message_where_there_is_one(page: Page, server: Server) -> None:
    page.add_init_script(SHARING)
    created = create(page, server.url, SECRET)
    page.locator("#share").click()
    shared = page.evaluate("window.shared")
    assert list(shared) == ["text"]
    assert created.link in shared["text"].splitlines()


def test_on_a_phone_sharing_comes_first(make_context: Callable[..., BrowserContext], server: Server) -> None:
    """Elsewhere copying does, also where there is a sheet."""
    for options, first in (({"has_touch": True, "is_mobile": True}, "share"), ({}, "copy")):
        page = make_context(**options).new_page()
        page.add_init_script(SHARING)
        create(page, server.url, SECRET)
        main = page.locator("#sharing button.primary")
        expect(main).to_have_count(1)
        expect(main).to_have_attribute("id", first)
        expect(page.locator("#sharing button").first).to_have_attribute("id", first)


def tells_no_more_than_the_end(page: Page, created: Created, state: str) -> None:
    """Nothing of the result promises a link that opens: heading, buttons, QR code, the tab, what the page holds."""
    expect(page.locator("#result-title")).to_have_text(text_of(f"event.{state}"))
    expect(page.locator("#state")).to_have_text(text_of(f"state.{state}"))
    for gone in ("#sharing", "#status", "#qr", "#burn", "#result-lead"):
        expect(page.locator(gone)).to_be_hidden()
    expect(page.locator("#another")).to_have_class(re.compile("primary"))
    assert page.title() == f"{texts()[f'event.{state}']} – SecLink"
    icon = page.locator("#icon").get_attribute("href") or ""
    assert icon.endswith("/img/revealed.svg" if state == "revealed" else "/img/ended.svg")
    assert created.link not in page_contents(page)


def test_no_share_button_where_there_is_no_sheet(page: Page, server: Server) -> None:
    page.add_init_script("delete Navigator.prototype.share;")
    create(page, server.url, SECRET)
    expect(page.locator("#share")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_qr_code_is_the_link(make_context: Callable[..., BrowserContext], server: Server, scheme: str) -> None:
    page = make_context(color_scheme=scheme).new_page()
    created = create(page, server.url, SECRET)
    page.locator("#show-qr").click()
    expect(page.locator("#show-qr")).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#qr svg")).to_be_visible()
    assert scan_qr_codes(page.locator("#qr")) == [created.link]
    page.locator("#show-qr").click()
    expect(page.locator("#qr svg")).to_have_count(0)


def test_the_receipt_is_one_click_away(context: BrowserContext, page: Page, server: Server) -> None:
    context.grant_permissions(["clipboard-write"], origin=server.url)
    created = create(page, server.url, SECRET, label="for Ann")
    page.locator("#copy-receipt").click()
    expect(page.locator("#status")).to_have_text(text_of("result.copied"))
    assert clipboard(context, server.url) == created.receipt_url
    with context.expect_page() as opened:
        page.locator("#receipt").click()
    expect(opened.value.locator("#label")).to_have_text("for Ann")
    assert opened.value.evaluate("window.opener") is None


def test_burning_is_asked_twice_and_final(page: Page, server: Server) -> None:
    created = create(page, server.url, SECRET)
    page.locator("#burn").click()
    expect(page.locator("#burn")).to_have_text(text_of("result.burnSure"))
    assert created.receipt()["state"] == "active"
    page.locator("#burn").click()
    tells_no_more_than_the_end(page, created, "burned")
    assert created.receipt()["state"] == "burned"
    assert created.meta()["code"] == "gone"


def test_a_press_on_burn_is_forgotten_after_a_while(page: Page, server: Server) -> None:
    page.clock.install()
    created = create(page, server.url, SECRET)
    page.locator("#burn").click()
    page.clock.fast_forward(6000)
    expect(page.locator("#burn")).to_have_text(text_of("result.burn"))
    page.locator("#burn").click()
    expect(page.locator("#burn")).to_have_text(text_of("result.burnSure"))
    assert created.receipt()["state"] == "active"


def test_the_sender_sees_it_opened_without_asking(page: Page, server: Server, python: Client) -> None:
    page.clock.install()
    created = create(page, server.url, SECRET)
    expect(page.locator("#state")).to_have_text(text_of("state.active"))
    assert page.title() == "Your link is ready – SecLink"
    page.locator("#show-qr").click()
    python.reveal(created.link)
    page.clock.fast_forward(5000)
    tells_no_more_than_the_end(page, created, "revealed")
    page.locator("#another").click()
    assert page.title() == "Share a secret – SecLink"
    expect(page.locator("#icon")).to_have_attribute("href", re.compile(r"/img/icon\.svg$"))
    create(page, None, SECRET)
    expect(page.locator("#sharing")).to_be_visible()
    expect(page.locator("#result-title")).to_have_text(text_of("result.title"))


def test_another_secret_begins_with_nothing_of_the_first(page: Page, sealed: Created) -> None:
    page.locator("#show-qr").click()
    page.locator("#message").click()
    page.locator("#another").click()
    expect(page.locator("#secret")).to_be_focused()
    remaining = page_contents(page)
    parts = (SECRET, "the note", "the label", sealed.link_id, sealed.receipt_id, sealed.manage_token, "<path")
    assert [item for item in (*parts, str(sealed.passcode), sealed.link) if item in remaining] == []
    expect(page.locator("#views")).to_have_value("1")
    expect(page.locator("#passcode-kind")).to_have_value("")
    again = create(page, None, "second")
    assert again.passcode is None
    assert again.link != sealed.link
    expect(page.locator("#passcode-card")).to_be_hidden()


@pytest.mark.parametrize("away", ["back", "kept by the browser"])
def test_going_back_to_the_page_finds_nothing(
    page: Page, sealed: Created, server: Server, watch: Watch, away: str
) -> None:
    """HDR-05, at the sender's: from the browser's memory of pages or without."""
    watch.expect("status of 404")
    if away == "back":
        page.goto(f"{server.url}/nothing/here")
        page.go_back()
        page.locator("body[data-ready]").wait_for()
        expect(page.locator("#secret")).to_have_value("")
    else:
        page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    remaining = page_contents(page)
    assert [
        item for item in (SECRET, sealed.link_id, sealed.manage_token, str(sealed.passcode)) if item in remaining
    ] == []


def test_the_printed_sheet_has_the_link_but_no_passcode(page: Page, server: Server) -> None:
    page.add_init_script(PRINTING)
    created = create(page, server.url, SECRET, passcode="words")
    page.locator("#print").click()
    page.wait_for_function("window.printed")
    page.emulate_media(media="print")
    printed = page.locator("body").inner_text()
    assert created.link in printed
    assert str(created.passcode) not in printed
    assert SECRET not in printed
    assert texts()["print.how"] in printed
    assert scan_qr_codes(page) == [created.link]
    expect(page.locator("#result")).to_be_hidden()

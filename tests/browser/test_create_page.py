"""Sealing as people do it: a field, a button, a link to hand on, and what the server then knows."""

import html
import re
from urllib.parse import urlsplit

import httpx
import pytest
from page_actions import (
    LANGUAGES,
    STATIC,
    choose,
    clipboard,
    create,
    page_contents,
    result,
    text_of,
    texts,
    visit,
)
from playwright.sync_api import BrowserContext, Page, expect
from support.server import MakeServer, Server
from watch import Watch

from seclink import Client
from seclink.errors import PasscodeRequired

SECRET = "correct horse battery staple"
NO_ADDRESSES = (
    "javascript:alert(1)",
    "data:text/html,x",
    "//example.org",
    "https:\\\\example.org",
    "ftp://example.org",
    "x",
)
STORING = """
if (isSecureContext && navigator.credentials)
  navigator.credentials.store = async ({ id, password }) => { window.stored = [id, password]; };
"""


def test_the_keyboard_alone_creates(page: Page, server: Server, python: Client) -> None:
    """The page opens with the focus in the field."""
    visit(page, server.url)
    for chord in ("Control+Enter", "Meta+Enter"):
        expect(page.locator("#secret"), chord).to_be_focused()
        page.keyboard.type(SECRET)
        expect(page.locator("#secret")).to_have_value(SECRET)
        page.keyboard.press(chord)
        created = result(page)
        meta = created.meta()
        assert (meta["viewsLeft"], meta["passcodeRequired"], meta["accessRequired"]) == (1, False, True)
        assert meta["publicNote"] is None
        opened = python.reveal(created.link)
        assert (opened.text, opened.type) == (SECRET, "text")
        page.locator("#another").click()


def test_each_kind_arrives_with_its_type(page: Page, server: Server, python: Client) -> None:
    visit(page, server.url)
    for kind in ("text", "redirect", "neogram"):
        text = "https://example.org/päth?a=b#c" if kind == "redirect" else "zwei\nZeilen ✓"
        created = create(page, None, text, kind=kind)
        opened = python.reveal(created.link)
        assert opened.type == kind
        assert opened.text == ("https://example.org/p%C3%A4th?a=b#c" if kind == "redirect" else text)
        page.locator("#another").click()


def test_an_empty_form_or_an_invalid_address_creates_nothing(page: Page, server: Server, watch: Watch) -> None:
    """XSS-04, at the sender's."""
    visit(page, server.url)
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("create.empty"))
    page.locator("#secret").fill("x")
    expect(page.locator("#problem")).to_be_hidden()
    choose(page, kind="redirect")
    for text in NO_ADDRESSES:
        page.locator("#secret").fill(text)
        expect(page.locator("#problem"), text).to_be_hidden()
        page.locator("#create").click()
        expect(page.locator("#problem"), text).to_have_text(text_of("create.notLink"))
        expect(page.locator("#secret"), text).to_be_focused()
    assert watch.urls("/api/") == []


def test_too_much_is_refused_before_it_is_sent(page: Page, make_server: MakeServer, watch: Watch) -> None:
    other = make_server("[limits]\npayload_bytes = 2048\n").start()
    watch.allow(other.url)
    visit(page, other.url)
    page.locator("#secret").fill("ä" * 1500)
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(re.compile(r"3,000 .*1,\d{3}"))
    assert watch.urls("/api/") == []
    expect(page.locator("#secret")).to_have_value("ä" * 1500)
    max_length = re.search(r"of ([\d,]+)", page.locator("#problem").inner_text())
    assert max_length
    create(page, None, "x" * int(max_length[1].replace(",", "")))


def test_lifetimes_are_those_of_the_server(page: Page, make_server: MakeServer, watch: Watch) -> None:
    expiry = '[expiry]\nchoices = ["5m", "2h", "3d", "90d"]\nmax = "30d"\ndefault = "1d"\n'
    other = make_server(expiry).start()
    watch.allow(other.url)
    visit(page, other.url)
    offered = page.locator("#lifetime option")
    assert offered.all_text_contents() == ["5 minutes", "2 hours", "1 day", "3 days"]
    expect(page.locator("#lifetime")).to_have_value("86400")
    created = create(page, None, SECRET, lifetime="300")
    receipt = created.receipt()
    assert receipt["expiresAt"] - receipt["createdAt"] == 300_000
    page.locator("#another").click()
    expect(page.locator("#lifetime")).to_have_value("86400")


def test_it_opens_as_often_as_was_chosen(page: Page, server: Server) -> None:
    visit(page, server.url)
    for chosen, views_left in (("1", 1), ("5", 5), ("any", None)):
        created = create(page, None, SECRET, views=chosen)
        assert created.meta()["viewsLeft"] == views_left
        assert created.receipt()["maxViews"] == views_left
        page.locator("#another").click()


def test_one_line_says_what_the_link_will_be(page: Page, server: Server) -> None:
    """And the last of the three steps promises no more than that."""
    visit(page, server.url)
    terms, erased = page.locator("#terms"), page.locator("#step-erased")
    expect(terms).to_have_text("Expires after 7 days, can be opened once, no passcode")
    for views, often, end in (
        ("1", "once", "Opened once, then erased"),
        ("2", "twice", "Opened twice, then erased"),
        ("5", "5 times", "Opened 5 times, then erased"),
        ("any", "any number of times", "Erased when it expires"),
    ):
        choose(page, views=views)
        expect(terms).to_have_text(f"Expires after 7 days, can be opened {often}, no passcode")
        expect(erased).to_have_text(end)
    choose(page, lifetime="3600", passcode="words")
    expect(terms).to_have_text("Expires after 1 hour, can be opened any number of times, with a passcode")
    page.locator("#language").select_option("fr")
    expect(terms).to_have_text("Expire après 1 heure, peut être ouvert sans limite, avec un code d’accès")
    create(page, None, SECRET, views="2")
    page.locator("#another").click()
    expect(terms).to_have_text("Expire après 7 jours, peut être ouvert une fois, sans code d’accès")


def test_first_visit_loads_at_most_40_kb_and_the_result_comes_with_the_first_input(
    page: Page, server: Server, watch: Watch
) -> None:
    visit(page, server.url)
    page.wait_for_load_state("networkidle")
    loaded = {request.url: request.sizes()["responseBodySize"] for request in watch.requests}
    assert 20_000 < sum(loaded.values()) <= 40_000, loaded
    assert not [url for url in loaded if url.endswith(("/result.js", "/share.js", "/receipt-status.js"))]
    with page.expect_response("**/result.js"):
        page.locator("#secret").press("a")


def test_create_button_is_in_view_on_a_small_phone(page: Page, server: Server) -> None:
    page.set_viewport_size({"width": 360, "height": 616})
    for language in LANGUAGES:
        visit(page, f"{server.url}/?lang={language}")
        expect(page.locator("#secret")).to_be_focused()
        bottom = page.locator("#create").evaluate("(each) => each.getBoundingClientRect().bottom")
        assert bottom + page.evaluate("scrollY") < 560, language


@pytest.mark.whole_browser
def test_a_passcode_of_words_goes_another_way_than_the_link(
    context: BrowserContext, page: Page, server: Server, python: Client
) -> None:
    """A click may copy without a permission."""
    created = create(page, server.url, SECRET, passcode="words")
    assert created.passcode
    words = created.passcode.split("-")
    assert len(words) == 4
    assert set(words) <= set((STATIC / "words/en.txt").read_text().split())
    expect(page.locator("#passcode")).to_be_visible()
    page.locator("#message").click()
    expect(page.locator("#status")).to_have_text(text_of("result.copied"))
    message = clipboard(context, server.url)
    assert created.link in message
    assert created.passcode not in message
    assert not [word for word in words if len(word) > 4 and word in created.link]
    page.locator("#copy-passcode").click()
    expect(page.locator("#status")).to_have_text(text_of("result.copied"))
    assert clipboard(context, server.url) == created.passcode
    with pytest.raises(PasscodeRequired):
        python.reveal(created.link)
    assert python.reveal(created.link, created.passcode).text == SECRET


def test_words_are_those_of_the_pages_language_and_open_on_any_page(page: Page, server: Server) -> None:
    """As they are typed after a phone call, on a page in another language."""
    visit(page, f"{server.url}/?lang=ru")
    created = create(page, None, SECRET, passcode="words")
    words = str(created.passcode).split("-")
    assert set(words) <= set((STATIC / "words/ru.txt").read_text("utf-8").split())
    visit(page, created.link)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.locator("#passcode").fill(" ".join(words).capitalize())
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(SECRET)


def test_six_digits_are_a_passcode_for_the_phone(page: Page, server: Server) -> None:
    created = create(page, server.url, SECRET, passcode="digits")
    assert re.fullmatch("[0-9]{6}", str(created.passcode))
    visit(page, created.link)
    page.locator("#passcode").fill(f"{str(created.passcode)[:3]} {str(created.passcode)[3:]}")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(SECRET)


def test_words_that_were_chosen_need_no_network(page: Page, server: Server, watch: Watch) -> None:
    """As when the server was upgraded under an open page."""
    watch.expect("ERR_FAILED")  # the QR codes
    visit(page, server.url)
    assert watch.urls("/words/") == []  # not part of the page's weight
    with page.expect_response("**/words/en.txt"):
        choose(page, passcode="words")
    page.route("**/static/**", lambda route: route.abort())
    assert create(page, None, SECRET).passcode
    assert len(watch.urls("/words/")) == 1


def test_a_passcode_of_ones_own_is_asked_for(page: Page, server: Server, python: Client) -> None:
    visit(page, server.url)
    page.locator("#secret").fill(SECRET)
    page.locator("#options > summary").click()
    page.select_option("#passcode-kind", "own")
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("create.noPasscode"))
    expect(page.locator("#own-passcode")).to_be_focused()
    for passcode, problem in (
        ("  ", text_of("create.noPasscode")),
        ("a\u200b", text_of("create.passcodeInvisible")),
        ("👍🏽" * 201, text_of("create.passcodeTooLong", size="201", max="200")),
    ):
        page.locator("#own-passcode").fill(passcode)
        page.locator("#create").click()
        expect(page.locator("#problem")).to_have_text(problem)
    page.locator("#own-passcode").fill("")
    page.keyboard.type("mein Paß wört")
    page.keyboard.press("Enter")
    created = result(page)
    assert created.passcode == "mein Paß wört"
    assert created.meta()["passcodeRequired"] is True
    assert python.reveal(created.link, "mein Paß wört").text == SECRET


def test_notes_that_are_too_long_are_pointed_at(page: Page, server: Server, watch: Watch) -> None:
    visit(page, server.url)
    page.locator("#secret").fill(SECRET)
    choose(page, note="🗝" * 301)
    page.locator("#options > summary").click()
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("create.noteTooLong", size="301", most="300"))
    expect(page.locator("#note")).to_be_focused()
    assert watch.urls("/api/") == []
    page.locator("#note").fill("🗝" * 300)
    page.locator("#create").click()
    assert result(page).meta()["publicNote"] == "🗝" * 300


def test_with_keys_only_the_page_asks_for_one_first(page: Page, make_server: MakeServer, watch: Watch) -> None:
    other = make_server('[access]\ncreate = "keys"\n').start()
    watch.allow(other.url)
    watch.expect("status of 401")
    key = other.key("create")
    visit(page, other.url)
    expect(page.locator("#key-lead")).to_be_visible()
    page.locator("#secret").fill(SECRET)
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("key.needed"))
    expect(page.locator("#key")).to_be_focused()
    assert watch.urls("/api/") == []
    page.keyboard.type("sk_live_wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-problem")).to_have_text(text_of("error.key_invalid"))
    page.locator("#key").fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#key-account")).to_have_text(text_of("key.account", account="acme"))
    expect(page.locator("#secret")).to_have_value(SECRET)
    assert key not in page_contents(page)
    created = create(page, None, SECRET)
    listed = httpx.get(f"{other.url}/api/v1/receipts", headers={"Authorization": f"Bearer {other.key('manage')}"})
    assert [item["receiptId"] for item in listed.json()["data"]] == [created.receipt_id]
    page.locator("#another").click()
    page.locator("#key-forget").click()
    expect(page.locator("#key")).to_have_value("")
    page.locator("#secret").fill("another")
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("key.needed"))
    assert key not in page_contents(page)


def test_where_anybody_may_create_no_page_says_otherwise(page: Page, server: Server) -> None:
    """Nor before its script has run."""
    for language in LANGUAGES:
        message = html.unescape(httpx.get(f"{server.url}/?lang={language}").text)
        assert str(texts(language)["key.title"]) in message
        assert str(texts(language)["key.lead"]) not in message
    visit(page, server.url)
    page.locator("#key-panel summary").click()
    expect(page.locator("#key-lead")).to_have_text(text_of("key.leadAnyone"))


def test_the_password_manager_gets_the_key_only_when_asked(page: Page, server: Server) -> None:
    page.add_init_script(STORING)
    key = server.key("create", account="browser")
    visit(page, server.url)
    page.locator("#key-panel summary").click()
    expect(page.locator("#key")).to_have_attribute("autocomplete", "off")
    page.locator("#key").fill(key)
    page.keyboard.press("Enter")
    expect(page.locator("#key-account")).to_be_visible()
    assert page.evaluate("window.stored") is None
    page.locator("#key-forget").click()
    page.locator("#key-keep").check()
    expect(page.locator("#key")).to_have_attribute("autocomplete", "current-password")
    page.locator("#key").fill(key)
    page.locator("#key").press("Enter")
    expect(page.locator("#key-account")).to_be_visible()
    assert page.evaluate("window.stored") == ["browser", key]
    page.locator("#key-forget").click()
    page.locator("#key-keep").uncheck()
    expect(page.locator("#key")).to_have_attribute("autocomplete", "off")


def test_a_dead_network_loses_nothing_that_was_typed(
    context: BrowserContext, page: Page, server: Server, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    visit(page, server.url)
    page.clock.install()
    choose(page, note="still here")
    page.locator("#secret").fill(SECRET)
    context.set_offline(True)
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("error.unreachable"))
    expect(page.locator("#secret")).to_have_value(SECRET)
    context.set_offline(False)
    page.locator("#create").click()
    created = result(page)
    assert created.meta()["publicNote"] == "still here"
    assert urlsplit(created.link).netloc == urlsplit(server.url).netloc

"""Revealing as people do it: look, press once, have it, and leave nothing behind."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from page_actions import (
    clipboard,
    download,
    events,
    kept_link,
    open_secret,
    page_contents,
    receipt,
    reveal,
    reveal_requests,
    text_of,
    texts,
    visit,
)
from playwright.sync_api import BrowserContext, Page, Route, expect
from support.server import Server
from watch import Watch

from seclink import Client
from seclink.errors import Gone

SECRET = "Ein Geheimnis: 密碼 🗝️\n\tund noch eine Zeile"


def test_loading_the_page_reveals_nothing(page: Page, server: Server, python: Client, watch: Watch) -> None:
    """BOT-01, BOT-03."""
    created = python.create(SECRET, views=3, note="for the <b>printer</b>")
    visit(page, created.link)
    expect(page.locator("#note-text")).to_have_text("for the <b>printer</b>")
    expect(page.locator("#server")).to_have_text(text_of("reveal.server", host=urlsplit(server.url).netloc))
    assert page.title() == "A secret for you – SecLink"
    expect(page.locator("#views-left")).to_have_text(text_of("reveal.left", count="3"))
    expect(page.locator("#expires")).to_contain_text(str(created.expires_at.year))
    expect(page.locator("#passcode")).to_be_hidden()
    page.reload()
    page.locator("body[data-ready]").wait_for()
    assert reveal_requests(watch) == []
    assert python.meta(created.link).views_left == 3
    assert events(server.url, created) == ["created", "peeked"]


def test_one_press_reveals_once(page: Page, server: Server, python: Client, watch: Watch) -> None:
    """The page says before and after it that the secret is erased by it, and goes on showing the note."""
    created = python.create(SECRET, note="the note")
    visit(page, created.link)
    expect(page.locator("#views-left")).to_contain_text("Opening erases it, so save it right away")
    page.locator("#reveal").dblclick()
    expect(page.locator("#content pre")).to_have_text(SECRET, use_inner_text=False)
    expect(page.locator("#opened-title")).to_be_focused()
    expect(page.locator("#opened #note-text")).to_have_text("the note")
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    expect(page.locator("#burn")).to_be_hidden()
    assert len(reveal_requests(watch)) == 1
    assert receipt(server.url, created)["state"] == "revealed"


def test_text_is_copied_hidden_and_downloaded(
    context: BrowserContext, page: Page, server: Server, python: Client
) -> None:
    context.grant_permissions(["clipboard-write"], origin=server.url)
    assert open_secret(page, python.create(SECRET).link) == SECRET
    page.get_by_role("button", name=texts()["opened.copy"], exact=True).click()
    expect(page.locator("#status")).to_have_text(text_of("result.copied"))
    assert clipboard(context, server.url) == SECRET
    button = page.get_by_role("button", name=texts()["opened.download"])
    assert download(page, button) == ("secret.txt", SECRET.encode())
    page.get_by_role("button", name=texts()["opened.hide"], exact=True).click()
    assert SECRET not in page_contents(page)
    page.get_by_role("button", name=texts()["opened.show"], exact=True).click()
    assert page.locator("#content pre").text_content() == SECRET


def test_a_web_link_is_shown_whole_and_followed_on_a_click_only(
    context: BrowserContext, page: Page, python: Client, watch: Watch
) -> None:
    """XSS-04."""
    address = "https://user@example.org:8443/a/b?c=d&e=f#g"
    followed: list[Route] = []

    def answer(route: Route) -> None:
        followed.append(route)
        route.fulfill(body="there")

    context.route(re.compile("example.org"), answer)
    reveal(page, python.create(address, type="redirect").link)
    expect(page.locator(".host")).to_have_text("example.org:8443")
    expect(page.locator("#content pre")).to_have_text(address)
    go = page.locator("#content a")
    expect(go).to_have_attribute("target", "_blank")
    expect(go).to_have_attribute("rel", "noopener noreferrer")
    assert followed == []
    watch.allow("https://user@example.org:8443", "https://example.org:8443")
    with context.expect_page() as there:
        go.click()
    there.value.wait_for_load_state()
    assert there.value.evaluate("[window.opener, document.referrer]") == [None, ""]
    assert "referer" not in followed[0].request.headers
    there.value.close()


def test_a_neogram_types_itself_and_wipes_itself(page: Page, server: Server, python: Client) -> None:
    text = "Listen: " + "👩‍👩‍👧e\u0301" * 20
    letters = 8 + 40
    created = python.create(text, type="neogram", views=2)
    page.clock.install()
    visit(page, created.link)
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    page.locator("#reveal").click()
    typed, clock = page.locator(".neogram"), page.locator("#countdown")
    expect(typed).to_have_text("L")
    expect(clock).to_have_text("Wipes itself in 20 seconds.")  # 48 letters, typed and read
    page.clock.run_for(35 * 8)
    expect(typed).to_have_text(re.compile("^Listen: 👩‍👩‍👧(e\u0301)?$"))
    expect(page.locator("#content .visually-hidden")).to_have_text(text)
    page.clock.run_for(35 * letters)
    expect(typed).to_have_text(text)
    expect(clock).to_have_text(text_of("opened.neogramWipes"))
    page.clock.run_for(10_000)
    expect(clock).to_have_text(re.compile(r"\b[1-9]\b"))
    page.clock.run_for(10_000)
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))
    expect(page.locator("#notice")).to_contain_text(texts()["wiped.left"])
    assert "Listen" not in page_contents(page)
    assert receipt(server.url, created)["state"] == "active"


def test_a_long_neogram_says_which_end_comes_first(page: Page, python: Client) -> None:
    page.clock.install()
    created = python.create("x" * 9_200, type="neogram")
    visit(page, created.link)
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    page.locator("#reveal").click()
    clock = page.locator("#countdown")
    expect(clock).to_have_text(text_of("opened.wipesIn", time="10 minutes"))
    page.clock.run_for(60_000)
    page.mouse.click(1, 1)
    page.clock.run_for(1_000)
    expect(clock).to_have_text(text_of("opened.neogramWipes"))
    page.clock.run_for(590_000)
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))


def test_a_neogram_is_still_with_reduced_motion(make_context: Callable[..., BrowserContext], python: Client) -> None:
    page = make_context(reduced_motion="reduce").new_page()
    page.clock.install()
    visit(page, python.create("all at once", type="neogram").link)
    page.clock.pause_at(datetime.now(UTC) + timedelta(minutes=1))
    page.locator("#reveal").click()
    expect(page.locator(".neogram")).to_have_text("all at once")


@pytest.mark.parametrize("passcode", [None, "told on the phone"])
def test_the_reader_ends_it_for_everybody(page: Page, server: Server, python: Client, passcode: str | None) -> None:
    created = python.create(SECRET, views=3, password=passcode)
    assert open_secret(page, created.link, passcode) == SECRET
    expect(page.locator("#remaining")).to_have_text(text_of("opened.left", count="2"))
    page.locator("#burn").click()
    expect(page.locator("#burn")).to_have_text(text_of("opened.burnSure"))
    assert python.meta(created.link).views_left == 2
    page.locator("#burn").click()
    expect(page.locator("#remaining")).to_have_text(text_of("opened.burned"))
    expect(page.locator("#burn")).to_be_hidden()
    with pytest.raises(Gone):
        python.reveal(created.link, passcode)
    assert receipt(server.url, created)["state"] == "burned"
    expect(page.locator("#content pre")).to_have_text(SECRET, use_inner_text=False)


def test_without_a_limit_the_page_says_until_when(page: Page, python: Client) -> None:
    created = python.create(SECRET, views=None)
    visit(page, created.link)
    expect(page.locator("#views-left")).to_have_text(text_of("reveal.leftAny"))
    page.locator("#reveal").click()
    expect(page.locator("#remaining")).to_have_text(text_of("opened.leftAny"))
    expect(page.locator("#burn")).to_be_visible()


def test_the_key_leaves_the_tab_with_success_only(page: Page, python: Client, watch: Watch) -> None:
    watch.expect("status of 401")
    created = python.create(SECRET, password="right")
    reveal(page, created.link, "wrong")
    expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongPasscode"))
    assert kept_link(page) == created.link
    page.locator("#passcode").fill("right")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_be_visible()
    assert kept_link(page) == page.url == created.link.split("#")[0]
    remaining = page_contents(page)
    assert created.link.split("#")[1] not in remaining
    assert "right" not in remaining.split("</main>")[1]


def go_away_and_back(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.go_back()
    page.go_forward()
    page.go_back()


LEAVING: dict[str, Callable[[Page, Server], Any]] = {
    "back": go_away_and_back,
    "reload": lambda page, _: page.reload(),
    "kept": lambda page, _: page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))"),
    "wiped by hand": lambda page, _: page.locator("#wipe").click(),
}


def test_nothing_comes_back(page: Page, server: Server, python: Client, watch: Watch) -> None:
    """HDR-05: not with Back and Forward, from the browser's memory of pages or without; not with a reload."""
    for opened, (how, leave) in enumerate(LEAVING.items(), 1):
        created = python.create(SECRET)
        assert open_secret(page, created.link) == SECRET
        leave(page, server)
        expect(page.locator("#notice h1"), how).to_have_text(text_of("wiped.title"))
        remaining = page_contents(page)
        assert SECRET.split()[0] not in remaining, how
        assert created.link.split("#")[1] not in remaining, how
        assert len(reveal_requests(watch)) == opened, how


def test_the_same_link_pasted_over_an_open_secret_spends_nothing(page: Page, python: Client, watch: Watch) -> None:
    """The same secret under the same address: nowhere else is it any more. Only the key leaves the address again."""
    watch.expect("status of 410")
    other = python.create("another").link.split("#")[1]
    for opened, how in enumerate(("whole", "half", "another key"), 1):
        created = python.create(SECRET)
        assert open_secret(page, created.link) == SECRET
        address, fragment = created.link.split("#")
        pasted = {"whole": fragment, "half": fragment[:20], "another key": other}[how]
        page.evaluate("(fragment) => { location.hash = fragment; }", pasted)
        page.wait_for_url(address)
        expect(page.locator("#content pre"), how).to_have_text(SECRET, use_inner_text=False)
        assert len(reveal_requests(watch)) == opened, how
        page.locator("#wipe").click()
        page.goto(f"{address}#{pasted}")
        expect(page.locator("#content pre"), how).to_have_count(0)


def test_a_page_left_alone_wipes_itself(page: Page, python: Client) -> None:
    page.clock.install()
    assert open_secret(page, python.create(SECRET).link) == SECRET
    expect(page.locator("#countdown")).to_have_text(text_of("opened.wipesIn"))
    page.clock.fast_forward(590_000)
    page.keyboard.press("ArrowDown")
    page.clock.fast_forward(590_000)
    expect(page.locator("#content pre")).to_have_text(SECRET, use_inner_text=False)
    page.clock.fast_forward(11_000)
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))
    assert SECRET.split()[0] not in page_contents(page)


def test_two_tabs_race_and_one_shows_it(
    make_context: Callable[..., BrowserContext], server: Server, python: Client, watch: Watch
) -> None:
    watch.expect("status of 410")
    created = python.create(SECRET)
    pages = [make_context().new_page() for _ in range(2)]
    waiting: list[Any] = []
    for page in pages:
        visit(page, created.link)
        page.route("**/reveal", lambda route: waiting.append(route))
        with page.expect_request("**/reveal"):
            page.locator("#reveal").click()
    for route in waiting:
        route.continue_()
    for page in pages:
        expect(page.locator("#opened, #notice").filter(visible=True)).to_have_count(1)
    shown = [SECRET in str(page.locator("#content").text_content()) for page in pages]
    assert sorted(shown) == [False, True]
    late = pages[shown.index(False)]
    expect(late.locator("#notice h1")).to_have_text(text_of("gone.revealed"))
    expect(late.locator("#notice p").nth(0)).to_have_text(text_of("gone.revealedWhat"))
    expect(late.locator("#notice")).to_contain_text(texts()["gone.tell"])
    assert events(server.url, created).count("revealed") == 1


def test_an_answer_that_was_lost_is_asked_for_again(
    context: BrowserContext, page: Page, server: Server, python: Client, watch: Watch
) -> None:
    """Offline in the middle: the view is taken, the answer lost; the next press within a minute still shows it."""
    watch.expect("ERR_FAILED", "ERR_INTERNET_DISCONNECTED")
    created = python.create(SECRET)
    visit(page, created.link)

    def lose(route: Any) -> None:
        route.fetch()
        context.set_offline(True)
        route.abort()

    page.clock.install()
    page.route("**/reveal", lose, times=1)
    page.locator("#reveal").click()
    page.wait_for_event("requestfailed")
    page.clock.run_for(10_000)
    expect(page.locator("#problem")).to_have_text(text_of("offline.what"))
    assert receipt(server.url, created)["state"] == "revealed"
    context.set_offline(False)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(SECRET, use_inner_text=False)
    assert httpx.post(f"{server.url}/api/v1/secrets/{created.link_id}/reveal").status_code == 410

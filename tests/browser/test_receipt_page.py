"""The receipt as a sender reads it: what became of the secret, and the means to end or change it."""

import re
from collections.abc import Callable

import httpx
from page_actions import (
    clipboard,
    ended_text,
    happened,
    kept_link,
    receipt,
    receipt_address,
    restart_later,
    text_of,
    visit,
)
from playwright.sync_api import BrowserContext, Page, expect
from support.server import HIGH_RATES, MakeServer, Server
from watch import Watch

from seclink import Client
from seclink.format import envelope
from seclink.format.link import key_of
from seclink.format.pasted_link import parse


def test_a_waiting_secret_has_its_label_and_its_end(page: Page, server: Server, python: Client) -> None:
    created = python.create("x", description="for Ann", note="about the printer")
    visit(page, receipt_address(server.url, created))
    expect(page.locator("#label")).to_have_text("for Ann")
    expect(page.locator("#state")).to_have_text(text_of("state.active"))
    expect(page.locator("#state")).to_contain_text(re.compile(rf"{created.expires_at.year}.*(UTC|GMT)"))
    expect(page.locator("#note")).to_have_value("about the printer")
    assert happened(page) == ["created"]
    expect(page.locator("#updated")).to_have_text(text_of("receipt.fresh"))
    assert python.meta(created.link).views_left == 1


def test_a_receipt_link_opens_as_mail_passes_it_on(page: Page, server: Server, python: Client) -> None:
    created = python.create("x")
    link = receipt_address(server.url, created)
    visit(page, link.replace("#", "/#") + "_)")
    expect(page.locator("#state")).to_have_text(text_of("state.active"))
    expect(page.locator("#exposed")).to_be_hidden()
    visit(page, link.replace("#", "%23"))
    expect(page.locator("#state")).to_have_text(text_of("state.active"))
    expect(page.locator("#exposed")).to_have_text(text_of("receipt.exposed"))
    assert kept_link(page) == link


def test_its_link_is_copied_with_the_token_that_left_the_address(
    page: Page, server: Server, python: Client, context: BrowserContext
) -> None:
    context.grant_permissions(["clipboard-write"], origin=server.url)
    link = receipt_address(server.url, python.create("x"))
    visit(page, link)
    page.locator("#copy").click()
    expect(page.locator("#copy")).to_have_text(text_of("result.copied"))
    assert clipboard(context, server.url) == link
    page.evaluate("() => void (navigator.clipboard.writeText = () => Promise.reject())")
    page.locator("#copy").click()
    expect(page.locator("#problem")).to_contain_text(link)


def test_it_brings_itself_up_to_date(page: Page, server: Server, python: Client) -> None:
    page.clock.install()
    created = python.create("x", views=2, password="right")
    visit(page, receipt_address(server.url, created))
    proof = envelope.derive(key_of(parse(created.link).fragment)).access
    wrong = {"access": proof, "passcodeHash": "0" * 64}
    assert httpx.post(f"{server.url}/api/v1/secrets/{created.link_id}/reveal", json=wrong).status_code == 401
    page.clock.fast_forward(4000)
    expect(page.locator("#events li")).to_have_count(2)
    assert happened(page) == ["created", "passcode_wrong"]
    python.reveal(created.link, "right")
    page.clock.fast_forward(4000)
    expect(page.locator("#state")).to_have_text(text_of("state.activeSome", count="1"))
    python.reveal(created.link, "right")
    page.clock.fast_forward(4000)
    expect(page.locator("#state")).to_have_text(ended_text("state.revealed"))
    assert [item for item in happened(page) if item != "peeked"] == [
        "created",
        "passcode_wrong",
        "revealed",
        "revealed",
    ]
    expect(page.locator("#change")).to_be_hidden()
    expect(page.locator("#updated")).to_be_hidden()
    stamps = page.locator("#events time")
    assert all(re.search(r"\d{4}.*\d:\d\d", all_inner_text) for all_inner_text in stamps.all_inner_texts())
    known = receipt(server.url, created)["events"]
    assert stamps.last.get_attribute("datetime") == page.evaluate("(at) => new Date(at).toISOString()", known[-1]["at"])


def test_it_asks_no_more_when_all_is_over(page: Page, server: Server, python: Client, watch: Watch) -> None:
    page.clock.install()
    created = python.create("x")
    python.reveal(created.link)
    visit(page, receipt_address(server.url, created))
    requests = len(watch.urls("/receipts/"))
    page.clock.fast_forward(600_000)
    expect(page.locator("#state")).to_have_text(ended_text("state.revealed"))
    assert len(watch.urls("/receipts/")) == requests == 1


def test_burning_here_is_asked_twice_too(page: Page, server: Server, python: Client) -> None:
    created = python.create("x")
    visit(page, receipt_address(server.url, created))
    page.locator("#burn").click()
    expect(page.locator("#burn")).to_have_text(text_of("result.burnSure"))
    assert receipt(server.url, created)["state"] == "active"
    page.locator("#burn").click()
    expect(page.locator("#state")).to_have_text(ended_text("state.burned"))
    expect(page.locator("#change")).to_be_hidden()
    assert happened(page) == ["created", "burned"]
    assert receipt(server.url, created)["state"] == "burned"


def test_the_life_is_shortened_and_the_note_changed(page: Page, server: Server, python: Client) -> None:
    created = python.create("x", hours=48, note="first")
    visit(page, receipt_address(server.url, created))
    page.locator("#change [type=submit]").click()
    expect(page.locator("#status")).to_have_text(text_of("receipt.noChange"))
    page.select_option("#lifetime", "3600")
    page.locator("#note").fill("second")
    page.locator("#note").press("Enter")
    expect(page.locator("#status")).to_have_text(text_of("receipt.saved"))
    known = receipt(server.url, created)
    assert known["publicNote"] == "second"
    assert created.expires_at_ms - known["expiresAt"] > 40 * 3_600_000
    minute = page.evaluate("(at) => new Date(at).getMinutes()", known["expiresAt"])
    expect(page.locator("#state")).to_contain_text(f":{minute:02}")
    expect(page.locator("#lifetime")).to_have_value("")
    assert happened(page) == ["created", "changed"]
    page.locator("#note").fill("")
    page.locator("#change [type=submit]").click()
    expect(page.locator("#events li")).to_have_count(3)
    assert python.meta(created.link).public_note is None


def test_only_lifetimes_that_the_server_accepts_are_offered(page: Page, make_server: MakeServer, watch: Watch) -> None:
    """EXP-08: they count from now, and at most `expiry.max` from the creation."""
    other = make_server(f'{HIGH_RATES}[expiry]\nmax = "7d"\ndefault = "1h"\nchoices = ["1h", "1d", "7d"]\n').start()
    watch.allow(other.url)
    with Client(other.url) as client:
        created = client.create("x", hours=1)
    page.clock.install()
    for hours, offered in ((0, ["3600", "86400"]), (142, ["3600", "86400"]), (145, ["3600"]), (168, [])):
        page.clock.set_fixed_time(created.expires_at_ms / 1000 + (hours - 1) * 3600)
        visit(page, receipt_address(other.url, created))
        values = page.locator("#lifetime option").evaluate_all("(all) => all.map(({ value }) => value)")
        assert values == ["", *offered], hours
        assert page.locator("#lifetime").is_visible() == bool(offered)


def test_polling_does_not_change_the_form(page: Page, server: Server, python: Client) -> None:
    page.clock.install()
    created = python.create("x", note="first")
    visit(page, receipt_address(server.url, created))
    page.select_option("#lifetime", "3600")
    page.locator("#note").fill("half a no")
    python.meta(created.link)
    page.clock.fast_forward(4000)
    expect(page.locator("#events li")).to_have_count(2)
    expect(page.locator("#note")).to_have_value("half a no")
    expect(page.locator("#lifetime")).to_have_value("3600")


def test_a_note_that_is_too_long_is_not_sent(page: Page, server: Server, python: Client, watch: Watch) -> None:
    created = python.create("x")
    visit(page, receipt_address(server.url, created))
    requests = len(watch.urls("/api/"))
    page.locator("#note").fill("x" * 301)
    page.locator("#change [type=submit]").click()
    expect(page.locator("#problem")).to_have_text(text_of("create.noteTooLong", size="301", most="300"))
    assert len(watch.urls("/api/")) == requests


def test_an_expired_one_says_whether_it_was_read(page: Page, make_server: MakeServer, watch: Watch) -> None:
    other = make_server().start()
    watch.allow(other.url)
    with Client(other.url) as client:
        unread, read = (client.create("x", hours=1, views=2) for _ in range(2))
        client.reveal(read.link)
    restart_later(other, days=2)
    for created, state in ((unread, "state.expired"), (read, "state.expiredRead")):
        visit(page, receipt_address(other.url, created))
        expect(page.locator("#state")).to_have_text(ended_text(state))
        assert happened(page)[-1] == "expired", state


def test_a_receipt_link_that_is_not_whole_shows_nothing(
    page: Page, server: Server, python: Client, watch: Watch
) -> None:
    watch.expect("status of 404")
    created = python.create("x", description="the label")
    url = receipt_address(server.url, created)
    broken = {
        "no token": url.split("#")[0],
        "another token": f"{url.split('#')[0]}#{'A' * len(created.manage_token)}",
        "half a token": url[: -len(created.manage_token) // 2],
        "no such receipt": url.replace(created.receipt_id, "A" * len(created.receipt_id)),
    }
    for how, link in broken.items():
        page.goto("about:blank")  # it is the same address but for the fragment
        page.goto(link)
        expect(page.locator("#notice h1"), how).to_have_text(text_of("receipt.missingTitle"))
        expect(page.locator("#notice p"), how).to_have_text(text_of("receipt.missing"))
        assert "the label" not in page.content(), how


def test_a_dead_network_is_shown_and_recovered_from(
    context: BrowserContext, page: Page, server: Server, python: Client, watch: Watch
) -> None:
    watch.expect("ERR_INTERNET_DISCONNECTED")
    page.clock.install()
    created = python.create("x")
    visit(page, receipt_address(server.url, created))
    page.context.set_offline(True)
    page.clock.fast_forward(4000)
    page.wait_for_event("requestfailed")
    page.clock.run_for(5000)
    expect(page.locator("#updated")).to_have_text(text_of("receipt.stale"))
    page.context.set_offline(False)
    page.clock.run_for(10_000)
    expect(page.locator("#updated")).to_have_text(text_of("receipt.fresh"))


def test_without_javascript_each_page_says_why_it_needs_it(
    make_context: Callable[..., BrowserContext], server: Server, python: Client, watch: Watch
) -> None:
    created = python.create("x")
    page = make_context(java_script_enabled=False).new_page()
    for which, url in {
        "create": server.url,
        "reveal": created.link,
        "receipt": receipt_address(server.url, created),
    }.items():
        page.goto(url)
        expect(page.locator("h1").filter(visible=True), which).to_have_text([text_of("noscript.title")])
        expect(page.locator("main p").filter(visible=True), which).to_have_text([text_of(f"noscript.{which}")])
    assert watch.urls("/api/") == []

"""Passcodes, mangled links, secrets that have ended: nothing is spent, and the page says what to do."""

import re

import httpx
import pytest
from page_actions import (
    events,
    kept_link,
    open_secret,
    receipt,
    restart_later,
    reveal,
    reveal_requests,
    text_of,
    texts,
    visit,
)
from playwright.sync_api import Page, expect
from support.server import MakeServer, Server
from watch import Watch

from seclink import Client
from seclink.format import envelope
from seclink.format.link import key_of
from seclink.format.pasted_link import parse

SECRET = "not for everybody"
NFC, NFD = "pässwörd", "pa\u0308sswo\u0308rd"


@pytest.mark.parametrize(
    ("passcode", "typed", "button", "asked"),
    [
        ("right", "right ", "#try-plain", "reveal.askSpace"),
        ("right\u00a0", "right\u00a0\u200b", "#try-typed", "reveal.askSpace"),
        ("it's 12", "it’s １２", "#try-plain", "reveal.askLookAlike"),
    ],
)
def test_space_or_look_alike_is_asked_about_before_an_attempt(
    server: Server, page: Page, python: Client, passcode: str, typed: str, button: str, asked: str
) -> None:
    created = python.create("told", password=passcode)
    visit(page, created.link)
    page.locator("#passcode").fill(typed)
    page.locator("#reveal").click()
    expect(page.locator("#passcode-question")).to_have_text(text_of(asked))
    expect(page.locator("#try-plain")).to_be_focused()
    assert [event for event in events(server.url, created) if event != "peeked"] == ["created"]
    page.locator("#passcode").press_sequentially("x")
    expect(page.locator("#passcode-answers")).to_be_hidden()
    page.locator("#passcode").fill(typed)
    page.locator("#reveal").click()
    page.locator(button).click()
    expect(page.locator("#content pre")).to_have_text("told")
    assert "passcode_wrong" not in events(server.url, created)


def test_a_passcode_is_asked_for_until_it_is_right(page: Page, server: Server, python: Client, watch: Watch) -> None:
    watch.expect("status of 401")
    created = python.create(SECRET, password=NFC)
    visit(page, created.link)
    expect(page.locator("#passcode")).to_be_focused()
    expect(page.locator("#passcode-hint")).to_contain_text(re.compile(r"5 attempts left"))
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_have_text(text_of("reveal.noPasscode"))
    assert reveal_requests(watch) == []
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongPasscode"))
    expect(page.locator("#passcode-hint")).to_contain_text(re.compile(r"4 attempts left"))
    page.keyboard.type(NFD)
    expect(page.locator("#problem")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#content pre")).to_have_text(SECRET)
    assert events(server.url, created) == ["created", "peeked", "passcode_wrong", "revealed"]


@pytest.mark.parametrize("typed", ["Academy stadium orbit accent", " ACADEMY, Stadium,orbit  accent "])
def test_four_words_open_as_they_are_heard(
    page: Page, server: Server, python: Client, watch: Watch, typed: str
) -> None:
    """On the phone nobody says dashes, and none of the tries goes on them."""
    created = python.create(SECRET, password="academy-stadium-orbit-accent")
    visit(page, created.link)
    page.locator("#passcode").fill(typed)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(SECRET)
    assert events(server.url, created) == ["created", "peeked", "revealed"]


def test_four_words_of_somebody_s_own_open_as_they_are(
    page: Page, server: Server, python: Client, watch: Watch
) -> None:
    watch.expect("status of 401")
    created = python.create(SECRET, password="Academy Stadium Orbit Accent")
    visit(page, created.link)
    page.locator("#passcode").fill("Academy Stadium Orbit Accent")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(SECRET)
    assert events(server.url, created) == ["created", "peeked", "passcode_wrong", "revealed"]


def test_too_many_wrong_passcodes_lock_for_a_while(page: Page, server: Server, python: Client, watch: Watch) -> None:
    watch.expect("status of 4(01|29)")
    created = python.create(SECRET, password=NFC)
    visit(page, created.link)
    proof = envelope.derive(key_of(parse(created.link).fragment)).access
    guess = {"access": proof, "passcodeHash": "0" * 64}
    tried = [httpx.post(f"{server.url}/api/v1/secrets/{created.link_id}/reveal", json=guess) for _ in range(4)]
    assert [item.json()["attemptsLeft"] for item in tried] == [4, 3, 2, 1]
    page.locator("#passcode").fill("wrong")
    page.locator("#reveal").click()
    expect(page.locator("#passcode-hint")).to_contain_text(re.compile(r"\b0 attempts left"))
    page.locator("#passcode").fill(NFC)
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(text_of("locked.what"))
    expect(page.locator("#problem")).to_contain_text(re.compile(r"\d+ minutes?"))
    assert receipt(server.url, created)["state"] == "active"


def mangled(link: str) -> dict[str, str]:
    """BOT-05: what copying, mail and chat make of a link."""
    address, fragment = link.split("#")
    return {
        "nothing": address,
        "an empty fragment": f"{address}#",
        "half": f"{address}#{fragment[:24]}",
        "the last character dropped": link[:-1],
        "the length of a raw key": link[:-5],
        "the first character dropped": f"{address}#{fragment[1:]}",
        "one dropped in the middle": f"{address}#{fragment[:20]}{fragment[21:]}",
        "case flipped": f"{address}#{fragment.swapcase()}",
        "lower case": f"{address}#{fragment.lower()}",
        "one too many": f"{link}A",
        "broken by a dash": f"{address}#{fragment[:30]}-{fragment[30:]}",
    }


def test_a_mangled_link_spends_nothing(page: Page, python: Client, watch: Watch) -> None:
    """BOT-04, BOT-05."""
    created = python.create(SECRET)
    for how, link in mangled(created.link).items():
        visit(page, link)
        expect(page.locator("#notice h1"), how).to_have_text(text_of("incomplete.title"))
        expect(page.locator("#notice")).to_contain_text(texts()["incomplete.next"])
        expect(page.locator("#reveal"), how).to_be_hidden()
        expect(page.locator("#notice h1"), how).to_be_focused()
    assert reveal_requests(watch) == []
    assert python.meta(created.link).views_left == 1


def test_characters_of_mail_clients_and_trackers_are_ignored(page: Page, python: Client) -> None:
    """BOT-05, BOT-06."""
    created = python.create(SECRET)
    address, fragment = created.link.split("#")
    for tail in (".", ")", ">", "%20", "?fbclid=IwAR0", "&utm_source=x", "),", "%C2%A0", "*"):
        visit(page, created.link + tail)
        expect(page.locator("#reveal"), tail).to_be_visible()
    assert open_secret(page, f"{address}?fbclid=IwAR0&utm_source=x#{fragment}.") == SECRET
    assert "#" not in page.url


@pytest.mark.parametrize("joint", ["%23", "/%2523", "?utm_source=mail%23"])
def test_a_key_that_servers_have_seen_opens_and_is_said_to_be(
    page: Page, python: Client, watch: Watch, joint: str
) -> None:
    """BOT-05: the key is sent no second time, neither by what the page loads nor by a reload."""
    created = python.create("x")
    page_url, key = created.link.split("#")
    visit(page, f"{page_url}{joint}{key}")
    expect(page.locator("#exposed")).to_have_text(text_of("reveal.exposed"))
    assert kept_link(page) == created.link
    page.select_option("#language", "fr")
    expect(page.locator("#exposed")).to_have_text(text_of("reveal.exposed", "fr"))
    page.reload()
    page.locator("body[data-ready]").wait_for()
    expect(page.locator("#exposed")).to_have_text(text_of("reveal.exposed", "fr"))
    assert len([url for url in watch.urls("") if key in url]) == 1
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("x")
    assert page.url == f"{page_url}?lang=fr"


def test_the_whole_link_pasted_over_half_of_one_works(page: Page, python: Client, watch: Watch) -> None:
    created = python.create(SECRET)
    visit(page, created.link[:-9])
    expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    page.goto(created.link)  # only the fragment is another: the browser does not load again
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(SECRET)
    assert len(watch.urls("/js/reveal.js")) == 1


@pytest.mark.parametrize("state", ["revealed", "burned"])
def test_too_late_says_when_and_how(page: Page, python: Client, watch: Watch, state: str) -> None:
    watch.expect("status of 410")
    created = python.create(SECRET)
    if state == "revealed":
        python.reveal(created.link)
    else:
        python.delete(created.receipt_id, created.manage_token)
    visit(page, created.link)
    expect(page.locator("#notice h1")).to_have_text(text_of(f"gone.{state}"))
    expect(page.locator("#notice p").nth(0)).to_have_text(text_of(f"gone.{state}What"))
    expect(page.locator("#notice p").nth(0)).to_contain_text(
        re.compile(rf"{created.expires_at.year}.*\d:\d\d.*(UTC|GMT)")
    )
    expect(page.locator("#notice p").nth(1)).to_have_text(text_of("gone.tell"))


def test_an_expired_secret_is_to_be_sent_again(page: Page, make_server: MakeServer, watch: Watch) -> None:
    watch.expect("status of 410")
    other = make_server().start()
    watch.allow(other.url)
    with Client(other.url) as client:
        created = client.create(SECRET, hours=1)
    restart_later(other, days=2)
    visit(page, created.link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.expired"))
    expect(page.locator("#notice p").nth(0)).to_have_text(text_of("gone.expiredWhat"))
    expect(page.locator("#notice p").nth(1)).to_have_text(text_of("gone.ask"))
    minute = page.evaluate("(ms) => new Date(ms).getMinutes()", created.expires_at_ms)
    expect(page.locator("#notice p").nth(0)).to_contain_text(f":{minute:02}")


def test_it_ends_while_the_page_waits(page: Page, python: Client, watch: Watch) -> None:
    watch.expect("status of 410")
    created = python.create(SECRET, password=NFC)
    visit(page, created.link)
    python.delete(created.receipt_id, created.manage_token)
    page.locator("#passcode").fill(NFC)
    page.locator("#reveal").click()
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.burned"))


def test_an_unknown_link_says_so(page: Page, server: Server, python: Client, watch: Watch) -> None:
    watch.expect("status of 404")
    created = python.create(SECRET)
    visit(page, created.link.replace(created.link_id, "A" * 12))
    expect(page.locator("#notice h1")).to_have_text(text_of("notFound.title"))
    expect(page.locator("#report")).to_be_hidden()


def test_a_dead_network_can_be_tried_again(page: Page, server: Server, python: Client, watch: Watch) -> None:
    watch.expect("ERR_FAILED")
    created = python.create(SECRET)
    page.clock.install()
    page.route("**/meta", lambda route: route.abort())
    page.goto(created.link)
    page.wait_for_event("requestfailed")
    page.clock.run_for(10_000)
    expect(page.locator("#notice h1")).to_have_text(text_of("offline.title"))
    page.unroute("**/meta")
    page.get_by_role("button", name=texts()["trouble.again"]).click()
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(SECRET)


def test_abuse_is_reported_to_the_receipt(page: Page, server: Server, python: Client, watch: Watch) -> None:
    watch.expect("status of 410")
    created, ended = python.create(SECRET), python.create(SECRET)
    visit(page, created.link)
    report(page)
    assert events(server.url, created) == ["created", "peeked", "reported"]
    assert receipt(server.url, created)["state"] == "active"
    reveal(page, ended.link)
    report(page)
    visit(page, ended.link)
    report(page)
    assert events(server.url, ended).count("reported") >= 1


def report(page: Page) -> None:
    page.locator("#report summary").click()
    page.locator("#reason").fill("it is a trap <b>")
    page.locator("#report button").click()
    expect(page.locator("#report-status")).to_have_text(text_of("report.sent"))
    expect(page.locator("#reason")).to_have_value("")

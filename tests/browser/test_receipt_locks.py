"""The receipt of a secret whose passcode is locked: it says for whom and until when, and the sender unlocks it."""

import hashlib

import httpx
from fake_responses import change
from page_actions import Raw, happened, receipt, receipt_address, texts, try_wrong, visit
from playwright.sync_api import Page, expect
from support.server import Server
from watch import Watch

from seclink import Client
from seclink.format import envelope
from seclink.format.link import key_of
from seclink.format.pasted_link import parse


def can_open(server: Server, raw: Raw, passcode: bytes) -> bool:
    body = {"passcodeHash": hashlib.sha256(passcode).hexdigest()}
    return httpx.post(f"{server.url}/api/v1/secrets/{raw.link_id}/reveal", json=body).status_code == 200


def test_a_locked_client_is_shown_and_unlocked(page: Page, server: Server) -> None:
    """PC-10: after a stranger's five wrong passcodes, the reader behind the same address opens it nevertheless."""
    raw = Raw(server, b"x", passcode="right")
    try_wrong(server, raw.link_id)
    assert not can_open(server, raw, b"right")
    visit(page, receipt_address(server.url, raw))
    expect(page.locator("#lock-text")).to_have_text(
        f"{texts()['receipt.lockedSome']['one']} {texts()['receipt.lockedCost']}"
    )
    assert happened(page) == ["created", "passcode_wrong", "locked"]
    expect(page.locator("#events li").nth(1)).to_contain_text(f"{texts()['event.passcode_wrong']} × 5")
    page.locator("#unlock").click()
    expect(page.locator("#unlocked")).to_have_text(texts()["receipt.unlocked"])
    expect(page.locator("#unlocked")).to_be_focused()
    expect(page.locator("#lock")).to_be_hidden()
    assert happened(page)[-1] == "unlocked"
    assert receipt(server.url, raw)["lockedClients"] == 0
    assert can_open(server, raw, b"right")


def test_a_pause_of_everybody_is_shown_with_its_end(page: Page, server: Server) -> None:
    raw = Raw(server, b"x", passcode="right")
    try_wrong(server, raw.link_id, range(1, 11))
    until = receipt(server.url, raw)["lockedUntil"]
    visit(page, receipt_address(server.url, raw))
    expect(page.locator("#lock-text")).to_contain_text(texts()["receipt.lockedAll"].split("{until}")[0])
    minute = page.evaluate("(at) => new Date(at).getMinutes()", until)
    expect(page.locator("#lock-text")).to_contain_text(f":{minute:02}")
    page.locator("#unlock").click()
    expect(page.locator("#lock")).to_be_hidden()
    assert receipt(server.url, raw)["lockedUntil"] is None


def test_the_twentieth_wrong_passcode_locks_for_good_until_the_sender_unlocks(
    page: Page, server: Server, python: Client
) -> None:
    created = python.create("x", password="right")
    access = envelope.derive(key_of(parse(created.link).fragment)).access
    try_wrong(server, created.link_id, range(1, 5), access)
    visit(page, receipt_address(server.url, created))
    expect(page.locator("#lock-text")).to_contain_text(texts()["receipt.lockedForGood"])
    page.locator("#unlock").click()
    expect(page.locator("#lock")).to_be_hidden()
    assert python.reveal(created.link, "right").text == "x"


def test_a_lock_comes_and_goes_while_the_page_is_open(page: Page, server: Server) -> None:
    page.clock.install()
    raw = Raw(server, b"x", passcode="right")
    visit(page, receipt_address(server.url, raw))
    expect(page.locator("#lock")).to_be_hidden()
    try_wrong(server, raw.link_id)
    page.clock.fast_forward(4000)
    expect(page.locator("#lock-text")).to_be_visible()
    page.locator("#unlock").click()
    expect(page.locator("#unlocked")).to_be_visible()
    try_wrong(server, raw.link_id, [2])
    page.clock.fast_forward(4000)
    expect(page.locator("#lock-text")).to_be_visible()
    expect(page.locator("#unlocked")).to_be_hidden()
    change(page, f"/receipts/{raw.receipt_id}", lambda receipt: receipt | {"lockedClients": 0})
    page.clock.fast_forward(4000)
    expect(page.locator("#lock")).to_be_hidden()


def test_unlocking_that_is_refused_says_why(page: Page, server: Server, watch: Watch) -> None:
    watch.expect("status of 409")
    raw = Raw(server, b"x", passcode="right")
    try_wrong(server, raw.link_id)
    visit(page, receipt_address(server.url, raw))
    page.route(
        f"**/receipts/{raw.receipt_id}",
        lambda route: (
            route.fulfill(status=409, json={"code": "too_many_changes"})
            if route.request.method == "PATCH"
            else route.fallback()
        ),
    )
    page.locator("#unlock").click()
    expect(page.locator("#problem")).to_have_text(texts()["error.too_many_changes"])
    expect(page.locator("#unlock")).to_have_text(texts()["receipt.unlock"])
    expect(page.locator("#lock")).to_be_visible()

"""A server that lies to the pages: they show nothing that did not authenticate, tell it nothing, and say so (PC-09)."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fake_responses import (
    IMPATIENT,
    MARKUP,
    PASSCODE,
    PLAINTEXT,
    again,
    assert_unspent,
    change,
    fake_response,
    notice,
    press,
    problem,
    problem_document,
    with_changes,
)
from leak_check import LeakCheck, document_history
from page_actions import events, kept_link, text_of, visit
from playwright.sync_api import BrowserContext, Page, expect
from support.server import Server
from watch import Watch

from seclink import Client
from seclink.format import envelope
from seclink.format.link import key_of
from seclink.format.pasted_link import parse

FORGED = "pay to this account instead"


@pytest.fixture(autouse=True)
def impatient(context: BrowserContext, watch: Watch, leak_check: LeakCheck) -> None:
    context.add_init_script(IMPATIENT)
    watch.expect(r"status of [345]\d\d", "net::ERR_")


def reveal_response(server_url: str, link: str, passcode: str | None = None) -> Any:
    """Reveal the secret and return the payload, as the server could send it at any time."""
    keys = envelope.derive(key_of(parse(link).fragment), passcode)
    proof = {"access": keys.access} | ({"passcodeHash": keys.passcode_hash} if passcode else {})
    return httpx.post(f"{server_url}/api/v1/secrets/{parse(link).link_id}/reveal", json=proof).json()


def test_no_passcode_claimed_where_there_is_one_opens_nothing(
    server: Server, python: Client, page: Page, leak_check: LeakCheck
) -> None:
    """PC-09: the whole downgrade, the server hands the payload out as well; the passcode is in the key."""
    link = leak_check.add(python.create(PLAINTEXT, password=PASSCODE).link, PASSCODE, PLAINTEXT)
    change(page, "/meta", lambda meta: meta | {"passcodeRequired": False, "attemptsLeft": None})
    visit(page, link)
    fake_response(page, "/reveal", json=reveal_response(server.url, link, PASSCODE))
    press(page)
    notice(page, "notAuthentic.title")
    assert PLAINTEXT not in document_history(page)
    assert kept_link(page) == link, "the key is gone, though nothing was shown"


FORMATS = ["raw", "sharokey", "seclink/v2", "__proto__", ""]


def test_the_link_decides_the_format_not_the_server(
    server: Server, python: Client, page: Page, leak_check: LeakCheck
) -> None:
    """PC-09: no other format is tried with a key of ours, no view is spent on what it does not open, and what it opens
    is opened whatever the server calls it."""
    claimed = ""
    change(page, "/meta", lambda answer: answer | {"format": claimed})
    created = python.create(PLAINTEXT)
    leak_check.add(created.link, None, PLAINTEXT)
    for claimed in FORMATS:
        visit(page, created.link)
        notice(page, "incomplete.title")
        expect(page.locator("#reveal"), claimed).not_to_be_visible()
        assert_unspent(server, created)
    page.unroute_all(behavior="ignoreErrors")
    change(page, "/reveal", lambda answer: answer | {"format": claimed})
    for claimed in FORMATS:
        visit(page, leak_check.add(python.create(PLAINTEXT).link, None, PLAINTEXT))
        press(page)
        expect(page.locator("#content pre"), claimed).to_have_text(PLAINTEXT)


def test_a_forged_payload_that_is_called_raw_is_called_forged(
    python: Client, page: Page, leak_check: LeakCheck
) -> None:
    """PC-09: not "made by another program", which would have people look for one."""
    link = leak_check.add(python.create(PLAINTEXT).link, None, PLAINTEXT)
    change(page, "/reveal", lambda answer: answer | {"format": "raw", "iv": "A" * 16})
    visit(page, link)
    press(page)
    notice(page, "notAuthentic.title")
    expect(page.locator("#notice button")).to_have_count(0)


def flip(encoded: str, at: int) -> str:
    data = bytearray(base64.b64decode(encoded))
    data[at] ^= 1
    return base64.b64encode(data).decode()


def resealed(link: str, header: dict[str, Any], key: bytes | None = None) -> dict[str, str]:
    """A payload sealed by somebody who does not have the link's key."""
    content_key = key or envelope.derive(bytes(32)).content_key
    blob = envelope.seal(content_key, bytes(12), header, FORGED.encode())
    return {"encryptedBlob": base64.b64encode(blob).decode(), "iv": base64.b64encode(bytes(12)).decode()}


FORGERIES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "first bit": lambda real: {"encryptedBlob": flip(real["encryptedBlob"], 0)},
    "last bit of the tag": lambda real: {"encryptedBlob": flip(real["encryptedBlob"], -1)},
    "bit of the iv": lambda real: {"iv": flip(real["iv"], 3)},
    "cut": lambda real: {"encryptedBlob": base64.b64encode(base64.b64decode(real["encryptedBlob"])[:-16]).decode()},
    "one byte": lambda real: {"encryptedBlob": "QQ=="},
    "empty": lambda real: {"encryptedBlob": ""},
    "empty iv": lambda real: {"iv": ""},
    "sealed under another key": lambda real: resealed("", {"type": "text"}),
    "a redirect under another key": lambda real: resealed("", {"type": "redirect"}),
    "not encrypted": lambda real: {"encryptedBlob": base64.b64encode(FORGED.encode() * 20).decode()},
}


def test_unauthenticated_data_is_never_in_the_page(python: Client, page: Page, leak_check: LeakCheck) -> None:
    """PC-09"""
    forged = FORGERIES["empty"]
    change(page, "/reveal", lambda real: real | forged(real))
    for name, forged in FORGERIES.items():  # noqa: B007 - told above
        visit(page, leak_check.add(python.create(PLAINTEXT).link, None, PLAINTEXT))
        press(page)
        expect(page.locator("#notice h1"), name).to_have_text(text_of("notAuthentic.title"))
        shown = document_history(page)
        assert FORGED not in shown, name
        assert PLAINTEXT not in shown, name
        expect(page.locator("#opened"), name).not_to_be_visible()


def test_two_secrets_of_one_sender_cannot_be_swapped(
    server: Server, python: Client, page: Page, leak_check: LeakCheck
) -> None:
    """PC-09: same passcode, same sender, and still no key for the other one."""
    one = leak_check.add(python.create(PLAINTEXT, password=PASSCODE).link, PASSCODE, PLAINTEXT)
    other = python.create(FORGED, password=PASSCODE, type="neogram").link
    fake_response(page, "/reveal", json=reveal_response(server.url, other, PASSCODE))
    visit(page, one)
    press(page, PASSCODE)
    notice(page, "notAuthentic.title")
    assert FORGED not in document_history(page)


WRONG_META: dict[str, Any] = {
    "a list": [],
    "null": None,
    "a number": 7,
    "format missing": {"format": ...},
    "format a list": {"format": ["raw"]},
    "expiresAt missing": {"expiresAt": ...},
    "expiresAt a text": {"expiresAt": "tomorrow"},
    "expiresAt negative": {"expiresAt": -1},
    "expiresAt beyond dates": {"expiresAt": 1e300},
    "viewsLeft a fraction": {"viewsLeft": 0.5},
    "viewsLeft negative": {"viewsLeft": -3},
    "viewsLeft a text": {"viewsLeft": "1"},
    "passcodeRequired a text": {"passcodeRequired": "no"},
    "passcodeRequired null": {"passcodeRequired": None},
    "attemptsLeft negative": {"attemptsLeft": -5},
    "publicNote an object": {"publicNote": {"toString": MARKUP}},
    "publicNote a list": {"publicNote": [MARKUP]},
    "linkId markup": {"linkId": MARKUP},
}
WRONG_REVEALED = {
    "a text": "x",
    "payload missing": {"encryptedBlob": ...},
    "payload null": {"encryptedBlob": None},
    "payload not base64": {"encryptedBlob": MARKUP},
    "payload not canonical": {"encryptedBlob": "QUI"},
    "iv a list": {"iv": [1, 2, 3]},
    "viewsLeft true": {"viewsLeft": True},
    "expiresAt null": {"expiresAt": None},
    "format a number": {"format": 1},
}


def test_invalid_meta_data_is_an_invalid_response(
    server: Server, python: Client, page: Page, leak_check: LeakCheck
) -> None:
    created = python.create(PLAINTEXT, password=PASSCODE)
    link = leak_check.add(created.link, PASSCODE, PLAINTEXT)
    message: Any = None
    change(page, "/meta", lambda answer: with_changes(answer, message))
    visit(page, link)
    for name, message in WRONG_META.items():  # noqa: B007 - the lie told above
        again(page)
        expect(page.locator("#notice"), name).to_be_visible()
        expect(page.locator("#notice p").first, name).to_have_text(text_of("badAnswer.what"))
        expect(page.locator("#reveal"), name).not_to_be_visible()
    assert page.evaluate("window.__xss") is None
    assert_unspent(server, created)
    page.unroute_all(behavior="ignoreErrors")
    again(page)
    press(page, PASSCODE)
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)


def test_a_reveal_that_is_not_as_documented_shows_nothing_and_can_be_had_again(
    server: Server, python: Client, page: Page, leak_check: LeakCheck
) -> None:
    """The view is spent, and the answer is given again to the same question: nothing is lost over it."""
    created = python.create(PLAINTEXT)
    link = leak_check.add(created.link, None, PLAINTEXT)
    message: Any = None
    change(page, "/reveal", lambda answer: with_changes(answer, message))
    visit(page, link)
    for name, message in WRONG_REVEALED.items():  # noqa: B007 - the lie told above
        press(page)
        expect(page.locator("#reveal[aria-busy]"), name).to_have_count(0)
        problem(page, "badAnswer.what")
        assert PLAINTEXT not in document_history(page), name
        page.locator("#form").dispatch_event("input")
    page.unroute_all(behavior="ignoreErrors")
    press(page)
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    assert events(server.url, created).count("revealed") == 1


def test_absurd_numbers_of_attempts_are_not_shown(python: Client, page: Page, leak_check: LeakCheck) -> None:
    created = python.create(PLAINTEXT, password=PASSCODE)
    link = leak_check.add(created.link, PASSCODE, PLAINTEXT)
    for attempts in (-5, 1e99, "3", None, MARKUP, 2.5):
        visit(page, link)
        fake_response(page, "/reveal", status=401, json=problem_document("passcode_wrong", attemptsLeft=attempts))
        press(page, "guess")
        problem(page, "reveal.wrongPasscode")
        expect(page.locator("#passcode-hint"), str(attempts)).to_have_text(text_of("reveal.passcodeHint"))


WRONG_ENDS = (
    ("revealed", 1e300, "gone.revealed"),
    ("expired", -1, "gone.expired"),
    ("burned", MARKUP, "gone.burned"),
    (MARKUP, None, "gone.burned"),
    ("constructor", "yesterday", "gone.burned"),
    (7, 1.5, "gone.burned"),
)


def test_invalid_end_times_are_not_shown(server: Server, python: Client, page: Page, leak_check: LeakCheck) -> None:
    created = python.create(PLAINTEXT)
    link = leak_check.add(created.link, None, PLAINTEXT)
    for state, ended, key in WRONG_ENDS:
        fake_response(page, "/meta", status=410, json=problem_document("gone", state=state, endedAt=ended))
        visit(page, link)
        notice(page, key)
        expect(page.locator("#notice p").first, str(ended)).to_have_text(text_of("gone.unknownTime"))
        assert_unspent(server, created)


def test_a_passcode_that_was_set_after_the_page_was_loaded_is_asked_for(
    server: Server, python: Client, page: Page, leak_check: LeakCheck
) -> None:
    """Or one that the server did not mention: nothing is spent, and the reader gets a field to type it in."""
    created = python.create(PLAINTEXT, password=PASSCODE)
    link = leak_check.add(created.link, PASSCODE, PLAINTEXT)
    change(page, "/meta", lambda meta: meta | {"passcodeRequired": False})
    visit(page, link)
    press(page)
    expect(page.locator("#passcode")).to_be_visible()
    problem(page, "reveal.noPasscode")
    assert_unspent(server, created)
    press(page, PASSCODE)
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)

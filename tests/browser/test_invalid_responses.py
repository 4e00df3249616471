"""Whoever answers the pages instead of SecLink: there is a clear message, nothing is shown and nothing is spent."""

import base64
import re
from functools import partial
from typing import Any

import pytest
from fake_responses import (
    IMPATIENT,
    MARKUP,
    PLAINTEXT,
    again,
    assert_unspent,
    change,
    press,
    problem_document,
    with_changes,
)
from leak_check import LeakCheck, document_history
from page_actions import events, text_of, visit
from playwright.sync_api import BrowserContext, Page, expect
from support.server import Server
from watch import Watch

from seclink import Client


@pytest.fixture(autouse=True)
def impatient(context: BrowserContext, watch: Watch, leak_check: LeakCheck) -> None:
    context.add_init_script(IMPATIENT)
    watch.expect(r"status of [345]\d\d", "net::ERR_")


NO_ANSWERS: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    # what is answered: the status and what it is made of; the text of the page; what is filled into it
    "html": ({"body": f"<h1>Welcome</h1>{MARKUP}", "content_type": "text/html"}, "badAnswer.what", {}),
    "html 404": ({"status": 404, "body": "<h1>No</h1>", "content_type": "text/html"}, "badAnswer.what", {}),
    "empty": ({"body": ""}, "badAnswer.what", {}),
    "204": ({"status": 204}, "badAnswer.what", {}),
    "half": ({"body": '{"linkId": "abc'}, "badAnswer.what", {}),
    "deep": ({"body": "[" * 100_000}, "badAnswer.what", {}),
    "not utf-8": ({"body": b'{"linkId": "\xff\xfe"}'}, "badAnswer.what", {}),
    "500": ({"status": 500, "body": "boom"}, "badAnswer.what", {}),
    "413 of a proxy": ({"status": 413, "body": "<h1>Too big</h1>"}, "error.payload_too_large", {}),
    "429 of a proxy": ({"status": 429, "body": "<h1>Slow down</h1>"}, "error.rate_limited", {}),
    "502": ({"status": 502, "body": "<html>bad gateway"}, "offline.what", {}),
    "503": ({"status": 503, "json": problem_document("busy"), "headers": {"Retry-After": "1"}}, "error.busy", {}),
    "503 for days": (
        {"status": 503, "json": problem_document("storage"), "headers": {"Retry-After": "999999999"}},
        "error.storage",
        {},
    ),
    "504 for ever": ({"status": 504, "headers": {"Retry-After": "9" * 400}}, "offline.what", {}),
    "redirect": ({"status": 302, "headers": {"Location": "http://127.0.0.1:9/elsewhere"}}, "offline.what", {}),
    "permanent redirect": ({"status": 308, "headers": {"Location": "https://example.com/"}}, "offline.what", {}),
    "unknown code": ({"status": 400, "json": problem_document("made_up")}, "error.other", {"code": "made_up"}),
    "code of ours": ({"status": 400, "json": problem_document("not_authentic")}, "badAnswer.what", {}),
    "code of markup": ({"status": 400, "json": problem_document(MARKUP)}, "badAnswer.what", {}),
    "code of all objects": (
        {"status": 418, "json": problem_document("constructor")},
        "error.other",
        {"code": "constructor"},
    ),
    "code a list": ({"status": 400, "json": problem_document(["gone"])}, "badAnswer.what", {}),
    "limit without end": (
        {"status": 429, "json": problem_document("rate_limited"), "headers": {"Retry-After": "-1"}},
        "error.rate_limited",
        {},
    ),
}


@pytest.mark.parametrize("call", ["/meta", "/reveal"])
def test_no_answer_ends_in_a_clear_message_and_can_be_tried_again(
    server: Server, python: Client, page: Page, leak_check: LeakCheck, call: str
) -> None:
    """The reader sees a clear message and nothing of the response, and nothing is spent."""
    created = python.create(PLAINTEXT)
    link = leak_check.add(created.link, None, PLAINTEXT)
    message: dict[str, Any] = {"status": 500}
    page.route(re.compile(call + "$"), lambda route: route.fulfill(**message))
    visit(page, link)
    for name, (message, key, values) in NO_ANSWERS.items():  # noqa: B007 - answered above
        if call == "/meta":
            again(page)
            expect(page.locator("#notice"), name).to_be_visible()
            expect(page.locator("#notice p").first, name).to_have_text(text_of(key, **values))
        else:
            page.locator("#form").dispatch_event("input")
            press(page)
            expect(page.locator("#problem"), name).to_have_text(text_of(key, **values))
        assert page.locator("main img").count() == 0, name
    assert page.evaluate("window.__xss") is None
    assert_unspent(server, created)
    page.unroute_all(behavior="ignoreErrors")
    if call == "/meta":
        again(page)
    press(page)
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    assert events(server.url, created).count("revealed") == 1


WRONG_CREATED: dict[str, dict[str, Any]] = {
    "a fragment": {"shareUrl": "https://evil.example/{id}#x/{id}"},
    "a query": {"shareUrl": "https://evil.example/?x=/{id}"},
    "a user": {"shareUrl": "https://{id}@evil.example/{id}"},
    "markup": {"shareUrl": MARKUP + "/{id}"},
    "a script": {"shareUrl": "javascript:alert(1)//{id}"},
    "no host": {"shareUrl": "https:///{id}"},
    "another id": {"shareUrl": "https://evil.example/AbCdEfGhIjKl"},
    "a newline": {"shareUrl": "https://evil.example/\n/{id}"},
    "a list": {"shareUrl": ["https://evil.example/{id}"]},
    "an id that is none": {"linkId": "../../x", "shareUrl": "https://evil.example/../../x"},
    "a receipt elsewhere": {"receiptId": "//evil.example/x"},
    "a token of markup": {"manageToken": MARKUP},
    "an end beyond dates": {"expiresAt": 1e300},
    "views of text": {"maxViews": "1"},
}


def test_a_creation_that_is_not_as_documented_makes_no_link(
    server: Server, page: Page, watch: Watch, leak_check: LeakCheck
) -> None:
    """The text stays in its field for the next attempt, and no unusable link is shown."""
    leak_check.forms |= {PLAINTEXT, base64.b64encode(PLAINTEXT.encode()).decode()}
    message: dict[str, Any] = {}

    def lied(answer: dict[str, Any]) -> dict[str, Any]:
        filled = {name: v.format(id=answer["linkId"]) if isinstance(v, str) else v for name, v in message.items()}
        return answer | filled

    change(page, "/secrets", lied)
    visit(page, server.url)
    page.locator("#secret").fill(PLAINTEXT)
    for name, message in WRONG_CREATED.items():  # noqa: B007 - the lie told above
        page.locator("#create").click()
        expect(page.locator("#problem"), name).to_have_text(text_of("error.bad_answer"))
        expect(page.locator("#result"), name).not_to_be_visible()
        expect(page.locator("#secret")).to_have_value(PLAINTEXT)
        assert "evil.example" not in document_history(page), name
        page.locator("#form").dispatch_event("input")
    message = {}
    page.locator("#create").click()
    expect(page.locator("#result")).to_be_visible()


def test_a_link_to_another_address_of_the_server_is_shown_whole_and_never_asked(
    server: Server, page: Page, watch: Watch
) -> None:
    """The public address may be another than the one the page came from; the sender sees it, the page does not go."""
    change(
        page, "/secrets", lambda response: response | {"shareUrl": f"https://secrets.example.org/{response['linkId']}"}
    )
    visit(page, server.url)
    page.locator("#secret").fill(PLAINTEXT)
    page.locator("#create").click()
    expect(page.locator("#link")).to_have_value(re.compile(r"^https://secrets\.example\.org/\w{12}#[\w-]{48}$"))
    expect(page.locator("#receipt")).to_have_attribute("href", re.compile("^" + re.escape(server.url) + "/receipt/"))
    page.locator("#show-qr").click()
    expect(page.locator("#qr svg")).to_be_visible()
    assert not watch.urls("example.org")


WRONG_RECEIPTS = {
    "state of markup": {"state": MARKUP},
    "events no list": {"events": {"length": 1}},
    "an event at no time": {"events": [{"type": "created", "at": 1e300}]},
    "an event of no type": {"events": [{"type": 7, "at": 1}]},
    "views of text": {"views": MARKUP},
    "an id of markup": {"receiptId": MARKUP},
    "no end": {"expiresAt": None},
}


def test_a_receipt_that_is_not_as_documented_is_not_shown(server: Server, python: Client, page: Page) -> None:
    created = python.create(PLAINTEXT)
    for name, wrong in WRONG_RECEIPTS.items():
        change(page, f"/receipts/{created.receipt_id}", partial(with_changes, wrong=wrong))
        page.goto(f"{server.url}/receipt/{created.receipt_id}#{created.manage_token}")
        expect(page.locator("#notice p").first, name).to_have_text(text_of("error.bad_answer"))
        expect(page.locator("#receipt"), name).not_to_be_visible()
        page.goto("about:blank")
        page.unroute_all(behavior="ignoreErrors")
    unknown = {"events": [{"type": MARKUP, "at": 0}, {"type": "constructor", "at": 253402300799999}]}
    change(page, f"/receipts/{created.receipt_id}", lambda answer: answer | unknown)
    page.goto(f"{server.url}/receipt/{created.receipt_id}#{created.manage_token}")
    expect(page.locator("#events li span").first).to_have_text(f"event.{MARKUP}")
    assert page.locator("#events img").count() == 0
    page.goto("about:blank")

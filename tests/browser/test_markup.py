"""Two hundred things that are not text, where text is expected: shown letter by letter, never run (XSS-01, XSS-05)."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fake_responses import change
from page_actions import result, text_of, visit
from playwright.sync_api import BrowserContext, Page, expect
from support.server import MakeServer, Server
from watch import Watch
from xss_payloads import PAYLOADS, join_payloads

from seclink import Client

pytestmark = pytest.mark.usefixtures("unharmed")

SINKS = {
    "innerHTML": "document.body.innerHTML = '<b>'",
    "outerHTML": "document.querySelector('main').outerHTML = '<b>'",
    "insertAdjacentHTML": "document.body.insertAdjacentHTML('beforeend', '<b>')",
    "document.write": "document.write('<b>')",
    "srcdoc": "document.createElement('iframe').srcdoc = '<b>'",
    "DOMParser": "new DOMParser().parseFromString('<b>', 'text/html')",
    "script text": "document.createElement('script').text = 'window.__xss = 1'",
    "script src": "document.createElement('script').src = '/x.js'",
    "handler": "document.body.setAttribute('onclick', 'window.__xss = 1')",
    "fragment": "document.createRange().createContextualFragment('<b>')",
    "a policy": "trustedTypes.createPolicy('default', { createHTML: (text) => text })",
}
SILENT = {
    "script": "document.body.append(Object.assign(document.createElement('script'), { textContent: '__xss=1' }))",
    "timer": "setTimeout('window.__xss = 1')",
    "link": "Object.assign(document.createElement('a'), { href: 'javascript:window.__xss=1' }).click()",
    "location": "location.href = 'javascript:window.__xss=1'",
}


def annotate(server_url: str, created: Any, **texts: str) -> None:
    url, proof = f"{server_url}/api/v1/receipts/{created.receipt_id}", {"SecLink-Manage": created.manage_token}
    httpx.patch(url, json=texts, headers=proof).raise_for_status()


def test_there_are_two_hundred_of_them() -> None:
    assert len(set(PAYLOADS)) == 200


def test_notes_are_text(server: Server, python: Client, page: Page) -> None:
    """XSS-01: every one in a public note, as the reader sees it before revealing."""
    created = python.create("x")
    key = created.link.split("#")[1]
    visit(page, created.link)
    for number, note in enumerate(join_payloads(300)):
        annotate(server.url, created, publicNote=note)
        page.evaluate("(hash) => void (location.hash = hash)", f"{key}&{number}")
        page.wait_for_function("(note) => document.querySelector('#note-text').textContent === note", arg=note)
    assert page.locator("#note-text *").count() == 0


def test_labels_and_notes_of_a_receipt_are_text(server: Server, python: Client, page: Page) -> None:
    """XSS-01"""
    created = python.create("x")
    page.goto(f"{server.url}/receipt/{created.receipt_id}#{created.manage_token}")
    for label in join_payloads(200):
        annotate(server.url, created, label=label, publicNote=label)
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_function("(label) => document.querySelector('#label').textContent === label", arg=label)
    page.reload()
    expect(page.locator("#note")).to_have_value(join_payloads(200)[-1])
    assert page.locator("#label *").count() == 0


@pytest.mark.parametrize("kind", ["text", "neogram"])
def test_secrets_are_text(make_context: Callable[..., BrowserContext], python: Client, kind: Any) -> None:
    """XSS-01, XSS-05: all of them at once, through the server; a neogram whole and as it types itself out."""
    everything = "\n".join(PAYLOADS)
    page = make_context(reduced_motion="reduce").new_page()
    visit(page, python.create(everything, type=kind).link)
    page.locator("#reveal").click()
    place = page.locator("#content pre" if kind == "text" else "#content .neogram")
    place.wait_for()
    assert place.text_content() == everything
    assert place.locator("*").count() == 0
    assert page.evaluate("window.__xss ?? null") is None


@pytest.mark.parametrize("kind", ["text", "redirect", "binary"])
def test_every_single_one_is_text(shown: Callable[..., list[dict[str, Any]]], kind: str) -> None:
    """XSS-01: as a text, as a redirect that is no address, as a type nobody knows."""
    for payload, created in zip(PAYLOADS, shown(kind, list(PAYLOADS)), strict=True):
        assert created["text"] == payload
        assert set(created["tags"]) <= {"pre", "div", "button", "span", "p"}
        assert created["href"] is None


def test_the_senders_input_stays_text_on_the_senders_side(server: Server, page: Page, python: Client) -> None:
    """XSS-01: typed, sealed, shown as passcode, printed."""
    visit(page, server.url)
    for note in join_payloads(200)[:4]:
        page.locator("#secret").fill("\n".join(PAYLOADS))
        page.evaluate("document.querySelector('#options').open = true")
        page.select_option("#passcode-kind", "own")
        page.locator("#own-passcode").fill(note)
        page.locator("#note").fill(note)
        page.locator("#label").fill(note)
        page.locator("#create").click()
        created = result(page)
        assert created.passcode == note
        page.locator("#show-qr").click()
        page.evaluate("window.print = () => {}")
        page.locator("#print").click()
        assert page.locator("#print-sheet img, #print-sheet script, #passcode *").count() == 0
        page.locator("#another").click()
    assert python.reveal(created.link, note).text == "\n".join(PAYLOADS)


def test_the_name_of_an_account_is_text(server: Server, page: Page) -> None:
    """XSS-01: it is a server's to say."""
    change(page, "/account", lambda account: account | {"name": PAYLOADS[0]})
    visit(page, server.url)
    page.locator("#key-panel > summary").click()
    page.locator("#key").fill(server.key())
    page.locator("#key-form button[type=submit]").click()
    expect(page.locator("#key-account")).to_have_text(text_of("key.account", account=PAYLOADS[0]))
    assert page.locator("#key-account *").count() == 0


def test_branding_is_text(make_server: MakeServer, page: Page, watch: Watch) -> None:
    """XSS-01: an operator who pastes markup gets it shown, in every page and attribute."""
    name, footer, link = (
        "</script><img src=x onerror=alert(1)>",
        "\"'><svg onload=window.__xss=1>{{name}}",
        "<b>&amp;\"'",
    )
    toml = f"[branding]\nname = {json.dumps(name)}\nfooter = {json.dumps(footer)}\n[branding.footer_links]\n"
    running = make_server(toml + f'{json.dumps(link)} = "https://example.org/?b=&quot;&copy;"\n').start()
    watch.allow(running.url)
    watch.expect("status of 404")
    for path in ("/", "/AbCdEfGhIjKl", "/receipt/AbCdEfGhIjKlMnOpQrSt", "/nothing/here"):
        page.goto(running.url + path)
        expect(page.locator(".brand span")).to_have_text(name)
        if path != "/nothing/here":
            expect(page.locator("#footer > p")).to_have_text(footer)
            expect(page.locator("#footer a")).to_have_text(link)
            expect(page.locator("#footer a")).to_have_attribute("href", "https://example.org/?b=&quot;&copy;")
        assert page.locator("main img, main svg, #footer svg, script:not([src])").count() == 0


def test_trusted_types_are_enforced(server: Server, page: Page, watch: Watch) -> None:
    """XSS-01, XSS-05: whoever tried it in our code would find out; nothing can make a policy for it."""
    watch.expect("require-trusted-types-for", "trusted-types", "script-src", "Trusted", "Content Security Policy")
    visit(page, server.url)
    for name, code in SINKS.items():
        thrown = page.evaluate(f"() => {{ try {{ {code}; return null; }} catch (error) {{ return error.name; }} }}")
        assert thrown == "TypeError", name
    for name, code in SILENT.items():
        page.evaluate(f"() => {{ try {{ {code}; }} catch {{}} }}")
        page.wait_for_timeout(0)
        assert page.evaluate("window.__xss ?? null") is None, name
    assert [item for item in watch.violations if item.startswith("require-trusted-types-for")]
    assert [violation for violation in watch.violations if violation.startswith("script-src")]

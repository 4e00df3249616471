"""scrt.link's links in the page, on a real server: a recorded secret, and new ones sealed like its client does.

The server cannot check the first part of a key, so a link with a change there spends a view. Nothing else does.
"""

import base64
import hashlib
import json
import os
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from leak_check import sent_requests
from page_actions import kept_link, open_secret, page_contents, reveal, reveal_requests, text_of, visit
from playwright.sync_api import Browser, Page, expect
from support.server import Serve, Server
from watch import Watch

GOLDEN = json.loads((Path(__file__).parents[1] / "dialects/golden.json").read_text())[0]
HOST = "scrt.example.org"
LETTERS = string.ascii_letters + string.digits
ALPHABETS = {"since 2026": LETTERS + "-_", "before": LETTERS + "-_$~."}
UNICODE = "🗝️ naïve é – שלום\n<b>&amp;</b>\tzweite Zeile"


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    """A server for this module: the id of the recorded request can be used once."""
    return serve(f'[dialects.scrt-link]\nhost = "{HOST}"\n')


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(f"--host-resolver-rules=MAP {HOST} 127.0.0.1")


def seal(text: str, *passwords: str) -> str:
    """Encrypt as its client does, from the innermost layer outwards."""
    for password in passwords:
        salt, iv = os.urandom(16), os.urandom(16)
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 100_000)
        data = salt + iv + AESGCM(key).encrypt(iv, text.encode(), None)
        text = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    return text


def hash_of(key: str) -> str:
    return hashlib.sha256(key[28:].encode()).hexdigest()


class ScrtSecret:
    """A secret, created like its client does."""

    def __init__(self, server: Server, api_key: str, text: str, kind: str = "text", **members: Any) -> None:
        self.server = server
        self.key = "".join(random.choices(members.pop("alphabet", ALPHABETS["since 2026"]), k=36))
        self.link = f"{server.url}/scrt-link/s#{self.key}"
        layers = (*filter(None, [members.get("password")]), self.key)
        body = {
            "secretIdHash": hash_of(self.key), "meta": seal(json.dumps({"secretType": kind}), *layers),
            "content": seal(text, *layers), "publicKey": "P" * 212, "expiresIn": 604800000, **members,
        }  # fmt: skip
        send(server, api_key, json.dumps(body, ensure_ascii=False, separators=(",", ":")))

    def views_left(self) -> int | None:
        return views_left(self.server, self.key)


def send(server: Server, api_key: str, body: str) -> None:
    headers = {
        "Content-Type": "application/json", "Authorization": f"Bearer {api_key}", "X-Host": f"127.0.0.1:{server.port}",
        "X-Checksum": hashlib.sha256(body.encode()).hexdigest(),
    }  # fmt: skip
    response = httpx.post(f"{server.url}/scrt-link/api/v1/secrets", content=body.encode(), headers=headers)
    assert response.status_code == 200, response.text


def views_left(server: Server, key: str) -> int | None:
    """Return how often it can be opened by its own status call; None: it is gone."""
    response = httpx.post(f"{server.url}/scrt-link/api/v1/secrets/{hash_of(key)}")
    views: int | None = response.json().get("remainingViews")
    return views


def test_recorded_neogram_opens_with_its_password(page: Page, server: Server, key: str, watch: Watch) -> None:
    """A wrong password spends no view and can be corrected. No part of the key is sent."""
    watch.expect("status of 401")
    master = GOLDEN["secretLink"].partition("#")[2]
    send(server, key, GOLDEN["request"]["body"])
    visit(page, f"{server.url}/scrt-link/s#{master}")
    expect(page.locator("#note-text")).to_have_text("note é")
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(text_of("reveal.noPasscode"))
    for wrong, attempts in (("foobar12", "4"), ("FOOBAR123", "3")):
        page.locator("#passcode").fill(wrong)
        page.locator("#reveal").click()
        expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongPasscode"))
        expect(page.locator("#passcode-hint")).to_contain_text(f"{attempts} attempts left")
    assert views_left(server, master) == 3
    page.locator("#passcode").fill("foobar123")
    page.locator("#reveal").click()
    expect(page.locator("#content .neogram")).to_have_text("héllo ✓")
    expect(page.locator("#remaining")).to_have_text(text_of("opened.left", count="2"))
    assert views_left(server, master) == 2
    assert page.url == f"{server.url}/scrt-link/s"
    assert not [part for part in (master[:28], master[28:], "foobar123") if part in "".join(sent_requests(watch))]
    page.locator("#wipe").click()
    assert "héllo" not in page_contents(page)


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_text_opens_once(page: Page, server: Server, key: str, watch: Watch, alphabet: str) -> None:
    """Loading spends no view; after opening, the key is gone from the URL and the secret from the server."""
    watch.expect("status of 410")
    created = ScrtSecret(server, key, UNICODE, alphabet=ALPHABETS[alphabet])
    for _ in range(2):
        visit(page, created.link)
        expect(page.locator("#passcode")).to_be_hidden()
    assert (created.views_left(), reveal_requests(watch)) == (1, [])
    assert open_secret(page, created.link) == UNICODE
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    expect(page.locator("#burn")).to_be_hidden()
    assert page.url == f"{server.url}/scrt-link/s"
    assert created.views_left() is None
    assert created.key[:28] not in "".join(sent_requests(watch))
    visit(page, created.link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.revealed"))


def test_redirect_is_shown_and_not_followed(page: Page, server: Server, key: str) -> None:
    """XSS-04"""
    reveal(page, ScrtSecret(server, key, "https://example.com/a?b=c", "redirect").link)
    expect(page.locator("#content .host")).to_have_text("example.com")
    assert page.locator("#content a").get_attribute("href") == "https://example.com/a?b=c"
    assert page.url == f"{server.url}/scrt-link/s"


def test_redirect_to_a_script_is_text(page: Page, server: Server, key: str) -> None:
    """XSS-04: scrt.link's own page follows it."""
    reveal(page, ScrtSecret(server, key, "javascript:alert(1)", "redirect").link)
    expect(page.locator("#content .problem")).to_have_text(text_of("opened.badLink"))
    expect(page.locator("#content a")).to_have_count(0)


def test_password_has_five_attempts(page: Page, server: Server, key: str, watch: Watch) -> None:
    watch.expect("status of 401", "status of 429")
    created = ScrtSecret(server, key, "hidden", password="pässword")
    visit(page, created.link)
    for message in ["reveal.wrongPasscode"] * 5 + ["locked.what"]:
        page.locator("#passcode").fill("password")
        page.locator("#reveal").click()
        expect(page.locator("#problem")).to_have_text(text_of(message))
    assert created.views_left() == 1
    assert kept_link(page) == created.link


def test_a_truncated_link_sends_no_request(page: Page, server: Server, key: str, watch: Watch) -> None:
    """BOT-05"""
    created = ScrtSecret(server, key, "still there")
    for cut in ("", "#", f"#{created.key[:35]}", f"#{created.key}x", f"#{created.key[1:]}!"):
        visit(page, created.link.partition("#")[0] + cut)
        expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    assert watch.urls("/api/") == []
    assert open_secret(page, created.link) == "still there"


def test_link_with_a_changed_letter_opens_nothing(page: Page, server: Server, key: str, watch: Watch) -> None:
    """The last eight letters are the id. Before them, only the payload shows the change, which spends a view."""
    watch.expect("status of 404")
    created = ScrtSecret(server, key, "there", viewLimit=2)
    head, tail = created.key[:28], created.key[28:]
    visit(page, f"{server.url}/scrt-link/s#{head}{tail[:-1]}{another_letter(tail[-1])}")
    expect(page.locator("#notice h1")).to_have_text(text_of("notFound.title"))
    assert created.views_left() == 2
    reveal(page, f"{server.url}/scrt-link/s#{another_letter(head[0])}{head[1:]}{tail}")
    expect(page.locator("#notice h1")).to_have_text(text_of("notAuthentic.title"))
    assert created.views_left() == 1
    assert open_secret(page, created.link) == "there"


def test_link_pasted_in_the_task_of_the_press_is_not_spent(page: Page, server: Server, key: str, watch: Watch) -> None:
    """BOT-01: the page uses id and key of the link that was pressed, and restores its URL."""
    first, second = ScrtSecret(server, key, "pressed", viewLimit=2), ScrtSecret(server, key, "not pressed")
    visit(page, first.link)
    page.evaluate("(key) => { document.getElementById('reveal').click(); location.hash = '#' + key; }", second.key)
    expect(page.locator("#content pre")).to_have_text("pressed")
    assert page.url == f"{server.url}/scrt-link/s"
    assert (first.views_left(), second.views_left(), len(reveal_requests(watch))) == (1, 1, 1)
    page.goto(second.link)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("not pressed")
    assert (first.views_left(), second.views_left()) == (1, None)


def test_link_pasted_over_an_open_one_wipes_it_first(page: Page, server: Server, key: str, watch: Watch) -> None:
    """HDR-05: the page shows only the secret of its URL; nothing of the first one remains."""
    first, second = (
        ScrtSecret(server, key, "the first", viewLimit=2),
        ScrtSecret(server, key, "the second", password="told by phone"),
    )
    assert open_secret(page, first.link) == "the first"
    page.goto(second.link)
    expect(page.locator("#passcode")).to_be_focused()
    assert "the first" not in page_contents(page)
    assert (second.views_left(), len(reveal_requests(watch))) == (1, 1)
    page.locator("#passcode").fill("told by phone")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("the second")
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    assert page.url == f"{server.url}/scrt-link/s"
    page.locator("#wipe").click()
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))
    assert (first.views_left(), second.views_left()) == (1, None)


def test_passcode_typed_for_one_link_is_not_offered_to_another(page: Page, server: Server, key: str) -> None:
    first, second = (ScrtSecret(server, key, "x", password="told by phone") for _ in range(2))
    visit(page, first.link)
    page.locator("#passcode").fill("told by phone")
    page.goto(second.link)
    expect(page.locator("#passcode")).to_have_value("")


def test_incomplete_link_pasted_over_an_open_one_is_reported(page: Page, server: Server, key: str) -> None:
    assert open_secret(page, ScrtSecret(server, key, "the first").link) == "the first"
    page.goto(f"{server.url}/scrt-link/s#{'A' * 30}")
    expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    assert "the first" not in page_contents(page)


def test_link_at_the_dialects_own_host_opens(page: Page, server: Server, key: str, watch: Watch) -> None:
    """The browser keeps the fragment across the redirect."""
    watch.expect("Cross-Origin-Opener-Policy header has been ignored")  # over plain http, that host is no safe origin
    created, there = ScrtSecret(server, key, "moved"), f"http://{HOST}:{server.port}"
    watch.allow(there)
    assert open_secret(page, f"{there}/s#{created.key}") == "moved"
    assert page.url == f"{server.url}/scrt-link/s"
    assert watch.urls(there) == [f"{there}/s"]


def another_letter(letter: str) -> str:
    return "A" if letter != "A" else "B"

"""scrt.link's links on a real server, in the page: what its client recorded, and the same sealed anew.

What no server can check here is the first part of a key: whoever changes that spends a view. All else spends nothing.
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
from page_actions import open_secret, page_contents, reveal, reveal_requests, text_of, visit
from playwright.sync_api import Browser, Page, expect

GOLDEN = json.loads((Path(__file__).parents[1] / "dialects/golden.json").read_text())[0]
HOST = "scrt.example.org"
LETTERS = string.ascii_letters + string.digits
ALPHABETS = {"since 2026": LETTERS + "-_", "before": LETTERS + "-_$~."}
UNICODE = "🗝️ naïve é – שלום\n<b>&amp;</b>\tzweite Zeile"


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    """One of its own: the id of the recorded request can be had once."""
    return serve(f'[dialects.scrt-link]\nhost = "{HOST}"\n')


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(f"--host-resolver-rules=MAP {HOST} 127.0.0.1")


def sealed(text: str, *passwords: str) -> str:
    """Encrypt as its client does, from the innermost layer outwards."""
    for password in passwords:
        salt, iv = os.urandom(16), os.urandom(16)
        key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 100_000)
        data = salt + iv + AESGCM(key).encrypt(iv, text.encode(), None)
        text = "data:application/octet-stream;base64," + base64.b64encode(data).decode()
    return text


def hash_of(key: str) -> str:
    return hashlib.sha256(key[28:].encode()).hexdigest()


class Scrt:
    """A secret as its client makes one."""

    def __init__(self, server: Any, api_key: str, text: str, kind: str = "text", **more: Any) -> None:
        self.server = server
        self.key = "".join(random.choices(more.pop("alphabet", ALPHABETS["since 2026"]), k=36))
        self.link = f"{server.url}/scrt-link/s#{self.key}"
        layers = (*filter(None, [more.get("password")]), self.key)
        body = {
            "secretIdHash": hash_of(self.key), "meta": sealed(json.dumps({"secretType": kind}), *layers),
            "content": sealed(text, *layers), "publicKey": "P" * 212, "expiresIn": 604800000, **more,
        }  # fmt: skip
        send(server, api_key, json.dumps(body, ensure_ascii=False, separators=(",", ":")))

    def views_left(self) -> int | None:
        return views_left(self.server, self.key)


def send(server: Any, api_key: str, body: str) -> None:
    named = {
        "Content-Type": "application/json", "Authorization": f"Bearer {api_key}", "X-Host": f"127.0.0.1:{server.port}",
        "X-Checksum": hashlib.sha256(body.encode()).hexdigest(),
    }  # fmt: skip
    answer = httpx.post(f"{server.url}/scrt-link/api/v1/secrets", content=body.encode(), headers=named)
    assert answer.status_code == 200, answer.text


def views_left(server: Any, key: str) -> int | None:
    """Return how often it can be opened by its own status call; None: it is gone."""
    answer = httpx.post(f"{server.url}/scrt-link/api/v1/secrets/{hash_of(key)}")
    return answer.json().get("remainingViews")


def test_recorded_neogram_opens_with_its_password(page: Page, server: Any, key: str, watch: Any) -> None:
    """A wrong one spends nothing, says so, and can be followed by the right one. Of the key nothing is sent."""
    watch.expect("status of 401")
    master = GOLDEN["secretLink"].partition("#")[2]
    send(server, key, GOLDEN["request"]["body"])
    visit(page, f"{server.url}/scrt-link/s#{master}")
    expect(page.locator("#note-text")).to_have_text("note é")
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(text_of("reveal.noPasscode"))
    for wrong, tries in (("foobar12", "4"), ("FOOBAR123", "3")):
        page.locator("#passcode").fill(wrong)
        page.locator("#reveal").click()
        expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongPasscode"))
        expect(page.locator("#passcode-hint")).to_contain_text(f"{tries} attempts left")
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
def test_text_opens_once(page: Page, server: Any, key: str, watch: Any, alphabet: str) -> None:
    """Looking spends nothing, however often; then the key is gone from the address, and the secret from the server."""
    watch.expect("status of 410")
    created = Scrt(server, key, UNICODE, alphabet=ALPHABETS[alphabet])
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


def test_redirect_is_shown_and_not_followed(page: Page, server: Any, key: str) -> None:
    """XSS-04"""
    reveal(page, Scrt(server, key, "https://example.com/a?b=c", "redirect").link)
    expect(page.locator("#content .host")).to_have_text("example.com")
    assert page.locator("#content a").get_attribute("href") == "https://example.com/a?b=c"
    assert page.url == f"{server.url}/scrt-link/s"


def test_redirect_to_a_script_is_text(page: Page, server: Any, key: str) -> None:
    """XSS-04: its own page would go there unseen."""
    reveal(page, Scrt(server, key, "javascript:alert(1)", "redirect").link)
    expect(page.locator("#content .problem")).to_have_text(text_of("opened.badLink"))
    expect(page.locator("#content a")).to_have_count(0)


def test_password_is_asked_for_five_times(page: Page, server: Any, key: str, watch: Any) -> None:
    watch.expect("status of 401", "status of 429")
    created = Scrt(server, key, "hidden", password="pässword")
    visit(page, created.link)
    for message in ["reveal.wrongPasscode"] * 5 + ["locked.what"]:
        page.locator("#passcode").fill("password")
        page.locator("#reveal").click()
        expect(page.locator("#problem")).to_have_text(text_of(message))
    assert created.views_left() == 1
    assert page.url == created.link


def test_a_truncated_link_sends_no_request(page: Page, server: Any, key: str, watch: Any) -> None:
    """BOT-05"""
    created = Scrt(server, key, "still there")
    for cut in ("", "#", f"#{created.key[:35]}", f"#{created.key}x", f"#{created.key[1:]}!"):
        visit(page, created.link.partition("#")[0] + cut)
        expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    assert watch.urls("/api/") == []
    assert open_secret(page, created.link) == "still there"


def test_link_with_another_letter_opens_nothing(page: Page, server: Any, key: str, watch: Any) -> None:
    """Among the last eight it is another secret's. Before them nobody can tell before it has come: that is a view."""
    watch.expect("status of 404")
    created = Scrt(server, key, "there", viewLimit=2)
    head, tail = created.key[:28], created.key[28:]
    visit(page, f"{server.url}/scrt-link/s#{head}{tail[:-1]}{other(tail[-1])}")
    expect(page.locator("#notice h1")).to_have_text(text_of("notFound.title"))
    assert created.views_left() == 2
    reveal(page, f"{server.url}/scrt-link/s#{other(head[0])}{head[1:]}{tail}")
    expect(page.locator("#notice h1")).to_have_text(text_of("notAuthentic.title"))
    assert created.views_left() == 1
    assert open_secret(page, created.link) == "there"


def test_another_link_in_the_very_task_of_the_press_is_not_spent(page: Page, server: Any, key: str, watch: Any) -> None:
    """BOT-01: id and key are those of the link that was pressed, and the address says again which."""
    first, second = Scrt(server, key, "pressed", viewLimit=2), Scrt(server, key, "not pressed")
    visit(page, first.link)
    page.evaluate("(key) => { document.getElementById('reveal').click(); location.hash = '#' + key; }", second.key)
    expect(page.locator("#content pre")).to_have_text("pressed")
    assert page.url == f"{server.url}/scrt-link/s"
    assert (first.views_left(), second.views_left(), len(reveal_requests(watch))) == (1, 1, 1)
    page.goto(second.link)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("not pressed")
    assert (first.views_left(), second.views_left()) == (1, None)


def test_another_link_pasted_while_one_is_open_wipes_it_first(page: Page, server: Any, key: str, watch: Any) -> None:
    """HDR-05: what the page shows and says is the address's, and nothing of the first is left."""
    first, second = (
        Scrt(server, key, "the first", viewLimit=2),
        Scrt(server, key, "the second", password="told by phone"),
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


def test_passcode_typed_for_one_link_is_not_offered_to_another(page: Page, server: Any, key: str) -> None:
    first, second = (Scrt(server, key, "x", password="told by phone") for _ in range(2))
    visit(page, first.link)
    page.locator("#passcode").fill("told by phone")
    page.goto(second.link)
    expect(page.locator("#passcode")).to_have_value("")


def test_half_a_link_pasted_while_one_is_open_says_so(page: Page, server: Any, key: str) -> None:
    assert open_secret(page, Scrt(server, key, "the first").link) == "the first"
    page.goto(f"{server.url}/scrt-link/s#{'A' * 30}")
    expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    assert "the first" not in page_contents(page)


def test_link_of_its_own_host_leads_to_the_page_with_its_key(page: Page, server: Any, key: str, watch: Any) -> None:
    """The browser keeps the fragment over the redirect."""
    watch.expect("Cross-Origin-Opener-Policy header has been ignored")  # over plain http, that host is no safe origin
    created, there = Scrt(server, key, "moved"), f"http://{HOST}:{server.port}"
    watch.allow(there)
    assert open_secret(page, f"{there}/s#{created.key}") == "moved"
    assert page.url == f"{server.url}/scrt-link/s"
    assert watch.urls(there) == [f"{there}/s"]


def other(letter: str) -> str:
    return "A" if letter != "A" else "B"

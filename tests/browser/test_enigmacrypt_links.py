"""EnigmaCrypt's links in the page, on a real server: created by its documented sample, and recorded ones.

The server cannot detect a wrong password, so each fetch spends a view: the page fetches once, when the button is
pressed, and tries every password on the same payload.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from leak_check import sent_requests
from page_actions import open_secret, page_contents, reveal, reveal_requests, text_of, visit
from playwright.sync_api import Browser, BrowserContext, Page, expect
from support.server import Serve, Server
from support.waiting import TIMEOUT_SECONDS
from watch import Watch

DIALECTS = Path(__file__).parents[1] / "dialects"
GOLDEN = json.loads((DIALECTS / "golden.json").read_text())[3:5]
HOST = "enigma.example.org"
TEXT, PASSWORD = "geheim ✓ <img src=x onerror=alert(1)>\n🗝️", "pässwörd 🗝️"


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    """A server for this module: anonymous senders share twenty creates."""
    return serve(f'[dialects.enigmacrypt]\nhost = "{HOST}"\n')


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(f"--host-resolver-rules=MAP {HOST} 127.0.0.1")


def sample(server: Server, version: str, api_key: str) -> str:
    """Return the link that the documented Node sample creates."""
    modules = Path(sys.prefix) / f"clients/crypto-js-{version}/node_modules"
    command = ["node", str(DIALECTS / "clients/enigmacrypt.js"), f"{server.url}/enigmacrypt", TEXT, PASSWORD, api_key]
    env = os.environ | {"NODE_PATH": str(modules)}
    ran = subprocess.run(command, env=env, capture_output=True, timeout=TIMEOUT_SECONDS, check=True)
    return str(json.loads(ran.stdout)["url"])


def create(server: Server, content: str = GOLDEN[1]["encryptedContent"], views: int | None = 1) -> str:
    body = {"encryptedContent": content, "maxAccess": views}
    response = httpx.post(f"{server.url}/enigmacrypt/api/messages", json=body)
    return f"{server.url}/enigmacrypt/s/{response.json()['data']['messageId']}"


def get_meta(link: str) -> httpx.Response:
    return httpx.get(link.replace("/s/", "/api/messages/") + "/meta")


def views_left(link: str) -> Any:
    return get_meta(link).json()["data"]["remainingAccess"]


@pytest.mark.parametrize("version", ["4.1.1", "4.2.0"])
def test_sample_link_is_fetched_once_for_several_passwords(
    page: Page, server: Server, key: str, watch: Watch, version: str
) -> None:
    """No form of the password is sent. Loading the page, or pressing without a password, spends nothing."""
    watch.expect("status of 410")
    link = sample(server, version, key)
    for _ in range(2):
        visit(page, link)
        expect(page.locator("#passcode")).to_be_focused()
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(text_of("reveal.noPasscode"))
    assert (views_left(link), reveal_requests(watch)) == (1, [])
    for wrong in ("passwörd", PASSWORD.upper(), PASSWORD + " "):
        page.locator("#passcode").fill(wrong)
        page.locator("#reveal").click()
        if wrong.endswith(" "):
            page.locator("#try-typed").click()
        expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongHere"))
    assert get_meta(link).status_code == 410  # the payload is now only in the page
    page.locator("#passcode").fill(PASSWORD)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(TEXT, use_inner_text=True)
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    expect(page.locator("#burn")).to_be_hidden()
    assert len(reveal_requests(watch)) == 1
    assert page.url == link
    assert not [text for text in (PASSWORD, "passw", "geheim") if text in "".join(sent_requests(watch)).lower()]
    page.locator("#wipe").click()
    assert "geheim" not in page_contents(page)
    page.reload()
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))
    visit(page, link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.revealed"))


@pytest.mark.parametrize("recorded", GOLDEN, ids=["crypto-js 4.1.1", "crypto-js 4.2.0"])
def test_recorded_message_opens(page: Page, server: Server, recorded: Any) -> None:
    link = create(server, recorded["encryptedContent"])
    assert open_secret(page, link, recorded["password"]) == recorded["plaintext"]


def test_each_visitor_spends_an_access(make_context: Callable[..., BrowserContext], server: Server) -> None:
    link = create(server, views=2)
    for message in (text_of("opened.left", count="1"), text_of("opened.lastOne")):
        page = make_context().new_page()
        assert open_secret(page, link, "pässword") == "hello ✓"
        expect(page.locator("#remaining")).to_have_text(message)
    assert get_meta(link).status_code == 410


def test_unlimited_message_opens_again(page: Page, server: Server) -> None:
    link = create(server, views=None)
    visit(page, link)
    expect(page.locator("#views-left")).to_have_text(text_of("reveal.leftAny"))
    assert open_secret(page, link, "pässword") == "hello ✓"
    expect(page.locator("#remaining")).to_have_text(text_of("opened.leftAny"))
    assert views_left(link) is None


def test_a_secret_that_was_revealed_elsewhere_is_gone(page: Page, server: Server, watch: Watch) -> None:
    watch.expect("status of 4(10|04)")
    link = create(server)
    visit(page, link)
    httpx.post(link.replace("/s/", "/api/messages/") + "/access")
    page.locator("#passcode").fill("pässword")
    page.locator("#reveal").click()
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.revealed"))
    visit(page, f"{server.url}/enigmacrypt/s/zzzzzzzz")
    expect(page.locator("#notice h1")).to_have_text(text_of("notFound.title"))


def test_damage_looks_like_a_wrong_password(page: Page, server: Server) -> None:
    """The server accepts any bytes in the form of a message; the page reports that the password did not open it."""
    link = create(server, "0" * 64 + "A" * 43 + "=", views=2)
    reveal(page, link, "pässword")
    expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongHere"))
    assert views_left(link) == 1


def test_link_at_the_dialects_own_host_opens(page: Page, server: Server, watch: Watch) -> None:
    watch.expect("Cross-Origin-Opener-Policy header has been ignored")  # over plain http, that host is no safe origin
    link = create(server)
    host_url = f"http://{HOST}:{server.port}"
    watch.allow(host_url)
    assert open_secret(page, link.replace(f"{server.url}/enigmacrypt", host_url), "pässword") == "hello ✓"
    assert page.url == link
    assert len(watch.urls(host_url)) == 1

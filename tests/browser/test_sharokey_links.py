"""Sharokey's links on a real server, in the page: made by the PyPI client, by the calls of the JavaScript one.

The server has no proof of the fragment's half of the key: one that is whole and wrong spends a view. All else spends
nothing.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from leak_check import sent_requests
from page_actions import download, open_secret, page_contents, reveal, reveal_requests, text_of, texts, visit
from playwright.sync_api import Page, expect

DIALECTS = Path(__file__).parents[1] / "dialects"
GOLDEN = json.loads((DIALECTS / "golden.json").read_text())[1:3]
SDK = [Path(sys.prefix, "clients/python/bin/python"), DIALECTS / "clients/sharokey_sdk.py"]
NODE = ["node", DIALECTS / "clients/sharokey_node.mjs"]
TEXT, PASSWORD = "geheim ✓ <img src=x onerror=alert(1)>\n🗝️", "pässwörd 🗝️"


@pytest.fixture(scope="module")
def server(serve: Callable[..., Any]) -> Any:
    """One of its own, which takes attachments."""
    return serve("[dialects.sharokey]\nallow_attachments = true\n")


def ran(command: list[Any], arguments: dict[str, Any]) -> Any:
    done = subprocess.run(command, input=json.dumps(arguments).encode(), capture_output=True, timeout=60, check=True)
    return json.loads(done.stdout)[0]


def by_python(server: Any, api_key: str, text: str = TEXT, **options: Any) -> str:
    """The link that the SDK returns."""
    arguments = {"api_url": f"{server.url}/sharokey/api/v1", "token": api_key, "calls": [["create", [text], options]]}
    return str(ran(SDK, arguments)["data"]["share_url"])


def by_javascript(server: Any, api_key: str, text: str = TEXT, **options: Any) -> str:
    arguments = {
        "apiUrl": f"{server.url}/sharokey/api/v1",
        "token": api_key,
        "calls": [["createSecret", text, options]],
    }
    return str(ran(NODE, arguments)["shareUrl"])


def looked(server: Any, api_key: str, link: str) -> Any:
    """The details its sender gets."""
    slug = link.partition("#")[0][-12:]
    named = {"Authorization": f"Bearer {api_key}"}
    return httpx.get(f"{server.url}/sharokey/api/v1/secrets/{slug}", headers=named).json()["data"]


@pytest.mark.parametrize("create", [by_python, by_javascript])
def test_what_its_clients_made_opens_once_and_leaves_nothing(
    page: Page, server: Any, key: str, watch: Any, create: Any
) -> None:
    """The message is the note; the description is the sender's alone. The fragment is gone, and nobody was told it."""
    watch.expect("status of 410")
    link = create(server, key, description="not for the reader", message="Handle <b>with</b> care")
    for _ in range(2):
        visit(page, link)
        expect(page.locator("#note-text")).to_have_text("Handle <b>with</b> care")
    assert looked(server, key, link)["current_views"] == 0
    assert "not for the reader" not in page.content()
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(TEXT)
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    expect(page.locator("#burn")).to_be_hidden()
    fragment = link.partition("#")[2]
    assert fragment not in page_contents(page)
    assert fragment not in sent_requests(watch)
    assert (looked(server, key, link)["status"], len(reveal_requests(watch))) == ("expired", 1)
    visit(page, link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.revealed"))


def test_password_is_asked_for_until_it_is_right(page: Page, server: Any, key: str, watch: Any) -> None:
    watch.expect("status of 401")
    link = by_python(server, key, password=PASSWORD)
    visit(page, link)
    expect(page.locator("#passcode")).to_be_focused()
    for wrong in (PASSWORD.upper(), PASSWORD + " "):
        page.locator("#passcode").fill(wrong)
        page.locator("#reveal").click()
        expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongPasscode"))
    assert looked(server, key, link)["status"] == "active"
    page.locator("#passcode").fill(PASSWORD)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(TEXT)
    assert PASSWORD not in page_contents(page)
    assert PASSWORD not in sent_requests(watch)
    assert PASSWORD not in server.log()


def test_damaged_links_say_so_and_spend_nothing(page: Page, server: Any, key: str, watch: Any) -> None:
    """BOT-05. One as long as a raw key is asked about, and no more."""
    link = by_python(server, key)
    address, _, fragment = link.partition("#")
    for item in ("", fragment[:-1], fragment[1:], fragment[:-2], fragment + "x", fragment[:-1] + "-", fragment[:12]):
        visit(page, f"{address}#{item}")
        expect(page.locator("#notice h1"), item).to_have_text(text_of("incomplete.title"))
        expect(page.locator("#reveal")).to_be_hidden()
    assert reveal_requests(watch) == []
    assert open_secret(page, link) == TEXT


def test_wrong_half_of_a_key_opens_nothing_and_shows_nothing(page: Page, server: Any, key: str) -> None:
    """Only the browser finds out, after the reveal; if views are left, the right key still opens it."""
    link = by_python(server, key, views=2)
    reveal(page, link.partition("#")[0] + "#" + link[-24:].swapcase())
    expect(page.locator("#notice h1")).to_have_text(text_of("notAuthentic.title"))
    assert looked(server, key, link)["current_views"] == 1
    assert open_secret(page, link) == TEXT


@pytest.mark.parametrize("golden", GOLDEN, ids=["javascript", "python"])
def test_what_was_recorded_opens(page: Page, server: Any, key: str, golden: dict[str, Any]) -> None:
    """But for the code by mail that it was recorded with. The attachment of the first is a file to download."""
    refused = ("otp_email", "otp_type", "otp_receiver")
    body = {name: value for name, value in json.loads(golden["request"]["body"]).items() if name not in refused}
    named = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(f"{server.url}/sharokey/api/v1/secrets", json=body, headers=named)
    link = f"{answer.json()['data']['access_url']}#{golden['keyB']}"
    assert open_secret(page, link, body["password"]) == golden["plaintext"]
    for item in body.get("attachments", ()):
        button = page.get_by_role("button", name=texts()["opened.download"]).last
        assert download(page, button) == (item["name"], b"x" * 70)


def test_deleted_by_its_sender_it_is_gone_for_the_reader(page: Page, server: Any, key: str, watch: Any) -> None:
    watch.expect("status of 410")
    link = by_python(server, key)
    slug = link.partition("#")[0][-12:]
    httpx.delete(f"{server.url}/sharokey/api/v1/secrets/{slug}", headers={"Authorization": f"Bearer {key}"})
    visit(page, link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.burned"))

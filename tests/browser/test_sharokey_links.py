"""Sharokey's links in the page, on a real server: created by the PyPI client and by the JavaScript client's requests.

The server cannot check the fragment's half of the key: a complete but wrong one spends a view. Nothing else does.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from leak_check import sent_requests
from page_actions import download, open_secret, page_contents, reveal, reveal_requests, text_of, texts, visit
from playwright.sync_api import Page, expect
from support.server import Serve, Server
from support.waiting import TIMEOUT_SECONDS
from watch import Watch

DIALECTS = Path(__file__).parents[1] / "dialects"
GOLDEN = json.loads((DIALECTS / "golden.json").read_text())[1:3]
SDK = [Path(sys.prefix, "clients/python/bin/python"), DIALECTS / "clients/sharokey_sdk.py"]
NODE = ["node", DIALECTS / "clients/sharokey_node.mjs"]
TEXT, PASSWORD = "geheim ✓ <img src=x onerror=alert(1)>\n🗝️", "pässwörd 🗝️"


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    """A server for this module, which accepts attachments."""
    return serve("[dialects.sharokey]\nallow_attachments = true\n")


def run(command: list[Any], arguments: dict[str, Any]) -> Any:
    process = subprocess.run(
        command, input=json.dumps(arguments).encode(), capture_output=True, timeout=TIMEOUT_SECONDS, check=True
    )
    return json.loads(process.stdout)[0]


def create_in_python(server: Server, api_key: str, text: str = TEXT, **options: Any) -> str:
    """Return the link that the SDK creates."""
    arguments = {"api_url": f"{server.url}/sharokey/api/v1", "token": api_key, "calls": [["create", [text], options]]}
    return str(run(SDK, arguments)["data"]["share_url"])


def create_in_javascript(server: Server, api_key: str, text: str = TEXT, **options: Any) -> str:
    arguments = {
        "apiUrl": f"{server.url}/sharokey/api/v1",
        "token": api_key,
        "calls": [["createSecret", text, options]],
    }
    return str(run(NODE, arguments)["shareUrl"])


def details(server: Server, api_key: str, link: str) -> Any:
    """Return the sender's details of a secret."""
    slug = link.partition("#")[0][-12:]
    headers = {"Authorization": f"Bearer {api_key}"}
    return httpx.get(f"{server.url}/sharokey/api/v1/secrets/{slug}", headers=headers).json()["data"]


@pytest.mark.parametrize("create", [create_in_python, create_in_javascript])
def test_clients_link_opens_once_and_leaves_no_trace(
    page: Page, server: Server, key: str, watch: Watch, create: Any
) -> None:
    """The message is the note, the description only the sender's. The fragment leaves the page and is never sent."""
    watch.expect("status of 410")
    link = create(server, key, description="not for the reader", message="Handle <b>with</b> care")
    for _ in range(2):
        visit(page, link)
        expect(page.locator("#note-text")).to_have_text("Handle <b>with</b> care")
    assert details(server, key, link)["current_views"] == 0
    assert "not for the reader" not in page.content()
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(TEXT)
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    expect(page.locator("#burn")).to_be_hidden()
    fragment = link.partition("#")[2]
    assert fragment not in page_contents(page)
    assert fragment not in sent_requests(watch)
    assert (details(server, key, link)["status"], len(reveal_requests(watch))) == ("expired", 1)
    visit(page, link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.revealed"))


def test_wrong_password_can_be_corrected(page: Page, server: Server, key: str, watch: Watch) -> None:
    watch.expect("status of 401")
    link = create_in_python(server, key, password=PASSWORD)
    visit(page, link)
    expect(page.locator("#passcode")).to_be_focused()
    for wrong in (PASSWORD.upper(), PASSWORD + " "):
        page.locator("#passcode").fill(wrong)
        page.locator("#reveal").click()
        if wrong.endswith(" "):
            page.locator("#try-typed").click()
        expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongPasscode"))
    assert details(server, key, link)["status"] == "active"
    page.locator("#passcode").fill(PASSWORD)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(TEXT)
    assert PASSWORD not in page_contents(page)
    assert PASSWORD not in sent_requests(watch)
    assert PASSWORD not in server.log()


def test_damaged_links_are_reported_and_spend_nothing(page: Page, server: Server, key: str, watch: Watch) -> None:
    """BOT-05. A fragment as long as a raw key causes a request for the metadata, and no other."""
    link = create_in_python(server, key)
    address, _, fragment = link.partition("#")
    for item in ("", fragment[:-1], fragment[1:], fragment[:-2], fragment + "x", fragment[:-1] + "-", fragment[:12]):
        visit(page, f"{address}#{item}")
        expect(page.locator("#notice h1"), item).to_have_text(text_of("incomplete.title"))
        expect(page.locator("#reveal")).to_be_hidden()
    assert reveal_requests(watch) == []
    assert open_secret(page, link) == TEXT


def test_wrong_half_of_a_key_shows_nothing(page: Page, server: Server, key: str) -> None:
    """Only the browser finds out, after the reveal; if views are left, the right key still opens it."""
    link = create_in_python(server, key, views=2)
    reveal(page, link.partition("#")[0] + "#" + link[-24:].swapcase())
    expect(page.locator("#notice h1")).to_have_text(text_of("notAuthentic.title"))
    assert details(server, key, link)["current_views"] == 1
    assert open_secret(page, link) == TEXT


@pytest.mark.parametrize("golden", GOLDEN, ids=["javascript", "python"])
def test_recorded_secret_opens(page: Page, server: Server, key: str, golden: dict[str, Any]) -> None:
    """Without the unsupported code by mail. The attachment of the first recording can be downloaded."""
    unsupported = ("otp_email", "otp_type", "otp_receiver")
    body = {name: value for name, value in json.loads(golden["request"]["body"]).items() if name not in unsupported}
    headers = {"Authorization": f"Bearer {key}"}
    response = httpx.post(f"{server.url}/sharokey/api/v1/secrets", json=body, headers=headers)
    link = f"{response.json()['data']['access_url']}#{golden['keyB']}"
    assert open_secret(page, link, body["password"]) == golden["plaintext"]
    for item in body.get("attachments", ()):
        button = page.get_by_role("button", name=texts()["opened.download"]).last
        assert download(page, button) == (item["name"], b"x" * 70)


def test_secret_deleted_by_its_sender_is_gone(page: Page, server: Server, key: str, watch: Watch) -> None:
    watch.expect("status of 410")
    link = create_in_python(server, key)
    slug = link.partition("#")[0][-12:]
    httpx.delete(f"{server.url}/sharokey/api/v1/secrets/{slug}", headers={"Authorization": f"Bearer {key}"})
    visit(page, link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.burned"))

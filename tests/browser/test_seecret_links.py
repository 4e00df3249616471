"""Seecret.it's links in the page, on a real server: created by the documented Python and PHP samples.

The server requires a proof of the whole key, so no damaged link spends a view.
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
from page_actions import open_secret, page_contents, reveal, reveal_requests, text_of, visit
from playwright.sync_api import Browser, Page, expect
from support.server import Serve, Server
from support.waiting import TIMEOUT_SECONDS
from watch import Watch

CLIENTS = Path(__file__).parents[1] / "dialects/clients"
PYTHON = [Path(sys.prefix, "clients/python/bin/python"), CLIENTS / "seecret.py"]
PHP = ["php", CLIENTS / "seecret.php"]
HOST = "seecret.example.org"
TEXT, PASSWORD = "geheim ✓ + 50% & <img src=x onerror=alert(1)>\n🗝️", "pässwörd 🗝️"
SAMPLE = {"operation": "create_seecret", "lang": "en", "seecret": TEXT}


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    """A server for this module: the dialect is off by default."""
    return serve(f'[dialects.seecret]\nenabled = true\nhost = "{HOST}"\n')


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(f"--host-resolver-rules=MAP {HOST} 127.0.0.1")


def call(server: Server, api_key: str, members: dict[str, Any], program: Any = PYTHON) -> Any:
    """Return the response to one call of a sample."""
    calls = [members] if program is PYTHON else [[None, members]]
    arguments = {"url": f"{server.url}/seecret/api", "token": api_key, "calls": calls}
    process = subprocess.run(
        program, input=json.dumps(arguments).encode(), capture_output=True, timeout=TIMEOUT_SECONDS, check=True
    )
    [[status, message]] = json.loads(process.stdout)
    assert status == message["CODE"]
    return message


def create(server: Server, api_key: str, program: Any = PYTHON, **members: Any) -> str:
    return str(call(server, api_key, SAMPLE | members, program)["data"]["url"])


def details(server: Server, api_key: str, link: str) -> Any:
    own_id = link.partition("#")[0][-6:]
    return call(server, api_key, {"operation": "get_seecret", "id": own_id})["data"]


@pytest.mark.parametrize("program", [PYTHON, PHP], ids=["python", "php"])
def test_clients_link_opens_once_and_leaves_no_trace(
    page: Page, server: Server, key: str, watch: Watch, program: Any
) -> None:
    """The note is only for the sender. The fragment leaves the page and is never sent."""
    watch.expect("status of 410")
    link = create(server, key, program, note="not for the reader")
    for _ in range(2):
        visit(page, link)
        expect(page.locator("#reveal")).to_be_visible()
    assert details(server, key, link)["views_count"] == 0
    assert "not for the reader" not in page.content()
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(TEXT)
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    fragment = link.partition("#")[2]
    assert fragment not in page_contents(page)
    assert fragment not in sent_requests(watch)
    assert fragment not in server.log()
    assert (details(server, key, link)["status"], len(reveal_requests(watch))) == ("viewed", 1)
    visit(page, link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.revealed"))


def test_wrong_password_can_be_corrected(page: Page, server: Server, key: str, watch: Watch) -> None:
    watch.expect("status of 401")
    link = create(server, key, PHP, password=PASSWORD)
    visit(page, link)
    expect(page.locator("#passcode")).to_be_focused()
    for wrong, remaining in ((PASSWORD.upper(), "4"), (PASSWORD + " ", "3")):
        page.locator("#passcode").fill(wrong)
        page.locator("#reveal").click()
        if wrong.endswith(" "):
            page.locator("#try-typed").click()
        expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongPasscode"))
        expect(page.locator("#passcode-hint")).to_contain_text(f"{remaining} attempts left")
    assert details(server, key, link)["views_count"] == 0
    page.locator("#passcode").fill(PASSWORD)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(TEXT)
    assert PASSWORD not in page_contents(page)
    assert PASSWORD not in sent_requests(watch)
    assert PASSWORD not in server.log()


def test_damaged_links_are_reported_and_spend_nothing(page: Page, server: Server, key: str, watch: Watch) -> None:
    """BOT-05. A complete but wrong key is sent as a proof, and rejected."""
    watch.expect("status of 401")
    link = create(server, key)
    address, _, fragment = link.partition("#")
    for item in ("", fragment[:-1], fragment[1:], fragment + "x"):
        visit(page, f"{address}#{item}")
        expect(page.locator("#notice h1"), item).to_have_text(text_of("incomplete.title"))
        expect(page.locator("#reveal")).to_be_hidden()
    visit(page, f"{address}#{fragment[:20]}%20{fragment[20:]}")  # the key is whole but for a space
    expect(page.locator("#reveal")).to_be_visible()
    assert reveal_requests(watch) == []
    reveal(page, f"{address}#{fragment[0].swapcase() if fragment[0].isalpha() else 'A'}{fragment[1:]}")
    expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    assert details(server, key, link)["views_count"] == 0
    assert open_secret(page, link) == TEXT


def test_link_shows_the_updated_text(page: Page, server: Server, key: str) -> None:
    """A page that was open before shows the new text, and does not need the removed password any more."""
    link = create(server, key, password=PASSWORD, number_view=2)
    update = {"operation": "update_seecret", "id": link.partition("#")[0][-6:], "cle": link.partition("#")[2]}
    visit(page, link)
    assert call(server, key, {**update, "seecret": "New password: N3wPwd! ✓"})["data"]["url"] == link
    page.locator("#passcode").fill(PASSWORD)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("New password: N3wPwd! ✓")
    call(server, key, {**update, "seecret": "and again", "delete_password": 1}, PHP)
    assert open_secret(page, link) == "and again"


def test_reader_can_burn_the_remaining_views(page: Page, server: Server, key: str) -> None:
    link = create(server, key, number_view=3)
    assert open_secret(page, link) == TEXT
    page.locator("#burn").click()
    page.locator("#burn").click()
    expect(page.locator("#remaining")).to_have_text(text_of("opened.burned"))
    data = details(server, key, link)
    assert (data["status"], data["views_count"]) == ("deleted", 1)


def test_link_at_the_dialects_own_host_opens(page: Page, server: Server, key: str, watch: Watch) -> None:
    watch.expect("Cross-Origin-Opener-Policy header has been ignored")  # over plain http, that host is no safe origin
    watch.allow(f"http://{HOST}:{server.port}")
    link = create(server, key)
    own_link = link.replace(f"127.0.0.1:{server.port}/seecret", f"{HOST}:{server.port}")
    assert open_secret(page, own_link) == TEXT
    assert page.url == link.partition("#")[0]


def test_secret_deleted_by_its_sender_is_gone(page: Page, server: Server, key: str, watch: Watch) -> None:
    watch.expect("status of 410")
    link = create(server, key)
    call(server, key, {"operation": "delete_seecret", "id": link.partition("#")[0][-6:]})
    visit(page, link)
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.burned"))
    assert httpx.get(link).status_code == 200  # the page itself is always served

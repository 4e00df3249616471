"""The receipt of a secret with files: their size, who has downloaded them, and erasing what readers can still fetch."""

import httpx
from file_secrets import content, create_with_files, open_for_download
from page_actions import happened, receipt, receipt_address, text_of, texts, visit
from playwright.sync_api import Page, expect
from support.server import Server

from seclink import Client

FILES = [("a.txt", content(100_000))]


def chunk(server: Server, grant: dict[str, str]) -> int:
    return httpx.get(f"{server.url}/api/v1/files/0", headers=grant).status_code


def test_files_and_their_downloads_are_shown(page: Page, server: Server) -> None:
    page.clock.install()
    created = create_with_files(server.url, FILES)
    visit(page, receipt_address(server.url, created))
    expect(page.locator("#files")).to_have_text(text_of("receipt.files", size="100 kB"))
    grant = open_for_download(server.url, created.link)
    page.clock.fast_forward(4000)
    expect(page.locator("#state")).to_contain_text(texts()["state.filesLeft"].split("{until}")[0])
    expect(page.locator("#state")).not_to_contain_text(texts()["state.nothingLeft"])
    assert chunk(server, grant) == 200
    page.clock.fast_forward(4000)
    expect(page.locator("#events li")).to_have_count(3)
    httpx.delete(f"{server.url}/api/v1/files", headers=grant).raise_for_status()
    page.clock.fast_forward(4000)
    expect(page.locator("#state")).to_contain_text(texts()["state.nothingLeft"])
    assert happened(page) == ["created", "revealed", "download_started", "downloaded"]
    expect(page.locator("#burn")).to_be_hidden()


def test_files_of_the_first_reader_are_shown_while_others_can_open_it(page: Page, server: Server) -> None:
    created = create_with_files(server.url, FILES, views=2)
    open_for_download(server.url, created.link)
    visit(page, receipt_address(server.url, created))
    expect(page.locator("#state")).to_have_text(text_of("state.activeSome"))
    expect(page.locator("#files")).to_contain_text(texts()["state.filesLeft"].split("{until}")[0])
    expect(page.locator("#burn")).to_have_text(texts()["result.burn"])


def test_files_are_erased_while_a_reader_can_still_download_them(page: Page, server: Server) -> None:
    """The secret is opened already: burning ends the download, and is asked twice."""
    created = create_with_files(server.url, FILES)
    grant = open_for_download(server.url, created.link)
    visit(page, receipt_address(server.url, created))
    expect(page.locator("#change")).to_be_hidden()
    expect(page.locator("#burn")).to_have_text(texts()["receipt.erase"])
    page.locator("#burn").click()
    expect(page.locator("#burn")).to_have_text(texts()["receipt.eraseSure"])
    assert chunk(server, grant) == 200
    page.locator("#burn").click()
    expect(page.locator("#state")).to_contain_text(texts()["state.nothingLeft"])
    expect(page.locator("#burn")).to_be_hidden()
    assert chunk(server, grant) == 410
    assert receipt(server.url, created)["files"]["grants"] == 0
    assert happened(page)[-1] == "burned"


def test_a_secret_without_files_says_nothing_of_files(page: Page, server: Server, python: Client) -> None:
    visit(page, receipt_address(server.url, python.create("x")))
    expect(page.locator("#files")).to_be_hidden()

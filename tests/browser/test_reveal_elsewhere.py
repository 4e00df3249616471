"""Secrets of other programs open on the page, and secrets of the page open elsewhere."""

import base64
import json

from page_actions import Raw, create, download, kept_link, open_secret, reveal, reveal_requests, text_of, texts, visit
from playwright.sync_api import Page, expect
from support.server import Server
from watch import Watch

from seclink import Client
from seclink.format.link import fragment_of

UNICODE = "🗝️ naïve e\u0301a\u0308 – שלום ‏עולם\u202e مرحبا\nzweite\tZeile 𝔘 👩‍👩‍👧"
PASSCODE = "pässwörd 🗝️"
MEGABYTE = "0123456789abcdeé" * 61_681


def test_page_and_command_line_open_each_others_secrets(page: Page, server: Server) -> None:
    visit(page, server.url)
    for passcode in (None, PASSCODE, "words"):
        created = create(page, None, UNICODE, **({"passcode": passcode} if passcode else {}))
        requests = "\n".join(filter(None, (created.link, created.passcode)))
        got = server.seclink("get", "-", "--server", server.url, input=f"{requests}\n".encode())
        assert got.stdout.decode() == UNICODE, passcode
        page.locator("#another").click()
    for passcode in (None, PASSCODE):
        options = ["--passcode", passcode] if passcode else []
        made = server.seclink("create", "--server", server.url, *options, "-", input=UNICODE.encode())
        assert open_secret(page, made.stdout.decode().strip(), passcode) == UNICODE, passcode


def test_a_megabyte_goes_both_ways(page: Page, server: Server, python: Client) -> None:
    assert len(MEGABYTE.encode()) > 1_000_000
    created = create(page, server.url, MEGABYTE)
    assert python.reveal(created.link).text == MEGABYTE
    assert open_secret(page, python.create(MEGABYTE).link) == MEGABYTE
    button = page.get_by_role("button", name=texts()["opened.download"])
    assert download(page, button) == ("secret.txt", MEGABYTE.encode())


def test_the_page_opens_its_own_secrets(page: Page, server: Server) -> None:
    created = create(page, server.url, UNICODE, passcode="words")
    assert open_secret(page, created.link, created.passcode) == UNICODE


def test_raw_secrets_open(page: Page, server: Server) -> None:
    """Text is shown, other bytes are a download."""
    for key_bytes, written, passcode in ((32, "base64", ""), (16, "base64url", ""), (32, "base64url", PASSCODE)):
        raw = Raw(server, UNICODE.encode(), key_bytes, passcode)
        assert open_secret(page, raw.link(written), passcode or None) == UNICODE, (key_bytes, written, passcode)
        assert "#" not in page.url
        expect(page.locator("#burn")).to_be_hidden()
    body = bytes(range(256)) * 3
    reveal(page, Raw(server, body).link())
    expect(page.locator("#content p")).to_have_text(text_of("opened.binary", size="768"))
    button = page.get_by_role("button", name=texts()["opened.download"])
    assert download(page, button) == ("secret.bin", body)


def test_a_raw_secret_that_does_not_open_is_handed_over_as_it_came(page: Page, server: Server) -> None:
    raw = Raw(server, b"sealed otherwise")
    link = raw.link(key=bytes(32))
    reveal(page, link)
    expect(page.locator("#notice h1")).to_have_text(text_of("rawFailed.title"))
    name, content = download(page, page.get_by_role("button", name=texts()["rawFailed.download"]))
    assert name == f"{raw.link_id}.json"
    assert json.loads(content) == raw.sealed
    assert kept_link(page) == link.rstrip("=")


def test_a_raw_link_without_its_key_or_with_one_of_ours_spends_nothing(
    page: Page, server: Server, watch: Watch
) -> None:
    """BOT-05: two links mixed up. The key is whole and another secret's: it would be spent, and could not be opened."""
    raw = Raw(server, b"still there")
    halved = base64.b64encode(raw.key[:-1]).decode()
    for fragment in ("", "#", "#AAAA", f"#{halved}", f"#{fragment_of(bytes(range(32)))}"):
        visit(page, raw.url + fragment)
        expect(page.locator("#notice h1"), fragment).to_have_text(text_of("incomplete.title"))
    assert reveal_requests(watch) == []
    assert open_secret(page, raw.link()) == "still there"


def test_a_link_of_ours_with_a_raw_key_spends_nothing(page: Page, python: Client, watch: Watch) -> None:
    """BOT-05: the other way round."""
    created = python.create("still there")
    for length in (16, 32):
        visit(page, f"{created.link.split('#')[0]}#{base64.b64encode(bytes(length)).decode()}")
        expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    assert reveal_requests(watch) == []
    assert open_secret(page, created.link) == "still there"


SAVED = {
    "report.pdf": "report.pdf",
    '"><img src=x onerror=alert(1)>.svg': "img src=x onerror=alert(1).svg",
    "gpj.\u202eexe.txt": "gpj.exe.txt",
    "x" * 300 + ".html": "x" * 120,
    "...": "file",
}


def test_a_file_is_a_download_with_a_safe_name(page: Page, python: Client) -> None:
    """XSS-02, XSS-03."""
    body = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    for name, saved in SAVED.items():
        reveal(page, python.create(body, type="file", name=name, media_type="image/svg+xml").link)
        expect(page.locator("#content p"), name).to_have_text(text_of("opened.file", name=saved, size=str(len(body))))
        button = page.get_by_role("button", name=texts()["opened.download"])
        assert download(page, button) == (saved, body), name
        assert page.locator("#content img, #content svg").count() == 0, name

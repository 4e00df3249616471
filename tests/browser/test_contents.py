"""Secrets other than plain text: web addresses that lead where they say, files that are only downloaded, neograms."""

from collections.abc import Callable
from typing import Any

import pytest
from page_actions import texts, visit
from playwright.sync_api import Page, expect
from support.server import Server
from watch import Watch
from xss_payloads import FILE_NAMES, PAYLOADS

from seclink import Client

pytestmark = pytest.mark.usefixtures("unharmed")


def test_names_of_files_are_names(
    shown: Callable[..., list[dict[str, Any]]], page: Page, server: Server, python: Client
) -> None:
    """XSS-02: shown as text, saved under a name that leads nowhere."""
    for created in shown("file", [*FILE_NAMES, *PAYLOADS]):
        assert set(created["tags"]) <= {"p", "div", "button"}
    for name in FILE_NAMES[:7]:
        visit(page, python.create(b"x", type="file", name=name).link)
        page.locator("#reveal").click()
        with page.expect_download() as download:
            page.locator("#content button").click()
        saved = download.value.suggested_filename
        assert saved, name
        assert len(saved) <= 120
        assert saved.isprintable(), saved
        assert not set('<>:"/\\|?*') & set(saved)
        assert not saved.startswith(".")


CONTENTS = {
    "picture.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.__xss=1'><script>__xss=1</script></svg>",
    "page.html": b"<!doctype html><script>window.__xss=1</script>",
    "page.xhtml": b"<html xmlns='http://www.w3.org/1999/xhtml'><script>window.__xss=1</script></html>",
    "paper.pdf": b"%PDF-1.4\n<script>window.__xss=1</script>\n/JS (app.alert(1)) %%EOF",
    "both.js": b"GIF89a/*<svg/onload=window.__xss=1>*/=1;window.__xss=1",
    "empty.html": b"",
}
WATCH_BLOBS = """
window.blobs = [];
const make = URL.createObjectURL;
URL.createObjectURL = (blob) => (window.blobs.push(blob.type), make.call(URL, blob));
"""


def test_files_are_handed_out_and_never_shown(python: Client, page: Page) -> None:
    """XSS-03: whatever the sender says they are, the browser gets them as bytes to keep."""
    page.add_init_script(WATCH_BLOBS)
    for name, body in CONTENTS.items():
        media_type = "image/svg+xml" if name.endswith("svg") else "text/html"
        visit(page, python.create(body, type="file", name=name, media_type=media_type).link)
        page.locator("#reveal").click()
        with page.expect_download() as download:
            page.locator("#content button").click()
        assert download.value.path().read_bytes() == body, name
        assert page.evaluate("window.blobs") == ["application/octet-stream"], name
        assert page.locator("#content :not(p, div, button)").count() == 0, name
        assert page.evaluate("window.__xss ?? null") is None, name


BAD_ADDRESSES = (
    *(
        "javascript:window.__xss=1",
        "JaVaScRiPt:window.__xss=1",
        "java\tscript:window.__xss=1",
        "\x01javascript:alert(1)",
    ),
    *(" javascript:window.__xss=1", "data:text/html,<script>window.__xss=1</script>", "vbscript:msgbox(1)"),
    *("blob:https://example.com/x", "file:///etc/passwd", "filesystem:https://example.com/x", "about:blank"),
    *(
        "view-source:https://example.com/",
        "ftp://example.com/",
        "mailto:a@example.com",
        "tel:1",
        "intent://x#Intent;end",
    ),
    *("//example.com/", "///example.com", "/receipt/x", "?x", "example.com", "https:example.com", "https:/example.com"),
    *("https:\\\\example.com", "https:/\\example.com", "https://example.com\\@evil.com", "ht\ntps://example.com"),
    *("https://", "https://?", "https:///x", "https://example.com:99999/", "https://[::1", "https://exa mple.com/"),
    *("https://example.com/\u202egpj.exe", "https://example.com/\u200b", "https://a%00b/", "https://%/", ""),
)
GOOD_ADDRESSES = {
    "https://example.com/a?b=c#d": "example.com",
    "http://example.com": "example.com",
    "HTTPS://EXAMPLE.com/": "example.com",
    "https://bank.example@evil.example/login": "evil.example",
    "https://bank.example%2f@evil.example:8443/": "evil.example:8443",
    "https://аpple.com/": "xn--pple-43d.com",
    "https://example.com。evil.example/": "example.com.evil.example",
    "https://2130706433/": "127.0.0.1",
    "https://[::1]/": "[::1]",
}


def test_only_web_addresses_become_links_and_tell_their_host(shown: Callable[..., list[dict[str, Any]]]) -> None:
    """XSS-04: as a sender may have sealed them who does not ask our code."""
    for text, created in zip(BAD_ADDRESSES, shown("redirect", list(BAD_ADDRESSES)), strict=True):
        assert created["href"] is None, text
        assert created["text"] == text
        assert created["whole"].startswith(texts()["opened.badLink"]), text
    for (text, host), created in zip(GOOD_ADDRESSES.items(), shown("redirect", list(GOOD_ADDRESSES)), strict=True):
        assert created["host"] == host, text
        assert created["text"] == created["href"], text
        assert (created["rel"], created["target"]) == ("noopener noreferrer", "_blank")


@pytest.mark.parametrize("address", ["javascript:window.__xss=1", "https://bank.example@127.0.0.1:9/"])
def test_a_redirect_goes_nowhere_by_itself(
    python: Client, page: Page, watch: Watch, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """XSS-04: sealed by a sender whose code checks nothing, opened from the server's answer on."""
    monkeypatch.setattr("seclink.client.secrets._is_web_address", lambda _: True)
    visit(page, python.create(address, type="redirect").link)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(address)
    expect(page.locator("#content a")).to_have_count(int(address.startswith("https:")))
    assert not watch.urls(":9/")
    if address.startswith("https:"):
        expect(page.locator("#content .host")).to_have_text("127.0.0.1:9")
    assert page.url.startswith(python.create("x").link.rsplit("/", 1)[0])


def test_addresses_with_markup_in_them_are_escaped_or_no_links(shown: Callable[..., list[dict[str, Any]]]) -> None:
    """XSS-01: in path, query, fragment and user; the host stays the one that is shown."""
    for form in ("https://example.com/{}", "https://example.com/?q={}", "https://example.com/#{}"):
        texts = [form.format(payload) for payload in PAYLOADS]
        for text, created in zip(texts, shown("redirect", texts), strict=True):
            if created["href"] is None:
                assert created["text"] == text
            else:
                assert created["text"] == created["href"]
                assert created["href"].startswith("https://example.com/")
                assert created["host"] == "example.com"
                assert not set('<> "') & set(created["href"])

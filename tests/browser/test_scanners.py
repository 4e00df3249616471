"""A link that is loaded without a person's press on the button spends nothing: scanners, previews, prefetching."""

import base64
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from other_origin import Site
from page_actions import events, text_of, visit
from playwright.sync_api import Page, expect
from proxy import Proxy
from support.server import Server
from support.waiting import TIMEOUT_SECONDS
from watch import Watch

from seclink import Client
from seclink.client.models import CreatedSecret

# Everything that reacts to a press, seen or hidden, twice: some questions are asked twice.
CLICK_ALL = """() => {
  for (const input of document.querySelectorAll("input, textarea")) input.value = "junk";
  for (const round of [1, 2]) {
    for (const each of document.querySelectorAll("button, summary, label, input, select, [role], a[download]")) {
      each.click();
      each.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
    }
    for (const form of document.forms) form.requestSubmit();
  }
}"""

# What makes a browser ask for an address without anybody's script asking the server for leave.
LOOKS = """<!doctype html><link rel="icon" href="data:,">
<link rel="prefetch" href="{prefetch}"><link rel="preload" as="image" href="{preload}">
<link rel="preload" as="fetch" href="{fetch}"><link rel="preload" as="fetch" crossorigin href="{crossorigin}">
<script>new EventSource("{events}")</script>
<link rel="stylesheet" href="{stylesheet}"><link rel="modulepreload" href="{modulepreload}">
<script type="speculationrules">
{{"prefetch": [{{"urls": ["{rules}"], "eagerness": "immediate"}}],
  "prerender": [{{"urls": ["{prerender}"], "eagerness": "immediate"}}]}}
</script>
<div style="background-image: url({background})">.</div>
<img src="{img}"><picture><source srcset="{srcset}"><img src="data:,"></picture>
<iframe src="{iframe}"></iframe><object data="{object}"></object><embed src="{embed}">
<video src="{video}" preload="auto"></video><audio src="{audio}" preload="auto"></audio>
<script src="{script}"></script><script type="module" src="{module}"></script>
"""
LOOKED = re.findall(r"[^{]{(\w+)}", LOOKS)
SPECULATIVE = ("rules", "prerender")  # which the browser may leave alone
REFUSED = ("net::ERR_", r"status of \d\d\d", "MIME type", "blocked by CORS", "Refused to", "[Ss]peculation")


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.url)
    yield proxy
    proxy.close()


@pytest.fixture
def secrets(server: Server, python: Client) -> list[CreatedSecret]:
    """A sealed one, one with a passcode, and a raw one."""
    return [python.create("kept"), python.create("kept", password="right"), raw(server.url)]


def raw(server_url: str) -> CreatedSecret:
    """A secret as curl makes them, which needs nothing but its linkId to be spent."""
    content = {"encryptedBlob": "A" * 64, "iv": "A" * 16, "expiryType": "view_once"}
    created = httpx.post(f"{server_url}/api/v1/secrets", json=content).raise_for_status().json()
    key = base64.b64encode(b"k" * 32).decode()
    named = (created["linkId"], created["receiptId"], created["manageToken"])
    return CreatedSecret(f"{created['shareUrl']}#{key}", *named, None, created["expiresAt"], None, 1)  # type: ignore[arg-type]


def untouched(server_url: str, created: CreatedSecret) -> None:
    """Nothing spent, no passcode tried; looking and reporting are all that may have happened."""
    assert set(events(server_url, created)) <= {"created", "peeked", "reported"}
    meta = httpx.get(f"{server_url}/api/v1/secrets/{created.link_id}/meta").json()
    assert (meta["viewsLeft"], meta["attemptsLeft"]) == (1, 5 if meta["passcodeRequired"] else None)


def click_everything(page: Page, url: str, watch: Watch) -> None:
    # A hidden button pressed by a script may find nothing to work on, and the server refuses what it then gets.
    watch.expect("uncaught: ", r"status of 4\d\d")
    visit(page, url)
    page.evaluate(CLICK_ALL)
    expect(page.locator("[aria-busy]")).to_have_count(0)
    page.wait_for_load_state("networkidle")


def leave(page: Page) -> None:
    """Answers of the API are sandboxed: nobody, not even a test, may ask them for their storage."""
    for item in page.context.pages:
        item.goto("about:blank")


def reveals(watch: Watch) -> list[str]:
    return [url for url in watch.urls("/api/") if url.endswith("/reveal")]


def dump(url: str, profile: Path) -> str:
    """Return the document that a scanner with a browser of its own sees after five seconds."""
    chromium = shutil.which("chromium") or "chromium"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}")
    command = (chromium, *options, "--virtual-time-budget=5000", "--dump-dom", url)
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, check=True).stdout.decode()


@pytest.mark.parametrize("part", ["whole link", "link without fragment"])
def test_a_browser_that_only_loads_the_link_spends_nothing(
    server: Server, python: Client, proxy: Proxy, tmp_path: Path, part: str
) -> None:
    """BOT-03: Chromium run as scanners run it; what it asked for is known from the line."""
    created = python.create("kept")
    fragment = "#" + created.link.split("#")[1] if part == "whole link" else ""
    del proxy.requests[:]
    page = dump(f"{proxy.url}/{created.link_id}{fragment}", tmp_path)
    assert 'data-ready=""' in page, "the page's script did not run to its end"
    assert proxy.of("/js/reveal.js")
    assert len(proxy.of(f"/api/v1/secrets/{created.link_id}/meta")) == bool(fragment)
    assert not [item for item in proxy.requests if item.method != "GET"]
    untouched(server.url, created)


def test_a_clicker_without_the_key_asks_for_nothing(
    server: Server, page: Page, watch: Watch, secrets: list[CreatedSecret]
) -> None:
    """BOT-04: every button, field and form of the page, seen or not; without a fragment and with half of one."""
    for secret in secrets:
        link, fragment = secret.link.split("#")
        for part in (link, f"{link}#{fragment[:30]}"):
            click_everything(page, part, watch)
            assert not reveals(watch), part
            untouched(server.url, secret)


def test_a_clicker_with_another_key_spends_nothing(server: Server, python: Client, page: Page, watch: Watch) -> None:
    """BOT-04: the proof it sends is of no use, the passcode it guesses is not looked at."""
    foreign = python.create("of another").link.split("#")[1]
    for passcode in (None, "right"):
        created, asked = python.create("kept", password=passcode), len(reveals(watch))
        click_everything(page, f"{created.link.split('#')[0]}#{foreign}", watch)
        assert len(reveals(watch)) > asked, passcode
        untouched(server.url, created)


def test_the_address_of_the_api_in_the_address_bar_spends_nothing(
    server: Server, page: Page, watch: Watch, secrets: list[CreatedSecret]
) -> None:
    """BOT-02: typed, reloaded, gone back to, opened by a link's click, and as source."""
    watch.expect("status of 4", "net::ERR_")
    for secret in secrets:
        address = f"{server.url}/api/v1/secrets/{secret.link_id}"
        answer = page.goto(address)
        assert answer
        assert (answer.status, answer.json()["code"]) == (400, "not_a_navigation")
        page.reload()
        page.goto("about:blank")
        page.go_back()
        page.goto(f"view-source:{address}")
        leave(page)
        untouched(server.url, secret)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["same site", "another site"])
def test_no_element_of_a_page_spends(
    server: Server, page: Page, site: Site, proxy: Proxy, watch: Watch, host: str
) -> None:
    """BOT-02: pictures, frames, scripts, styles, media, events, preload, prefetch and prerender, of secrets that need
    no proof.
    """
    watch.expect(*REFUSED)
    elsewhere = site.url.replace("127.0.0.1", host)
    watch.allow(elsewhere, proxy.url)
    created = {element: raw(server.url) for element in LOOKED}
    site.pages["/looks"] = LOOKS.format_map(
        {value: f"{proxy.url}/api/v1/secrets/{one.link_id}" for value, one in created.items()}
    )
    page.goto(f"{elsewhere}/looks")
    for name, one in created.items():
        requests = proxy.wait(name not in SPECULATIVE, one.link_id)
        assert {item.status for item in requests} <= {400}, name
        untouched(server.url, one)


@pytest.mark.parametrize("open_it", ["click", "window.open", "location", "ping", "refresh"])
def test_no_navigation_from_another_page_spends(
    server: Server, page: Page, site: Site, proxy: Proxy, watch: Watch, open_it: str
) -> None:
    """BOT-02"""
    created = raw(server.url)
    watch.expect(*REFUSED)
    watch.allow(site.url, proxy.url)
    address = f"{proxy.url}/api/v1/secrets/{created.link_id}"
    refresh = f'<meta http-equiv="refresh" content="0; url={address}">' if open_it == "refresh" else ""
    site.pages["/"] = f'<link rel="icon" href="data:,">{refresh}<a href="{address}">here</a>'
    page.goto(site.url, wait_until="commit")
    if open_it == "window.open":
        with page.expect_popup() as popup:
            page.evaluate("(url) => void window.open(url)", address)
        popup.value.wait_for_url(address)
    elif open_it == "ping":
        page.locator("a").evaluate("(link, url) => { link.ping = url; link.href = '#'; link.click(); }", address)
    else:
        if open_it == "location":
            page.evaluate("(url) => void (location = url)", address)
        elif open_it == "click":
            page.locator("a").click()
        page.wait_for_url(address)
    assert {item.status for item in proxy.wait(1, created.link_id)} <= {400, 404, 405, 415}
    leave(page)
    untouched(server.url, created)


def write(page: Page, fragment: str) -> None:
    """Another link pasted over this one: the browser does not load the page again."""
    page.evaluate("(fragment) => void (location.hash = fragment)", fragment)


def drop(count: int) -> Callable[[str], str]:
    return lambda text: text[:-count]


MANGLED: dict[str, Callable[[str], str]] = {
    **{f"{count} dropped": drop(count) for count in (1, 2, 4, 5, 26, 47)},
    "first dropped": lambda text: text[1:],
    "case flipped": str.swapcase,
    "one letter flipped": lambda text: text[:-1] + (text[-1].swapcase() if text[-1].isalpha() else "A"),
    "one doubled": lambda text: text + text[-1],
    "version changed": lambda text: "B" + text[1:],
    "percent": lambda text: "%" + text,
}
ADDED = ("?fbclid=abc", ".", ")", ">", "&utm_source=x", "%20", "\N{RIGHT DOUBLE QUOTATION MARK}", "#again")


def test_a_mangled_link_is_rejected_before_any_request(
    server: Server, python: Client, page: Page, watch: Watch
) -> None:
    """BOT-05: what mail clients take away cannot be put back; what they add is ignored."""
    created = python.create("kept", password="right")
    link, fragment = created.link.split("#")
    visit(page, f"{link}?fbclid=abc&x=#{fragment}")
    for name, mangle in MANGLED.items():
        expect(page.locator("#reveal"), name).to_be_visible()
        write(page, mangle(fragment))
        expect(page.locator("#notice"), name).to_be_visible()
        expect(page.locator("#notice h1"), name).to_have_text(text_of("incomplete.title"))
        expect(page.locator("#reveal"), name).not_to_be_visible()
        write(page, fragment)
    for added in ADDED:
        write(page, "x")
        expect(page.locator("#reveal"), added).not_to_be_visible()
        write(page, fragment + added)
        expect(page.locator("#reveal"), added).to_be_visible()
    assert not reveals(watch)
    assert not [request for request in watch.requests if request.method != "GET"]
    untouched(server.url, created)


def test_links_the_page_makes_survive_mail(server: Server, page: Page) -> None:
    """BOT-06: the page's own links, as the sender copies them; the drawing of 10,000 is tested beside the vectors."""
    visit(page, server.url)
    for _ in range(5):
        page.locator("#secret").fill("x")
        page.locator("#create").click()
        expect(page.locator("#result")).to_be_visible()
        base, _, fragment = page.locator("#link").input_value().partition("#")
        assert base.startswith(f"{server.url}/")
        assert (base.removeprefix(f"{server.url}/") + fragment[-1]).isalnum()
        assert len(fragment) == 48
        assert fragment.replace("-", "").replace("_", "").isalnum()
        page.locator("#another").click()

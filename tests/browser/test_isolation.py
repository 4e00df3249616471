"""A page is alone: nobody frames it, drives it from elsewhere, reads what it leaves behind, or is told of it
(HDR-02, HDR-04 to 08, CSRF-01). The browser here keeps pages that were left, as people's do, and knows no other host
than this machine.
"""

import contextlib
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from browser_fixtures import ARGUMENTS
from other_origin import Site
from page_actions import create, events, page_contents, text_of, visit
from playwright.sync_api import Browser, Page, expect
from proxy import ProxiedRequest, Proxy
from support.server import MakeServer, Server
from watch import Watch

from seclink import Client
from seclink.ops.http_probe import HttpProbe
from seclink.ops.page_verification import verify_pages

PLAINTEXT = "meet me at the old mill"
PASSCODE = "told by phone"
BLOCKED = (
    "frame-ancestors",
    "X-Frame-Options",
    "net::ERR_",
    r"status of 4\d\d",
    "blocked by CORS",
    "Refused to",
    "MIME",
)
# Chromium lists the visits at the end of a chain of redirects.
LISTED = "SELECT urls.url FROM visits JOIN urls ON urls.id = visits.url WHERE transition & 0x20000000"
COUNT_RETURNS = "addEventListener('pageshow', (event) => { window.returned = event.persisted; });"


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    hosts = "MAP lan.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    return launch(f"--host-resolver-rules={hosts}", program="chromium", ignored=["--disable-back-forward-cache"])


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.url)
    yield proxy
    proxy.close()


def open_secret(page: Page, link: str) -> None:
    visit(page, link)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)


def test_a_walk_through_everything_breaks_no_rule_and_leaves_nothing(
    server: Server, page: Page, python: Client, watch: Watch
) -> None:
    """HDR-02, HDR-04, HDR-07: what the watch of every test looks for, on one visit with all that pages can do."""
    key = server.key()
    visit(page, server.url)
    page.locator("#key-panel > summary").click()
    page.locator("#key").fill(key)
    page.locator("#key-form button[type=submit]").click()
    expect(page.locator("#key-in-use")).to_be_visible()
    for language in ("fr", "es", "ru", "en"):
        page.select_option("#language", language)
        expect(page.locator("html")).to_have_attribute("lang", language)
    created = create(page, None, PLAINTEXT, passcode="words", note="a note", label="a label")
    page.locator("#show-qr").click()
    expect(page.locator("#qr svg")).to_be_visible()
    visit(page, created.link)
    page.select_option("#language", "ru")
    page.locator("#passcode").fill("wrong")
    watch.expect("status of 401", "status of 404")
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongPasscode", "ru"))
    page.locator("#passcode").fill(created.passcode or "")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    for secret in (
        python.create("x", type="neogram", name="x"),
        python.create("https://example.org/", type="redirect", name="x"),
        python.create(b"\0", type="file", name="x"),
    ):
        visit(page, secret.link)
        page.locator("#reveal").click()
        expect(page.locator("#opened")).to_be_visible()
    page.goto(created.receipt_url)
    expect(page.locator("#state")).to_have_text(text_of("state.revealed"))
    page.goto(f"{server.url}/nothing/here")
    assert [request.url for request in watch.requests if request.headers.get("referer")] == []


@pytest.mark.parametrize("leave", ["another page", "another site"])
def test_going_back_shows_nothing_of_the_secret(
    server: Server, page: Page, python: Client, site: Site, watch: Watch, leave: str
) -> None:
    """HDR-05: whether the browser kept the page or loads it anew."""
    watch.allow(site.url)
    page.add_init_script(COUNT_RETURNS)
    open_secret(page, python.create(PLAINTEXT).link)
    page.goto(site.url if leave == "another site" else f"{server.url}/")
    page.go_back()
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))
    assert PLAINTEXT not in page_contents(page)
    assert "#" not in page.url
    page.reload()
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))
    assert PLAINTEXT not in page_contents(page)


def test_a_page_that_the_browser_kept_was_wiped_before(python: Client, page: Page, proxy: Proxy, watch: Watch) -> None:
    """HDR-05: without `no-store` this browser keeps it, with everything that is in it."""
    watch.allow(proxy.url)
    page.add_init_script(COUNT_RETURNS)

    def keepable(request: ProxiedRequest, raw: bytes) -> Iterator[bytes]:
        yield raw.replace(b"no-store", b"no-cache")

    proxy.pieces = keepable
    created = python.create(PLAINTEXT)
    open_secret(page, f"{proxy.url}/{created.link_id}#{created.link.split('#')[1]}")
    page.goto("about:blank")
    page.go_back(wait_until="commit")
    proxy.pieces = None
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))
    assert page.evaluate("window.returned") is True, "the browser did not keep the page"
    assert PLAINTEXT not in page_contents(page)


def test_verify_asks_as_this_browser_does(page: Page, proxy: Proxy, watch: Watch) -> None:
    """HDR-03: the same headers in the same order, but for versions; a server that knows the check could pass it."""
    watch.allow(proxy.url)

    def asked() -> dict[str, list[tuple[str, str]]]:
        requests = [*proxy.requests]
        proxy.requests.clear()
        return {
            item.headers["Sec-Fetch-Dest"]: [
                (name, re.sub(r"\d+", "0", value).replace("Headless", "")) for name, value in item.headers.items()
            ]
            for item in requests
            if item.path != "/robots.txt"
        }

    proxy.requests.clear()
    visit(page, f"{proxy.url}/?lang=en")
    page.evaluate("() => fetch('/docs')")
    browser = asked()
    with HttpProbe(proxy.url) as server:
        assert verify_pages(server).differences == ()
    assert set(browser) == {"document", "style", "script", "image", "empty"}
    assert asked() == browser


def test_the_history_lists_no_key(browser: Browser, server: Server, python: Client, tmp_path: Path) -> None:
    """HDR-09: neither of a link nor of a receipt, opened or not; a reload and a return have the key nevertheless."""
    opened, kept = python.create(PLAINTEXT), python.create(PLAINTEXT)
    receipt_url = f"{server.url}/receipt/{kept.receipt_id}#{kept.manage_token}"
    links = {kept.link: "ready", opened.link: "ready", receipt_url: "receipt"}
    profile = browser.browser_type.launch_persistent_context(
        tmp_path, executable_path=shutil.which("chromium"), args=[*ARGUMENTS]
    )
    page = profile.pages[0]
    for link, card in links.items():
        address, key = link.split("#")
        for again in (lambda: visit(page, link), page.reload, lambda: (page.goto(server.url), page.go_back())):  # noqa: B023
            again()
            expect(page.locator(f"#{card}")).to_be_visible()
            assert page.url == address
            assert page.evaluate("history.state.hash") == f"#{key}"
        if link == opened.link:
            page.locator("#reveal").click()
            expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
            assert "hash" not in page.evaluate("history.state")
    profile.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "Default" / "History")) as db:
        listed = [url for (url,) in db.execute(LISTED)]
    assert [url for url in listed if "#" in url] == []
    assert {link.split("#")[0] for link in links} <= set(listed)


def test_going_back_shows_neither_the_form_nor_the_result(server: Server, page: Page) -> None:
    """HDR-05: the sender's page likewise, text, passcode, link and receipt."""
    visit(page, server.url)
    page.locator("#secret").fill(PLAINTEXT)
    page.goto(f"{server.url}/AbCdEfGhIjKl")
    page.go_back()
    expect(page.locator("#secret")).to_be_visible()
    assert PLAINTEXT not in page_contents(page)
    created = create(page, None, PLAINTEXT, passcode=PASSCODE)
    page.goto(f"{server.url}/AbCdEfGhIjKl")
    page.go_back()
    expect(page.locator("#secret")).to_be_visible()
    stored = page_contents(page)
    for secret in (PLAINTEXT, PASSCODE, created.link.split("#")[1], created.manage_token):
        assert secret not in stored


def test_plain_http_on_a_network_explains_and_sends_nothing(make_server: MakeServer, page: Page, watch: Watch) -> None:
    """HDR-06: no WebCrypto there; every page says what to do, asks for nothing and spends nothing."""
    running = make_server('[server]\nallowed_hosts = ["lan.test"]\n').start()
    here = f"http://lan.test:{running.port}"
    watch.allow(here)
    watch.expect("Cross-Origin-Opener-Policy header has been ignored", "origin-keyed", "untrustworthy")
    with Client(running.url) as client:
        created = client.create(PLAINTEXT)
    fragment = created.link.split("#")[1]
    for path in ("/", f"/{created.link_id}#{fragment}", f"/receipt/{created.receipt_id}#{created.manage_token}"):
        page.goto("about:blank")
        page.goto(here + path)
        expect(page.locator("#notice h1")).to_have_text(text_of("insecure.title"))
        expect(page.locator("#notice")).to_contain_text("set server.tls_cert")
        assert page.evaluate("[isSecureContext, String(crypto.subtle)]") == [False, "undefined"]
        assert page.locator("main section:not([hidden], #notice, .print)").count() == 0
    assert not watch.urls("/api/")
    assert events(running.url, created) == ["created"]


FRAMES = '<iframe src="{0}"></iframe><object data="{0}"></object><embed src="{0}">'


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["same site", "another site"])
def test_nobody_can_frame_a_page(page: Page, python: Client, site: Site, proxy: Proxy, watch: Watch, host: str) -> None:
    """HDR-08: start page, secret and receipt; in a frame no script of ours runs, so nothing is asked or pressed."""
    watch.expect(*BLOCKED)
    elsewhere = site.url.replace("127.0.0.1", host)
    watch.allow(elsewhere, proxy.url)
    created = python.create(PLAINTEXT)
    fragment = created.link.split("#")[1]
    addresses = (f"{created.link_id}#{fragment}", f"receipt/{created.receipt_id}#{created.manage_token}", "")
    site.pages["/frames"] = "<!doctype html>" + "".join(
        FRAMES.format(f"{proxy.url}/{address}") for address in addresses
    )
    del proxy.requests[:]
    page.goto(f"{elsewhere}/frames")
    proxy.wait(3, f"/{created.link_id}")
    assert {frame.url for frame in page.frames[1:]} <= {"", "about:blank", "chrome-error://chromewebdata/"}
    assert not proxy.of(".js")
    assert not [item for item in proxy.requests if "/api/" in item.path]


def test_no_window_holds_on_to_a_page(page: Page, python: Client, site: Site, server: Server, watch: Watch) -> None:
    """HDR-08: whoever opened the page cannot reach it, and it cannot reach who opened it."""
    watch.allow(site.url)
    page.goto(site.url)
    with page.expect_popup() as popup:
        page.evaluate("(url) => { window.other = window.open(url); }", python.create(PLAINTEXT).link)
    popup.value.locator("#reveal").wait_for()
    assert popup.value.evaluate("window.opener") is None
    assert page.evaluate("window.other.closed") is True
    with pytest.raises(Exception, match="SecurityError"):
        page.evaluate("() => window.other.document.body.innerText")


def test_linked_pages_get_neither_opener_nor_referrer(page: Page, python: Client, site: Site, watch: Watch) -> None:
    """HDR-08: the address of a redirect gets neither opener nor referrer."""
    watch.allow(site.url)
    visit(page, python.create(site.url, type="redirect").link)
    page.locator("#reveal").click()
    with page.expect_popup() as popup:
        page.locator("#content a").click()
    popup.value.wait_for_load_state()
    assert popup.value.evaluate("[window.opener, document.referrer]") == [None, ""]


SENDINGS = """async ([base, calls, json]) => {
  document.body.append(Object.assign(document.createElement("iframe"), { name: "away" }));
  const types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];
  let number = 0;
  for (const call of calls) {
    const url = `${base}/api/v1/secrets${call}`;
    for (const enctype of types) {
      const target = `away${(number += 1)}`;
      document.body.append(Object.assign(document.createElement("iframe"), { name: target }));
      const form = Object.assign(document.createElement("form"), { method: "post", action: url, enctype, target });
      form.append(Object.assign(document.createElement("input"), { name: json.slice(0, -1) + ',"x":"', value: '"}' }));
      document.body.append(form);
      form.submit();
    }
    for (const type of [...types, ""]) {
      const headers = type ? { "Content-Type": type } : {};
      await fetch(url, { method: "POST", mode: "no-cors", credentials: "include", headers, body: json }).catch(() => 0);
    }
    await fetch(url, { method: "POST", mode: "no-cors" }).catch(() => 0);
    await fetch(url, { method: "POST", headers: { "Content-Type": "text/plain" }, body: json }).catch(() => 0);
    await new Promise((done) => {
      const request = new XMLHttpRequest();
      request.onloadend = done;
      request.open("POST", url);
      request.withCredentials = true;
      request.send(json);
    });
    navigator.sendBeacon(url, json);
    navigator.sendBeacon(url, new URLSearchParams({ json }));
    new Image().src = url;
    document.head.append(Object.assign(document.createElement("script"), { src: url }));
  }
}"""
PER_CALL = 12  # POSTs: three forms, seven of fetch and XMLHttpRequest, two beacons


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["another port", "another site"])
@pytest.mark.parametrize("kind", ["raw", "sealed"])
def test_a_page_elsewhere_cannot_make_a_browser_do_anything(
    server: Server, page: Page, python: Client, site: Site, proxy: Proxy, watch: Watch, kind: str, host: str
) -> None:
    """CSRF-01: everything that is sent without asking this server first, against create, reveal, burn and report."""
    watch.expect(*BLOCKED)
    elsewhere = site.url.replace("127.0.0.1", host)
    watch.allow(elsewhere, proxy.url)
    content = {"encryptedBlob": "A" * 64, "iv": "A" * 16, "expiryType": "view_once"}
    if kind == "raw":
        created = httpx.post(f"{server.url}/api/v1/secrets", json=content).json()
        names = (created["linkId"], created["receiptId"], created["manageToken"])
    else:
        sealed = python.create(PLAINTEXT)
        names = (sealed.link_id, sealed.receipt_id, sealed.manage_token)
    calls = ["", *(f"/{names[0]}/{call}" for call in ("reveal", "burn", "report"))]
    del proxy.requests[:]
    page.goto(elsewhere)
    page.evaluate(SENDINGS, [proxy.url, calls, json.dumps(content)])
    for call in calls:
        for requests in proxy.wait(PER_CALL, f"/api/v1/secrets{call}", "POST"):
            assert requests.status in (400, 415), requests
    page.goto("about:blank")
    answer = httpx.get(f"{server.url}/api/v1/receipts/{names[1]}", headers={"SecLink-Manage": names[2]}).json()
    assert (answer["state"], answer["views"]) == ("active", 0)
    assert [event["type"] for event in answer["events"]] == ["created"]

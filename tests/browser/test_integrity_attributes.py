"""A byte that was changed on the way is not run: every page names what it loads with its SHA-256. HDR-03."""

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from proxy import Proxy, http_response
from support.server import Server
from watch import Watch

PAGES = {"create": "/", "reveal": "/AbCdEfGhIjKl", "receipt": "/receipt/AbCdEfGhIjKlMnOpQrSt"}
SCRIPT = b"\n;globalThis.changedOnTheWay = true;\n"  # as good a script as before
STYLE = b"\nbody { --changed-on-the-way: yes }\n"
ADDRESS = r'<(?:script|link) [^>]*?(?:src|href)="(/static/[^"]+\.(?:js|css))"'


@pytest.fixture
def proxy(server: Server, watch: Watch) -> Iterator[Proxy]:
    created = Proxy(server.url)
    watch.allow(created.url)
    yield created
    created.close()


@pytest.fixture
def real(server: Server) -> Callable[[str], bytes]:
    """Return the server's own response."""
    return lambda path: httpx.get(server.url + path).content


def changed(path: str, content: bytes) -> bytes:
    """Return the file with a comment appended."""
    if path.endswith(".css"):
        return http_response(200, content + STYLE, Content_Type="text/css")
    return http_response(200, content + SCRIPT, Content_Type="text/javascript")


def harmed(page: Page) -> bool:
    return bool(
        page.evaluate(
            "globalThis.changedOnTheWay === true ||"
            " getComputedStyle(document.body).getPropertyValue('--changed-on-the-way') !== ''"
        )
    )


@pytest.mark.parametrize("name", PAGES)
def test_file_that_was_changed_on_the_way_is_not_run(
    proxy: Proxy, real: Callable[[str], bytes], make_context: Callable[..., BrowserContext], watch: Watch, name: str
) -> None:
    """HDR-03: every script and style of every page, each by itself, for a visitor of its own."""
    refusal = "Failed to find a valid digest in the 'integrity' attribute"
    watch.expect(refusal, "Failed to fetch dynamically imported module", r"status of 404 .*/api/v1/")
    loaded = {path: real(path) for path in re.findall(ADDRESS, real(PAGES[name]).decode())}
    assert len(loaded) > 10
    proxy.answer = lambda request: (
        changed(request.path, loaded[request.path]) if request.path == request.headers.get("Changed") else None
    )
    pages = {path: make_context(extra_http_headers={"Changed": path}).new_page() for path in loaded}
    for page in pages.values():
        page.goto(proxy.url + PAGES[name])
    for path, page in pages.items():
        page.wait_for_load_state("networkidle")
        assert not harmed(page), path
        assert any(refusal in error and path in error for error in watch.errors), path
        if path.endswith(".js"):
            expect(page.locator("body[data-ready]")).to_have_count(0)


def test_change_would_be_run_without_the_attribute(proxy: Proxy, real: Callable[[str], bytes], page: Page) -> None:
    """Without the attribute the changed script runs, so nothing else stops it in the tests above."""
    plain = re.sub(rb' integrity="[^"]*"', b"", real("/"))
    path = re.findall(r'type="module" src="([^"]+)"', plain.decode())[0]
    answers = {
        "/": http_response(200, plain, Content_Type="text/html; charset=utf-8"),
        path: changed(path, real(path)),
    }
    proxy.answer = lambda request: answers.get(request.path)
    page.goto(proxy.url)
    page.wait_for_selector("body[data-ready]")
    assert harmed(page)


@pytest.mark.parametrize("name", PAGES)
def test_file_is_fetched_once_and_every_preload_is_used(proxy: Proxy, page: Page, watch: Watch, name: str) -> None:
    """An attribute that does not fit its use would have the browser fetch the file again, or warn of it."""
    watch.expect(r"status of 404 .*/api/v1/")
    text: list[str] = []
    page.on("console", lambda message: text.append(message.text))
    page.goto(proxy.url + PAGES[name])
    page.wait_for_load_state("networkidle")
    requests = [value.path for value in proxy.requests if value.path.endswith((".js", ".css"))]
    assert sorted(requests) == sorted(set(requests))
    assert [item for item in text if "preload" in item or "integrity" in item] == []

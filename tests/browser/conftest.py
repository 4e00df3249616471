"""Real Chromium, watched: whatever a flow is about, it asks nobody but the server, breaks no policy, leaves nothing.

Two of its programs: the headless shell, the same engine without what is around a page, takes a third of the time; the
whole browser, as people have it, is there for what the shell has not: pages that are kept to go back to, and what may
be done unasked because somebody clicked. With SECLINK_TEST_CHROMIUM=chromium everything runs in the whole one.

One browser a module: Playwright's loop occupies the thread while it is open, and the asynchronous tests of other
folders need theirs.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from leak_check import LeakCheck, record_document, sent_requests
from other_origin import CALL, Site
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebError, sync_playwright
from xss_payloads import SHOW

from seclink import Client

WHOLE = "chromium"
SHELL = os.environ.get("SECLINK_TEST_CHROMIUM", "chromium-headless-shell")
ARGUMENTS = (
    "--no-sandbox",  # it needs a user of its own, and tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 20_000

REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  window.reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""
STORED = """async () => ({
  localStorage: Object.entries(localStorage),
  indexedDB: (await indexedDB.databases()).map((each) => each.name),
  caches: await globalThis.caches?.keys() ?? [],  // not there without https
  serviceWorkers: (await navigator.serviceWorker?.getRegistrations() ?? []).map((each) => each.scope),
})"""


class Watch:
    """Records what a test's pages do. `origins` may be asked, `expected` are patterns of errors that belong here."""

    def __init__(self, server_url: str) -> None:
        self.origins = {server_url}
        self.expected: list[str] = []
        self.requests: list[Request] = []
        self.errors: list[str] = []
        self.violations: list[str] = []

    def allow(self, *origins: str) -> None:
        """These may be asked too."""
        self.origins |= set(origins)

    def expect(self, *patterns: str) -> None:
        """Console errors and violations in which one of these is found belong to the test, such as `status of 401`."""
        self.expected += patterns

    def urls(self, part: str = "") -> list[str]:
        """Return the requested URLs that contain `part`, in order."""
        return [request.url for request in self.requests if part in request.url]

    def add(self, context: BrowserContext) -> None:
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.expose_function("reportViolation", self._violation)
        context.add_init_script(REPORT_VIOLATIONS)

    def leave(self, context: BrowserContext) -> None:
        """Stop recording: later requests are the test's own."""
        context.remove_listener("request", self._request)
        context.remove_listener("console", self._console)
        context.remove_listener("weberror", self._error)

    def check(self) -> None:
        elsewhere = [url for url in self.urls() if urlsplit(url).scheme not in ("data", "blob")]
        elsewhere = [url for url in elsewhere if origin(url) not in self.origins]
        assert elsewhere == [], "HDR-02: somebody else was asked"
        assert self._unexpected(self.violations) == [], "HDR-04: the content security policy was broken"
        assert self._unexpected(self.errors) == [], "the console holds errors"

    def _unexpected(self, happened: list[str]) -> list[str]:
        return [item for item in happened if not any(re.search(known, item) for known in self.expected)]

    def _request(self, request: Request) -> None:
        self.requests.append(request)

    def _violation(self, what: str) -> None:
        self.violations.append(what)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location['url']})")

    def _error(self, error: WebError) -> None:
        self.errors.append(f"uncaught: {error.error}")


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., Browser]]:
    """Starts a Chromium with further arguments, and without some that Playwright gives it (`ignored`)."""
    with sync_playwright() as playwright:
        started: list[Browser] = []

        def start(*arguments: str, program: str = SHELL, ignored: Sequence[str] = ()) -> Browser:
            path = shutil.which(program)
            assert path, f"{program} is missing: install the package {program}"
            values = [*ARGUMENTS, *arguments]
            started.append(
                playwright.chromium.launch(executable_path=path, args=values, ignore_default_args=list(ignored))
            )
            return started[-1]

        yield start
        for item in started:
            item.close()


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch()


@pytest.fixture(scope="module")
def whole_browser(launch: Callable[..., Browser]) -> Browser:
    """For tests with the mark of that name."""
    return launch(program=WHOLE)


@pytest.fixture
def watch(server: Any) -> Watch:
    return Watch(server.url)


@pytest.fixture
def make_context(request: pytest.FixtureRequest, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    """Makes watched contexts, each a visitor of its own; options as of `Browser.new_context`."""
    is_whole = request.node.get_closest_marker("whole_browser") is not None
    browser: Browser = request.getfixturevalue("whole_browser" if is_whole else "browser")
    created: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(service_workers="block", **options)
        context.set_default_timeout(PATIENCE_MS)
        watch.add(context)
        created.append(context)
        return context

    yield make
    remaining = [remains(context, watch) for context in created]
    for context in created:
        context.close()
    watch.check()
    assert not any(remaining), "HDR-07: something is kept in the browser"


@pytest.fixture
def context(make_context: Callable[..., BrowserContext]) -> BrowserContext:
    return make_context()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture(scope="module")
def static_url(server: Any) -> str:
    """Return the URL of the pages' files, with the version and without a trailing slash."""
    match = re.search(r"/static/\w+", httpx.get(server.url).text)
    assert match
    return server.url + match[0]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture(scope="module")
def key(server: Any) -> str:
    return str(server.key(account="browser"))


@pytest.fixture
def python(server: Any) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
def foreign(page: Page, site: Site, watch: Watch) -> Page:
    """A page of the other origin."""
    watch.allow(site.url)
    page.goto(site.url)
    return page


@pytest.fixture
def call(foreign: Page, server: Any, watch: Watch) -> Callable[..., Any]:
    """Call the client module from the other origin; `client` is an API key (scrt.link's client) or a dict."""
    watch.expect(r"the server responded with a status of 4\d\d .*/api/v1/")

    def called(client: str | dict[str, str], method: str, *arguments: Any) -> Any:
        return foreign.evaluate(CALL, [f"{server.url}/api/v1/client-module", client, method, arguments])

    return called


@pytest.fixture
def leak_check(context: BrowserContext, watch: Watch) -> Iterator[LeakCheck]:
    """Check that no request of the test contains an added secret; the pages record all they ever showed."""
    record_document(context)
    leak_check = LeakCheck()
    yield leak_check
    leak_check.check(sent_requests(watch))


@pytest.fixture
def unharmed(context: BrowserContext) -> Iterator[None]:
    """No page of the test ran anything of what it was given (`window.__xss`), or opened a dialog or a window."""
    opened: list[Page] = []
    dialogs: list[str] = []
    context.on("page", lambda page: opened.append(page))
    context.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield
    assert dialogs == []
    assert len(opened) <= 1
    assert all(frame.evaluate("window.__xss ?? null") is None for page in opened for frame in page.frames)


@pytest.fixture
def shown(page: Page, server: Any, static_url: str) -> Callable[..., list[dict[str, Any]]]:
    """Show many secrets of one type on a page, from their texts, and return what it contains."""
    page.goto(server.url)
    return lambda kind, texts: page.evaluate(SHOW, [static_url, kind, texts])  # type: ignore[no-any-return]


def remains(context: BrowserContext, watch: Watch) -> dict[str, Any]:
    """Everything that is kept, by place; empty where nothing is."""
    watch.leave(context)
    saved: dict[str, Any] = {"cookies": context.cookies()}
    for number, page in enumerate(context.pages):
        if page.url.startswith("http"):
            saved[f"sessionStorage {number}"] = page.evaluate("Object.entries(sessionStorage)")
    # The storage of an origin is there for any document of it, also for one that no server has to send.
    context.set_offline(False)
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    for item in watch.origins:
        page.goto(item)
        saved |= {f"{place} {item}": stored for place, stored in page.evaluate(STORED).items()}
    return {place: stored for place, stored in saved.items() if stored}

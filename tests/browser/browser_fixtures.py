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

import httpx
import pytest
from leak_check import LeakCheck, record_document, sent_requests
from other_origin import CALL, Site
from page_actions import PATIENCE_MS
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright
from support.server import Server
from watch import Watch, remains
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
def watch(server: Server) -> Watch:
    return Watch(server.url)


@pytest.fixture
def make_context(request: pytest.FixtureRequest, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    """Makes watched contexts, each a visitor of its own; options as of `Browser.new_context`."""
    is_whole = request.node.get_closest_marker("whole_browser") is not None
    browser: Browser = request.getfixturevalue("whole_browser" if is_whole else "browser")
    created: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        context = browser.new_context(**{"service_workers": "block", **options})
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
def static_url(server: Server) -> str:
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
def key(server: Server) -> str:
    return str(server.key(account="browser"))


@pytest.fixture
def python(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture
def foreign(page: Page, site: Site, watch: Watch) -> Page:
    """A page of the other origin."""
    watch.allow(site.url)
    page.goto(site.url)
    return page


@pytest.fixture
def call(foreign: Page, server: Server, watch: Watch) -> Callable[..., Any]:
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

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    context.on("page", lambda page: opened.append(page))
    context.on("dialog", dismiss)
    yield
    assert dialogs == []
    assert len(opened) <= 1
    assert all(frame.evaluate("window.__xss ?? null") is None for page in opened for frame in page.frames)


@pytest.fixture
def shown(page: Page, server: Server, static_url: str) -> Callable[..., list[dict[str, Any]]]:
    """Show many secrets of one type on a page, from their texts, and return what it contains."""
    page.goto(f"{server.url}/AbCdEfGhIjKl")  # a page that has the texts of secrets
    return lambda kind, texts: page.evaluate(SHOW, [static_url, kind, texts])

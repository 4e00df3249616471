"""Records everything that a test's pages do, and finds what they keep."""

import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebError

REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) => {
  window.reportViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""
# Workers of downloads have a few seconds to unregister themselves.
STORED = """async () => ({
  localStorage: Object.entries(localStorage),
  indexedDB: (await indexedDB.databases()).map((each) => each.name),
  caches: await globalThis.caches?.keys() ?? [],  // not there without https
  serviceWorkers: await (async () => {
    let scopes = [];
    for (let round = 0; round < 300; round += 1) {
      scopes = (await navigator.serviceWorker?.getRegistrations() ?? []).map((each) => each.scope);
      if (!scopes.some((scope) => scope.includes("/dl/"))) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return scopes;
  })(),
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


def _blank(context: BrowserContext, url: str) -> Page:
    """Open an empty document of an origin, which no server has to send."""
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto(url)
    return page


def remains(context: BrowserContext, watch: Watch) -> dict[str, Any]:
    """Everything that is kept, by place; empty where nothing is."""
    watch.leave(context)
    saved: dict[str, Any] = {"cookies": context.cookies()}
    for number, page in enumerate(context.pages):
        if page.url.startswith("http"):
            saved[f"sessionStorage {number}"] = page.evaluate("Object.entries(sessionStorage)")
    context.set_offline(False)
    # An origin keeps something only if a document came from it; any document of it, open or empty, tells what.
    opened = {origin(page.url): page for page in context.pages}
    visited = {origin(request.url) for request in watch.requests if request.is_navigation_request()}
    for item in watch.origins & visited:
        page = opened.get(item) or _blank(context, item)
        saved |= {f"{place} {item}": stored for place, stored in page.evaluate(STORED).items()}
    return {place: stored for place, stored in saved.items() if stored}

"""Responses in place of the server's, and checks of the page's reaction."""

import json
import re
from collections.abc import Callable
from typing import Any

from page_actions import events, text_of
from playwright.sync_api import Page, Route, expect
from support.server import Server

PASSCODE = "told by phone"
PLAINTEXT = "meet me at the old mill"
MARKUP = "<img src=x onerror=window.__xss=1>"
# Pauses between attempts end at once; timeouts stay as they are.
IMPATIENT = """
(() => {
  const wait = window.setTimeout;
  window.setTimeout = (work, ms, ...more) => wait(work, ms > 1000 ? ms : 0, ...more);
})();
"""


def fake_response(page: Page, end: str, **answer: Any) -> None:
    """Send a response instead of the server, with the arguments of `Route.fulfill`, for paths that end with `end`."""
    page.route(re.compile(re.escape(end) + "$"), lambda route: route.fulfill(**answer))


def change(page: Page, end: str, changed: Callable[[dict[str, Any]], Any]) -> None:
    """Change the JSON of the server's responses."""

    def answer(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, body=json.dumps(changed(real.json())))

    page.route(re.compile(re.escape(end) + "$"), answer)


def press(page: Page, passcode: str | None = None) -> None:
    if passcode is not None:
        page.locator("#passcode").fill(passcode)
    page.locator("#reveal").click()


def again(page: Page) -> None:
    """Press "Try again" and wait until the link was checked."""
    page.locator("#notice button").click()
    expect(page.locator("#waiting")).not_to_be_visible()


def notice(page: Page, key: str) -> None:
    expect(page.locator("#notice h1")).to_have_text(text_of(key))


def problem(page: Page, key: str, **values: str) -> None:
    expect(page.locator("#problem")).to_have_text(text_of(key, **values))


def assert_unspent(server: Server, created: Any) -> None:
    """Check that no view was spent."""
    assert set(events(server.url, created)) <= {"created", "peeked"}


def problem_document(code: Any, **more: Any) -> dict[str, Any]:
    """Return a problem document that is full of markup."""
    message = {"type": MARKUP, "title": MARKUP, "detail": MARKUP, "requestId": MARKUP}
    return message | {"code": code} | more


def with_changes(answer: dict[str, Any], wrong: Any) -> Any:
    """Replace members of a response and remove those that are `...`; anything but a dict replaces it whole."""
    if not isinstance(wrong, dict):
        return wrong
    return {name: value for name, value in (answer | wrong).items() if value is not ...}

"""Answers instead of the server's, and what the pages make of them."""

import json
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route, expect
from visitors import events, says

PASSCODE = "told by phone"
PLAINTEXT = "meet me at the old mill"
MARKUP = "<img src=x onerror=window.__xss=1>"
# Waits between two tries are over at once; what times out does so as ever.
IMPATIENT = """
(() => {
  const wait = window.setTimeout;
  window.setTimeout = (work, ms, ...more) => wait(work, ms > 1000 ? ms : 0, ...more);
})();
"""


def lie(page: Page, end: str, **answer: Any) -> None:
    """Answer calls whose path ends so instead of the server; as of `Route.fulfill`."""
    page.route(re.compile(re.escape(end) + "$"), lambda route: route.fulfill(**answer))


def change(page: Page, end: str, changed: Callable[[dict[str, Any]], Any]) -> None:
    """Ask the server, and change what it says."""

    def answer(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, body=json.dumps(changed(real.json())))

    page.route(re.compile(re.escape(end) + "$"), answer)


def press(page: Page, passcode: str | None = None) -> None:
    if passcode is not None:
        page.locator("#passcode").fill(passcode)
    page.locator("#reveal").click()


def again(page: Page) -> None:
    """Press "Try again" and wait for what comes of it."""
    page.locator("#notice button").click()
    expect(page.locator("#waiting")).not_to_be_visible()


def notice(page: Page, key: str) -> None:
    expect(page.locator("#notice h1")).to_have_text(says(key))


def problem(page: Page, key: str, **values: str) -> None:
    expect(page.locator("#problem")).to_have_text(says(key, **values))


def kept(server: Any, made: Any) -> None:
    """Nothing was revealed, so nothing is spent."""
    assert set(events(server.url, made)) <= {"created", "peeked"}


def problems(code: Any, **more: Any) -> dict[str, Any]:
    """A problem document that is full of markup."""
    said = {"type": MARKUP, "title": MARKUP, "detail": MARKUP, "requestId": MARKUP}
    return said | {"code": code} | more


def wronged(answer: dict[str, Any], wrong: Any) -> Any:
    """Members replaced, or taken out where they are `...`; what is no dict is the whole answer."""
    if not isinstance(wrong, dict):
        return wrong
    return {name: value for name, value in (answer | wrong).items() if value is not ...}

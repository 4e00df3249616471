"""Breaks the pages' scripts on the way to the browser, to see that their tests notice."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, Route


@contextmanager
def broken_scripts(page: Page, scripts: str, old: str, new: str) -> Iterator[None]:
    """Replace `old` by `new` in scripts whose path matches; at least one loaded script must contain it."""
    match = []

    def change(route: Route) -> None:
        answer = route.fetch()
        match.append(old in answer.text())
        route.fulfill(response=answer, body=answer.text().replace(old, new))

    page.route(re.compile(scripts), change)
    yield
    page.unroute(re.compile(scripts), change)
    assert any(match), "no loaded script contains it"

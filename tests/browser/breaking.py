"""Scripts of the pages that are broken on their way, to see that what tests them notices."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, Route


@contextmanager
def broken(page: Page, scripts: str, old: str, new: str) -> Iterator[None]:
    """Within it, scripts with such a path have `new` where they had `old`; one that was asked for must have had it."""
    found = []

    def change(route: Route) -> None:
        answer = route.fetch()
        found.append(old in answer.text())
        route.fulfill(response=answer, body=answer.text().replace(old, new))

    page.route(re.compile(scripts), change)
    yield
    assert any(found), "there is nothing of the kind to break"

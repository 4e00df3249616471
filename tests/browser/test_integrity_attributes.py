"""A byte that was changed on the way is not run: every page names what it loads with its SHA-256. HDR-03."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from between import Between, answered
from playwright.sync_api import BrowserContext, Page, expect

PAGES = {"create": "/", "reveal": "/AbCdEfGhIjKl", "receipt": "/receipt/AbCdEfGhIjKlMnOpQrSt"}
SCRIPT = b"\n;globalThis.changedOnTheWay = true;\n"  # as good a script as before
STYLE = b"\nbody { --changed-on-the-way: yes }\n"
ADDRESS = r'<(?:script|link) [^>]*?(?:src|href)="(/static/[^"]+\.(?:js|css))"'


@pytest.fixture
def between(server: Any, watch: Any) -> Iterator[Between]:
    made = Between(server.url)
    watch.allow(made.url)
    yield made
    made.close()


@pytest.fixture
def real(server: Any) -> Callable[[str], bytes]:
    """What the server itself says."""
    return lambda path: httpx.get(server.url + path).content


def changed(path: str, content: bytes) -> bytes:
    """That file with something more at its end."""
    if path.endswith(".css"):
        return answered(200, content + STYLE, Content_Type="text/css")
    return answered(200, content + SCRIPT, Content_Type="text/javascript")


def harmed(page: Page) -> bool:
    return bool(
        page.evaluate(
            "globalThis.changedOnTheWay === true ||"
            " getComputedStyle(document.body).getPropertyValue('--changed-on-the-way') !== ''"
        )
    )


@pytest.mark.parametrize("name", PAGES)
def test_file_that_was_changed_on_the_way_is_not_run(
    between: Between, real: Callable[[str], bytes], make_context: Callable[..., BrowserContext], watch: Any, name: str
) -> None:
    """HDR-03: every script and style of every page, each by itself, for a visitor of its own."""
    refusal = "Failed to find a valid digest in the 'integrity' attribute"
    watch.expect(refusal, "Failed to fetch dynamically imported module", r"status of 404 .*/api/v1/")
    loaded = {path: real(path) for path in re.findall(ADDRESS, real(PAGES[name]).decode())}
    assert len(loaded) > 10
    between.answer = lambda asked: (
        changed(asked.path, loaded[asked.path]) if asked.path == asked.headers.get("Changed") else None
    )
    pages = {path: make_context(extra_http_headers={"Changed": path}).new_page() for path in loaded}
    for page in pages.values():
        page.goto(between.url + PAGES[name])
    for path, page in pages.items():
        page.wait_for_load_state("networkidle")
        assert not harmed(page), path
        assert any(refusal in each and path in each for each in watch.errors), path
        if path.endswith(".js"):
            expect(page.locator("body[data-ready]")).to_have_count(0)


def test_change_would_be_run_without_the_attribute(between: Between, real: Callable[[str], bytes], page: Page) -> None:
    """What the tests above rest on: nothing else stands in its way."""
    plain = re.sub(rb' integrity="[^"]*"', b"", real("/"))
    path = re.findall(r'type="module" src="([^"]+)"', plain.decode())[0]
    answers = {
        "/": answered(200, plain, Content_Type="text/html; charset=utf-8"),
        path: changed(path, real(path)),
    }
    between.answer = lambda asked: answers.get(asked.path)
    page.goto(between.url)
    page.wait_for_selector("body[data-ready]")
    assert harmed(page)


@pytest.mark.parametrize("name", PAGES)
def test_file_is_fetched_once_and_every_preload_is_used(between: Between, page: Page, watch: Any, name: str) -> None:
    """An attribute that does not fit its use would have the browser fetch the file again, or warn of it."""
    watch.expect(r"status of 404 .*/api/v1/")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(between.url + PAGES[name])
    page.wait_for_load_state("networkidle")
    asked = [each.path for each in between.asked if each.path.endswith((".js", ".css"))]
    assert sorted(asked) == sorted(set(asked))
    assert [each for each in said if "preload" in each or "integrity" in each] == []

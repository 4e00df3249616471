"""A byte that was changed on the way is not run: every page names what it loads with its SHA-256. HDR-03."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from between import Asked, Between, answered
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


def changed(between: Between, path: str, content: bytes) -> None:
    """From now on that file comes with something more at its end, and everything else as it is."""
    kind = "text/css" if path.endswith(".css") else "text/javascript"

    def answer(asked: Asked) -> bytes | None:
        if asked.path != path:
            return None
        return answered(200, content + (STYLE if kind == "text/css" else SCRIPT), Content_Type=kind)

    between.answer = answer


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
    """HDR-03: every script and style of every page, each by itself."""
    refusals = (
        "Failed to find a valid digest in the 'integrity' attribute",
        "Failed to fetch dynamically imported module",
    )
    watch.expect(*refusals, r"status of 404 .*/api/v1/")
    loaded = re.findall(ADDRESS, real(PAGES[name]).decode())
    assert len(loaded) > 10
    for path in loaded:
        changed(between, path, real(path))
        refused = len(watch.errors)
        page = make_context().new_page()
        page.goto(between.url + PAGES[name])
        page.wait_for_load_state("networkidle")
        assert not harmed(page), path
        assert any(path in each for each in watch.errors[refused:]), path
        if path.endswith(".js"):
            expect(page.locator("body[data-ready]")).to_have_count(0)
        page.close()


def test_change_would_be_run_without_the_attribute(between: Between, real: Callable[[str], bytes], page: Page) -> None:
    """What the tests above rest on: nothing else stands in its way."""
    plain = re.sub(rb' integrity="[^"]*"', b"", real("/"))
    path = re.findall(r'type="module" src="([^"]+)"', plain.decode())[0]
    changed(between, path, real(path))
    further = between.answer
    between.answer = lambda asked: (
        answered(200, plain, Content_Type="text/html; charset=utf-8") if asked.path == "/" else further(asked)
    )
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

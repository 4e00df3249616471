"""Downloads through a service worker, for browsers whose pages cannot write to the disk."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from file_secrets import content, create_with_files, without_pickers
from page_actions import download, receipt, reveal, text_of
from playwright.sync_api import BrowserContext, Download, Page, expect
from support.server import Server
from watch import STORED, Watch

PIECE = 4 * 2**20
# Feed a download: pieces of random bytes, then its end, or what a failed file gives it.
FEED = """async ([base, name, size, ending]) => {
  const { workerTarget } = await import(`${base}/js/worker-download.js`);
  const target = await workerTarget(name, size);
  for (let left = size; left > 0; left -= 65536) {
    await target.write(new Uint8Array(Math.min(left, 65536)).fill(left & 255));
    if (ending === "abort" && left <= size / 2) return target.abort();
  }
  await target.close();
}"""
# Start a download, and define a function that writes all of it and returns how that ended.
START = """async ([base, size]) => {
  const { workerTarget } = await import(`${base}/js/worker-download.js`);
  const target = await workerTarget("a.bin", size);
  window.written = async () => {
    try {
      for (let left = size; left > 0; left -= 65536) await target.write(new Uint8Array(Math.min(left, 65536)));
      await target.close();
      return "whole";
    } catch (error) {
      await target.abort();
      return error.code;
    }
  };
}"""


@pytest.fixture
def context(make_context: Callable[..., BrowserContext]) -> BrowserContext:
    context = make_context(service_workers="allow")
    without_pickers(context)
    return context


@pytest.fixture
def reader(page: Page, server: Server, watch: Watch) -> Page:
    """A page of a link, which has what downloads need."""
    watch.expect(r"status of 404 .*/api/v1/")
    page.goto(f"{server.url}/AbCdEfGhIjKl")
    page.locator("body[data-ready]").wait_for()
    return page


def feed(page: Page, static_url: str, name: str, size: int, ending: str = "close") -> Download:
    with page.expect_download() as started:
        page.evaluate(FEED, [static_url, name, size, ending])
    return started.value


def fed(size: int) -> bytes:
    """Return the bytes that FEED writes."""
    return b"".join(bytes([left & 255]) * min(left, 65536) for left in range(size, 0, -65536))


@pytest.mark.parametrize("size", [0, 1, 9_000_000])
def test_browser_gets_every_byte_and_nothing_stays_registered(reader: Page, static_url: str, size: int) -> None:
    """SAVE-02, SAVE-06"""
    saved = feed(reader, static_url, "report 1.pdf", size)
    assert saved.suggested_filename == "report 1.pdf"
    assert saved.path().read_bytes() == fed(size)
    assert not any(reader.evaluate(STORED).values())


NAMES = ["Übersicht – Größe.txt", "it's (1)*.txt", 'a"b.txt', "%41.txt", "🗝️.bin", "a;filename=b.exe.txt"]


@pytest.mark.parametrize("name", NAMES)
def test_names_arrive_as_they_are(reader: Page, static_url: str, name: str) -> None:
    saved = feed(reader, static_url, name, 1)
    assert saved.suggested_filename.replace("_", "") == name.replace('"', "").replace("*", "").replace("_", "")


def test_file_that_fails_in_the_middle_is_no_finished_download(reader: Page, static_url: str) -> None:
    """SAVE-03"""
    saved = feed(reader, static_url, "half.bin", 9_000_000, "abort")
    assert saved.failure() is not None
    assert not any(reader.evaluate(STORED).values())


def test_secret_with_a_large_file_is_downloaded(page: Page, server: Server, watch: Watch) -> None:
    """SAVE-02, SAVE-06: 65 MiB, which the page does not hold."""
    data = content(65 * 2**20)
    created = create_with_files(server.url, [("large.bin", data)])
    reveal(page, created.link)
    name, saved = download(page, page.locator(".files li button"))
    assert name == "large.bin"
    assert saved == data
    expect(page.locator("#status")).to_have_text(text_of("files.handedOver"))
    assert receipt(server.url, created)["files"]["grants"] == 1
    assert not any(page.evaluate(STORED).values())
    assert all(request.headers.get("seclink-grant") for request in watch.requests if "/api/v1/files/" in request.url)


def test_page_notices_that_the_browser_ended_the_worker(reader: Page, static_url: str) -> None:
    """SAVE-06: some browsers show what they have as a finished download."""
    reader.evaluate(START, [static_url, 9_000_000])
    session = reader.context.new_cdp_session(reader)
    session.send("ServiceWorker.enable")
    session.send("ServiceWorker.stopAllWorkers")
    assert reader.evaluate("written()") == "cut"
    assert not any(reader.evaluate(STORED).values())


@pytest.mark.parametrize("path", ["", "/AbCdEfGhIjKl"])
def test_worker_left_by_a_killed_browser_is_removed(
    page: Page, server: Server, static_url: str, watch: Watch, path: str
) -> None:
    """SAVE-06"""
    watch.expect(r"status of 404 .*/api/v1/")
    page.route("**/blank", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto(f"{server.url}/blank")
    worker = f"{static_url}/js/download-worker.js"
    page.evaluate("([url, scope]) => navigator.serviceWorker.register(url, { scope })", [worker, "/dl/left/"])
    assert page.evaluate("navigator.serviceWorker.getRegistrations().then((all) => all.length)") == 1
    page.goto(server.url + path)
    page.locator("body[data-ready]").wait_for()
    assert not any(page.evaluate(STORED).values())


def test_visit_does_not_disturb_a_download(reader: Page, static_url: str, server: Server) -> None:
    with reader.expect_download() as started:
        reader.evaluate(START, [static_url, 9_000_000])
    other = reader.context.new_page()
    other.goto(server.url)
    other.locator("body[data-ready]").wait_for()
    assert reader.evaluate("written()") == "whole"
    assert started.value.path().stat().st_size == 9_000_000


def test_path_of_downloads_leaves_the_browser_where_it_is(reader: Page, server: Server) -> None:
    """Asked without a worker, such as one that the browser ended."""
    url = reader.url
    assert httpx.get(f"{server.url}/dl/abc/file").status_code == 204
    reader.evaluate("location.href = '/dl/abc/file'")
    reader.wait_for_load_state("networkidle")
    assert reader.url == url
    assert reader.locator("body[data-ready]").count() == 1


def test_policy_names_no_other_script(reader: Page, static_url: str, watch: Watch) -> None:
    """XSS-05: nothing but the worker of downloads can be registered."""
    watch.expect("require-trusted-types-for", "trusted-types", "TrustedScriptURL", "TrustedTypePolicy")
    result: dict[str, Any] = reader.evaluate(
        """async (base) => {
          await import(`${base}/js/worker-download.js`);
          const attempt = async (work) => {
            try {
              return String(await work());
            } catch (error) {
              return error.name;
            }
          };
          return {
            register: await attempt(() => navigator.serviceWorker.register(`${base}/js/download-worker.js`)),
            policy: await attempt(() => trustedTypes.createPolicy("seclink-worker", { createScriptURL: (url) => url })),
            other: await attempt(() => trustedTypes.createPolicy("mine", { createScriptURL: (url) => url })),
          };
        }""",
        static_url,
    )
    assert result == dict.fromkeys(("register", "policy", "other"), "TypeError")

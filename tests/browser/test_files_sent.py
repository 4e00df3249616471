"""Files chosen on the start page: uploaded in chunks, and readable by whoever has the link."""

import contextlib
import json
import random
from typing import Any

import httpx
import pytest
from file_secrets import read
from page_actions import PATIENCE_MS, axe, result, text_of, visit
from playwright.sync_api import Dialog, Error, FilePayload, Page, Route, expect
from support.server import MakeServer, Server
from watch import Watch

SIZES = {"empty.txt": 0, "one.bin": 1, "nine.bin": 9_000_000}


def choose(page: Page, url: str, contents: dict[str, bytes]) -> None:
    """Choose files on the start page."""
    visit(page, url)
    page.locator(".kinds label:has([value=file])").click()
    page.locator("#file-input").set_input_files(
        [FilePayload(name=name, mimeType="", buffer=content) for name, content in contents.items()]
    )
    page.locator("#file-list li").nth(len(contents) - 1).wait_for()


@pytest.fixture
def contents() -> dict[str, bytes]:
    return {name: random.Random(name).randbytes(size) for name, size in SIZES.items()}


def test_files_of_every_size_arrive_with_the_text(page: Page, server: Server, contents: dict[str, bytes]) -> None:
    choose(page, server.url, contents)
    assert axe(page) == []
    page.locator("#secret").fill("about them")
    page.locator("#create").click()
    assert read(result(page)) == ("about them", contents)


# Choosing

DROP = """([type, files, folder]) => {
  const data = new DataTransfer();
  for (const [name, text] of files) data.items.add(new File([text], name));
  const event = type === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
  return event.defaultPrevented;
}"""
FOLDER = """() => {
  const file = (name) => ({ name, isDirectory: false, file: (resolve) => resolve(new File([name], name)) });
  const folder = (name, ...batches) => ({ name, isDirectory: true, createReader: () => ({
    readEntries: (resolve) => resolve(batches.shift() ?? []) }) });
  const tree = folder("trip", [file("a.txt"), folder("back\\\\slash", [file("b.txt")])], [file("c.txt")]);
  const event = new Event("drop", { bubbles: true, cancelable: true });
  const items = [{ kind: "file", webkitGetAsEntry: () => tree, getAsFile: () => null }];
  event.dataTransfer = { types: ["Files"], items };
  document.body.dispatchEvent(event);
}"""


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_files_dropped_or_pasted_on_the_page_are_sent(page: Page, server: Server, way: str) -> None:
    visit(page, server.url)
    assert page.evaluate(DROP, [way, [["a.txt", "first"], ["b.txt", "second"]]]) is True
    expect(page.locator("#file-list li")).to_have_count(2)
    assert page.locator("[name=kind]:checked").input_value() == "file"
    page.locator("#create").click()
    assert read(result(page)) == ("", {"a.txt": b"first", "b.txt": b"second"})


def test_dropped_folder_is_sent_with_its_paths(page: Page, server: Server) -> None:
    """A backslash in a folder's name would make the whole secret unreadable."""
    visit(page, server.url)
    page.evaluate(FOLDER)
    paths = page.locator("#file-list li [dir=auto]")
    expect(paths).to_have_count(3)
    assert paths.all_text_contents() == ["trip/a.txt", "trip/back_slash/b.txt", "trip/c.txt"]
    page.locator("#create").click()
    assert read(result(page))[1].keys() == {"a.txt", "b.txt", "c.txt"}


def test_removed_file_is_not_sent(page: Page, server: Server) -> None:
    choose(page, server.url, {"a": b"1", "b": b"2"})
    page.locator("#file-list button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#file-list li")).to_have_count(1)
    expect(page.locator("#file-list button")).to_be_focused()
    page.locator("#create").click()
    assert read(result(page)) == ("", {"b": b"2"})


def test_browser_asks_before_chosen_files_are_left(page: Page, server: Server) -> None:
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", leave)
    choose(page, server.url, {"a": b"1"})
    page.reload()
    assert asked == ["beforeunload"]
    page.locator("body[data-ready]").wait_for()
    page.reload()
    assert asked == ["beforeunload"]


def test_limits_are_told_before_anything_is_sent(page: Page, make_server: MakeServer, watch: Watch) -> None:
    limits = "max_bytes = 1048576\ntotal_bytes = 4194304\nclient_bytes = 2097152"
    other = make_server(f"[files]\n{limits}\n").start()
    watch.allow(other.url)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    choose(page, other.url, {"large": bytes(1_100_000)})
    expect(page.locator("#problem")).to_have_text(text_of("attach.tooLarge"))
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("attach.tooLarge"))
    assert set(sent) == {"GET"}
    page.locator("#file-list button").click()  # or the browser asks whether to leave
    expect(page.locator("#file-list li")).to_have_count(0)


def test_server_that_takes_no_files_offers_none(page: Page, make_server: MakeServer, watch: Watch) -> None:
    other = make_server('[files]\ncreate = "nobody"\n').start()
    watch.allow(other.url)
    visit(page, other.url)
    expect(page.locator("#file-kind")).to_be_hidden()
    page.locator("#secret").fill("stays")
    assert page.evaluate(DROP, ["drop", [["a.txt", "first"]]]) is True, (
        "the browser would open the file in place of the page"
    )
    expect(page.locator("#problem")).to_have_text(text_of("error.files_not_allowed"))
    expect(page.locator("#file-list li")).to_have_count(0)


# Sending

SENT = "**/api/v1/uploads/*/chunks/1"


DONE = "document.querySelector('#sending progress')?.value ?? 0"


class Hold:
    """Holds back what is sent of the second chunk."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.routes: list[Route] = []
        page.route(SENT, lambda route: self.routes.append(route))

    def wait(self, stored: int = 4_194_304) -> None:
        """Wait until more than `stored` bytes of the other chunks are sent."""
        for _ in range(int(PATIENCE_MS) // 20):
            if self.routes and self.page.evaluate(DONE) > stored:
                return
            self.page.wait_for_timeout(20)  # events come only while the page is asked for something
        raise AssertionError("the other chunks are not sent")

    def end(self) -> None:
        for route in self.routes:
            with contextlib.suppress(Error):  # its request was aborted
                route.continue_()
        self.page.unroute(SENT)


def press(page: Page, key: str) -> None:
    page.locator(f"#sending [data-t='{key}']").click()


def test_upload_pauses_and_continues(page: Page, server: Server, contents: dict[str, bytes], watch: Watch) -> None:
    watch.expect("Failed to load resource")
    choose(page, server.url, contents)
    hold = Hold(page)
    page.locator("#create").click()
    hold.wait()
    assert axe(page) == []
    press(page, "transfer.pause")
    expect(page.locator("#sending .progress > p:first-of-type")).to_have_text(text_of("upload.paused"))
    assert axe(page) == []
    hold.end()
    press(page, "transfer.resume")
    assert read(result(page)) == ("", contents)


def test_cancelled_upload_is_erased_and_the_form_stays(
    page: Page, server: Server, contents: dict[str, bytes], watch: Watch
) -> None:
    watch.expect("Failed to load resource")
    begun: list[dict[str, Any]] = []
    page.on(
        "response", lambda one: begun.append(one.json()) if one.url.endswith("/uploads") and one.status == 201 else None
    )
    choose(page, server.url, contents)
    hold = Hold(page)
    page.locator("#secret").fill("with them")
    page.locator("#create").click()
    hold.wait()
    with page.expect_response(lambda one: one.request.method == "DELETE") as deleted:
        press(page, "transfer.cancel")
    assert deleted.value.status == 204
    expect(page.locator("#problem")).to_have_text(text_of("upload.cancelled"))
    assert page.locator("#secret").input_value() == "with them"
    headers = {"SecLink-Upload": begun[0]["uploadToken"]}
    assert httpx.get(f"{server.url}/api/v1/uploads/{begun[0]['uploadId']}", headers=headers).status_code == 404
    page.unroute(SENT)
    page.locator("#create").click()
    assert read(result(page)) == ("with them", contents)


def test_upload_goes_on_after_the_server_was_gone(
    page: Page, make_server: MakeServer, contents: dict[str, bytes], watch: Watch
) -> None:
    """What had been stored is not sent again."""
    watch.expect("Failed to load resource")
    other = make_server("").start()
    watch.allow(other.url)
    puts: list[str] = []
    page.on("request", lambda one: puts.append(one.url[-1]) if one.method == "PUT" else None)
    choose(page, other.url, contents)
    hold = Hold(page)
    page.locator("#create").click()
    hold.wait(4_194_332 + 611_391)
    other.kill()
    hold.end()
    expect(page.locator("#sending .progress > p:first-of-type")).to_have_text(text_of("upload.waiting"))
    assert axe(page) == []
    other.start()
    assert read(result(page)) == ("", contents)
    assert puts.count("0") == puts.count("2") == 1


AWAKE = """
window.locks = [];
Object.defineProperty(navigator, "wakeLock", { value: {
  async request(type) {
    locks.push(type);
    return { release: () => locks.push("released") };
  },
} });
"""


def test_screen_stays_on_while_files_are_sent(page: Page, server: Server) -> None:
    page.add_init_script(AWAKE)
    choose(page, server.url, {"a": b"1"})
    assert page.evaluate("locks") == []
    page.locator("#create").click()
    result(page)
    assert page.evaluate("locks") == ["screen", "released"]


# Long pauses are recorded, and end at once; time limits of requests stay.
PAUSES = """
window.pauses = [];
const wait = window.setTimeout;
window.setTimeout = (work, ms, ...more) => {
  if (ms <= 60_000 || ms === 120_000 || ms === 600_000) return wait(work, ms, ...more);
  pauses.push(ms);
  return wait(work, 0, ...more);
};
"""


def test_upload_waits_as_asked_but_not_for_ever(page: Page, server: Server, watch: Watch) -> None:
    watch.expect("status of 429")
    page.add_init_script(PAUSES)
    asked = ["100", "999999999"]

    def refuse(route: Route) -> None:
        if not asked:
            return route.fallback()
        return route.fulfill(status=429, headers={"Retry-After": asked.pop(0)}, body="")

    choose(page, server.url, {"a": b"1"})
    page.route("**/chunks/0", refuse)
    page.locator("#create").click()
    assert read(result(page)) == ("", {"a": b"1"})
    assert page.evaluate("pauses") == [100_000, 300_000]


@pytest.mark.parametrize("code", ["upload_used", "upload_incomplete"])
def test_refused_upload_is_explained(page: Page, server: Server, watch: Watch, code: str) -> None:
    watch.expect("status of 409")
    choose(page, server.url, {"a": b"1"})
    problem = json.dumps({"code": code, "title": code, "status": 409})
    page.route(
        "**/secrets", lambda route: route.fulfill(status=409, content_type="application/problem+json", body=problem)
    )
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of(f"error.{code}"))
    page.locator("#file-list button").click()
    expect(page.locator("#file-list li")).to_have_count(0)


def test_file_that_was_changed_is_not_sent(page: Page, server: Server, tmp_path: Any, watch: Watch) -> None:
    watch.expect("Failed to load resource")
    source = tmp_path / "report.txt"
    source.write_bytes(b"x" * 100)
    visit(page, server.url)
    page.locator(".kinds label:has([value=file])").click()
    page.locator("#file-input").set_input_files(source)
    page.locator("#file-list li").wait_for()
    source.write_bytes(b"y" * 101)
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("upload.source_changed"))
    page.locator("#file-list button").click()
    expect(page.locator("#file-list li")).to_have_count(0)

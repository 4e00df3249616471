"""Files on the reader's page: told before the view is spent, saved whole or not at all, erased when they are saved."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fake_responses import IMPATIENT, assert_unspent
from file_secrets import ON_DISK as ON_DISK_JS
from file_secrets import FileSecret, content, create_with_files, digest, on_disk, with_pickers, without_pickers
from page_actions import PATIENCE_MS, axe, download, events, receipt, reveal, text_of, visit
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from support.server import Server
from watch import Watch

LARGE = 9_000_000  # three chunks
CHUNKS = "**/api/v1/files/*"
NAMES = ["a.txt", "a.txt", "photos/Übersicht 1.bin", "empty"]
FILES = [
    (name, content(size, seed)) for seed, (name, size) in enumerate(zip(NAMES, (5, 70_000, LARGE, 0), strict=True))
]
HOSTILE = {
    "CON": "_CON",
    "photo\u202egpj.exe": "photogpj.exe",
    "<img src=x onerror=window.__xss=1>": "_img src=x onerror=window.__xss=1_",
    "a\0b": "ab",
    "..": "unnamed",
    "": "unnamed (2)",
}
SAVED_NAMES = ["a.txt", "a (2).txt", "photos/Übersicht 1.bin", "empty"]


@pytest.fixture
def disk(context: BrowserContext, page: Page) -> Callable[[], dict[str, list[Any]]]:
    """Give the browser dialogs; the function returns what was saved."""
    with_pickers(context)
    page.emulate_media(reduced_motion="reduce")  # colours are then what they are at once, for axe
    return lambda: on_disk(page)


def save(page: Page, number: int = 0) -> Locator:
    return page.locator(".files li").nth(number).locator("button").first


def button(page: Page, key: str) -> Locator:
    return page.locator(f".files button:has([data-t='{key}'])")


def expect_status(page: Page, key: str) -> None:
    expect(page.locator("#status")).to_have_text(text_of(key))


def expect_idle(page: Page) -> None:
    expect(page.locator(".files")).not_to_have_attribute("aria-busy", "true")


def test_files_are_told_before_the_view_is_spent(page: Page, server: Server, disk: Any, watch: Watch) -> None:
    created = create_with_files(server.url, [("a", content(1_000_000))])
    visit(page, created.link)
    expect(page.locator("#files-size")).to_have_text(text_of("reveal.files", size="1 MB"))
    assert axe(page) == []
    assert_unspent(server, created)
    assert watch.urls("/files/") == []


def test_browser_that_cannot_save_them_says_so_and_spends_nothing(
    context: BrowserContext, page: Page, server: Server
) -> None:
    """SAVE-01"""
    page.emulate_media(reduced_motion="reduce")
    without_pickers(context)
    context.add_init_script("delete Navigator.prototype.serviceWorker")
    created = create_with_files(server.url, [("a", b"a")])

    def grown(route: Route) -> None:
        meta = route.fetch().json()
        route.fulfill(json=meta | {"files": {"size": 64 * 2**20 + 1}})

    page.route("**/meta", grown)
    visit(page, created.link)
    expect(page.locator("#files-elsewhere")).to_have_text(text_of("reveal.filesElsewhere"))
    expect(page.locator("#reveal")).not_to_be_visible()
    assert axe(page) == []
    assert_unspent(server, created)


def test_one_file_goes_to_disk_and_is_erased(page: Page, server: Server, disk: Any) -> None:
    """SAVE-02: the page says that it has all once it is written."""
    data = content(LARGE)
    created = create_with_files(server.url, [("report.pdf", data)], "read this")
    reveal(page, created.link)
    expect(page.locator("#content pre")).to_have_text("read this")
    assert receipt(server.url, created)["files"]["grants"] == 1
    save(page).click()
    expect_status(page, "files.allSaved")
    assert disk() == {"report.pdf": digest(data)}
    assert receipt(server.url, created)["files"]["grants"] == 0
    assert events(server.url, created)[-1] == "downloaded"
    assert axe(page) == []


def test_all_files_go_to_a_folder_under_names_of_their_own(page: Page, server: Server, disk: Any) -> None:
    created = create_with_files(server.url, FILES)
    reveal(page, created.link)
    expect(page.locator(".files .file")).to_have_text(SAVED_NAMES)
    expect(page.locator("#content pre")).to_have_count(0)
    button(page, "files.saveAll").click()
    expect_status(page, "files.allSaved")
    expected = {name: digest(data) for name, (_, data) in zip(SAVED_NAMES, FILES, strict=True)}
    assert disk() == expected


def test_nothing_in_the_folder_is_overwritten(page: Page, server: Server, disk: Any) -> None:
    created = create_with_files(server.url, [("a.txt", b"new"), ("b", b"b")])
    reveal(page, created.link)
    page.evaluate("showSaveFilePicker({ suggestedName: 'a.txt' })")
    button(page, "files.saveAll").click()
    expect_status(page, "files.allSaved")
    assert disk() == {"a.txt": digest(b""), "a (2).txt": digest(b"new"), "b": digest(b"b")}


def test_all_files_as_a_zip(page: Page, server: Server, disk: Any, context: BrowserContext) -> None:
    created = create_with_files(server.url, FILES)
    without_pickers(context)
    reveal(page, created.link)
    name, data = download(page, button(page, "files.saveZip"))
    assert name == "secret-files.zip"
    check_zip(data)
    expect_status(page, "files.handedOver")
    assert receipt(server.url, created)["files"]["grants"] == 1  # a browser can lose a download
    page.locator(".files [data-t='files.done']").click()
    page.locator(".files button", has_text=text_of("files.doneSure")).click()
    expect_status(page, "files.allSaved")
    assert receipt(server.url, created)["files"]["grants"] == 0


def check_zip(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == SAVED_NAMES
        assert [archive.read(name) for name in SAVED_NAMES] == [item for _, item in FILES]
        assert {item.compress_type for item in archive.infolist()} == {zipfile.ZIP_STORED}


def test_browser_without_dialogs_downloads_each_file(context: BrowserContext, page: Page, server: Server) -> None:
    without_pickers(context)
    created = create_with_files(server.url, FILES)
    reveal(page, created.link)
    expect(button(page, "files.saveAll")).to_have_count(0)
    for number, (_, data) in enumerate(FILES):
        _, saved = download(page, save(page, number))
        assert saved == data
        expect_idle(page)
    expect(page.locator(".files li.saved")).to_have_count(len(FILES))


def test_closed_dialog_saves_nothing_and_can_be_opened_again(page: Page, server: Server, disk: Any) -> None:
    created = create_with_files(server.url, [("a", b"a")])
    reveal(page, created.link)
    page.evaluate("() => { window.real = showSaveFilePicker }")
    page.evaluate("() => { window.showSaveFilePicker = async () => { throw new DOMException('', 'AbortError') } }")
    save(page).click()
    expect_idle(page)
    assert disk() == {}
    page.evaluate("() => { window.showSaveFilePicker = real }")
    save(page).click()
    expect_status(page, "files.allSaved")


def test_hostile_names_are_cleaned_before_they_are_shown_or_saved(page: Page, server: Server, disk: Any) -> None:
    """SAVE-03, XSS-02"""
    created = create_with_files(server.url, [(name, b"x") for name in HOSTILE])
    reveal(page, created.link)
    expect(page.locator(".files .file")).to_have_text(list(HOSTILE.values()))
    button(page, "files.saveAll").click()
    expect_status(page, "files.allSaved")
    assert sorted(disk()) == sorted(HOSTILE.values())
    assert page.evaluate("window.__xss ?? null") is None


# A server that lies


def flipped(data: bytes) -> bytes:
    return data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]


LIES: dict[str, Callable[[int, Callable[[int], bytes]], bytes]] = {
    "a bit of the last chunk": lambda n, chunk: flipped(chunk(n)) if n == 2 else chunk(n),
    "two chunks swapped": lambda n, chunk: chunk([1, 0, 2][n]),
    "a short chunk": lambda n, chunk: chunk(n)[:-1],
    "a long chunk": lambda n, chunk: chunk(n) + b"\0",
    "an empty chunk": lambda n, chunk: b"" if n == 1 else chunk(n),
}


@pytest.mark.parametrize("lie", LIES)
def test_nothing_of_damaged_files_is_saved_as_whole(page: Page, server: Server, disk: Any, lie: str) -> None:
    """SAVE-03: not as a file, not in a folder and not in a zip."""
    created = create_with_files(server.url, [("whole.bin", content(LARGE)), ("b", b"b")])

    def answer(route: Route) -> None:
        number = int(route.request.url.rsplit("/", 1)[1])
        start = route.request.url.rsplit("/", 1)[0]
        chunk = lambda n: httpx.get(f"{start}/{n}", headers=granted(route)).content  # noqa: E731
        route.fulfill(body=LIES[lie](number, chunk), content_type="application/octet-stream")

    page.route(CHUNKS, answer)
    reveal(page, created.link)
    for press in (save(page), button(page, "files.saveAll"), button(page, "files.saveZip")):
        press.click()
        expect_status(page, "files.damaged")
        expect_idle(page)
        assert disk() == {}
        page.locator("#status").evaluate("(status) => status.textContent = ''")
    assert axe(page) == []
    page.unroute_all(behavior="wait")
    button(page, "files.saveAll").click()  # the server's own are fine, and the grant still holds
    expect_status(page, "files.allSaved")


def granted(route: Route) -> dict[str, str]:
    return {"SecLink-Grant": route.request.headers["seclink-grant"]}


@pytest.mark.parametrize("change", [{"chunks": 2}, {"size": 5}, None])
def test_other_files_than_the_header_names_are_called_damaged(
    page: Page, server: Server, disk: Any, change: dict[str, int] | None, watch: Watch
) -> None:
    """SAVE-03: also if the server denies that there are files. The text is shown all the same."""
    created = create_with_files(server.url, [("a", b"a")], "text beside")

    def answer(route: Route) -> None:
        real = route.fetch()
        body = real.json()
        files = body.pop("files")
        route.fulfill(response=real, json=body | ({"files": files | change} if change else {}))

    page.route("**/reveal", answer)
    reveal(page, created.link)
    expect(page.locator("#content pre")).to_have_text("text beside")
    expect_status(page, "files.damaged")
    assert watch.urls("/files/") == []


# Breaks


def test_saving_goes_on_after_the_network_was_gone(page: Page, server: Server, disk: Any, watch: Watch) -> None:
    """SAVE-04"""
    watch.expect("Failed to load resource")
    page.add_init_script(IMPATIENT)
    data = content(LARGE)
    created = create_with_files(server.url, [("a", data)])
    reveal(page, created.link)
    page.route("**/api/v1/files/1", lambda route: route.abort())
    save(page).click()
    expect(page.locator(".progress > p:first-of-type")).to_have_text(text_of("files.waiting"))
    assert axe(page) == []
    assert disk()["a"] == digest(b"")  # as the dialog created it
    page.unroute_all(behavior="ignoreErrors")
    button_of_panel(page, "transfer.resume").click()
    expect_status(page, "files.allSaved")
    assert disk() == {"a": digest(data)}


class Hold:
    """Holds back the request for the second chunk."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.routes: list[Route] = []
        page.route("**/api/v1/files/1", lambda route: self.routes.append(route))

    def wait(self) -> None:
        """Wait for the request."""
        for _ in range(int(PATIENCE_MS) // 20):
            if self.routes:
                return
            self.page.wait_for_timeout(20)  # events come only while the page is asked for something
        raise AssertionError("the second chunk is not asked for")

    def end(self) -> None:
        self.routes.pop().continue_()


def button_of_panel(page: Page, key: str) -> Locator:
    return page.locator(f".progress [data-t='{key}']")


def test_pause_continue_and_cancel(page: Page, server: Server, disk: Any) -> None:
    data = content(LARGE)
    created = create_with_files(server.url, [("a", data)])
    hold = Hold(page)
    reveal(page, created.link)
    save(page).click()
    hold.wait()
    expect(page.locator(".progress > p:first-of-type")).to_have_text(text_of("files.running"))
    button_of_panel(page, "transfer.pause").click()
    expect(page.locator(".progress > p:first-of-type")).to_have_text(text_of("files.paused"))
    assert axe(page) == []
    hold.end()
    button_of_panel(page, "transfer.resume").click()
    expect_status(page, "files.allSaved")
    assert disk() == {"a": digest(data)}


def test_cancelled_file_leaves_nothing(page: Page, server: Server, disk: Any) -> None:
    created = create_with_files(server.url, [("a", content(LARGE))])
    hold = Hold(page)
    reveal(page, created.link)
    save(page).click()
    hold.wait()
    button_of_panel(page, "transfer.cancel").focus()
    page.keyboard.press("Enter")
    expect_status(page, "files.stopped")  # at once: a request may take minutes to fail
    hold.end()
    assert disk() == {}


def test_sender_who_burns_the_secret_ends_the_download(page: Page, server: Server, disk: Any, watch: Watch) -> None:
    """SAVE-05"""
    watch.expect("status of 410")
    created = create_with_files(server.url, [("a", content(LARGE))])
    hold = Hold(page)
    reveal(page, created.link)
    save(page).click()
    hold.wait()
    burn(server, created)
    hold.end()
    expect_status(page, "files.gone")
    assert disk() == {}
    expect(save(page)).to_be_disabled()
    assert axe(page) == []


def burn(server: Server, created: FileSecret) -> None:
    url = f"{server.url}/api/v1/receipts/{created.receipt_id}"
    httpx.delete(url, headers={"SecLink-Manage": created.manage_token}).raise_for_status()


def test_of_two_readers_one_gets_the_files(
    make_context: Callable[..., BrowserContext], server: Server, watch: Watch
) -> None:
    watch.expect("status of 410")
    created = create_with_files(server.url, [("a", b"a")])
    pages = []
    for _ in range(2):
        context = make_context()
        with_pickers(context)
        pages.append(context.new_page())
        visit(pages[-1], created.link)
    for page in pages:
        page.locator("#reveal").click()
    shown = [
        page
        for page in pages
        if page.locator(".files, #notice h1").first.text_content() and page.locator(".files").count()
    ]
    assert len(shown) == 1
    save(shown[0]).click()
    expect_status(shown[0], "files.allSaved")


def test_wiped_page_ends_what_it_saves(page: Page, server: Server, disk: Any) -> None:
    created = create_with_files(server.url, [("a", content(LARGE))])
    hold = Hold(page)
    reveal(page, created.link)
    save(page).click()
    hold.wait()
    page.locator("#wipe").click()
    hold.end()
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))
    page.wait_for_function(
        # A file that is removed while it is listed cannot be read.
        f"async () => {{ try {{ return Object.keys(await ({ON_DISK_JS})()).length === 0 }} catch {{ return false }} }}"
    )


def test_the_keyboard_reaches_every_button(page: Page, server: Server, disk: Any) -> None:
    created = create_with_files(server.url, [("a", b"a"), ("b", b"b")])
    reveal(page, created.link)
    save(page).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".files li.saved")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(save(page, 1)).to_be_focused()
    page.keyboard.press("Enter")
    expect_status(page, "files.allSaved")

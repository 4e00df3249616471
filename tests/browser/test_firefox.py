"""Files in Debian's Firefox, in an ordinary and in a private window: it has no dialogs for pages, and ends workers."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_secrets import content, create_with_files, read
from firefox import Firefox
from page_actions import Created, receipt
from support.server import HIGH_RATES, Serve, Server
from watch import STORED

from seclink.format.file_stream import CHUNK_BYTES

LARGE = 65 * 2**20  # more than the page holds
# Feed a download slowly, for longer than Firefox lets a worker live that gets no events.
PACED_SECONDS = 75 if os.environ.get("SECLINK_LONG") else 1
PACED = """async (pieces, pause) => {
  const { workerTarget } = await import(new URL("worker-download.js", document.querySelector("script[src]").src));
  const target = await workerTarget("paced.bin", 100 * 2 ** 20);
  for (let piece = 0; piece < pieces; piece += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * pause));
    await target.write(new Uint8Array(2 ** 20).fill(piece));
  }
  if (pieces === 100) await target.close();
}"""


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve(f"{HIGH_RATES}[files]\nclient_bytes = 10000000000\n")


@pytest.fixture(scope="module", params=["ordinary", "private"])
def browser(request: pytest.FixtureRequest) -> Iterator[Firefox]:
    with Firefox(is_private=request.param == "private") as firefox:
        yield firefox


@pytest.fixture
def firefox(browser: Firefox) -> Iterator[Firefox]:
    """Nothing that a test did is kept, and no console has an error."""
    yield browser
    browser.ended.clear()
    kept: dict[str, Any] = browser.evaluate(STORED)
    assert not any(kept.values())
    errors = [*browser.errors]
    browser.errors.clear()
    assert errors == []
    for path in browser.downloads.iterdir():
        path.unlink()


def reveal(firefox: Firefox, link: str) -> None:
    firefox.visit(link)
    firefox.click("#reveal")
    firefox.node(".files")


def test_files_are_saved(firefox: Firefox, server: Server) -> None:
    """SAVE-02, SAVE-06: through the page's memory and through the worker."""
    files = {"small.bin": content(9_000_000), "empty": b"", "Größe (1).bin": content(LARGE)}
    created = create_with_files(server.url, [*files.items()], "beside them")
    reveal(firefox, created.link)
    assert firefox.text("#content pre") == "beside them"
    for number in range(len(files)):
        firefox.click(f".files li:nth-child({number + 1}) button")
        firefox.node(f".files li:nth-child({number + 1}).saved")
    firefox.wait_for_text("#status", "files.handedOver")
    assert [firefox.end_of_download() for _ in files] == ["complete"] * 3
    assert saved(firefox) == files
    assert receipt(server.url, created)["files"]["grants"] == 1


def saved(firefox: Firefox) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in firefox.downloads.iterdir()}


def test_damaged_file_is_not_finished(firefox: Firefox, server: Server) -> None:
    """SAVE-03"""
    created = create_with_files(server.url, [("whole.bin", content(LARGE))])
    damage(server, 10 * CHUNK_BYTES)
    reveal(firefox, created.link)
    firefox.click(".files li button")
    firefox.wait_for_text("#status", "files.damaged")
    assert firefox.end_of_download() == "canceled"
    assert saved(firefox).get("whole.bin", b"") == b""


def damage(server: Server, offset: int) -> None:
    """Change a byte of the files that were sent last."""
    newest = max((server.folder / "seclink.db.files").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    with newest.open("r+b") as stored:
        stored.seek(offset)
        byte = stored.read(1)[0]
        stored.seek(offset)
        stored.write(bytes([byte ^ 1]))


def test_paced_download_is_whole(firefox: Firefox, server: Server) -> None:
    """SAVE-06"""
    created = create_with_files(server.url, [("a", b"a")])
    reveal(firefox, created.link)
    firefox.evaluate(PACED, 100, PACED_SECONDS / 100)
    assert firefox.end_of_download() == "complete"
    assert saved(firefox) == {"paced.bin": b"".join(bytes([piece]) * 2**20 for piece in range(100))}


def test_closed_tab_leaves_no_finished_file(firefox: Firefox, server: Server) -> None:
    """SAVE-03, SAVE-06"""
    created = create_with_files(server.url, [("a", b"a")])
    reveal(firefox, created.link)
    firefox.evaluate(PACED, 50, 0)
    firefox.close()
    assert firefox.end_of_download() == "canceled"
    assert saved(firefox).get("paced.bin", b"") == b""
    firefox.visit(created.link)  # tells what is registered


def test_files_are_sent(firefox: Firefox, server: Server, tmp_path: Path) -> None:
    files = {"nine.bin": content(9_000_000), "empty.txt": b""}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    firefox.visit(server.url)
    firefox.click(".kinds label:has([value=file])")
    firefox.choose_files("#file-input", *(tmp_path / name for name in files))
    firefox.node("#file-list li:nth-child(2)")
    firefox.click("#create")
    firefox.node("#result:not([hidden])")
    link = firefox.evaluate("() => document.querySelector('#link').value")
    assert read(Created(server.url, link, None, "")) == ("", files)

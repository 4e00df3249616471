"""Files chosen on the start page: uploaded in chunks, and readable by whoever has the link."""

import base64
import random

import httpx
from page_actions import Created, result, visit
from playwright.sync_api import FilePayload, Page
from support.server import Server

from seclink.format import envelope, file_header
from seclink.format.file_stream import FileStream
from seclink.format.link import key_of

SIZES = {"empty.txt": 0, "one.bin": 1, "nine.bin": 9_000_000}


def read(created: Created) -> tuple[str, dict[str, bytes]]:
    """Open the link with the format's Python code; return the text and the files by name."""
    keys = envelope.derive(key_of(created.link.partition("#")[2]))
    url = f"{created.server}/api/v1"
    proof = {"access": keys.access, "files": True}
    revealed = httpx.post(f"{url}/secrets/{created.link_id}/reveal", json=proof).raise_for_status().json()
    blob, iv = (base64.b64decode(revealed[name]) for name in ("encryptedBlob", "iv"))
    opened = envelope.open(keys.content_key, iv, blob)
    header = file_header.read(opened.header)
    assert header is not None
    stream = FileStream(header.key, header.size)
    stream.check(revealed["files"]["size"], revealed["files"]["chunks"])
    grant = {"SecLink-Grant": revealed["files"]["grant"]}
    chunks = range(revealed["files"]["chunks"])
    whole = b"".join(stream.open(n, httpx.get(f"{url}/files/{n}", headers=grant).content) for n in chunks)
    files, at = {}, 0
    for file in header.files:
        files[file.name] = whole[at : at + file.size]
        at += file.size
    return opened.body.decode(), files


def test_files_of_every_size_arrive_with_the_text(page: Page, server: Server) -> None:
    contents = {name: random.Random(name).randbytes(size) for name, size in SIZES.items()}
    visit(page, server.url)
    page.locator(".kinds label:has([value=file])").click()
    page.locator("#file-input").set_input_files(
        [FilePayload(name=name, mimeType="", buffer=content) for name, content in contents.items()]
    )
    page.locator("#file-list li").nth(2).wait_for()
    page.locator("#secret").fill("about them")
    page.locator("#create").click()
    assert read(result(page)) == ("about them", contents)

"""Secrets with files, sealed here and uploaded by the API, and what a page saved of them."""

import base64
import hashlib
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from page_actions import Created
from playwright.sync_api import BrowserContext, Page

from seclink.format import envelope, file_header, link
from seclink.format.file_header import FileEntry, FileHeader
from seclink.format.file_stream import CHUNK_BYTES, FileStream
from seclink.format.pasted_link import parse

# Dialogs whose answers are handles of the origin's own file system, which have the same interface as those of a disk.
PICKERS = """
window.picked = [];
window.showSaveFilePicker = async ({ suggestedName }) => {
  window.picked.push(suggestedName);
  return (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });
};
window.showDirectoryPicker = () => navigator.storage.getDirectory();
"""
NO_PICKERS = "delete window.showSaveFilePicker; delete window.showDirectoryPicker;"
ON_DISK = """async () => {
  const found = {};
  const walk = async (folder, path) => {
    for await (const [name, handle] of folder.entries()) {
      if (handle.kind === "directory") await walk(handle, `${path}${name}/`);
      else {
        const bytes = await (await handle.getFile()).arrayBuffer();
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
        const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
        found[path + name] = [bytes.byteLength, hex];
      }
    }
  };
  await walk(await navigator.storage.getDirectory(), "");
  return found;
}"""


@dataclass(frozen=True)
class FileSecret:
    """A secret with files. It has what `page_actions.receipt` needs."""

    link: str
    receipt_id: str
    manage_token: str


def content(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def digest(data: bytes) -> list[Any]:
    """Return what `on_disk` says of a file with these bytes."""
    return [len(data), hashlib.sha256(data).hexdigest()]


def create_with_files(
    server_url: str, files: Sequence[tuple[str, bytes]], text: str = "", views: int = 1, media_type: str = ""
) -> FileSecret:
    """Create a secret; the path of a file is its folder and name."""
    api = f"{server_url}/api/v1"
    header = FileHeader([_entry(path, data, media_type) for path, data in files], secrets.token_bytes(32))
    stream = FileStream(header.key, header.size)
    upload = httpx.post(f"{api}/uploads", json={"size": stream.sealed_bytes}).raise_for_status().json()
    plain = b"".join(data for _, data in files)
    sent = {"SecLink-Upload": upload["uploadToken"], "Content-Type": "application/octet-stream"}
    for index in range(stream.chunks):
        sealed = stream.seal(index, secrets.token_bytes(12), plain[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES])
        url = f"{api}/uploads/{upload['uploadId']}/chunks/{index}"
        httpx.put(url, content=sealed, headers=sent).raise_for_status()
    key, iv = link.draw_key(secrets.token_bytes), secrets.token_bytes(12)
    keys = envelope.derive(key)
    blob = envelope.seal(keys.content_key, iv, {"type": "text", **header.members()}, text.encode())
    body = {
        "encryptedBlob": base64.b64encode(blob).decode(),
        "iv": base64.b64encode(iv).decode(),
        "format": envelope.FORMAT,
        "accessHash": keys.access_hash,
        "expiresIn": 3600,
        "maxViews": views,
        "upload": {"id": upload["uploadId"], "token": upload["uploadToken"]},
    }
    created = httpx.post(f"{api}/secrets", json=body).raise_for_status().json()
    return FileSecret(link.build(created["shareUrl"], key), created["receiptId"], created["manageToken"])


def read(created: Created) -> tuple[str, dict[str, bytes]]:
    """Open the link with the format's Python code; return the text and the files by name."""
    keys = envelope.derive(link.key_of(created.link.partition("#")[2]))
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


def open_for_download(server_url: str, link_text: str) -> dict[str, str]:
    """Open a secret with files, and return the header that downloads them."""
    parsed = parse(link_text)
    body = {"access": envelope.derive(link.key_of(parsed.fragment)).access, "files": True}
    revealed = httpx.post(f"{server_url}/api/v1/secrets/{parsed.link_id}/reveal", json=body).raise_for_status().json()
    return {"SecLink-Grant": revealed["files"]["grant"]}


def _entry(path: str, data: bytes, media_type: str) -> FileEntry:
    folder, _, name = path.rpartition("/")
    return FileEntry(name, len(data), media_type, folder or None)


def with_pickers(context: BrowserContext) -> None:
    context.add_init_script(PICKERS)


def without_pickers(context: BrowserContext) -> None:
    """Make it a browser that has no dialogs for pages, such as Firefox."""
    context.add_init_script(NO_PICKERS)


def on_disk(page: Page) -> dict[str, list[Any]]:
    """Return the size and SHA-256 of each file that was saved through `with_pickers`."""
    found: dict[str, list[Any]] = page.evaluate(ON_DISK)
    return found

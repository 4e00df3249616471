"""Files on a real server: killed at any moment of uploads and downloads, each file is whole or not there."""

import base64
import random
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.altered_constants import with_constants
from support.server import MakeServer, Server
from support.waiting import until

from seclink.errors import NotAuthentic
from seclink.format import envelope
from seclink.format.file_header import FileEntry, FileHeader
from seclink.format.file_stream import FileStream
from seclink.model import CHUNK_BYTES

DATA = random.Random(7).randbytes(2 * CHUNK_BYTES + 300)
CHUNKS = [DATA[start : start + CHUNK_BYTES] for start in range(0, len(DATA), CHUNK_BYTES)]
ANY_DISK = with_constants({"seclink.domain.uploads.MIN_FREE_BYTES": 0})
SECRET = {"encryptedBlob": "YmxvYg==", "iv": "aXZpdml2aXZpdml2", "expiryType": "view_once"}


def begin(api: str) -> dict[str, Any]:
    begun: dict[str, Any] = httpx.post(f"{api}/uploads", json={"size": len(DATA)}).raise_for_status().json()
    return begun


def put(api: str, begun: dict[str, Any], n: int) -> int:
    headers = {"SecLink-Upload": begun["uploadToken"], "Content-Type": "application/octet-stream"}
    address = f"{api}/uploads/{begun['uploadId']}/chunks/{n}"
    return httpx.put(address, content=CHUNKS[n], headers=headers, timeout=60).status_code


def received(api: str, begun: dict[str, Any]) -> set[int]:
    headers = {"SecLink-Upload": begun["uploadToken"]}
    ranges = httpx.get(f"{api}/uploads/{begun['uploadId']}", headers=headers).raise_for_status().json()["received"]
    return {n for first, last in ranges for n in range(first, last + 1)}


def download(api: str, grant: str) -> bytes:
    headers = {"SecLink-Grant": grant}
    return b"".join(
        httpx.get(f"{api}/files/{n}", headers=headers, timeout=60).raise_for_status().content
        for n in range(len(CHUNKS))
    )


def files_of(server: Server) -> list[Path]:
    return list((server.folder / "seclink.db.files").iterdir())


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.01, 0.02, 0.04])
def test_killed_server_has_every_chunk_that_it_confirmed(make_server: MakeServer, moment: float) -> None:
    server = make_server(prefix=ANY_DISK).start()
    api = f"{server.url}/api/v1"
    begun, confirmed = begin(api), set()

    def send(n: int) -> None:
        try:
            if put(api, begun, n) == 204:
                confirmed.add(n)
        except httpx.HTTPError:
            return

    threads = [threading.Thread(target=send, args=(n,)) for n in range(len(CHUNKS))]
    for thread in threads:
        thread.start()
    threading.Event().wait(moment)  # any moment is right; the test holds at each of them
    server.kill()
    for thread in threads:
        thread.join()
    server.start()
    there = received(api, begun)
    assert confirmed <= there
    for n in set(range(len(CHUNKS))) - there:
        assert put(api, begun, n) == 204
    members = {"upload": {"id": begun["uploadId"], "token": begun["uploadToken"]}}
    secret = httpx.post(f"{api}/secrets", json=SECRET | members).raise_for_status().json()
    revealed = httpx.post(f"{api}/secrets/{secret['linkId']}/reveal", json={"files": True}).raise_for_status().json()
    server.kill()
    server.start()
    grant = revealed["files"]["grant"]
    assert download(api, grant) == DATA
    again = httpx.post(f"{api}/secrets/{secret['linkId']}/reveal", json={"files": True})
    assert again.json()["code"] == "gone"
    assert httpx.delete(f"{api}/files", headers={"SecLink-Grant": grant}).status_code == 204
    server.stop()
    server.start()
    assert files_of(server) == []


def test_copy_of_the_chunks_is_worthless_once_the_secret_has_ended(make_server: MakeServer) -> None:
    """A copy of the folder, taken before, opens for nobody: grants end, and the payload with the key is erased."""
    server = make_server(prefix=ANY_DISK).start()
    api = f"{server.url}/api/v1"
    begun = begin(api)
    for n in range(len(CHUNKS)):
        assert put(api, begun, n) == 204
    marker = b"the key of the stream"
    members = {"upload": {"id": begun["uploadId"], "token": begun["uploadToken"]}}
    sealed = {"encryptedBlob": "dGhlIGtleSBvZiB0aGUgc3RyZWFt"}
    secret = httpx.post(f"{api}/secrets", json=SECRET | sealed | members).raise_for_status().json()
    [file] = files_of(server)
    copy = server.folder / "copy"
    copy.write_bytes(file.read_bytes())
    headers = {"SecLink-Manage": secret["manageToken"]}
    assert httpx.delete(f"{api}/receipts/{secret['receiptId']}", headers=headers).status_code == 204
    server.stop()
    assert copy.read_bytes() == DATA  # the bytes are there, and nothing that opens them
    assert files_of(server) == []
    raw = b"".join(path.read_bytes() for path in server.folder.glob("seclink.db*") if path.is_file())
    assert marker not in raw
    server.start()
    assert httpx.post(f"{api}/secrets/{secret['linkId']}/reveal", json={"files": True}).status_code == 410


def create_with_files(server: Server) -> dict[str, Any]:
    """Create a secret with the files; return the response."""
    api = f"{server.url}/api/v1"
    begun = begin(api)
    for n in range(len(CHUNKS)):
        assert put(api, begun, n) == 204
    members = {"upload": {"id": begun["uploadId"], "token": begun["uploadToken"]}}
    created: dict[str, Any] = httpx.post(f"{api}/secrets", json=SECRET | members).raise_for_status().json()
    return created


def test_backup_holds_no_chunk_and_restore_ends_what_had_files(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(prefix=ANY_DISK).start()
    api = f"{server.url}/api/v1"
    revealed_before, waiting = (create_with_files(server) for _ in range(2))
    path = f"{api}/secrets/{revealed_before['linkId']}/reveal"
    grant = httpx.post(path, json={"files": True}).raise_for_status().json()["files"]["grant"]
    names = [file.name.encode() for file in files_of(server)]
    options = ("--config", str(server.config))
    server.seclink("backup", str(tmp_path / "saved"), *options)
    saved = (tmp_path / "saved").read_bytes()
    assert not [part for part in (*names, *(chunk[:64] for chunk in CHUNKS)) if part in saved]
    assert server.stop() == 0
    server.seclink("restore", str(tmp_path / "saved"), "--replace", *options)
    server.start()
    assert files_of(server) == []
    assert httpx.post(f"{api}/secrets/{waiting['linkId']}/reveal", json={"files": True}).json()["code"] == "gone"
    assert httpx.get(f"{api}/files/0", headers={"SecLink-Grant": grant}).status_code == 404
    manage = {"SecLink-Manage": waiting["manageToken"]}
    receipt = httpx.get(f"{api}/receipts/{waiting['receiptId']}", headers=manage).raise_for_status().json()
    assert receipt["files"] == {"size": len(DATA), "grants": 0, "grantsUntil": None}


def test_unfinished_uploads_count_after_a_restart(make_server: MakeServer) -> None:
    constants = {"seclink.domain.uploads.MIN_FREE_BYTES": 0, "seclink.domain.files_state.MAX_UNFINISHED": 32}
    server = make_server(prefix=with_constants(constants)).start()
    headers = {"Authorization": f"Bearer {server.key()}"}

    def upload() -> int:
        return httpx.post(f"{server.url}/api/v1/uploads", json={"size": 284}, headers=headers).status_code

    assert [upload() for _ in range(5)] == [201, 201, 201, 201, 429]
    server.kill()
    server.start()
    assert upload() == 429


def test_copy_of_the_files_is_worthless_with_the_link_in_hand(make_server: MakeServer) -> None:
    """FOR-01: a thief has a copy of the folder and, too late, the whole link: nothing that is left opens a chunk."""
    server = make_server(prefix=ANY_DISK).start()
    api, key, stream_key = f"{server.url}/api/v1", bytes(range(32)), bytes(range(100, 132))
    content = b"the content of a file".ljust(256, b".")
    stream, keys = FileStream(stream_key, len(content)), envelope.derive(key)
    sealed, iv = stream.seal(0, bytes(12), content), bytes(range(12))
    header = {"type": "text", **FileHeader((FileEntry("a.txt", len(content)),), stream_key).members()}
    begun = httpx.post(f"{api}/uploads", json={"size": len(sealed)}).raise_for_status().json()
    token = {"SecLink-Upload": begun["uploadToken"], "Content-Type": "application/octet-stream"}
    path = f"{api}/uploads/{begun['uploadId']}/chunks/0"
    assert httpx.put(path, content=sealed, headers=token).status_code == 204
    blob = envelope.seal(keys.content_key, iv, header, b"")
    members = {
        "encryptedBlob": base64.b64encode(blob).decode(),
        "iv": base64.b64encode(iv).decode(),
        "accessHash": keys.access_hash,
        "format": "seclink/v1",
        "upload": {"id": begun["uploadId"], "token": begun["uploadToken"]},
    }
    secret = httpx.post(f"{api}/secrets", json=SECRET | members).raise_for_status().json()
    copy = [file.read_bytes() for file in files_of(server)]
    assert copy == [sealed]
    raw = b"".join(path.read_bytes() for path in server.folder.glob("seclink.db*") if path.is_file())
    assert blob in raw  # with it and the link, the copy would open
    revealed = httpx.post(
        f"{api}/secrets/{secret['linkId']}/reveal", json={"access": keys.access, "files": True}
    ).json()
    grant = {"SecLink-Grant": revealed["files"]["grant"]}
    assert httpx.delete(f"{api}/files", headers=grant).status_code == 204
    until(
        lambda: (
            blob[:64] not in b"".join(path.read_bytes() for path in server.folder.glob("seclink.db*") if path.is_file())
        )
    )
    until(lambda: files_of(server) == [])
    again = httpx.post(f"{api}/secrets/{secret['linkId']}/reveal", json={"access": keys.access, "files": True})
    assert again.json()["code"] == "gone"
    for derived in (key, keys.content_key, base64.urlsafe_b64decode(keys.access + "=")):
        with pytest.raises(NotAuthentic):
            FileStream(derived, len(content)).open(0, copy[0])
    assert FileStream(stream_key, len(content)).open(0, copy[0]) == content  # what was in the row


def test_client_that_stops_reading_holds_up_nobody(make_server: MakeServer) -> None:
    server = make_server(prefix=ANY_DISK).start()
    api = f"{server.url}/api/v1"
    begun = begin(api)
    for n in range(len(CHUNKS)):
        assert put(api, begun, n) == 204
    members = {"upload": {"id": begun["uploadId"], "token": begun["uploadToken"]}}
    secret = httpx.post(f"{api}/secrets", json=SECRET | members).raise_for_status().json()
    revealed = httpx.post(f"{api}/secrets/{secret['linkId']}/reveal", json={"files": True}).raise_for_status().json()
    grant = revealed["files"]["grant"]
    with httpx.stream("GET", f"{api}/files/0", headers={"SecLink-Grant": grant}) as response:
        next(response.iter_raw(1000))
        assert download(api, grant) == DATA
    assert "Traceback" not in server.log()

"""Files on a real server: what a kill, a backup and a restart leave of them, and what a copy is worth."""

import base64
import contextlib
import sqlite3
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from database_files import database_path, find_bytes
from file_client import ANY_DISK, CHUNKS, DATA, FileClient, files_of
from support.altered_constants import with_constants
from support.server import HIGH_RATES, MakeServer
from support.waiting import TIMEOUT_SECONDS, until

from seclink.errors import NotAuthentic
from seclink.format import envelope
from seclink.format.file_header import FileEntry, FileHeader
from seclink.format.file_stream import FileStream


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.01, 0.02, 0.04])
def test_killed_server_has_every_chunk_that_it_confirmed(make_server: MakeServer, moment: float) -> None:
    """CR-14: all chunks of an upload come at the same time."""
    server = make_server(prefix=ANY_DISK).start()
    with FileClient(server) as client:
        begun, confirmed = client.begin(), set()

        def send(n: int) -> None:
            try:
                if client.put(begun, n, CHUNKS[n]).status_code == 204:
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
        there = client.received(begun)
        assert confirmed <= there
        for n in set(range(len(CHUNKS))) - there:
            assert client.put(begun, n, CHUNKS[n]).status_code == 204
        secret = client.attach(begun).raise_for_status().json()
        grant = client.grant(secret)
        server.kill()
        server.start()
        assert client.download(grant) == DATA
        assert client.reveal(secret).json()["code"] == "gone"
        assert client.finish(grant).status_code == 204
    server.stop()
    server.start()
    assert files_of(server) == []


def test_backup_holds_no_chunk_and_restore_ends_what_had_files(make_server: MakeServer, tmp_path: Path) -> None:
    """BK-01, BK-03"""
    server = make_server(prefix=ANY_DISK).start()
    with FileClient(server) as client:
        revealed_before, waiting = client.create(), client.create()
        grant = client.grant(revealed_before)
        names = [file.name.encode() for file in files_of(server)]
        options = ("--config", str(server.config))
        server.seclink("backup", str(tmp_path / "saved"), *options)
        saved = (tmp_path / "saved").read_bytes()
        assert not [part for part in (*names, *(chunk[:64] for chunk in CHUNKS)) if part in saved]
        assert server.stop() == 0
        server.seclink("restore", str(tmp_path / "saved"), "--replace", *options)
        server.start()
        assert files_of(server) == []
        assert client.reveal(waiting).json()["code"] == "gone"
        assert client.chunk(grant, 0).status_code == 404
        manage = {"SecLink-Manage": waiting["manageToken"]}
        receipt = client.http.get(f"/receipts/{waiting['receiptId']}", headers=manage).raise_for_status().json()
    assert receipt["files"] == {"size": len(DATA), "grants": 0, "grantsUntil": None}


def test_unfinished_uploads_count_after_a_restart(make_server: MakeServer) -> None:
    """RL-11"""
    constants = {"seclink.domain.uploads.MIN_FREE_BYTES": 0, "seclink.domain.files_state.MAX_UNFINISHED": 32}
    server = make_server(prefix=with_constants(constants)).start()
    headers = {"Authorization": f"Bearer {server.key()}"}
    with FileClient(server) as client:

        def upload() -> int:
            return client.http.post("/uploads", json={"size": 284}, headers=headers).status_code

        assert [upload() for _ in range(5)] == [201, 201, 201, 201, 429]
        server.kill()
        server.start()
        assert upload() == 429


@pytest.mark.parametrize("ending", ["downloaded", "burned", "expired"])
def test_copy_of_the_files_is_worthless_with_the_link_in_hand(make_server: MakeServer, ending: str) -> None:
    """FOR-05: a thief has a copy of the folder, a backup and, too late, the whole link: nothing that is left opens a
    chunk.
    """
    server = make_server(HIGH_RATES + '[reaper]\nevery = "1s"\n', prefix=ANY_DISK).start()
    key, stream_key, content = bytes(range(32)), bytes(range(100, 132)), b"the content of a file".ljust(256, b".")
    stream, keys, iv = FileStream(stream_key, len(content)), envelope.derive(key), bytes(range(12))
    sealed = stream.seal(0, bytes(12), content)
    header = {"type": "text", **FileHeader((FileEntry("a.txt", len(content)),), stream_key).members()}
    blob = envelope.seal(keys.content_key, iv, header, b"")
    proof = {"access": keys.access, "files": True}
    with FileClient(server) as client:
        begun = client.begin(len(sealed))
        assert client.put(begun, 0, sealed).status_code == 204
        members: dict[str, Any] = {"payload": blob, "iv": iv, "accessHash": keys.access_hash, "format": "seclink/v1"}
        secret = client.attach(begun, **members).raise_for_status().json()
        copy = [file.read_bytes() for file in files_of(server)]
        assert copy == [sealed]
        server.seclink("backup", "saved.db", "--config", str(server.config))
        assert {name for name, _ in find_bytes(server.folder, blob)} <= {"seclink.db", "seclink.db-wal"}
        assert find_bytes(server.folder, blob)  # with it and the link, the copy would open
        if ending != "burned":
            revealed = client.http.post(f"/secrets/{secret['linkId']}/reveal", json=proof).raise_for_status().json()
            assert base64.b64decode(revealed["encryptedBlob"]) == blob
        if ending == "downloaded":
            assert client.finish(revealed["files"]["grant"]).status_code == 204
        elif ending == "burned":
            assert client.burn(secret).status_code == 204
        else:
            with contextlib.closing(sqlite3.connect(database_path(server.folder), timeout=TIMEOUT_SECONDS)) as db, db:
                db.execute("UPDATE grants SET expires_at = 1")
        until(lambda: not find_bytes(server.folder, blob[:64]))
        until(lambda: files_of(server) == [])
        again = client.http.post(f"/secrets/{secret['linkId']}/reveal", json=proof)
        assert again.json()["code"] == "gone"
    for derived in (key, keys.content_key, base64.urlsafe_b64decode(keys.access + "=")):
        with pytest.raises(NotAuthentic):
            FileStream(derived, len(content)).open(0, copy[0])
    assert FileStream(stream_key, len(content)).open(0, copy[0]) == content  # what was in the row alone


def test_client_that_stops_reading_holds_up_nobody(make_server: MakeServer) -> None:
    server = make_server(prefix=ANY_DISK).start()
    with FileClient(server) as client, FileClient(server) as other:
        grant = client.grant(client.create())
        with client.http.stream("GET", "/files/0", headers={"SecLink-Grant": grant}) as response:
            next(response.iter_raw(1000))
            assert other.download(grant) == DATA
    assert "Traceback" not in server.log()

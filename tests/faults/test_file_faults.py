"""Races for secrets with files, and disks that are full while files are on their way."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from api_client import NO_STORAGE_QUOTA, ApiClient, wait_until_ready
from crowd import Crowd, Request
from database_files import database_path, is_intact, query_value
from fault_injection import needs_mount
from file_client import ANY_DISK, CHUNKS, FileClient, files_of
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import until
from test_disks import fill, small_disk

__all__ = ["small_disk"]
ROUNDS = 20
CHUNK = bytes(300_000)


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    return make_server(prefix=ANY_DISK).start()


def test_one_of_two_readers_gets_the_files(server: Server) -> None:
    """ONE-01: one has the view and a grant, the other is told that it is gone; a burn ends what one of them got."""
    headers = (("SecLink-Files", "1"),)
    with FileClient(server) as client, Crowd(server, 2) as crowd:
        for number in range(ROUNDS):
            secret = client.create([CHUNK])
            reveal = Request("POST", f"/secrets/{secret['linkId']}/reveal", headers, b"{}")
            first, second = crowd.ask([reveal, reveal], pause=number % 4 * 0.0005)
            winner, loser = sorted((first, second), key=lambda response: response.status)
            assert (winner.status, loser.status, loser.json["code"]) == (200, 410, "gone")
            grant = winner.json["files"]["grant"]
            assert client.download(grant, 1) == CHUNK
            assert client.finish(grant).status_code == 204
    assert query_value(database_path(server.folder), "SELECT count(*) FROM grants") in (0, ROUNDS)
    until(lambda: files_of(server) == [])
    assert server.stop() == 0


def test_sender_who_burns_ends_a_download(server: Server) -> None:
    """SAVE-05: the reader has the chunks from before; tests/api stops a chunk on its way."""
    with FileClient(server) as client, FileClient(server) as sender:
        secret = client.create()
        grant = client.grant(secret)
        assert client.chunk(grant, 0).content == CHUNKS[0]
        assert sender.burn(secret).status_code == 204
        assert [client.chunk(grant, n).status_code for n in range(len(CHUNKS))] == [410] * len(CHUNKS)
        assert client.finish(grant).status_code == 410
        assert sender.burn(secret).status_code == 410
        until(lambda: files_of(server) == [])
    assert "Traceback" not in server.log()
    assert server.stop() == 0


@needs_mount
def test_full_disk_loses_nothing_at_any_step(make_server: MakeServer, small_disk: Path) -> None:
    """CR-15: begin, chunk, secret, reveal, end of the download: each is refused and works once there is room."""
    path = small_disk / "seclink.db"
    toml = HIGH_RATES + NO_STORAGE_QUOTA + f'[store]\npath = "{path}"\n'
    server = make_server(toml, prefix=ANY_DISK).start()
    with FileClient(server) as client, ApiClient(server) as api:
        client.create([CHUNK])  # so that folder and database are there

        def step(call: Callable[[], httpx.Response], *expected: int) -> httpx.Response:
            """Do a step on a full disk, which is refused, and again."""
            ballast = fill(small_disk)
            refused = call()
            assert refused.status_code in expected, refused.text
            assert refused.json()["code"] in ("files_full", "storage", "storage_full")
            ballast.unlink()
            wait_until_ready(api)
            done = call()
            assert done.status_code < 300, done.text
            return done

        begun = step(lambda: client.http.post("/uploads", json={"size": len(CHUNK)}), 503, 507).json()
        step(lambda: client.put(begun, 0, CHUNK), 503, 507)
        secret = step(lambda: client.attach(begun), 503, 507).json()
        grant = step(lambda: client.reveal(secret), 503).json()["files"]["grant"]
        step(lambda: client.chunk(grant, 0), 503)
        assert client.download(grant, 1) == CHUNK
        step(lambda: client.finish(grant), 503)
        until(lambda: len(list((small_disk / "seclink.db.files").iterdir())) == 1)  # of the first secret
        assert query_value(path, "SELECT count(*) FROM uploads") == 1
    assert server.stop() == 0, server.log()
    assert is_intact(path)

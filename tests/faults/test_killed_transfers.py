"""SIGKILL of the server at random moments of uploads and downloads: each ends whole or not at all, never twice. CR-14.

A round in the suite has a few kills; SECLINK_LONG=1 has 50 of uploads and 50 of downloads.
"""

import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from database_files import database_path, is_intact, open_readonly
from fault_injection import LONG
from file_client import ANY_DISK, CHUNKS, DATA, FileClient, files_of
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS, until

KILLS = 50 if LONG else 4


class Attempt:
    """One client's work, as far as it got: `confirmed` has what the server has answered, by step."""

    def __init__(self, server: Server, key: str) -> None:
        self.client, self.headers = FileClient(server), {"Idempotency-Key": key}
        self.confirmed: dict[str, Any] = {}

    def upload(self) -> None:
        self.confirmed["begun"] = begun = self.client.begin(headers=self.headers)
        for n, chunk in enumerate(CHUNKS):
            assert self.client.put(begun, n, chunk).status_code == 204
            self.confirmed[f"chunk {n}"] = True
        self.confirmed["created"] = self.client.attach(begun, self.headers).raise_for_status().json()

    def download(self, secret: dict[str, Any]) -> None:
        revealed = self.client.reveal(secret, **self.headers).raise_for_status().json()
        self.confirmed["grant"] = grant = revealed["files"]["grant"]
        for n, chunk in enumerate(CHUNKS):
            assert self.client.chunk(grant, n).content == chunk
            self.confirmed[f"chunk {n}"] = True
        assert self.client.finish(grant).status_code == 204
        self.confirmed["finished"] = True

    def run_and_kill(self, server: Server, work: Callable[[], None], moment: float) -> None:
        """Kill the server at a moment of the work; then start it again."""

        def run() -> None:
            try:
                work()
            except httpx.TransportError:
                return

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(moment)  # any moment is right; the test holds at each of them
        server.kill()
        thread.join(TIMEOUT_SECONDS)
        assert not thread.is_alive()
        self.client.http.close()
        server.start()
        check_folder(server)


def check_folder(server: Server) -> None:
    """Wait until the folder has exactly the files that the database knows; the reaper erases a file after its row."""

    def agree() -> bool:
        with open_readonly(database_path(server.folder)) as db:
            known = {file for (file,) in db.execute("SELECT file FROM uploads")}
        return {path.name for path in files_of(server)} == known

    until(agree)


def attached(server: Server, begun: dict[str, Any]) -> int:
    """Return how many secrets have the files of an upload."""
    with open_readonly(database_path(server.folder)) as db:
        query = "SELECT count(*) FROM attachments AS a JOIN uploads AS u ON u.id = a.upload WHERE u.upload_id = ?"
        [count] = db.execute(query, (begun["uploadId"],)).fetchone()
    return int(count)


def duration(server: Server, work: Callable[[Attempt], None]) -> float:
    """Return the shortest time that three runs took."""
    times = []
    for _ in range(3):
        attempt = Attempt(server, secrets.token_hex(16))
        began = time.monotonic()
        work(attempt)
        times.append(time.monotonic() - began)
        attempt.client.http.close()
    return min(times)


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    return make_server(prefix=ANY_DISK).start()


def test_killed_upload_is_whole_or_not_there(server: Server) -> None:
    """CR-14: the sender goes on with what the server knows; the secret is created once, or the upload goes on."""
    seconds = duration(server, Attempt.upload)
    chance, tally = random.Random(14), Counter[str]()
    for kill in range(KILLS):
        attempt = Attempt(server, f"attempt-of-an-upload-{kill}")
        attempt.run_and_kill(server, attempt.upload, chance.uniform(0, seconds))
        with FileClient(server) as client:
            outcome = go_on_with_upload(server, client, attempt)
        tally[outcome] += 1
        seconds *= 0.8 if outcome == "created" else 1.2  # most kills in the middle
        check_folder(server)
    end_all(server)
    print(f"\nCR-14: {KILLS} kills of uploads: {dict(sorted(tally.items()))}")


def go_on_with_upload(server: Server, client: FileClient, attempt: Attempt) -> str:
    """Do what a sender does after the kill; return what the kill has left."""
    begun, created = attempt.confirmed.get("begun"), attempt.confirmed.get("created")
    if begun is None:
        return "not begun"
    if created is not None:
        outcome = "created"
    elif attached(server, begun):
        outcome = "created, without an answer"  # nobody knows its link: it ends by its own expiry
    else:
        there = client.received(begun)
        assert {n for n in range(len(CHUNKS)) if f"chunk {n}" in attempt.confirmed} <= there
        assert {client.put(begun, n, chunk).status_code for n, chunk in enumerate(CHUNKS)} == {204}
        created = client.attach(begun, attempt.headers).raise_for_status().json()
        outcome = f"had {len(there)} chunks"
    assert attached(server, begun) == 1
    assert client.attach(begun).json()["code"] == "upload_used"
    if created is not None:
        grant = client.grant(created)
        assert client.reveal(created).json()["code"] == "gone"
        assert client.download(grant) == DATA
        assert client.finish(grant).status_code == 204
    return outcome


def test_killed_download_is_whole_or_spent_once(server: Server) -> None:
    """CR-14: who has the grant goes on with it; who has no answer finds the secret untouched, or spent once."""
    with FileClient(server) as client:
        made = [client.create() for _ in range(3)]
        seconds = duration(server, lambda attempt: attempt.download(made.pop()))
    chance, tally = random.Random(15), Counter[str]()
    for kill in range(KILLS):
        with FileClient(server) as client:
            secret = client.create()
        attempt = Attempt(server, f"attempt-of-a-download-{kill}")
        attempt.run_and_kill(server, partial(attempt.download, secret), chance.uniform(0, seconds))
        with FileClient(server) as client:
            outcome = go_on_with_download(client, attempt, secret)
            assert client.burn(secret).status_code in (204, 410)
        tally[outcome] += 1
        seconds *= 0.8 if outcome == "finished" else 1.2  # most kills in the middle
        check_folder(server)
    end_all(server)
    print(f"\nCR-14: {KILLS} kills of downloads: {dict(sorted(tally.items()))}")


def go_on_with_download(client: FileClient, attempt: Attempt, secret: dict[str, Any]) -> str:
    """Do what a reader does after the kill; return what the kill has left."""
    grant, again = attempt.confirmed.get("grant"), client.reveal(secret)
    if grant is None and again.status_code == 200:
        assert client.reveal(secret).json()["code"] == "gone"
        assert client.download(again.json()["files"]["grant"]) == DATA
        return "not revealed"
    assert again.json()["code"] == "gone"
    if grant is None:
        return "revealed, without an answer"
    if client.chunk(grant, 0).status_code == 410:
        assert f"chunk {len(CHUNKS) - 1}" in attempt.confirmed
        return "finished" if "finished" in attempt.confirmed else "finished, without an answer"
    assert "finished" not in attempt.confirmed
    assert client.download(grant) == DATA
    assert client.finish(grant).status_code == 204
    return f"had {sum(name.startswith('chunk') for name in attempt.confirmed)} chunks"


def end_all(server: Server) -> None:
    """Stop and start the server: it is well, and its folder has only what secrets or uploads still need."""
    assert server.stop() == 0
    assert is_intact(database_path(server.folder))
    server.start()
    check_folder(server)
    with open_readonly(database_path(server.folder)) as db:
        unneeded = db.execute(
            "SELECT count(*) FROM uploads AS u WHERE outstanding = 0 AND NOT EXISTS (SELECT 1 FROM attachments AS a"
            " JOIN secrets AS s ON s.id = a.secret WHERE a.upload = u.id AND s.state = 'active')"
        ).fetchone()
    assert unneeded == (0,)
    assert "Traceback" not in server.log()

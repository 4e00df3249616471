"""Clocks that jump while uploads and downloads are under way: CR-09."""

from typing import Any

import pytest
from api_client import ApiClient
from database_files import query_value
from fault_fixtures import FakedClock
from file_client import ANY_DISK, FileClient, files_of
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import until

CHUNK = bytes(284)
OFTEN = HIGH_RATES + '[reaper]\nevery = "1s"\n'


class Transfers:
    """An upload that has none of its chunks, a grant, and a secret with files that waits."""

    def __init__(self, server: Server) -> None:
        with FileClient(server) as client:
            self.begun = client.begin(len(CHUNK))
            revealed = client.reveal(client.create([CHUNK], expiresIn=7 * 86400, maxViews=1)).raise_for_status().json()
            self.grant = revealed["files"]["grant"]
            self.waiting = client.create([CHUNK], expiresIn=7 * 86400, maxViews=1)
            self.expires_at = (self.begun["expiresAt"], revealed["files"]["grantExpiresAt"])

    def check_live(self, server: Server) -> None:
        with FileClient(server) as client:
            assert client.status(self.begun).json()["expiresAt"] == self.expires_at[0]
            assert client.chunk(self.grant, 0).content == CHUNK
            assert client.http.get(f"/secrets/{self.waiting['linkId']}/meta").status_code == 200

    def check_ended(self, server: Server) -> None:
        """The upload and the grant; the secret still waits."""
        with FileClient(server) as client:
            assert client.status(self.begun).status_code == 404
            assert client.put(self.begun, 0, CHUNK).status_code == 404
            assert client.chunk(self.grant, 0).status_code in (404, 410)
            assert client.http.get(f"/secrets/{self.waiting['linkId']}/meta").status_code == 200

    def finish(self, server: Server) -> None:
        with FileClient(server) as client:
            assert client.put(self.begun, 0, CHUNK).status_code == 204
            assert client.attach(self.begun).status_code == 201
            assert client.finish(self.grant).status_code == 204
            assert client.download(client.grant(self.waiting), 1) == CHUNK


@pytest.fixture
def server(make_server: MakeServer, faked: FakedClock) -> Server:
    return make_server(OFTEN, env=faked[0], prefix=ANY_DISK).start()


def mark(server: Server) -> Any:
    return query_value(server.folder / "seclink.db", "SELECT clock_mark FROM meta")


def wait_for_a_round(server: Server) -> None:
    """Wait for a round of the reaper, which records the time."""
    before = mark(server)
    until(lambda: mark(server) > before)


def test_running_transfers_do_not_follow_the_wall_clock(server: Server, faked: FakedClock) -> None:
    """CR-09: neither beyond all of their ends nor back."""
    transfers, (_, tell) = Transfers(server), faked
    for jump in ("+20h", "-20h", "@1970-01-02 00:00:00", "+400d", "+0"):
        tell(jump)
        wait_for_a_round(server)
        transfers.check_live(server)
    transfers.finish(server)
    assert server.stop() == 0


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
def test_transfers_that_ended_ahead_stay_so_when_the_clock_goes_back(
    server: Server, faked: FakedClock, is_killed: bool
) -> None:
    """CR-09: a start beyond their ends, by less than a day, ends and erases them; no clock brings one back."""
    transfers, (_, tell) = Transfers(server), faked
    assert server.stop() == 0
    tell("+20h")
    server.start()
    until(lambda: len(files_of(server)) == 1)  # the secret's that waits
    transfers.check_ended(server)
    for then in ("+0", "@1970-01-02 00:00:00"):
        if is_killed:
            server.kill()
        else:
            assert server.stop() == 0
        tell(then)
        server.start()
        wait_for_a_round(server)
        transfers.check_ended(server)
        assert len(files_of(server)) == 1
    with FileClient(server) as client:
        assert client.download(client.grant(transfers.waiting), 1) == CHUNK


@pytest.mark.parametrize("then", ["-1d", "@1970-01-02 00:00:00"])
def test_start_with_a_clock_that_is_behind_lengthens_no_transfer(server: Server, faked: FakedClock, then: str) -> None:
    """CR-09"""
    transfers, (_, tell) = Transfers(server), faked
    assert server.stop() == 0
    tell(then)
    server.start()
    transfers.check_live(server)
    with FileClient(server) as client:
        assert abs(client.begin(len(CHUNK))["expiresAt"] - transfers.expires_at[0]) < 600_000
    transfers.finish(server)
    assert server.stop() == 0


def test_clock_far_ahead_ends_no_upload_and_no_download(server: Server, faked: FakedClock) -> None:
    """CR-09: more than a day ahead, nothing is erased, and both go on when the clock is right."""
    transfers, (_, tell) = Transfers(server), faked
    assert server.stop() == 0
    for then in ("+26h", "@2039-01-01 00:00:00"):
        tell(then)
        server.start()
        with ApiClient(server) as api:
            until(lambda api=api: api.ready().json().get("clock") == "doubtful")  # type: ignore[misc]
        wait_for_a_round(server)
        assert len(files_of(server)) == 3
        assert server.stop() == 0
    tell("+0")
    server.start()
    transfers.check_live(server)
    transfers.finish(server)
    assert server.stop() == 0

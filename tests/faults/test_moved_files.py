"""Files that go missing after a kill, and the same files under another configuration. CR-08, CR-10."""

from pathlib import Path
from typing import Any

from api_client import ApiClient, payload_of
from database_files import database_path, find_bytes, is_intact, wait_until_erased, wait_until_truncated
from recording_client import RIGHT_PASSCODE, WRONG_PASSCODE
from support.server import HIGH_RATES, MakeServer, Server

OTHER = """
[server]
public_url = "https://elsewhere.example/secrets"
requests = 50
[store]
max_bytes = 1048576
[access]
create = "keys"
[expiry]
default = "60s"
max = "1h"
[limits]
payload_bytes = 1024
client_bytes = 1024
[passcodes]
profile = "strong"
[receipts]
keep_days = 1
[branding]
name = "Another"
[dialects.scrt-link]
enabled = false
"""


class Before:
    """Secrets of which some ended before the log was last emptied, and some after; then the server was killed."""

    def __init__(self, server: Server) -> None:
        server.start()
        with ApiClient(server) as api:
            self.ended = [api.create(b"ended early %d" % n) for n in range(3)]
            self.kept = [api.create(b"kept %d" % n) for n in range(3)]
            self.ended_late = [api.create(b"ended late %d" % n) for n in range(3)]
            end(api, self.ended)
            wait_until_truncated(server.folder)
            end(api, self.ended_late)
            self.late = api.create(b"created late")
        server.kill()

    def check_swept(self, api: ApiClient) -> None:
        for each in self.ended:
            assert api.reveal(each["linkId"]).status_code == 410
        assert [payload_of(api.reveal(receipt["linkId"]).json()) for receipt in self.kept] == [
            b"kept %d" % n for n in range(3)
        ]
        assert {api.reveal(receipt["linkId"]).status_code for receipt in self.kept} == {410}


def end(api: ApiClient, receipts: list[dict[str, Any]]) -> None:
    for receipt in receipts[1:]:
        assert api.reveal(receipt["linkId"]).status_code == 200
    assert api.burn(receipts[0]).status_code == 204


def test_lost_shared_memory_file_loses_nothing(make_server: MakeServer) -> None:
    """CR-08"""
    server = make_server()
    before = Before(server)
    Path(f"{database_path(server.folder)}-shm").unlink()
    server.start()
    with ApiClient(server) as api:
        before.check_swept(api)
        assert {api.reveal(each["linkId"]).status_code for each in before.ended_late} == {410}
        assert payload_of(api.reveal(before.late["linkId"]).json()) == b"created late"
    wait_until_erased(server.folder, b"ended early", b"ended late", b"kept", b"created late")


def test_lost_log_loses_only_writes_since_the_last_checkpoint(make_server: MakeServer) -> None:
    """CR-08: a second's worth. No start can tell, so taking the file away is nothing to do lightly.

    The same goes for a copy of the file without its log; backups are made by the command.
    """
    server = make_server()
    before = Before(server)
    assert find_bytes(server.folder, b"ended late")
    Path(f"{database_path(server.folder)}-wal").unlink()
    assert is_intact(database_path(server.folder))
    server.start()
    with ApiClient(server) as api:
        before.check_swept(api)
        assert api.reveal(before.late["linkId"]).status_code == 404
        assert {api.reveal(each["linkId"]).status_code for each in before.ended_late} <= {200, 410}
    assert server.stop() == 0
    assert is_intact(database_path(server.folder))
    assert find_bytes(server.folder, b"ended early", b"kept") == []


def test_changed_configuration_ends_no_secret(make_server: MakeServer) -> None:
    """CR-10: the server has no key that could be the wrong one; what was taken in is kept as promised."""
    server = make_server(HIGH_RATES + "[receipts]\nkeep_days = 30\n").start()
    key = server.key()
    with ApiClient(server) as api:
        receipts = [api.create(b"x" * 20_000, expiryType="7days", publicNote="note", maxViews=1) for _ in range(5)]
        guarded = api.create(b"guarded", passcodeHash=RIGHT_PASSCODE)
        spent = api.create(b"spent")
        assert api.reveal(spent["linkId"]).status_code == 200
        assert api.reveal(guarded["linkId"], **{"SecLink-Passcode": WRONG_PASSCODE}).json()["attemptsLeft"] == 4
    assert server.stop() == 0
    server.config.write_text(HIGH_RATES + OTHER)
    server.start()
    with ApiClient(server) as api:
        bearer = {"Authorization": f"Bearer {key}"}
        assert api.http.get("/account", headers=bearer).status_code == 200
        for receipt in receipts:
            told = api.meta(receipt["linkId"]).json()
            assert (told["expiresAt"], told["publicNote"], told["viewsLeft"]) == (receipt["expiresAt"], "note", 1)
            assert api.receipt(receipt)["state"] == "active"
        assert api.reveal(spent["linkId"]).status_code == 410
        assert api.reveal(guarded["linkId"], **{"SecLink-Passcode": WRONG_PASSCODE}).json()["attemptsLeft"] == 3
        assert payload_of(api.reveal(guarded["linkId"], **{"SecLink-Passcode": RIGHT_PASSCODE}).json()) == b"guarded"
        assert {payload_of(api.reveal(receipt["linkId"]).json()) for receipt in receipts} == {b"x" * 20_000}
    assert server.stop() == 0

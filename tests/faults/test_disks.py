"""Disks that are full, read-only, failing or held by somebody else: CR-03, CR-04, CR-05, CR-07, OPS-05.

Where this machine cannot do what a test needs (mount, strace), the test fails and says so; SECLINK_WITHOUT_MOUNT=1 or
SECLINK_WITHOUT_STRACE=1 in the environment is the only way to go without.
"""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_client import NO_STORAGE_QUOTA, ApiClient, create_request, payload_of, wait_until_ready
from crowd import Crowd, reveal_request
from database_files import database_path, is_intact
from fault_injection import failing_calls, lock_database, needs_mount, needs_strace, require_program
from support.server import HIGH_RATES, MakeServer
from support.waiting import TIMEOUT_SECONDS

SMALL = 6 * 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    require_program("mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={SMALL},mode=700", "none", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=TIMEOUT_SECONDS)


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, f"this machine does not let us mount; see the docstring above: {done.stderr}"


def fill(folder: Path) -> Path:
    """Fill the disk with a file."""
    path = folder / "ballast"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return path


def check_ready(api: ApiClient, is_ready: bool) -> None:
    response = api.ready()
    assert response.status_code == (200 if is_ready else 503), response.text
    assert api.http.get(f"{api.root}/healthz").status_code == 200
    for word in ("seclink.db", "/", "SQL", "disk", "locked", "sqlite"):
        assert word not in response.text.replace("application/", "")


@needs_mount
def test_full_disk_stores_no_secret_and_spends_no_view(make_server: MakeServer, small_disk: Path) -> None:
    """CR-04, OPS-05"""
    path = small_disk / "seclink.db"
    server = make_server(HIGH_RATES + NO_STORAGE_QUOTA + f'[store]\npath = "{path}"\n').start()
    with ApiClient(server) as api:
        receipts = [api.create(b"before it was full %d" % n, publicNote="note") for n in range(10)]
        check_ready(api, True)
        time.sleep(1.5)  # the log has been emptied
        ballast = fill(small_disk)
        refused = [api.http.post("/secrets", json=big()) for _ in range(3)]
        assert {each.status_code for each in refused} <= {503, 507}
        for receipt in receipts:
            response = api.reveal(receipt["linkId"], **{"Idempotency-Key": f"0123456789{receipt['linkId']}"})
            assert (response.status_code, response.json()["code"]) == (503, "storage")
            assert int(response.headers["Retry-After"]) >= 1
            meta = api.meta(receipt["linkId"])
            assert (meta.status_code, meta.json()["publicNote"]) == (200, "note")
            assert api.receipt(receipt)["state"] == "active"
        assert api.burn(receipts[0]).status_code == 503
        check_ready(api, False)
        ballast.unlink()
        wait_until_ready(api)
        for n, each in enumerate(receipts):
            response = api.reveal(each["linkId"], **{"Idempotency-Key": f"0123456789{each['linkId']}"})
            assert payload_of(response.json()) == b"before it was full %d" % n
        assert api.reveal(api.create()["linkId"]).status_code == 200
    assert server.stop() == 0, server.log()
    assert is_intact(path)


@needs_mount
def test_disk_filled_by_creating_returns_507_and_still_reveals(make_server: MakeServer, small_disk: Path) -> None:
    """CR-04: all acknowledged secrets are readable, and revealing them frees space."""
    path = small_disk / "seclink.db"
    server = make_server(
        HIGH_RATES + NO_STORAGE_QUOTA + f'[store]\npath = "{path}"\nmax_bytes = {SMALL // 3}\n'
    ).start()
    with ApiClient(server) as api:
        made = []
        for _ in range(100):
            response = api.http.post("/secrets", json=big())
            if response.status_code != 201:
                assert (response.status_code, response.json()["code"]) == (507, "storage_full")
                break
            made.append(response.json())
        else:
            raise AssertionError("the store never said that it is full")
        assert len(made) > 3
        check_ready(api, True)
        assert {api.reveal(receipt["linkId"]).status_code for receipt in made} == {200}
        assert api.http.post("/secrets", json=big()).status_code == 201
    assert server.stop() == 0


def big() -> dict[str, Any]:
    return create_request(os.urandom(200_000))


@needs_strace
def test_read_only_file_system_spends_no_view(make_server: MakeServer) -> None:
    """CR-05, OPS-05: as the kernel does after an error, while files are open."""
    require_program("strace")
    server = make_server().start()
    with ApiClient(server) as api:
        receipts = [api.create(b"before") for _ in range(3)]
        check_ready(api, True)
        time.sleep(1.1)
        with failing_calls(server.process.pid, "pwrite64,ftruncate,fallocate", "EROFS"):
            assert api.http.post("/secrets", json=big()).status_code == 503
            for receipt in receipts:
                assert api.reveal(receipt["linkId"]).status_code == 503
                assert api.meta(receipt["linkId"]).status_code == 200
            check_ready(api, False)
        wait_until_ready(api)
        assert [payload_of(api.reveal(receipt["linkId"]).json()) for receipt in receipts] == [b"before"] * 3
    assert server.stop() == 0
    assert is_intact(database_path(server.folder))


@needs_mount
def test_start_on_a_read_only_file_system_is_refused(make_server: MakeServer, small_disk: Path) -> None:
    """CR-05"""
    path = small_disk / "seclink.db"
    server = make_server(f'[store]\npath = "{path}"\n').start()
    assert server.stop() == 0
    server.log_path.unlink()
    mount("-o", "remount,ro", str(small_disk))
    server.start(wait=False)
    assert server.process.wait(TIMEOUT_SECONDS) == 1
    assert server.log() == f"seclink: {server.config}:2: store.path: {path}: cannot be used: Read-only file system\n"


@needs_strace
@pytest.mark.parametrize(
    ("calls", "error"),
    [
        ("pwrite64", "EIO"),
        ("pwrite64", "ENOSPC"),
        ("fdatasync,fsync", "EIO"),
        ("fdatasync,fsync", "ENOSPC"),
        ("pwrite64,fdatasync,fsync,ftruncate", "EIO"),
    ],
)
def test_no_secret_leaves_without_a_durable_claim(make_server: MakeServer, calls: str, error: str) -> None:
    """CR-03: whichever call fails, nothing is acknowledged; afterwards every secret can be read at most once."""
    require_program("strace")
    server = make_server().start()
    with ApiClient(server) as api, Crowd(server, 8) as crowd:
        receipts = [api.create(b"durable or not %d" % n) for n in range(8)]
        time.sleep(1.1)
        with failing_calls(server.process.pid, calls, error):
            responses = crowd.ask([reveal_request(receipt["linkId"]) for receipt in receipts])
            assert {response.status for response in responses} == {503}
            assert {response.json["code"] for response in responses} == {"storage"}
            assert api.http.post("/secrets", json=big()).status_code in (503, 507)
            assert api.burn(receipts[0]).status_code == 503
            assert api.http.get(f"{api.root}/healthz").status_code == 200
        wait_until_ready(api)
        again = [api.reveal(receipt["linkId"]) for receipt in receipts]
        assert {each.status_code for each in again} <= {200, 410}
        assert {api.reveal(receipt["linkId"]).status_code for receipt in receipts} == {410}
        made = api.create(b"works again")
        assert payload_of(api.reveal(made["linkId"]).json()) == b"works again"
    server.kill()
    server.start()
    with ApiClient(server) as api:
        assert {api.reveal(receipt["linkId"]).status_code for receipt in receipts} == {410}
    assert server.stop() == 0
    assert is_intact(database_path(server.folder))


@needs_strace
def test_failing_commit_fails_every_write_of_its_group(make_server: MakeServer) -> None:
    """CR-03: thirty reveals that wait for one commit all fail with it."""
    require_program("strace")
    server = make_server().start()
    with ApiClient(server) as api, Crowd(server, 30) as crowd:
        receipts = [api.create() for _ in range(30)]
        requests = [reveal_request(receipt["linkId"]) for receipt in receipts]
        time.sleep(1.1)
        with failing_calls(server.process.pid, "fdatasync", "EIO"), lock_database(database_path(server.folder)) as lock:
            crowd.prime(requests)
            crowd.release(requests)
            time.sleep(0.5)  # all of them wait for the lock; then they go as one group
            lock.kill()
            responses = crowd.read(30)
        assert {response.status for response in responses} == {503}
    assert server.stop() == 0


def test_requests_wait_for_a_lock_of_three_seconds(make_server: MakeServer) -> None:
    """CR-07"""
    server = make_server().start()
    with ApiClient(server) as api, Crowd(server, 20) as crowd:
        receipts = [api.create(b"waited for") for _ in range(20)]
        requests = [reveal_request(receipt["linkId"]) for receipt in receipts]
        with lock_database(database_path(server.folder)) as lock:
            crowd.prime(requests)
            crowd.release(requests)
            assert api.meta(receipts[0]["linkId"]).status_code == 200  # looking goes on meanwhile
            time.sleep(3)
            lock.kill()
            assert [payload_of(response.json) for response in crowd.read(20)] == [b"waited for"] * 20
    assert server.stop() == 0


def test_longer_lock_returns_503_to_all_at_once_and_loses_nothing(make_server: MakeServer) -> None:
    """CR-07, OPS-05: requests that wait together fail together, not one after the other."""
    server = make_server().start()
    with ApiClient(server) as api, Crowd(server, 20) as crowd:
        receipts = [api.create(b"not lost") for _ in range(20)]
        requests = [reveal_request(receipt["linkId"]) for receipt in receipts]
        time.sleep(1.1)
        with lock_database(database_path(server.folder)):
            began = time.monotonic()
            crowd.prime(requests)
            crowd.release(requests)
            responses = crowd.read(20)
            took = time.monotonic() - began
            assert {response.status for response in responses} == {503}
            assert {response.json["code"] for response in responses} == {"storage"}
            assert all(int(response.headers["retry-after"]) >= 1 for response in responses)
            assert 4 < took < 25  # two groups at most, where one by one would be 100 s
            check_ready(api, False)
        wait_until_ready(api)
        assert [payload_of(api.reveal(receipt["linkId"]).json()) for receipt in receipts] == [b"not lost"] * 20
    assert server.stop() == 0


def test_health_needs_no_store_and_readiness_needs_the_reaper(make_server: MakeServer) -> None:
    """OPS-05: the server is ready after the reaper's first round."""
    server = make_server().start()
    with ApiClient(server) as api:
        wait_until_ready(api)
        assert api.ready().json() == {"status": "ready"}
        assert api.http.get(f"{api.root}/healthz").json() == {"status": "alive"}
    assert server.stop() == 0

"""Too few files, too little memory, no time: some are refused, nothing falls, all recovers. CR-11, CR-12, OPS-05."""

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_client import NO_STORAGE_QUOTA, ApiClient, create_request, payload_of
from crowd import Crowd, reveal_request
from fault_injection import require_program
from mixed_load import resource_usage
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

MOST_BYTES = 2_097_152  # limits.payload_bytes
UPLOADS = 50


@pytest.mark.parametrize("files", [64, 128])
def test_few_open_files_only_reject_some_clients(make_server: MakeServer, files: int) -> None:
    """CR-11: two hundred clients at once; newcomers are answered, the reaper goes round, all recover."""
    require_program("prlimit")
    toml = HIGH_RATES + '[reaper]\nevery = "1s"\n'
    server = make_server(toml, prefix=("prlimit", f"--nofile={files}:{files}")).start()
    with ApiClient(server) as api:
        receipts = [api.create(b"kept %d" % n) for n in range(5)]
    with contextlib.ExitStack() as stack:
        for n in range(200):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS))
            with contextlib.suppress(ConnectionError):
                client.sendall(reveal_request(receipts[n % 5]["linkId"]).encode()[: n % 40])
        assert resource_usage(server)["files"] <= files
        with httpx.Client(timeout=TIMEOUT_SECONDS) as newcomer:
            assert newcomer.get(f"{server.url}/healthz").status_code == 200
            assert newcomer.get(f"{server.url}/readyz").status_code == 200
    with ApiClient(server) as api:
        assert [payload_of(api.reveal(receipt["linkId"]).json()) for receipt in receipts] == [
            b"kept %d" % n for n in range(5)
        ]
        assert api.reveal(api.create()["linkId"]).status_code == 200
    assert server.stop() == 0, server.log()
    assert "Traceback" not in server.log()


def test_many_large_uploads_at_once_use_bounded_memory(make_server: MakeServer) -> None:
    """CR-12: fifty of the largest size from five addresses; some are told to come again, none breaks anything."""
    server = make_server(HIGH_RATES + NO_STORAGE_QUOTA).start()
    before = resource_usage(server)["rss"]
    told, made = upload(server)
    assert set(told) <= {201, 503}
    assert told[201] >= 5
    with ApiClient(server) as api:
        assert {len(payload_of(api.reveal(receipt["linkId"]).json())) for receipt in made} == {MOST_BYTES}
    peak = status_of(server, "VmHWM")
    print(f"\nCR-12: {dict(told)}, {before:.0f} MiB before, {peak:.0f} MiB at most")
    assert peak < before + 400  # 64 MiB of bodies, and what becomes of them on the way
    assert server.stop() == 0, server.log()
    assert "Traceback" not in server.log()


def test_exhausted_memory_fails_requests_but_not_the_server(make_server: MakeServer) -> None:
    """CR-12: with hardly more than it has; afterwards it works as before, and what was acknowledged is there."""
    server = make_server(HIGH_RATES + NO_STORAGE_QUOTA).start()
    with ApiClient(server) as api:
        receipts = [api.create(os.urandom(300_000)) for _ in range(3)]
        room = int(status_of(server, "VmSize") + 24) * 2**20
        limit_memory(server, room)
        told, made = upload(server)
        limit_memory(server, resource.RLIM_INFINITY)
        print(f"\nCR-12: with 24 MiB to spare: {dict(told)}")
        assert set(told) <= {0, 201, 503}  # 0: not even room to read it
        assert told[503] > 5, "it had enough: this shows nothing"
        assert {api.reveal(receipt["linkId"]).status_code for receipt in [*receipts, *made]} == {200}
        assert {api.reveal(receipt["linkId"]).status_code for receipt in [*receipts, *made]} == {410}
        assert api.reveal(api.create(os.urandom(MOST_BYTES))["linkId"]).status_code == 200
        assert api.ready().status_code == 200
    assert server.stop() == 0, server.log()


def upload(server: Server) -> tuple[Counter[int], list[Any]]:
    """Fifty at once, all but their last bytes first: how often which status, and what was made."""
    told, made, ready = Counter[int](), [], threading.Barrier(UPLOADS)

    def one(number: int) -> None:
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{number % 5 + 1}")
        said = create_request(os.urandom(MOST_BYTES))
        with httpx.Client(transport=transport, timeout=TIMEOUT_SECONDS * 2) as client:
            ready.wait(TIMEOUT_SECONDS)
            try:
                response = client.post(f"{server.url}/api/v1/secrets", json=said)
            except httpx.TransportError:
                told[0] += 1
                return
            told[response.status_code] += 1
            if response.status_code == 201:
                made.append(response.json())

    threads = [threading.Thread(target=one, args=(number,)) for number in range(UPLOADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS * 3)
    assert sum(told.values()) == UPLOADS
    return told, made


def limit_memory(server: Server, most: int) -> None:
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def status_of(server: Server, name: str) -> float:
    """In MiB."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def test_suspended_server_continues_where_it_was(make_server: MakeServer) -> None:
    """OPS-05: while its loop stands it does not seem alive; then all who waited are answered, each secret once."""
    server = make_server(HIGH_RATES + '[reaper]\nevery = "1s"\n').start()
    with ApiClient(server) as api, Crowd(server, 20) as crowd:
        receipts = [api.create(b"waited %d" % (n % 10)) for n in range(10)]
        crowd.prime([reveal_request(receipt["linkId"]) for receipt in receipts * 2])
        os.kill(server.process.pid, signal.SIGSTOP)
        crowd.release([reveal_request(receipt["linkId"]) for receipt in receipts * 2])
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{server.url}/healthz", timeout=1)
        time.sleep(2)
        os.kill(server.process.pid, signal.SIGCONT)
        responses = crowd.read(20)
        assert Counter(response.status for response in responses) == {200: 10, 410: 10}
        assert sorted(payload_of(response.json) for response in responses if response.status == 200) == [
            b"waited %d" % n for n in range(10)
        ]
        assert api.ready().status_code == 200
    assert server.stop() == 0, server.log()

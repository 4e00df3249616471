"""Too few files, too little memory, no time: some are refused, nothing falls, all recovers. CR-11, CR-12, OPS-05."""

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from appliances import NO_BYTES_LIMIT, PATIENCE, PLENTY, Api, Crowd, body, need, payload_of, post, reveal
from mixed_load import figures_of

MOST_BYTES = 2_097_152  # limits.payload_bytes
UPLOADS = 50


@pytest.mark.parametrize("files", [64, 128])
def test_few_open_files_turn_clients_away_and_nothing_else(make_server: Callable[..., Any], files: int) -> None:
    """CR-11: two hundred clients at once; newcomers are answered, the reaper goes round, all recover."""
    need("prlimit")
    toml = PLENTY + '[reaper]\nevery = "1s"\n'
    server = make_server(toml, prefix=("prlimit", f"--nofile={files}:{files}")).start()
    with Api(server) as api:
        made = [api.create(b"kept %d" % n) for n in range(5)]
    with contextlib.ExitStack() as stack:
        for n in range(200):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE))
            with contextlib.suppress(ConnectionError):
                client.sendall(reveal(made[n % 5]["linkId"]).encode()[: n % 40])
        assert figures_of(server)["files"] <= files
        with httpx.Client(timeout=PATIENCE) as newcomer:
            assert newcomer.get(f"{server.url}/healthz").status_code == 200
            assert newcomer.get(f"{server.url}/readyz").status_code == 200
    with Api(server) as api:
        assert [payload_of(api.reveal(each["linkId"]).json()) for each in made] == [b"kept %d" % n for n in range(5)]
        assert api.reveal(api.create()["linkId"]).status_code == 200
    assert server.stop() == 0, server.log()
    assert "Traceback" not in server.log()


def test_many_large_uploads_at_once_stay_within_bounds(make_server: Callable[..., Any]) -> None:
    """CR-12: fifty of the largest size from five addresses; some are told to come again, none breaks anything."""
    server = make_server(PLENTY + NO_BYTES_LIMIT).start()
    before = figures_of(server)["rss"]
    told, made = upload(server)
    assert set(told) <= {201, 503}
    assert told[201] >= 5
    with Api(server) as api:
        assert {len(payload_of(api.reveal(each["linkId"]).json())) for each in made} == {MOST_BYTES}
    peak = status_of(server, "VmHWM")
    print(f"\nCR-12: {dict(told)}, {before:.0f} MiB before, {peak:.0f} MiB at most")
    assert peak < before + 400  # 64 MiB of bodies, and what becomes of them on the way
    assert server.stop() == 0, server.log()
    assert "Traceback" not in server.log()


def test_memory_that_runs_out_fails_requests_not_the_server(make_server: Callable[..., Any]) -> None:
    """CR-12: with hardly more than it has; afterwards it works as before, and what was acknowledged is there."""
    server = make_server(PLENTY + NO_BYTES_LIMIT).start()
    with Api(server) as api:
        kept = [api.create(os.urandom(300_000)) for _ in range(3)]
        room = int(status_of(server, "VmSize") + 24) * 2**20
        limit_memory(server, room)
        told, made = upload(server)
        limit_memory(server, resource.RLIM_INFINITY)
        print(f"\nCR-12: with 24 MiB to spare: {dict(told)}")
        assert set(told) <= {0, 201, 503}  # 0: not even room to read it
        assert told[503] > 5, "it had enough: this shows nothing"
        assert {api.reveal(each["linkId"]).status_code for each in [*kept, *made]} == {200}
        assert {api.reveal(each["linkId"]).status_code for each in [*kept, *made]} == {410}
        assert api.reveal(api.create(os.urandom(MOST_BYTES))["linkId"]).status_code == 200
        assert api.ready().status_code == 200
    assert server.stop() == 0, server.log()


def upload(server: Any) -> tuple[Counter[int], list[Any]]:
    """Fifty at once, all but their last bytes first: how often which status, and what was made."""
    told, made, ready = Counter[int](), [], threading.Barrier(UPLOADS)

    def one(number: int) -> None:
        transport = httpx.HTTPTransport(local_address=f"127.0.0.{number % 5 + 1}")
        said = body(os.urandom(MOST_BYTES))
        with httpx.Client(transport=transport, timeout=PATIENCE * 2) as client:
            ready.wait(PATIENCE)
            try:
                answer = client.post(f"{server.url}/api/v1/secrets", json=said)
            except httpx.TransportError:
                told[0] += 1
                return
            told[answer.status_code] += 1
            if answer.status_code == 201:
                made.append(answer.json())

    threads = [threading.Thread(target=one, args=(number,)) for number in range(UPLOADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE * 3)
    assert sum(told.values()) == UPLOADS
    return told, made


def limit_memory(server: Any, most: int) -> None:
    resource.prlimit(server.process.pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def status_of(server: Any, name: str) -> float:
    """In MiB."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) / 1024


def test_server_that_stood_still_goes_on_where_it_was(make_server: Callable[..., Any]) -> None:
    """OPS-05: while its loop stands it does not seem alive; then all who waited are answered, each secret once."""
    server = make_server(PLENTY + '[reaper]\nevery = "1s"\n').start()
    with Api(server) as api, Crowd(server, 20) as crowd:
        made = [api.create(b"waited %d" % (n % 10)) for n in range(10)]
        crowd.prime([reveal(each["linkId"]) for each in made * 2])
        os.kill(server.process.pid, signal.SIGSTOP)
        crowd.release([reveal(each["linkId"]) for each in made * 2])
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{server.url}/healthz", timeout=1)
        time.sleep(2)
        os.kill(server.process.pid, signal.SIGCONT)
        found = crowd.read(20)
        assert Counter(each.status for each in found) == {200: 10, 410: 10}
        assert sorted(payload_of(post(each)) for each in found if each.status == 200) == [
            b"waited %d" % n for n in range(10)
        ]
        assert api.ready().status_code == 200
    assert server.stop() == 0, server.log()

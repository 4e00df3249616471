"""OPS-05: liveness and readiness are cheap and true, and name only the part that fails."""

import asyncio
import base64
import json
import socket
import sqlite3

import httpx
import pytest
from api_helpers import bearer, body, check_problem, create
from support.appliance import Appliance
from support.ports import free_port
from support.server import MakeServer
from support.waiting import TIMEOUT_SECONDS

pytestmark = pytest.mark.anyio
READY = "http://localhost:8080/readyz"
ALIVE = "http://localhost:8080/healthz"


async def writes(appliance: Appliance) -> int:
    """Return the number of commits of the store."""
    return sum((await appliance.store.statistics(0)).batches.counts)


async def test_health_checks_cost_at_most_one_write_a_second(appliance: Appliance) -> None:
    before = await writes(appliance)
    for second in (1, 2):
        await asyncio.gather(*(appliance.http.get(READY) for _ in range(50)))
        for _ in range(5):
            await appliance.http.get(READY)
        assert await writes(appliance) == before + second
        appliance.clock.move(1)
    await asyncio.gather(*(appliance.http.get(ALIVE) for _ in range(50)))
    assert await writes(appliance) == before + 2


async def test_failing_store_is_named_and_logged_once(appliance: Appliance) -> None:
    await appliance.store.close()
    for _ in range(5):
        problem = check_problem(await appliance.http.get(READY), 503, "storage")
        assert [fault["field"] for fault in problem["errors"]] == ["store", "reaper"]
        appliance.clock.move(1)
    assert (await appliance.http.get(ALIVE)).json() == {"status": "alive"}
    lines = [json.loads(line) for line in appliance.log.getvalue().splitlines()]
    assert [(line["event"], line["detail"]) for line in lines] == [("unready", "store reaper")]


@pytest.mark.slow
async def test_hanging_store_does_not_delay_readiness(appliance: Appliance) -> None:
    """Another program holds the database's lock: readiness fails before SQLite gives up, and returns right after."""
    await create(appliance.http)
    before = await writes(appliance)
    other = sqlite3.connect(appliance.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    request = asyncio.create_task(appliance.http.get(READY))
    assert (await appliance.http.get(ALIVE)).status_code == 200
    assert [fault["field"] for fault in (await request).json()["errors"]] == ["store", "reaper"]
    assert await writes(appliance) == before  # the write still waits
    other.execute("ROLLBACK")
    other.close()
    appliance.clock.move(1)
    while "store" in [fault["field"] for fault in (await appliance.http.get(READY)).json()["errors"]]:
        appliance.clock.move(1)


async def test_health_reveals_nothing_of_the_store(appliance: Appliance) -> None:
    await appliance.store.close()
    text = (await appliance.http.get(READY)).text.lower()
    assert not any(word in text for word in ("sqlite", "seclink.db", str(appliance.path), "disk", "closed", "error:"))


def status_line(port: int, head: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as client:
        client.sendall(head + b"\r\n\r\n")
        return client.makefile("rb").readline().split(b" ", 1)[1]


def test_probes_are_answered_at_any_host(make_server: MakeServer) -> None:
    """IN-13 holds for every other path: a probe knows no name of the server and can read nothing."""
    port = free_port()
    server = make_server(
        f'[server]\npublic_url = "https://secrets.example.org/sub"\n[metrics]\nlisten = "127.0.0.1:{port}"\n'
        '[dialects.sharokey]\nhost = "own.example"\n'
    ).start()
    hosts = (b"10.1.2.3:8080", b"[fd00::1]", b"own.example", b"")
    heads = [b"%s HTTP/1.0", b"%s HTTP/1.1", *(b"%s HTTP/1.1\r\nHost: " + host for host in hosts)]
    for head in heads:
        for listener in (server.port, port):
            for path in (b"GET /healthz", b"HEAD /healthz", b"GET /readyz"):
                assert status_line(listener, head % path) == b"200 OK\r\n", (listener, head, path)
        if b"own.example" not in head:
            for path in (b"GET /", b"GET /healthz/", b"GET /healthz/../", b"GET /api/v1/stats"):
                assert status_line(server.port, head % path) == b"400 Bad Request\r\n", (head, path)
    assert status_line(server.port, b"GET /sub/healthz HTTP/1.0") == b"200 OK\r\n"
    assert status_line(server.port, b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b") == b"400 Bad Request\r\n"


def test_full_store_is_ready_and_reports_no_room(make_server: MakeServer) -> None:
    """Creating fails, existing secrets can be revealed, and that frees space."""
    server = make_server(
        '[store]\nmax_bytes = 1048576\n[rates]\ncreate = "10000/hour"\nreveal = "10000/hour"\n'
    ).start()
    api, link_ids = httpx.Client(base_url=f"{server.url}/api/v1", headers=bearer(server.key())), []
    with api:
        for size in (200_000, 1):
            payload = body(encryptedBlob=base64.b64encode(bytes(size)).decode())
            while (response := api.post("/secrets", json=payload)).status_code == 201:
                link_ids.append(response.json()["linkId"])
            assert response.status_code == 507
        full = api.get(f"{server.url}/readyz")
        assert (full.status_code, full.json()) == (200, {"status": "ready", "room": "none"})
        assert api.get(f"/secrets/{link_ids[0]}").status_code == 200
        assert api.get(f"{server.url}/readyz").json() == {"status": "ready"}

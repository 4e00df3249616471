"""OPS-05: liveness and readiness are cheap and true, and name only the part that fails."""

import asyncio
import base64
import json
import sqlite3

import httpx
import pytest
from api_helpers import bearer, body, check_problem, create
from support.appliance import Appliance
from support.server import MakeServer

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

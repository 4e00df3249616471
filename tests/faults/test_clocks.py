"""Clocks that jump and a second in which everything ends: CR-09, EXP-07."""

import asyncio
import contextlib
import itertools
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from api_client import ApiClient, create_request
from database_files import open_readonly, query_value
from fault_fixtures import FakedClock
from support.server import HIGH_RATES, MakeServer
from support.waiting import TIMEOUT_SECONDS
from support.waiting import until as wait_until

from seclink.config import parser as configuration
from seclink.domain.clock import Clock
from seclink.domain.passcodes import Passcodes
from seclink.domain.reaper import Reaper
from seclink.domain.vault import Vault
from seclink.domain.vault_state import VaultState
from seclink.errors import Gone, StorageFailed
from seclink.model import Secret
from seclink.store import connection
from seclink.store.sqlite import SqliteStore
from seclink.telemetry.log import Log

pytestmark = pytest.mark.anyio
DAY = 86_400_000


def wall() -> int:
    return time.time_ns() // 1_000_000


def test_running_server_does_not_follow_the_wall_clock(make_server: MakeServer, faked: FakedClock) -> None:
    """CR-09: a day forward ends no secret early, a day back extends no life."""
    environment, tell = faked
    server = make_server(env=environment).start()
    with ApiClient(server) as api:
        hour = api.create(expiryType="1hour")
        for jump in ("+1d", "-1d", "@1970-01-02 00:00:00", "+400d", "+0"):
            tell(jump)
            meta = api.meta(hour["linkId"])
            assert (meta.status_code, meta.json()["expiresAt"]) == (200, hour["expiresAt"]), jump
            receipt = api.create(expiryType="1hour")
            assert 0 <= receipt["expiresAt"] - hour["expiresAt"] < 60_000, jump
            assert api.reveal(receipt["linkId"]).status_code == 200
        assert api.reveal(hour["linkId"]).status_code == 200
    assert server.stop() == 0


def test_limits_do_not_follow_the_wall_clock(make_server: MakeServer, faked: FakedClock) -> None:
    """CR-09: a day ahead gives no new allowance, and a day back does not block longer."""
    environment, tell = faked
    server = make_server('[rates]\ncreate = "3/hour"\n', env=environment).start()
    with ApiClient(server) as api:
        waits = []
        for jump, status in (("+0", 201), ("+1d", 201), ("-1d", 201), ("+1d", 429), ("-1d", 429), ("+400d", 429)):
            tell(jump)
            response = api.http.post("/secrets", json=create_request())
            assert response.status_code == status, jump
            waits.append(int(response.headers.get("Retry-After", 0)))
        assert 0 < max(waits) <= 3600
    assert server.stop() == 0


@pytest.mark.parametrize("month", [3, 10])
def test_daylight_saving_time_does_not_change_durations(make_server: MakeServer, faked: FakedClock, month: int) -> None:
    """CR-09: across the change, and across restarts after it."""
    environment, tell = faked
    last_sunday = {3: datetime(2027, 3, 28, 1, tzinfo=UTC), 10: datetime(2027, 10, 31, 1, tzinfo=UTC)}[month]
    ahead = int(last_sunday.timestamp() - time.time()) - 10
    tell(f"+{ahead}")
    server = make_server(env={**environment, "TZ": "Europe/Berlin"}).start()
    with ApiClient(server) as api:
        receipt = api.create(expiryType="1hour")
        told = api.receipt(receipt)
        assert told["expiresAt"] - told["createdAt"] == 3_600_000
    for minutes, status in ((40, 200), (61, 410)):
        assert server.stop() == 0
        tell(f"+{ahead + 60 * minutes}")
        server.start()
        with ApiClient(server) as api:
            assert api.meta(receipt["linkId"]).status_code == status, minutes
    assert server.stop() == 0


def test_start_with_a_clock_that_is_behind_restores_no_secret(make_server: MakeServer, faked: FakedClock) -> None:
    """CR-09: what expired a day ahead stays so in 1970, today, and ahead again; lifetimes do not lengthen."""
    environment, tell = faked
    server = make_server(env=environment).start()
    with ApiClient(server) as api:
        short = api.create(b"for an hour", expiryType="1hour")
        long = api.create(b"for a week", expiryType="7days")
    assert server.stop() == 0
    tell("+1d")
    server.start()
    with ApiClient(server) as api:
        assert api.reveal(short["linkId"]).json()["state"] == "expired"
    assert server.stop() == 0
    for then in ("@1970-01-02 00:00:00", "+0", "-1d", "+1d"):
        tell(then)
        server.start()
        with ApiClient(server) as api:
            gone = api.reveal(short["linkId"])
            assert (gone.status_code, gone.json()["state"]) == (410, "expired"), then
            assert gone.json()["endedAt"] == short["expiresAt"]
            assert api.meta(long["linkId"]).json()["expiresAt"] == long["expiresAt"]
            fresh = api.create(expiryType="1hour")
            assert wall() + DAY < fresh["expiresAt"] < wall() + DAY + 3_700_000, then
        assert server.stop() == 0
    assert server.log().count("the system clock is behind") == 3
    assert query_value(server.folder / "seclink.db", "SELECT clock_mark FROM meta") > wall() + DAY - 60_000


def test_killed_server_continues_from_its_last_recorded_time(make_server: MakeServer, faked: FakedClock) -> None:
    """CR-09: a board without a battery that lost its power."""
    environment, tell = faked
    server = make_server(env=environment).start()
    with ApiClient(server) as api:
        receipt = api.create(expiryType="1hour")
        assert api.ready().status_code == 200
    server.kill()
    tell("@1970-01-02 00:00:00")
    server.start()
    with ApiClient(server) as api:
        assert api.meta(receipt["linkId"]).status_code == 200
        fresh = api.create(expiryType="1hour")
        assert abs(fresh["expiresAt"] - receipt["expiresAt"]) < 60_000
    assert server.stop() == 0


@pytest.mark.parametrize("start", ["@2039-01-01 00:00:00", "+21d"])
def test_start_with_a_clock_far_ahead_erases_nothing(make_server: MakeServer, faked: FakedClock, start: str) -> None:
    """CR-09: it is told everywhere, secrets wait, and they are there again when the clock is right."""
    environment, tell = faked
    server = make_server(HIGH_RATES + '[reaper]\nevery = "1s"\n[metrics]\nenabled = true\n', env=environment).start()
    with ApiClient(server) as api:
        week, short = api.create(b"for a week", expiryType="7days"), api.create(b"short", expiryType="1hour")
    assert server.stop() == 0
    tell(start)
    server.start()
    with ApiClient(server) as api:
        wait_until(lambda: api.ready().json().get("clock") == "doubtful")
        assert api.reveal(week["linkId"]).status_code == 410
        fresh = api.create(b"made in doubt", expiryType="1hour")
        before = query_value(server.folder / "seclink.db", "SELECT clock_mark FROM meta")
        wait_until(lambda: query_value(server.folder / "seclink.db", "SELECT clock_mark FROM meta") > before)
        metrics = {"Authorization": f"Bearer {server.key('metrics')}"}
        assert "seclink_clock_doubtful 1" in api.http.get(f"{server.url}/metrics", headers=metrics).text
    assert query_value(server.folder / "seclink.db", "SELECT count(*) FROM payloads") == 3
    assert query_value(server.folder / "seclink.db", "SELECT clock_mark FROM meta") < wall() + DAY
    clock = server.seclink("clock", "--config", str(server.config), check=False)
    assert (clock.returncode, b"no expired secret is erased" in clock.stdout) == (1, True)
    assert server.log().count("until that is confirmed: see `seclink clock`") == 1
    assert server.stop() == 0
    tell("+2h")
    server.start()
    with ApiClient(server) as api:
        assert api.reveal(week["linkId"]).status_code == 200
        assert api.reveal(short["linkId"]).json()["state"] == "expired"
        assert api.ready().json() == {"status": "ready"}
        wait_until(lambda: query_value(server.folder / "seclink.db", "SELECT count(*) FROM payloads") == 2)
        if start != "+21d":  # far enough ahead to be recognized
            wait_until(lambda: api.meta(fresh["linkId"]).json()["expiresAt"] < wall() + DAY)
    assert server.stop() == 0


def test_operator_accepts_a_clock_far_ahead(make_server: MakeServer, faked: FakedClock) -> None:
    """CR-09: beside the running server, which then erases what has expired; the audit trail shows it."""
    environment, tell = faked
    server = make_server(HIGH_RATES + '[reaper]\nevery = "1s"\n', env=environment).start()
    with ApiClient(server) as api:
        api.create(expiryType="7days")
    assert server.stop() == 0
    tell("+800d")
    server.start()
    with ApiClient(server) as api:
        wait_until(lambda: api.ready().json().get("clock") == "doubtful")
        server.seclink("clock", "--accept", "--config", str(server.config))
        wait_until(lambda: query_value(server.folder / "seclink.db", "SELECT count(*) FROM payloads") == 0)
        wait_until(lambda: api.ready().json() == {"status": "ready"})
    assert b"clock_set" in server.seclink("audit", "--config", str(server.config)).stdout
    assert server.seclink("clock", "--config", str(server.config)).stdout.endswith(b"they agree\n")
    tell("+0")
    refused = server.seclink("clock", "--accept", "--config", str(server.config), check=False)
    assert (refused.returncode, b"another SecLink server" in refused.stderr) == (1, True)
    assert server.stop() == 0
    server.seclink("clock", "--accept", "--config", str(server.config))
    server.start()
    with ApiClient(server) as api:
        assert abs(api.create(expiryType="1hour")["expiresAt"] - wall()) < 2 * 3_600_000
    assert server.stop() == 0


async def test_expired_secret_stays_expired_after_a_restart_with_a_clock_that_is_behind(tmp_path: Path) -> None:
    """CR-09, EXP-02: a stop records the time last."""
    path, hand = tmp_path / "seclink.db", [1_800_000_000.0]
    clock = Clock(0, wall=lambda: 1_800_000_000.0, monotonic=lambda: hand[0])
    store, vault, reaper = await parts(path, clock, every=3600)
    reaping = asyncio.create_task(reaper.run())
    await until(lambda: reaper.finished_at is not None)
    await store.add(secret("a", clock.now(), clock.now() + 60_000))
    hand[0] += 61
    with pytest.raises(Gone):
        await vault.peek("a" * 12, clock.now())
    reaping.cancel()
    await asyncio.wait([reaping])
    await vault.close()
    store, vault, _ = await parts(path, clock, every=3600)
    clock = Clock(await store.last_seen_at(), wall=lambda: 3600.0, monotonic=lambda: hand[0])
    with pytest.raises(Gone):
        await vault.peek("a" * 12, clock.now())
    await vault.close()


async def test_reaper_survives_a_failing_store_and_reports_its_last_success(tmp_path: Path) -> None:
    """OPS-05"""
    path = tmp_path / "seclink.db"
    clock = Clock()
    store, vault, reaper = await parts(path, clock, every=0.1)
    await store.add(secret("a", clock.now() - 1000, clock.now() - 500))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TRIGGER fail BEFORE UPDATE ON secrets BEGIN SELECT RAISE(ABORT, 'no'); END")
        reaping = asyncio.create_task(reaper.run())
        await asyncio.sleep(0.3)
        assert reaper.finished_at is None
        assert not reaping.done()
        with pytest.raises(StorageFailed):
            await vault.reap(clock.now())
        db.execute("DROP TRIGGER fail")
    await until(lambda: reaper.finished_at is not None)
    reaping.cancel()
    await asyncio.wait([reaping])
    await vault.close()


async def test_requests_are_served_while_100_000_secrets_expire_in_the_same_second(tmp_path: Path) -> None:
    """EXP-07: creates and reveals go on; the delay of the event loop is printed, not asserted."""
    path, clock, count = tmp_path / "seclink.db", Clock(), 100_000
    connection.open_or_create(path)
    fill(path, count, clock.now())
    store, vault, reaper = await parts(path, clock, every=1)
    done = asyncio.Event()
    late: list[float] = []
    served: list[float] = []

    async def heartbeat() -> None:
        while not done.is_set():
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            late.append(time.perf_counter() - began - 0.005)

    async def reader(name: str) -> None:
        for n in itertools.count():
            if done.is_set():
                return
            link = f"{name}{n:011}"
            await store.add(secret(link, clock.now(), clock.now() + 60_000))
            began = time.perf_counter()
            claimed = await store.claim(link, clock.now())
            served.append(time.perf_counter() - began)
            assert claimed is not None
            assert claimed.payload == b"payload"

    beside = [asyncio.create_task(each) for each in (heartbeat(), reader("x"), reader("y"))]
    began = time.monotonic()
    await reaper.reap_all()
    took = time.monotonic() - began
    done.set()
    await asyncio.gather(*beside)
    with open_readonly(path) as db:
        assert db.execute("SELECT count(*) FROM secrets WHERE state = 'expired'").fetchone() == (count,)
        assert db.execute("SELECT count(*) FROM payloads WHERE id <= ?", (count,)).fetchone() == (0,)
    assert len(served) > 100
    late.sort()
    served.sort()
    print(
        f"\nEXP-07: {count} reaped in {took:.1f} s beside {len(served)} reveals; loop late p50 {ms(late, 0.5)}"
        f" p99 {ms(late, 0.99)} max {ms(late, 1)};"
        f" reveal p50 {ms(served, 0.5)} p99 {ms(served, 0.99)} max {ms(served, 1)}"
    )
    await vault.close()


def secret(link_id: str, created_at: int, expires_at: int) -> Secret:
    return Secret(
        link_id=link_id.rjust(12, link_id[0]),
        receipt_id=link_id.rjust(20, "r"),
        manage_digest=b"digest",
        account=None,
        format="raw",
        expiry_type="view_once",
        payload=b"payload",
        iv=b"iv",
        created_at=created_at,
        expires_at=expires_at,
        max_views=1,
    )


def fill(path: Path, count: int, now: int) -> None:
    """Insert rows like those a server writes, which all expired in the last second."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(
            """
            WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :count)
            INSERT INTO secrets (id, link_id, receipt_id, manage_digest, format, expiry_type, created_at, expires_at,
                                 due_at, max_views, passcode_required)
            SELECT n, printf('%012d', n), printf('%020d', n), zeroblob(32), 'raw', 'view_once', :now - 60000,
                   :now - n % 1000, :now - n % 1000, 1, 0
            FROM n
            """,
            {"count": count, "now": now},
        )
        db.execute("INSERT INTO payloads SELECT id, zeroblob(12), zeroblob(600) FROM secrets")


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not is_so():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def ms(values: list[float], part: float) -> str:
    return f"{values[min(int(len(values) * part), len(values) - 1)] * 1000:.1f} ms"


async def parts(path: Path, clock: Clock, every: float) -> tuple[SqliteStore, Vault, Reaper]:
    settings = configuration.parse("", "test.toml")
    store = await SqliteStore.open(path, keep_seconds=30 * 86400, max_bytes=2**33)
    log = Log(configuration.parse('[log]\nlevel = "error"\n', "test.toml").log)
    vault = Vault(VaultState(store, Passcodes(), log, clock.monotonic), settings)
    return store, vault, Reaper(vault, every, clock, log)

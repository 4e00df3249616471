"""Lifetimes: exact to the millisecond, enforced without the reaper, and never endless."""

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import httpx
import pytest
from api_helpers import bearer, body, check_problem, create, encoded, manage, reveal, state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.appliance import Appliance, MakeAppliance

pytestmark = pytest.mark.anyio
LIFETIMES = {"view_once": 604_800, "1hour": 3600, "24hours": 86_400, "7days": 604_800}
DAY = 86_400


def rows(appliance: Appliance, sql: str, *parameters: Any) -> list[Any]:
    db = sqlite3.connect(appliance.path)
    try:
        return db.execute(sql, parameters).fetchall()
    finally:
        db.close()


@pytest.mark.parametrize(("expiry_type", "seconds"), LIFETIMES.items())
async def test_secret_expires_exactly_at_its_time(appliance: Appliance, expiry_type: str, seconds: int) -> None:
    """EXP-01: live a millisecond before `expiresAt`, gone at that instant and after it."""
    for moved, status in ((-1, 200), (0, 410), (1, 410)):
        secret = await create(appliance.http, expiryType=expiry_type)
        assert secret["expiresAt"] == appliance.clock.now() + seconds * 1000
        appliance.clock.ms = secret["expiresAt"] + moved
        meta = await appliance.http.get(f"/secrets/{secret['linkId']}/meta")
        assert meta.status_code == status
        assert (await reveal(appliance.http, secret)).status_code == status


@pytest.mark.parametrize("route", ["meta", "get", "post", "retry"])
async def test_expired_secret_is_gone_before_it_is_reaped(appliance: Appliance, route: str) -> None:
    """EXP-02: this appliance has no reaper; the payload is still in the table and is not sent."""
    secret = await create(appliance.http, expiresIn=60, encryptedBlob=encoded(b"MARKER" * 20))
    appliance.clock.move(60)
    assert rows(appliance, "SELECT count(*) FROM payloads") == [(1,)]
    link = f"/secrets/{secret['linkId']}"
    response = await {
        "meta": lambda: appliance.http.get(f"{link}/meta"),
        "get": lambda: appliance.http.get(link),
        "post": lambda: appliance.http.post(f"{link}/reveal"),
        "retry": lambda: appliance.http.get(link, headers={"Idempotency-Key": "k" * 20}),
    }[route]()
    problem = check_problem(response, 410, "gone")
    assert (problem["state"], problem["endedAt"]) == ("expired", secret["expiresAt"])
    assert encoded(b"MARKER") not in response.text


async def test_expired_secret_can_be_neither_changed_nor_burned(appliance: Appliance) -> None:
    secret = await create(appliance.http, expiresIn=60)
    appliance.clock.move(60)
    one = f"/receipts/{secret['receiptId']}"
    check_problem(await appliance.http.patch(one, json={"expiresIn": 3600}, headers=manage(secret)), 409, "not_active")
    problem = check_problem(await appliance.http.delete(one, headers=manage(secret)), 410, "gone")
    assert problem["state"] == "expired"
    receipt = await state(appliance.http, secret)
    assert (receipt["state"], receipt["events"][-1]) == ("expired", {"at": secret["expiresAt"], "type": "expired"})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.integers(60, 30 * DAY)),
        st.tuples(st.just("change"), st.integers(60, 30 * DAY)),
        st.tuples(st.just("views"), st.sampled_from([None, 1, 5])),
        st.tuples(st.just("reveal"), st.just(0)),
        st.tuples(st.just("burn"), st.just(0)),
        st.tuples(st.just("move"), st.integers(1, 40 * DAY)),
        st.tuples(st.just("reap"), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
async def test_every_secret_expires_after_any_steps(appliance: Appliance, steps: list[tuple[str, Any]]) -> None:
    """EXP-03: after any steps, a live secret ends within the maximum lifetime, at the reaper's due date."""
    secrets: list[dict[str, Any]] = []
    for verb, value in steps:
        if verb == "create":
            secrets.append(await create(appliance.http, expiryType=None, expiresIn=value))
        elif verb == "move":
            appliance.clock.move(value)
        elif verb == "reap":
            await appliance.store.reap(appliance.clock.now(), 100)
        elif secrets:
            one, by = f"/receipts/{secrets[-1]['receiptId']}", manage(secrets[-1])
            steps_by_verb: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
                "change": partial(appliance.http.patch, one, json={"expiresIn": value}, headers=by),
                "views": partial(appliance.http.patch, one, json={"maxViews": value}, headers=by),
                "burn": partial(appliance.http.delete, one, headers=by),
                "reveal": partial(reveal, appliance.http, secrets[-1]),
            }
            await steps_by_verb[verb]()
    now = appliance.clock.now()
    await appliance.store.reap(now, 1000)
    longest = appliance.config.expiry.max * 1000
    immortal = rows(
        appliance,
        "SELECT * FROM secrets WHERE state = 'active' AND NOT (? < expires_at AND expires_at <= ?)"
        " OR state = 'active' AND due_at != expires_at"
        " OR due_at IS NULL OR due_at > ? + ?",
        now, now + longest, now, 30 * DAY * 1000 + longest,
    )  # fmt: skip
    assert immortal == []


@pytest.mark.parametrize("expires_at", [None, 0, -1, "created_at"])
async def test_schema_rejects_a_secret_without_an_end(appliance: Appliance, expires_at: Any) -> None:
    """EXP-03"""
    secret = await create(appliance.http)
    db = sqlite3.connect(appliance.path)
    sql = "UPDATE secrets SET {} = {} WHERE receipt_id = ?"
    try:
        for column in ("expires_at", "due_at"):
            value = expires_at if expires_at == "created_at" else "NULL" if expires_at is None else expires_at
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(sql.format(column, value), (secret["receiptId"],))
    finally:
        db.close()


async def test_reaper_takes_only_what_is_due(appliance: Appliance) -> None:
    """EXP-05: live secrets stay; ended ones stay as receipts until their retention ends."""
    http = appliance.http
    due = [await create(http, expiresIn=60) for _ in range(5)]
    live = [await create(http, expiresIn=7200) for _ in range(5)]
    far = [await create(http, expiryType=None, expiresIn=30 * DAY) for _ in range(5)]
    claimed = [await create(http, expiresIn=60) for _ in range(5)]
    for secret in claimed:
        await reveal(http, secret)
    appliance.clock.move(60)
    reaped = [await appliance.store.reap(appliance.clock.now(), 3) for _ in range(3)]
    assert reaped == [3, 2, 0]
    states = {name: {(await state(http, secret))["state"] for secret in secrets} for name, secrets in
              (("due", due), ("live", live), ("far", far), ("claimed", claimed))}  # fmt: skip
    assert states == {"due": {"expired"}, "live": {"active"}, "far": {"active"}, "claimed": {"revealed"}}
    assert rows(appliance, "SELECT count(*) FROM payloads") == [(10,)]
    for secret in live + far:
        assert (await reveal(http, secret)).status_code == 200


async def test_receipt_is_purged_after_its_retention(make_appliance: MakeAppliance) -> None:
    """410 while the receipt exists, 404 afterwards; the account keeps its counts."""
    appliance = await make_appliance('[receipts]\nkeep_days = 2\n[rates]\nreveal = "1000/hour"\n')
    http, key = appliance.http, await appliance.key()
    secret = await create(http, key=key)
    await reveal(http, secret)
    appliance.clock.move(2 * DAY - 1)
    assert await appliance.store.reap(appliance.clock.now(), 10) == 0
    check_problem(await reveal(http, secret), 410, "gone")
    appliance.clock.move(1)
    assert await appliance.store.reap(appliance.clock.now(), 10) == 1
    check_problem(await reveal(http, secret), 404, "not_found")
    check_problem(await http.get(f"/receipts/{secret['receiptId']}", headers=manage(secret)), 404, "not_found")
    stats = (await http.get("/stats", headers=bearer(key))).json()
    assert (stats["totalSecrets"], stats["revealedSecrets"], stats["totalViews"]) == (1, 1, 1)


ERASED = ("access_hash", "passcode", "public_note", "label")


@pytest.mark.parametrize("end", ["reveal", "burn", "expire"])
async def test_end_erases_all_but_the_receipt(appliance: Appliance, end: str) -> None:
    """FOR-01, for rows: the transaction that ends a secret erases payload, notes, hashes and attempts."""
    http = appliance.http
    access, access_hash = "YQ", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    secret = await create(
        http, expiresIn=60, publicNote="NOTE", label="LABEL", passcodeHash=access_hash, accessHash=access_hash
    )
    await reveal(http, secret, access=access, passcode="0" * 64)
    if end == "reveal":
        assert (await reveal(http, secret, access=access, passcode=access_hash)).status_code == 200
    elif end == "burn":
        await http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret))
    else:
        appliance.clock.move(60)
        await appliance.store.reap(appliance.clock.now(), 10)
    assert rows(appliance, f"SELECT {', '.join(ERASED)} FROM secrets") == [(None,) * len(ERASED)]
    assert rows(appliance, "SELECT count(*) FROM payloads") == [(0,)]
    assert rows(appliance, "SELECT count(*) FROM attempts") == [(0,)]
    receipt = await state(http, secret)
    assert (receipt["label"], receipt["publicNote"], receipt["passcodeRequired"]) == (None, None, True)


async def test_lifetime_counts_from_the_create(appliance: Appliance) -> None:
    secret = await create(appliance.http, expiryType="1hour")
    for _ in range(3):
        appliance.clock.move(1000)
        assert (await reveal(appliance.http, secret)).json()["expiresAt"] == secret["expiresAt"]
    appliance.clock.move(600)
    check_problem(await reveal(appliance.http, secret), 410, "gone")
    assert (await appliance.http.post("/secrets", json=body())).status_code == 201

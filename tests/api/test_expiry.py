"""Lifetimes: exact to the millisecond, enforced without the reaper, and never endless."""

import sqlite3
from typing import Any

import pytest
from api_helpers import bearer, body, check_problem, create, encoded, manage, reveal, state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.anyio
LIFETIMES = {"view_once": 604_800, "1hour": 3600, "24hours": 86_400, "7days": 604_800}
DAY = 86_400


def rows(appliance: Any, sql: str, *parameters: Any) -> list[Any]:
    db = sqlite3.connect(appliance.path)
    try:
        return db.execute(sql, parameters).fetchall()
    finally:
        db.close()


@pytest.mark.parametrize(("expiry_type", "seconds"), LIFETIMES.items())
async def test_secret_lives_exactly_as_long_as_was_told(appliance: Any, expiry_type: str, seconds: int) -> None:
    """EXP-01: there a millisecond before `expiresAt`, gone at it and after it."""
    for moved, status in ((-1, 200), (0, 410), (1, 410)):
        made = await create(appliance.http, expiryType=expiry_type)
        assert made["expiresAt"] == appliance.clock.now() + seconds * 1000
        appliance.clock.ms = made["expiresAt"] + moved
        meta = await appliance.http.get(f"/secrets/{made['linkId']}/meta")
        assert meta.status_code == status
        assert (await reveal(appliance.http, made)).status_code == status


@pytest.mark.parametrize("door", ["meta", "get", "post", "retry"])
async def test_expired_secret_is_gone_whether_or_not_it_was_reaped(appliance: Any, door: str) -> None:
    """EXP-02: nothing reaps in this appliance; the payload is still in the table and not sent."""
    made = await create(appliance.http, expiresIn=60, encryptedBlob=encoded(b"MARKER" * 20))
    appliance.clock.move(60)
    assert rows(appliance, "SELECT count(*) FROM payloads") == [(1,)]
    link = f"/secrets/{made['linkId']}"
    answer = await {
        "meta": lambda: appliance.http.get(f"{link}/meta"),
        "get": lambda: appliance.http.get(link),
        "post": lambda: appliance.http.post(f"{link}/reveal"),
        "retry": lambda: appliance.http.get(link, headers={"Idempotency-Key": "k" * 20}),
    }[door]()
    problem = check_problem(answer, 410, "gone")
    assert (problem["state"], problem["endedAt"]) == ("expired", made["expiresAt"])
    assert encoded(b"MARKER") not in answer.text


async def test_expired_secret_can_be_neither_changed_nor_burned(appliance: Any) -> None:
    made = await create(appliance.http, expiresIn=60)
    appliance.clock.move(60)
    one = f"/receipts/{made['receiptId']}"
    check_problem(await appliance.http.patch(one, json={"expiresIn": 3600}, headers=manage(made)), 409, "not_active")
    problem = check_problem(await appliance.http.delete(one, headers=manage(made)), 410, "gone")
    assert problem["state"] == "expired"
    receipt = await state(appliance.http, made)
    assert (receipt["state"], receipt["events"][-1]) == ("expired", {"at": made["expiresAt"], "type": "expired"})


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
async def test_nothing_is_immortal_whatever_is_done(appliance: Any, steps: list[tuple[str, Any]]) -> None:
    """EXP-03: after any steps every live secret ends within the longest lifetime, and the reaper's date is its end."""
    made: list[dict[str, Any]] = []
    for verb, value in steps:
        if verb == "create":
            made.append(await create(appliance.http, expiryType=None, expiresIn=value))
        elif verb == "move":
            appliance.clock.move(value)
        elif verb == "reap":
            await appliance.store.reap(appliance.clock.now(), 100)
        elif made:
            one, by = f"/receipts/{made[-1]['receiptId']}", manage(made[-1])
            await {
                "change": lambda one=one, by=by, value=value: appliance.http.patch(
                    one, json={"expiresIn": value}, headers=by
                ),
                "views": lambda one=one, by=by, value=value: appliance.http.patch(
                    one, json={"maxViews": value}, headers=by
                ),
                "burn": lambda one=one, by=by: appliance.http.delete(one, headers=by),
                "reveal": lambda: reveal(appliance.http, made[-1]),
            }[verb]()
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
async def test_table_itself_refuses_a_secret_without_an_end(appliance: Any, expires_at: Any) -> None:
    """EXP-03"""
    made = await create(appliance.http)
    db = sqlite3.connect(appliance.path)
    sql = "UPDATE secrets SET {} = {} WHERE receipt_id = ?"
    try:
        for column in ("expires_at", "due_at"):
            value = expires_at if expires_at == "created_at" else "NULL" if expires_at is None else expires_at
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(sql.format(column, value), (made["receiptId"],))
    finally:
        db.close()


async def test_reaper_takes_only_what_is_due(appliance: Any) -> None:
    """EXP-05: the live and the far-future stay, the ended stay as receipts until their time."""
    http = appliance.http
    due = [await create(http, expiresIn=60) for _ in range(5)]
    live = [await create(http, expiresIn=7200) for _ in range(5)]
    far = [await create(http, expiryType=None, expiresIn=30 * DAY) for _ in range(5)]
    claimed = [await create(http, expiresIn=60) for _ in range(5)]
    for each in claimed:
        await reveal(http, each)
    appliance.clock.move(60)
    reaped = [await appliance.store.reap(appliance.clock.now(), 3) for _ in range(3)]
    assert reaped == [3, 2, 0]
    states = {name: {(await state(http, each))["state"] for each in made} for name, made in
              (("due", due), ("live", live), ("far", far), ("claimed", claimed))}  # fmt: skip
    assert states == {"due": {"expired"}, "live": {"active"}, "far": {"active"}, "claimed": {"revealed"}}
    assert rows(appliance, "SELECT count(*) FROM payloads") == [(10,)]
    for each in live + far:
        assert (await reveal(http, each)).status_code == 200


async def test_remains_are_forgotten_after_the_days_configured(make_appliance: Any) -> None:
    """410 while the receipt is kept, 404 afterwards; the account keeps its counts."""
    made_appliance = await make_appliance('[receipts]\nkeep_days = 2\n[rates]\nreveal = "1000/hour"\n')
    http, key = made_appliance.http, await made_appliance.key()
    made = await create(http, key=key)
    await reveal(http, made)
    made_appliance.clock.move(2 * DAY - 1)
    assert await made_appliance.store.reap(made_appliance.clock.now(), 10) == 0
    check_problem(await reveal(http, made), 410, "gone")
    made_appliance.clock.move(1)
    assert await made_appliance.store.reap(made_appliance.clock.now(), 10) == 1
    check_problem(await reveal(http, made), 404, "not_found")
    check_problem(await http.get(f"/receipts/{made['receiptId']}", headers=manage(made)), 404, "not_found")
    stats = (await http.get("/stats", headers=bearer(key))).json()
    assert (stats["totalSecrets"], stats["revealedSecrets"], stats["totalViews"]) == (1, 1, 1)


ERASED = ("access_hash", "passcode", "public_note", "label")


@pytest.mark.parametrize("end", ["reveal", "burn", "expire"])
async def test_end_erases_everything_but_what_the_receipt_tells(appliance: Any, end: str) -> None:
    """FOR-01, at the level of rows: payload, notes, hashes and tries go in the transaction that ends the secret."""
    http = appliance.http
    access, access_hash = "YQ", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    made = await create(
        http, expiresIn=60, publicNote="NOTE", label="LABEL", passcodeHash=access_hash, accessHash=access_hash
    )
    await reveal(http, made, access=access, passcode="0" * 64)
    if end == "reveal":
        assert (await reveal(http, made, access=access, passcode=access_hash)).status_code == 200
    elif end == "burn":
        await http.delete(f"/receipts/{made['receiptId']}", headers=manage(made))
    else:
        appliance.clock.move(60)
        await appliance.store.reap(appliance.clock.now(), 10)
    assert rows(appliance, f"SELECT {', '.join(ERASED)} FROM secrets") == [(None,) * len(ERASED)]
    assert rows(appliance, "SELECT count(*) FROM payloads") == [(0,)]
    assert rows(appliance, "SELECT count(*) FROM attempts") == [(0,)]
    receipt = await state(http, made)
    assert (receipt["label"], receipt["publicNote"], receipt["passcodeRequired"]) == (None, None, True)


async def test_lifetime_counts_from_the_create_not_from_the_last_look(appliance: Any) -> None:
    made = await create(appliance.http, expiryType="1hour")
    for _ in range(3):
        appliance.clock.move(1000)
        assert (await reveal(appliance.http, made)).json()["expiresAt"] == made["expiresAt"]
    appliance.clock.move(600)
    check_problem(await reveal(appliance.http, made), 410, "gone")
    assert (await appliance.http.post("/secrets", json=body())).status_code == 201

"""What the server tells the audit trail of those who could not open a secret, and who it says has done what."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, bearer, create, manage, reveal

from seclink.domain.rate_limiter import RateLimiter
from seclink.store.audit_reader import AuditReader

pytestmark = pytest.mark.anyio


def told(appliance: Any) -> list[tuple[Any, ...]]:
    entries = [each.entry for each in AuditReader(appliance.path).new()]
    return [(each.event, each.account, each.by, each.detail) for each in entries if each.event != "created"]


async def is_told(appliance: Any, *expected: tuple[Any, ...]) -> None:
    """Sooner or later: some of it is told beside the answer."""
    deadline = time.monotonic() + 10
    while told(appliance) != list(expected) and time.monotonic() < deadline:  # noqa: ASYNC110  it has no event
        await asyncio.sleep(0.01)
    assert told(appliance) == list(expected)


async def test_every_way_to_fail_is_told(appliance: Any) -> None:
    http = appliance.http
    own = await appliance.key()
    made = await create(http, key=own, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    expected: list[tuple[Any, ...]] = [("key_added", "acme", None, f"{own[:14]}... create,manage")]
    for headers, status, code in (
        ({}, 401, None),  # not even tried
        ({"access": "d3Jvbmc"}, 401, "access_denied"),
        ({"access": ACCESS}, 401, None),
        ({"access": ACCESS, "passcode": WRONG}, 401, "passcode_wrong"),
        ({"access": ACCESS, "passcode": RIGHT}, 200, None),
        ({"access": ACCESS, "passcode": RIGHT}, 410, "gone"),
    ):
        assert (await reveal(http, made, **headers)).status_code == status
        if code:
            expected.append(("failed", "acme", None, code))
        elif status == 200:
            expected.append(("revealed", "acme", None, "view 1 of 1"))
        await is_told(appliance, *expected)
    assert (await http.get(f"/secrets/{made['linkId']}/meta")).status_code == 410
    await is_told(appliance, *expected, ("failed", "acme", None, "gone"))


@pytest.mark.parametrize("path", ["reveal", "burn"])
async def test_who_came_too_late_by_a_moment_is_told(appliance: Any, path: str) -> None:
    """ONE-01: all have proved everything when the first of them is served."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    headers = {"SecLink-Access": ACCESS, "SecLink-Passcode": RIGHT}
    asked = [appliance.http.post(f"/secrets/{made['linkId']}/{path}", headers=headers) for _ in range(4)]
    statuses = sorted(answer.status_code for answer in await asyncio.gather(*asked))
    assert statuses[1:] == [410] * 3
    served = {"reveal": ("revealed", None, None, "view 1 of 1"), "burn": ("burned", None, None, "by the link")}[path]
    await is_told(appliance, served, *[("failed", None, None, "gone")] * 3)


async def test_who_asks_again_for_what_was_burned_meanwhile_is_told(appliance: Any) -> None:
    made = await create(appliance.http, maxViews=2, expiryType="1hour")
    assert (await reveal(appliance.http, made, idempotency="a" * 16)).status_code == 200
    assert (await appliance.http.delete(f"/receipts/{made['receiptId']}", headers=manage(made))).status_code == 204
    assert (await reveal(appliance.http, made, idempotency="a" * 16)).status_code == 410
    burned = ("burned", None, None, "by the manage token")
    await is_told(appliance, ("revealed", None, None, "view 1 of 2"), burned, ("failed", None, None, "gone"))


async def test_guesser_who_is_locked_out_is_told(appliance: Any) -> None:
    made = await create(appliance.http, passcodeHash=RIGHT)
    for _ in range(6):
        answer = await reveal(appliance.http, made, passcode=WRONG)
    assert answer.status_code == 429
    wrong = ("failed", None, None, "passcode_wrong")
    await is_told(appliance, *[wrong] * 5, ("failed", None, None, "passcode_locked"))


async def test_somebody_who_goes_on_and_on_fills_no_disk(appliance: Any) -> None:
    """Ten a day for one secret."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, expiryType="7days")
    for day in range(2):
        for _ in range(30):
            assert (await reveal(appliance.http, made, access="d3Jvbmc")).status_code == 401
        await is_told(appliance, *[("failed", None, None, "access_denied")] * 10 * (day + 1))
        appliance.clock.move(86400)


async def test_failures_of_very_many_secrets_fill_no_memory(make_appliance: Any, monkeypatch: Any) -> None:
    """And are still told of, some of them."""
    limiters: list[RateLimiter] = []

    def small() -> RateLimiter:
        limiters.append(RateLimiter(5))
        return limiters[-1]

    monkeypatch.setattr("seclink.domain.vault.RateLimiter", lambda *_: small())
    appliance = await make_appliance()
    for _ in range(20):
        made = await create(appliance.http)
        await reveal(appliance.http, made)
        assert (await reveal(appliance.http, made)).status_code == 410
    assert len(limiters[0]) <= 6
    revealed = [("revealed", None, None, "view 1 of 1"), ("failed", None, None, "gone")]
    await is_told(appliance, *revealed * 15, *revealed[:1] * 5)


async def test_secrets_that_never_were_are_not_told_of(appliance: Any) -> None:
    for _ in range(3):
        assert (await appliance.http.get("/secrets/nobodyknows1/meta")).status_code == 404
        assert (await reveal(appliance.http, {"linkId": "nobodyknows1"})).status_code == 404
    made = await create(appliance.http)
    assert (await reveal(appliance.http, made)).status_code == 200
    await is_told(appliance, ("revealed", None, None, "view 1 of 1"))


async def test_it_says_who_has_ended_or_changed_a_secret(appliance: Any) -> None:
    http: httpx.AsyncClient = appliance.http
    own, admin = await appliance.key("acme"), await appliance.key("root", "admin")
    read, mine, theirs, token, link = [
        await create(http, key=own, accessHash=ACCESS_HASH, maxViews=None, expiryType="1hour") for _ in range(5)
    ]
    await reveal(http, read, access=ACCESS)
    assert (
        await http.get(f"/secrets/{read['linkId']}", headers={**bearer(admin), "SecLink-Access": ACCESS})
    ).is_success
    assert (await http.patch(f"/receipts/{mine['receiptId']}", json={"label": "x"}, headers=bearer(own))).is_success
    for made, headers in ((mine, bearer(own)), (theirs, bearer(admin)), (token, manage(token))):
        assert (await http.delete(f"/receipts/{made['receiptId']}", headers=headers)).status_code == 204
    assert (await http.post(f"/secrets/{link['linkId']}/burn", headers={"SecLink-Access": ACCESS})).status_code == 204
    await is_told(
        appliance,
        ("key_added", "acme", None, f"{own[:14]}... create,manage"),
        ("key_added", "root", None, f"{admin[:14]}... admin"),
        ("revealed", "acme", None, "view 1"),
        ("revealed", "acme", "root", "view 2"),
        ("changed", "acme", "acme", "label"),
        ("burned", "acme", "acme", None),
        ("burned", "acme", "root", None),
        ("burned", "acme", None, "by the manage token"),
        ("burned", "acme", None, "by the link"),
    )

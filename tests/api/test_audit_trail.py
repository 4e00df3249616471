"""The audit trail of failed accesses, and the actors that it names."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, bearer, create, manage, reveal
from support.appliance import Appliance, MakeAppliance

from seclink.domain.rate_limiter import RateLimiter
from seclink.store.audit_reader import AuditReader

pytestmark = pytest.mark.anyio


def entries(appliance: Appliance) -> list[tuple[Any, ...]]:
    audited = [line.entry for line in AuditReader(appliance.path).new()]
    return [(entry.event, entry.account, entry.by, entry.detail) for entry in audited if entry.event != "created"]


async def expect_entries(appliance: Appliance, *expected: tuple[Any, ...]) -> None:
    """Wait for the entries: some are written after the response."""
    deadline = time.monotonic() + 10
    while entries(appliance) != list(expected) and time.monotonic() < deadline:  # noqa: ASYNC110  it has no event
        await asyncio.sleep(0.01)
    assert entries(appliance) == list(expected)


async def test_every_failed_access_is_audited(appliance: Appliance) -> None:
    http = appliance.http
    own = await appliance.key()
    secret = await create(http, key=own, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    expected: list[tuple[Any, ...]] = [("key_added", "acme", None, f"{own[:14]}... create,manage")]
    for headers, status, code in (
        ({}, 401, None),  # no attempt
        ({"access": "d3Jvbmc"}, 401, "access_denied"),
        ({"access": ACCESS}, 401, None),
        ({"access": ACCESS, "passcode": WRONG}, 401, "passcode_wrong"),
        ({"access": ACCESS, "passcode": RIGHT}, 200, None),
        ({"access": ACCESS, "passcode": RIGHT}, 410, "gone"),
    ):
        assert (await reveal(http, secret, **headers)).status_code == status
        if code:
            expected.append(("failed", "acme", None, code))
        elif status == 200:
            expected.append(("revealed", "acme", None, "view 1 of 1"))
        await expect_entries(appliance, *expected)
    assert (await http.get(f"/secrets/{secret['linkId']}/meta")).status_code == 410
    await expect_entries(appliance, *expected, ("failed", "acme", None, "gone"))


@pytest.mark.parametrize("path", ["reveal", "burn"])
async def test_losers_of_a_race_are_audited(appliance: Appliance, path: str) -> None:
    """ONE-01: all have passed the checks when the first one is served."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    headers = {"SecLink-Access": ACCESS, "SecLink-Passcode": RIGHT}
    requests = [appliance.http.post(f"/secrets/{secret['linkId']}/{path}", headers=headers) for _ in range(4)]
    statuses = sorted(response.status_code for response in await asyncio.gather(*requests))
    assert statuses[1:] == [410] * 3
    served = {"reveal": ("revealed", None, None, "view 1 of 1"), "burn": ("burned", None, None, "by the link")}[path]
    await expect_entries(appliance, served, *[("failed", None, None, "gone")] * 3)


async def test_retry_after_a_burn_is_audited(appliance: Appliance) -> None:
    secret = await create(appliance.http, maxViews=2, expiryType="1hour")
    assert (await reveal(appliance.http, secret, idempotency="a" * 16)).status_code == 200
    assert (await appliance.http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret))).status_code == 204
    assert (await reveal(appliance.http, secret, idempotency="a" * 16)).status_code == 410
    burned = ("burned", None, None, "by the manage token")
    await expect_entries(appliance, ("revealed", None, None, "view 1 of 2"), burned, ("failed", None, None, "gone"))


async def test_wrong_passcode_of_a_key_holder_names_its_account(appliance: Appliance) -> None:
    secret, key = await create(appliance.http, passcodeHash=RIGHT), await appliance.key("acme")
    headers = bearer(key) | {"SecLink-Passcode": WRONG}
    await appliance.http.get(f"/secrets/{secret['linkId']}", headers=headers)
    added = ("key_added", "acme", None, f"{key[:14]}... create,manage")
    await expect_entries(appliance, added, ("failed", None, "acme", "passcode_wrong"))


async def test_locked_out_guesser_is_audited(appliance: Appliance) -> None:
    secret = await create(appliance.http, passcodeHash=RIGHT)
    for _ in range(6):
        response = await reveal(appliance.http, secret, passcode=WRONG)
    assert response.status_code == 429
    wrong = ("failed", None, None, "passcode_wrong")
    await expect_entries(
        appliance, *[wrong] * 5, *[("failed", None, None, name) for name in ("locked", "passcode_locked")]
    )


async def test_failures_of_one_secret_are_limited_by_day(appliance: Appliance) -> None:
    """At most ten a day for one secret."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, expiryType="7days")
    for day in range(2):
        for _ in range(30):
            assert (await reveal(appliance.http, secret, access="d3Jvbmc")).status_code == 401
        await expect_entries(appliance, *[("failed", None, None, "access_denied")] * 10 * (day + 1))
        appliance.clock.move(86400)


async def test_failures_of_many_secrets_use_bounded_memory(
    make_appliance: MakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of them are still audited."""
    limiters: list[RateLimiter] = []

    def small() -> RateLimiter:
        limiters.append(RateLimiter(5))
        return limiters[-1]

    monkeypatch.setattr("seclink.domain.vault_state.RateLimiter", lambda *_: small())
    appliance = await make_appliance()
    for _ in range(20):
        secret = await create(appliance.http)
        await reveal(appliance.http, secret)
        assert (await reveal(appliance.http, secret)).status_code == 410
    assert len(limiters[0]) <= 6
    revealed = [("revealed", None, None, "view 1 of 1"), ("failed", None, None, "gone")]
    await expect_entries(appliance, *revealed * 15, *revealed[:1] * 5)


async def test_unknown_secrets_are_not_audited(appliance: Appliance) -> None:
    for _ in range(3):
        assert (await appliance.http.get("/secrets/nobodyknows1/meta")).status_code == 404
        assert (await reveal(appliance.http, {"linkId": "nobodyknows1"})).status_code == 404
    secret = await create(appliance.http)
    assert (await reveal(appliance.http, secret)).status_code == 200
    await expect_entries(appliance, ("revealed", None, None, "view 1 of 1"))


async def test_actor_of_every_change_is_audited(appliance: Appliance) -> None:
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
    for secret, headers in ((mine, bearer(own)), (theirs, bearer(admin)), (token, manage(token))):
        assert (await http.delete(f"/receipts/{secret['receiptId']}", headers=headers)).status_code == 204
    assert (await http.post(f"/secrets/{link['linkId']}/burn", headers={"SecLink-Access": ACCESS})).status_code == 204
    await expect_entries(
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

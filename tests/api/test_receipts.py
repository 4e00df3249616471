"""The sender's side: receipts, changes, burning and statistics, by manage token or by the account's key only."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS_HASH, RIGHT, WRONG, bearer, check_problem, create, encoded, faults, manage, reveal, state
from file_helpers import SMALL, content, create_with_files, reveal_files
from support.appliance import Appliance, MakeAppliance

from seclink.domain import tokens, uploads

pytestmark = pytest.mark.anyio
DAY = 86_400


async def list_receipts(http: httpx.AsyncClient, key: str, query: str = "") -> dict[str, Any]:
    response = await http.get(f"/receipts{query}", headers=bearer(key))
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    return page


async def test_receipt_has_the_whole_history(appliance: Appliance) -> None:
    http = appliance.http
    secret = await create(http, passcodeHash=RIGHT, label="for Bob", publicNote="hello", maxViews=2)
    steps: list[tuple[str, Callable[[], Awaitable[httpx.Response]]]] = [
        ("peeked", lambda: http.get(f"/secrets/{secret['linkId']}/meta")),
        ("passcode_wrong", lambda: reveal(http, secret, passcode=WRONG)),
        ("reported", lambda: http.post(f"/secrets/{secret['linkId']}/report")),
        (
            "changed",
            lambda: http.patch(f"/receipts/{secret['receiptId']}", json={"label": "for Eve"}, headers=manage(secret)),
        ),
        ("revealed", lambda: reveal(http, secret, passcode=RIGHT)),
        ("revealed", lambda: reveal(http, secret, passcode=RIGHT)),
    ]
    created_at = appliance.clock.now()
    for _, step in steps:
        appliance.clock.move(1)
        await step()
    receipt = await state(http, secret)
    assert receipt == {
        "receiptId": secret["receiptId"], "linkId": secret["linkId"], "state": "revealed", "label": None,
        "publicNote": None,
        "createdAt": created_at, "expiresAt": secret["expiresAt"], "maxViews": 2, "views": 2, "passcodeRequired": True,
        "lockedUntil": None, "lockedClients": 0,
        "events": [
            {"at": created_at + 1000 * n, "type": kind} for n, kind in enumerate(["created", *(kind for kind,
            _ in steps)])
        ],
    }  # fmt: skip


async def test_receipt_that_exists_costs_a_stranger_as_much_as_one_that_does_not(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTH-09: the same statements and the same digests, so the time of a 404 says nothing."""
    http, work, digest = appliance.http, list[str](), tokens.digest

    def recorded(token: str) -> bytes:
        work.append("digest")
        return digest(token)

    monkeypatch.setattr(tokens, "digest", recorded)
    await appliance.store._reader.set_trace_callback(work.append)
    receipt_id = (await create(http, key=await appliance.key("other")))["receiptId"]
    keys: tuple[dict[str, str], ...] = ({}, bearer(await appliance.key("one")))
    for verb in ("GET", "PATCH", "DELETE"):
        for headers in (*keys, *({**key, "SecLink-Manage": "x" * 32} for key in keys)):
            costs = []
            for id in (receipt_id, "x" * 20, receipt_id):
                work.clear()
                assert (await http.request(verb, f"/receipts/{id}", headers=headers)).status_code == 404
                costs.append([item.replace(id, "ID") for item in work])
            assert costs[1] == costs[2], (verb, headers)
            assert "ID" in str(costs[1])


async def test_list_has_only_own_receipts_newest_first_and_no_link_ids(appliance: Appliance) -> None:
    """AUTH-07"""
    http, key, other = appliance.http, await appliance.key("one"), await appliance.key("two")
    own = [await create(http, key=key, label=str(n)) for n in range(3)]
    await create(http, key=other)
    await create(http)
    page = await list_receipts(http, key)
    assert [item["receiptId"] for item in page["data"]] == [secret["receiptId"] for secret in reversed(own)]
    assert not any(secret["linkId"] in str(page) for secret in own)
    assert page["pagination"] == {"currentPage": 1, "perPage": 50, "total": 3, "lastPage": 1}


@pytest.mark.parametrize(
    ("query", "expected", "pagination"),
    [
        ("", "6543210", (1, 50, 7, 1)),
        ("?limit=3", "654", (1, 3, 7, 3)),
        ("?limit=3&page=2", "321", (2, 3, 7, 3)),
        ("?limit=3&page=3", "0", (3, 3, 7, 3)),
        ("?limit=3&page=4", "", (4, 3, 7, 3)),
        ("?limit=7", "6543210", (1, 7, 7, 1)),
        ("?limit=100&page=1000000", "", (1_000_000, 100, 7, 1)),
        ("?search=label+3", "3", (1, 50, 1, 1)),
        ("?search=NOTE", "654", (1, 50, 3, 1)),
        ("?search=%25", "", (1, 50, 0, 1)),
        ("?search=", "6543210", (1, 50, 7, 1)),
        ("?search=label&limit=2&page=2", "10", (2, 2, 4, 2)),
    ],
)
async def test_list_is_paged_and_searched(
    appliance: Appliance, query: str, expected: str, pagination: tuple[int, ...]
) -> None:
    http, key = appliance.http, await appliance.key()
    receipt_ids = []
    for number in range(7):
        words = {"label": f"Label {number}"} if number < 4 else {"publicNote": f"a note {number}"}
        receipt_ids.append((await create(http, key=key, **words))["receiptId"])
    page = await list_receipts(http, key, query)
    assert "".join(str(receipt_ids.index(item["receiptId"])) for item in page["data"]) == expected
    assert tuple(page["pagination"][name] for name in ("currentPage", "perPage", "total", "lastPage")) == pagination


async def test_list_shows_the_files_of_each_secret(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its own receipt does; a secret without files has no such member."""
    monkeypatch.setattr(uploads, "MIN_FREE_BYTES", 0)
    http, key = appliance.http, await appliance.key()
    secrets = [await create_with_files(http, content(SMALL + n), key=key, maxViews=2) for n in range(2)]
    await create(http, key=key)
    for _ in range(2):
        await reveal_files(http, secrets[1])
    items = (await list_receipts(http, key))["data"]
    assert [item.get("files", {}).get("grants") for item in items] == [None, 2, 0]
    assert "files" not in items[0]
    for item in items[1:]:
        assert item["files"] == (await http.get(f"/receipts/{item['receiptId']}", headers=bearer(key))).json()["files"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=1.5", "page"),
        ("page=99999999999999999999", "page"),
        ("page=", "page"),
        ("page=%D9%A1", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=nothing", "status"),
        ("status=", "status"),
        (f"search={'x' * 201}", "search"),
    ],
)
async def test_bad_query_parameter_is_rejected_by_its_name(appliance: Appliance, query: str, field: str) -> None:
    """IN-07"""
    response = await appliance.http.get(f"/receipts?{query}", headers=bearer(await appliance.key()))
    assert faults(response) == {field}


@pytest.mark.parametrize(
    "query", ["page=1&page=2", "search=%ff", "unknown=1", "key=sk_live_x", "&", "page=1&" * 20, "=1"]
)
async def test_query_outside_of_the_contract_is_rejected(appliance: Appliance, query: str) -> None:
    response = await appliance.http.get(f"/receipts?{query}", headers=bearer(await appliance.key()))
    check_problem(response, 400, "bad_request")


async def test_status_filter_uses_the_current_states(appliance: Appliance) -> None:
    """EXP-02: an expired secret counts as expired even if it is not reaped yet."""
    http, key = appliance.http, await appliance.key()
    secrets = {name: await create(http, key=key, expiresIn=60) for name in ("expired", "revealed", "burned")}
    secrets["active"] = await create(http, key=key)
    await reveal(http, secrets["revealed"])
    await http.delete(f"/receipts/{secrets['burned']['receiptId']}", headers=bearer(key))
    appliance.clock.move(60)
    for is_reaped in (False, True):
        for status, secret in secrets.items():
            page = await list_receipts(http, key, f"?status={status}")
            assert [(item["receiptId"], item["state"]) for item in page["data"]] == [(secret["receiptId"], status)]
            assert page["pagination"]["total"] == 1
        if not is_reaped:
            await appliance.store.reap(appliance.clock.now(), 10)


async def test_admin_key_lists_all_receipts_without_link_ids(appliance: Appliance) -> None:
    """AUTH-07"""
    http, key, admin = appliance.http, await appliance.key("one"), await appliance.key("root", "admin")
    secrets = [await create(http, key=key), await create(http)]
    page = await list_receipts(http, admin)
    assert [item["receiptId"] for item in page["data"]] == [secret["receiptId"] for secret in reversed(secrets)]
    for secret in secrets:
        receipt = (await http.get(f"/receipts/{secret['receiptId']}", headers=bearer(admin))).json()
        assert receipt["linkId"] is None
        assert secret["linkId"] not in str(receipt)


@pytest.mark.parametrize(
    ("payload", "changes"),
    [
        ({"label": "new"}, {"label": "new", "publicNote": "note", "maxViews": 3}),
        ({"label": None}, {"label": None, "publicNote": "note"}),
        ({"publicNote": "new"}, {"label": "label", "publicNote": "new"}),
        ({"publicNote": None}, {"label": "label", "publicNote": None}),
        ({"maxViews": 10}, {"maxViews": 10, "views": 1}),
        ({"maxViews": 2}, {"maxViews": 2, "views": 1}),
        ({"maxViews": None}, {"maxViews": None}),
        ({"expiresIn": 60}, {"maxViews": 3}),
        ({"passcodeHash": RIGHT}, {"passcodeRequired": True}),
        ({"passcodeHash": None}, {"passcodeRequired": False}),
        ({}, {"label": "label", "publicNote": "note", "maxViews": 3}),
    ],
)
async def test_patch_changes_only_the_members_it_names(
    appliance: Appliance, payload: dict[str, Any], changes: dict[str, Any]
) -> None:
    http = appliance.http
    secret = await create(http, label="label", publicNote="note", maxViews=3)
    await reveal(http, secret)
    before = await state(http, secret)
    response = await http.patch(f"/receipts/{secret['receiptId']}", json=payload, headers=manage(secret))
    assert response.status_code == 200, response.text
    after = response.json()
    assert after == await state(http, secret)
    expires_at = appliance.clock.now() + 60_000 if "expiresIn" in payload else before["expiresAt"]
    assert after == before | {"events": after["events"], "expiresAt": expires_at} | changes
    assert after["events"][-1]["type"] == "changed"


async def test_patched_lifetime_is_enforced(appliance: Appliance) -> None:
    secret = await create(appliance.http)
    path = f"/receipts/{secret['receiptId']}"
    await appliance.http.patch(path, json={"expiresIn": 60}, headers=manage(secret))
    appliance.clock.move(60)
    check_problem(await reveal(appliance.http, secret), 410, "gone")
    assert await appliance.store.reap(appliance.clock.now(), 10) == 1


async def test_patched_payload_replaces_the_old_one(appliance: Appliance) -> None:
    secret = await create(appliance.http)
    payload = {"encryptedBlob": encoded(b"second thoughts"), "iv": encoded(b"j" * 12)}
    await appliance.http.patch(f"/receipts/{secret['receiptId']}", json=payload, headers=manage(secret))
    revealed = (await reveal(appliance.http, secret)).json()
    assert {name: revealed[name] for name in payload} == payload


async def test_changes_of_the_lifetime_add_up_to_at_most_the_longest(appliance: Appliance) -> None:
    """EXP-08: a secret whose lifetime is changed again and again ends as one that was created with the longest."""
    secret = await create(appliance.http, expiryType=None, expiresIn=2 * DAY)
    path, latest = f"/receipts/{secret['receiptId']}", appliance.clock.now() + 30 * DAY * 1000
    for days in range(29, 0, -1):
        appliance.clock.move(DAY)
        response = await appliance.http.patch(path, json={"expiresIn": days * DAY + 1}, headers=manage(secret))
        assert faults(response) == {"expiresIn"}
        assert response.json()["errors"][0]["limit"] == {"min": 60, "max": days * DAY}
        response = await appliance.http.patch(path, json={"expiresIn": days * DAY}, headers=manage(secret))
        assert response.json()["expiresAt"] == latest
    appliance.clock.move(DAY - 30)
    assert faults(await appliance.http.patch(path, json={"expiresIn": 60}, headers=manage(secret))) == {"expiresIn"}
    appliance.clock.move(30)
    assert (await state(appliance.http, secret))["state"] == "expired"


async def test_hundred_and_first_change_is_refused(appliance: Appliance) -> None:
    """AUTH-10"""
    secret = await create(appliance.http)
    path = f"/receipts/{secret['receiptId']}"
    for n in range(100):
        response = await appliance.http.patch(path, json={"label": str(n)}, headers=manage(secret))
        assert response.status_code == 200
    refused = await appliance.http.patch(path, json={"label": "swapped"}, headers=manage(secret))
    check_problem(refused, 409, "too_many_changes")
    assert (await state(appliance.http, secret))["label"] == "99"
    assert (await appliance.http.delete(path, headers=manage(secret))).status_code == 204


async def test_patched_passcode_replaces_the_old_one_and_its_attempts(appliance: Appliance) -> None:
    http = appliance.http
    secret = await create(http, passcodeHash=RIGHT, maxViews=2)
    for _ in range(5):
        await reveal(http, secret, passcode=WRONG)
    await http.patch(f"/receipts/{secret['receiptId']}", json={"passcodeHash": WRONG}, headers=manage(secret))
    assert (await reveal(http, secret, passcode=RIGHT)).json()["attemptsLeft"] == 4
    assert (await reveal(http, secret, passcode=WRONG)).status_code == 200
    await http.patch(f"/receipts/{secret['receiptId']}", json={"passcodeHash": None}, headers=manage(secret))
    assert (await reveal(http, secret)).status_code == 200


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        ({"maxViews": 2}, "maxViews"),
        ({"maxViews": 1}, "maxViews"),
        ({"maxViews": 0}, "maxViews"),
        ({"maxViews": 1001}, "maxViews"),
        ({"expiresIn": 59}, "expiresIn"),
        ({"expiresIn": 30 * DAY + 1}, "expiresIn"),
        ({"expiresIn": None}, "expiresIn"),
        ({"encryptedBlob": encoded(b"x")}, "iv"),
        ({"iv": encoded(b"x")}, "iv"),
        ({"encryptedBlob": "", "iv": encoded(b"x")}, "encryptedBlob"),
        ({"encryptedBlob": None, "iv": None}, "encryptedBlob iv"),
        ({"passcodeHash": "x"}, "passcodeHash"),
        ({"label": "x" * 201}, "label"),
        ({"publicNote": "\x00"}, "publicNote"),
        ({"accessHash": ACCESS_HASH}, "accessHash"),
        ({"state": "active"}, "state"),
        ({"views": 0}, "views"),
    ],
)
async def test_patch_out_of_bounds_is_rejected_and_changes_nothing(
    appliance: Appliance, payload: dict[str, Any], fields: str
) -> None:
    """The view limit cannot go below the views spent, and the access hash cannot change."""
    http = appliance.http
    secret = await create(http, maxViews=5, label="label")
    for _ in range(2):
        await reveal(http, secret)
    before = await state(http, secret)
    response = await http.patch(f"/receipts/{secret['receiptId']}", json=payload, headers=manage(secret))
    assert faults(response) == set(fields.split())
    assert await state(http, secret) == before
    assert (await reveal(http, secret)).json()["encryptedBlob"] == encoded(b"ciphertext")


@pytest.mark.parametrize("end", ["revealed", "burned"])
async def test_ended_secret_can_be_neither_changed_nor_burned(appliance: Appliance, end: str) -> None:
    http = appliance.http
    secret = await create(http)
    path = f"/receipts/{secret['receiptId']}"
    if end == "revealed":
        await reveal(http, secret)
    else:
        assert (await http.delete(path, headers=manage(secret))).content == b""
    check_problem(await http.patch(path, json={"maxViews": 5}, headers=manage(secret)), 409, "not_active")
    assert check_problem(await http.delete(path, headers=manage(secret)), 410, "gone")["state"] == end
    check_problem(await reveal(http, secret), 410, "gone")


async def test_burned_secret_is_gone_for_the_reader(appliance: Appliance) -> None:
    http = appliance.http
    secret = await create(http, accessHash=ACCESS_HASH)
    response = await http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret))
    assert (response.status_code, response.content) == (204, b"")
    assert check_problem(await reveal(http, secret), 410, "gone")["state"] == "burned"


async def test_stats_count_the_secrets_of_the_account(appliance: Appliance) -> None:
    http, key = appliance.http, await appliance.key()
    appliance.clock.ms = 1_800_000_000_000  # Friday 2027-01-15, 08:00 UTC
    await create(http, key=key, expiresIn=60)
    appliance.clock.move(10 * DAY)  # Monday
    await create(http, key=key, passcodeHash=RIGHT)
    appliance.clock.move(DAY)
    revealed = await create(http, key=key, maxViews=2)
    for _ in range(2):
        await reveal(http, revealed)
    burned = await create(http, key=key)
    await http.delete(f"/receipts/{burned['receiptId']}", headers=bearer(key))
    await create(http, key=await appliance.key("another"))
    expected = {
        "totalSecrets": 4, "activeSecrets": 1, "expiredSecrets": 1, "revealedSecrets": 1, "burnedSecrets": 1,
        "totalViews": 2,
        "secretsWithPasscode": 1, "createdToday": 2, "createdThisWeek": 3, "createdThisMonth": 4,
    }  # fmt: skip
    for _ in range(2):
        assert (await http.get("/stats", headers=bearer(key))).json() == expected
        await appliance.store.reap(appliance.clock.now(), 10)


async def test_account_shows_its_key_and_the_remaining_rate(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance('[rates]\nkey = "10/hour"\n')
    http = appliance.http
    key = await appliance.key("acme", "create", ttl_seconds=DAY)
    for used in range(3):
        assert (await http.get("/account", headers=bearer(key))).json() == {
            "name": "acme", "scopes": ["create"], "keyPrefix": key[:14],
            "keyExpiresAt": appliance.clock.now() + DAY * 1000,
            "rate": {"limit": 10, "windowSeconds": 3600, "remaining": 9 - used},
            "secrets": {"active": 0, "revealed": 0, "burned": 0, "expired": 0},
        }  # fmt: skip


async def test_patch_reads_the_receipt_once_before_and_once_after(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await create(appliance.http)
    read, ids = appliance.store.receipt, []

    async def counting_read(receipt_id: str, now: int) -> Any:
        ids.append(receipt_id)
        return await read(receipt_id, now)

    monkeypatch.setattr(appliance.store, "receipt", counting_read)
    path = f"/receipts/{secret['receiptId']}"
    assert (await appliance.http.patch(path, json={"label": "x"}, headers=manage(secret))).status_code == 200
    assert ids == [secret["receiptId"]] * 2
    assert (await appliance.http.delete(path, headers=manage(secret))).status_code == 204
    assert len(ids) == 3

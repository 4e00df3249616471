"""Senders' side: receipts, edits, burning, counts; opened by a manage token or the account's key, and to nobody
else.
"""

from typing import Any

import pytest
from api_helpers import ACCESS_HASH, RIGHT, WRONG, bearer, check_problem, create, encoded, faults, manage, reveal, state
from support.appliance import Appliance, MakeAppliance

pytestmark = pytest.mark.anyio
DAY = 86_400


async def listed(http: Any, key: str, query: str = "") -> dict[str, Any]:
    answer = await http.get(f"/receipts{query}", headers=bearer(key))
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_receipt_tells_the_whole_history(appliance: Appliance) -> None:
    http = appliance.http
    made = await create(http, passcodeHash=RIGHT, label="for Bob", publicNote="hello", maxViews=2)
    steps = [
        ("peeked", lambda: http.get(f"/secrets/{made['linkId']}/meta")),
        ("passcode_wrong", lambda: reveal(http, made, passcode=WRONG)),
        ("reported", lambda: http.post(f"/secrets/{made['linkId']}/report")),
        (
            "changed",
            lambda: http.patch(f"/receipts/{made['receiptId']}", json={"label": "for Eve"}, headers=manage(made)),
        ),
        ("revealed", lambda: reveal(http, made, passcode=RIGHT)),
        ("revealed", lambda: reveal(http, made, passcode=RIGHT)),
    ]
    created_at = appliance.clock.now()
    for _, step in steps:
        appliance.clock.move(1)
        await step()
    receipt = await state(http, made)
    assert receipt == {
        "receiptId": made["receiptId"], "linkId": made["linkId"], "state": "revealed", "label": None,
        "publicNote": None,
        "createdAt": created_at, "expiresAt": made["expiresAt"], "maxViews": 2, "views": 2, "passcodeRequired": True,
        "events": [
            {"at": created_at + 1000 * n, "type": kind} for n, kind in enumerate(["created", *(kind for kind,
            _ in steps)])
        ],
    }  # fmt: skip


async def test_list_has_own_receipts_newest_first_and_no_link_ids(appliance: Appliance) -> None:
    """AUTH-07"""
    http, key, other = appliance.http, await appliance.key("one"), await appliance.key("two")
    mine = [await create(http, key=key, label=str(n)) for n in range(3)]
    await create(http, key=other)
    await create(http)
    page = await listed(http, key)
    assert [each["receiptId"] for each in page["data"]] == [each["receiptId"] for each in reversed(mine)]
    assert not any(each["linkId"] in str(page) for each in mine)
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
async def test_pages_and_search(appliance: Appliance, query: str, expected: str, pagination: tuple[int, ...]) -> None:
    http, key = appliance.http, await appliance.key()
    made = []
    for number in range(7):
        words = {"label": f"Label {number}"} if number < 4 else {"publicNote": f"a note {number}"}
        made.append((await create(http, key=key, **words))["receiptId"])
    page = await listed(http, key, query)
    assert "".join(str(made.index(each["receiptId"])) for each in page["data"]) == expected
    assert tuple(page["pagination"][name] for name in ("currentPage", "perPage", "total", "lastPage")) == pagination


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
async def test_bad_query_is_refused_by_name(appliance: Appliance, query: str, field: str) -> None:
    """IN-07"""
    answer = await appliance.http.get(f"/receipts?{query}", headers=bearer(await appliance.key()))
    assert faults(answer) == {field}


@pytest.mark.parametrize(
    "query", ["page=1&page=2", "search=%ff", "unknown=1", "key=sk_live_x", "&", "page=1&" * 20, "=1"]
)
async def test_query_that_is_not_the_contracts_is_refused(appliance: Appliance, query: str) -> None:
    answer = await appliance.http.get(f"/receipts?{query}", headers=bearer(await appliance.key()))
    check_problem(answer, 400, "bad_request")


async def test_status_filter_sees_states_as_they_are_now(appliance: Appliance) -> None:
    """EXP-02: what has expired counts as expired although nothing reaped it."""
    http, key = appliance.http, await appliance.key()
    made = {name: await create(http, key=key, expiresIn=60) for name in ("expired", "revealed", "burned")}
    made["active"] = await create(http, key=key)
    await reveal(http, made["revealed"])
    await http.delete(f"/receipts/{made['burned']['receiptId']}", headers=bearer(key))
    appliance.clock.move(60)
    for turn in range(2):
        for status, each in made.items():
            page = await listed(http, key, f"?status={status}")
            assert [(item["receiptId"], item["state"]) for item in page["data"]] == [(each["receiptId"], status)]
            assert page["pagination"]["total"] == 1
        if turn == 0:
            await appliance.store.reap(appliance.clock.now(), 10)


async def test_admin_sees_all_receipts_and_no_link_id(appliance: Appliance) -> None:
    """AUTH-07"""
    http, key, admin = appliance.http, await appliance.key("one"), await appliance.key("root", "admin")
    made = [await create(http, key=key), await create(http)]
    page = await listed(http, admin)
    assert [each["receiptId"] for each in page["data"]] == [each["receiptId"] for each in reversed(made)]
    for each in made:
        receipt = (await http.get(f"/receipts/{each['receiptId']}", headers=bearer(admin))).json()
        assert receipt["linkId"] is None
        assert each["linkId"] not in str(receipt)


@pytest.mark.parametrize(
    ("sent", "shown"),
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
async def test_patch_changes_what_it_names_and_nothing_else(
    appliance: Appliance, sent: dict[str, Any], shown: dict[str, Any]
) -> None:
    http = appliance.http
    made = await create(http, label="label", publicNote="note", maxViews=3)
    await reveal(http, made)
    before = await state(http, made)
    answer = await http.patch(f"/receipts/{made['receiptId']}", json=sent, headers=manage(made))
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert after == await state(http, made)
    expires_at = appliance.clock.now() + 60_000 if "expiresIn" in sent else before["expiresAt"]
    assert after == before | {"events": after["events"], "expiresAt": expires_at} | shown
    assert after["events"][-1]["type"] == "changed"


async def test_patched_lifetime_is_enforced(appliance: Appliance) -> None:
    made = await create(appliance.http)
    one = f"/receipts/{made['receiptId']}"
    await appliance.http.patch(one, json={"expiresIn": 60}, headers=manage(made))
    appliance.clock.move(60)
    check_problem(await reveal(appliance.http, made), 410, "gone")
    assert await appliance.store.reap(appliance.clock.now(), 10) == 1


async def test_patched_payload_is_what_is_revealed_and_the_old_is_gone(appliance: Appliance) -> None:
    made = await create(appliance.http)
    new = {"encryptedBlob": encoded(b"second thoughts"), "iv": encoded(b"j" * 12)}
    await appliance.http.patch(f"/receipts/{made['receiptId']}", json=new, headers=manage(made))
    shown = (await reveal(appliance.http, made)).json()
    assert {name: shown[name] for name in new} == new


async def test_patched_passcode_replaces_the_old_and_its_tries(appliance: Appliance) -> None:
    http = appliance.http
    made = await create(http, passcodeHash=RIGHT, maxViews=2)
    for _ in range(5):
        await reveal(http, made, passcode=WRONG)
    await http.patch(f"/receipts/{made['receiptId']}", json={"passcodeHash": WRONG}, headers=manage(made))
    assert (await reveal(http, made, passcode=RIGHT)).json()["attemptsLeft"] == 4
    assert (await reveal(http, made, passcode=WRONG)).status_code == 200
    await http.patch(f"/receipts/{made['receiptId']}", json={"passcodeHash": None}, headers=manage(made))
    assert (await reveal(http, made)).status_code == 200


@pytest.mark.parametrize(
    ("sent", "field"),
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
        ({"encryptedBlob": None, "iv": None}, "encryptedBlob"),
        ({"passcodeHash": "x"}, "passcodeHash"),
        ({"label": "x" * 201}, "label"),
        ({"publicNote": "\x00"}, "publicNote"),
        ({"accessHash": ACCESS_HASH}, "accessHash"),
        ({"state": "active"}, "state"),
        ({"views": 0}, "views"),
    ],
)
async def test_patch_out_of_bounds_is_refused_and_changes_nothing(
    appliance: Appliance, sent: dict[str, Any], field: str
) -> None:
    """Never below what is already spent; never another secret under the same link's proof."""
    http = appliance.http
    made = await create(http, maxViews=5, label="label")
    for _ in range(2):
        await reveal(http, made)
    before = await state(http, made)
    answer = await http.patch(f"/receipts/{made['receiptId']}", json=sent, headers=manage(made))
    assert faults(answer) == {field}
    assert await state(http, made) == before
    assert (await reveal(http, made)).json()["encryptedBlob"] == encoded(b"ciphertext")


@pytest.mark.parametrize("end", ["revealed", "burned"])
async def test_ended_secret_can_be_neither_changed_nor_burned_again(appliance: Appliance, end: str) -> None:
    http = appliance.http
    made = await create(http)
    one = f"/receipts/{made['receiptId']}"
    if end == "revealed":
        await reveal(http, made)
    else:
        assert (await http.delete(one, headers=manage(made))).content == b""
    check_problem(await http.patch(one, json={"maxViews": 5}, headers=manage(made)), 409, "not_active")
    assert check_problem(await http.delete(one, headers=manage(made)), 410, "gone")["state"] == end
    check_problem(await reveal(http, made), 410, "gone")


async def test_burned_secret_is_gone_for_its_reader(appliance: Appliance) -> None:
    http = appliance.http
    made = await create(http, accessHash=ACCESS_HASH)
    answer = await http.delete(f"/receipts/{made['receiptId']}", headers=manage(made))
    assert (answer.status_code, answer.content) == (204, b"")
    assert check_problem(await reveal(http, made), 410, "gone")["state"] == "burned"


async def test_stats_count_what_happened(appliance: Appliance) -> None:
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
    await create(http, key=await appliance.key("somebody else"))
    expected = {
        "totalSecrets": 4, "activeSecrets": 1, "expiredSecrets": 1, "revealedSecrets": 1, "burnedSecrets": 1,
        "totalViews": 2,
        "secretsWithPasscode": 1, "createdToday": 2, "createdThisWeek": 3, "createdThisMonth": 4,
    }  # fmt: skip
    for _ in range(2):
        assert (await http.get("/stats", headers=bearer(key))).json() == expected
        await appliance.store.reap(appliance.clock.now(), 10)


async def test_account_tells_its_key_and_what_is_left_of_it(make_appliance: MakeAppliance) -> None:
    made_appliance = await make_appliance('[rates]\nkey = "10/hour"\n')
    http = made_appliance.http
    key = await made_appliance.key("acme", "create", ttl_seconds=DAY)
    for used in range(3):
        assert (await http.get("/account", headers=bearer(key))).json() == {
            "name": "acme", "scopes": ["create"], "keyPrefix": key[:14],
            "keyExpiresAt": made_appliance.clock.now() + DAY * 1000,
            "rate": {"limit": 10, "windowSeconds": 3600, "remaining": 9 - used},
            "secrets": {"active": 0, "revealed": 0, "burned": 0, "expired": 0},
        }  # fmt: skip


async def test_change_reads_the_receipt_once_before_and_once_after(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await create(appliance.http)
    read, receipts = appliance.store.receipt, []

    async def counted(receipt_id: str, now: int) -> Any:
        receipts.append(receipt_id)
        return await read(receipt_id, now)

    monkeypatch.setattr(appliance.store, "receipt", counted)
    address = f"/receipts/{made['receiptId']}"
    assert (await appliance.http.patch(address, json={"label": "x"}, headers=manage(made))).status_code == 200
    assert receipts == [made["receiptId"]] * 2
    assert (await appliance.http.delete(address, headers=manage(made))).status_code == 204
    assert len(receipts) == 3

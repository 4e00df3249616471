"""Burning by a reader: the same checks as for a reveal, in the same order; a secret is burned only if all pass."""

import asyncio
from typing import Any

import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, check_problem, create, encoded, faults, manage, reveal, state
from support.appliance import Appliance, MakeAppliance

pytestmark = pytest.mark.anyio
PROOF = {"access": ACCESS}


async def burn(http: Any, secret: dict[str, Any], body: Any = None, **headers: str) -> Any:
    return await http.post(f"/secrets/{secret['linkId']}/burn", json=body, headers=headers)


async def test_reader_with_the_key_can_burn(appliance: Appliance) -> None:
    secret = await create(appliance.http, accessHash=ACCESS_HASH, maxViews=3, encryptedBlob=encoded(b"MARKER" * 50))
    assert (await reveal(appliance.http, secret, access=ACCESS)).status_code == 200
    response = await burn(appliance.http, secret, PROOF)
    assert (response.status_code, response.content) == (204, b"")
    receipt = await state(appliance.http, secret)
    assert (receipt["state"], receipt["views"]) == ("burned", 1)
    assert [event["type"] for event in receipt["events"]] == ["created", "revealed", "burned"]
    for again in (await reveal(appliance.http, secret, access=ACCESS), await burn(appliance.http, secret, PROOF)):
        assert check_problem(again, 410, "gone")["state"] == "burned"
    assert "burned" in appliance.log.getvalue()
    assert secret["linkId"] not in appliance.log.getvalue()


async def test_proofs_may_come_in_headers(appliance: Appliance) -> None:
    secret = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    response = await burn(appliance.http, secret, **{"SecLink-Access": ACCESS, "SecLink-Passcode": RIGHT})
    assert response.status_code == 204


async def test_burn_without_a_body_needs_the_proof(appliance: Appliance) -> None:
    secret = await create(appliance.http, accessHash=ACCESS_HASH)
    check_problem(await appliance.http.post(f"/secrets/{secret['linkId']}/burn"), 401, "access_required")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "access_required"),
        ({}, "access_required"),
        ({"passcodeHash": RIGHT}, "access_required"),
        ({"access": "AAAA"}, "access_denied"),
        ({"access": "AAAA", "passcodeHash": RIGHT}, "access_denied"),
        ({"access": ACCESS_HASH}, "access_denied"),
        ({"access": ACCESS}, "passcode_required"),
        ({"access": ACCESS, "passcodeHash": WRONG}, "passcode_wrong"),
    ],
)
async def test_burn_needs_every_proof(appliance: Appliance, body: Any, code: str) -> None:
    """BOT-04: without the proof, no passcode attempt is counted."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    check_problem(await burn(appliance.http, secret, body), 401, code)
    meta = (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).json()
    assert (meta["viewsLeft"], meta["attemptsLeft"]) == (1, 4 if code == "passcode_wrong" else 5)
    assert (await state(appliance.http, secret))["state"] == "active"


async def test_link_id_alone_burns_nothing(appliance: Appliance) -> None:
    """BOT-04: a secret without proof of key cannot be burned by a stranger who knows its linkId."""
    for members in ({}, {"passcodeHash": RIGHT}):
        secret = await create(appliance.http, **members)
        for body in ({}, PROOF, {"access": ACCESS, "passcodeHash": RIGHT}):
            check_problem(await burn(appliance.http, secret, body), 401, "access_required")
        assert (await reveal(appliance.http, secret, passcode=RIGHT)).status_code == 200


async def test_passcode_cannot_be_guessed_by_burning(appliance: Appliance) -> None:
    """PC-02: attempts by reveal and by burn are counted together, before they are checked."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    wrong = {"access": ACCESS, "passcodeHash": WRONG}
    responses = [
        await burn(appliance.http, secret, wrong),
        await reveal(appliance.http, secret, access=ACCESS, passcode=WRONG),
    ]
    responses += [await burn(appliance.http, secret, wrong) for _ in range(3)]
    assert [check_problem(response, 401, "passcode_wrong")["attemptsLeft"] for response in responses] == [4, 3, 2, 1, 0]
    locked = await burn(appliance.http, secret, {"access": ACCESS, "passcodeHash": RIGHT})
    check_problem(locked, 429, "passcode_locked")
    assert (await state(appliance.http, secret))["state"] == "active"


async def test_burn_reveal_and_delete_race_for_one_end(appliance: Appliance) -> None:
    """ONE-03: with one view there is one winner, which the receipt names."""
    for turn in range(20):
        secret = await create(appliance.http, accessHash=ACCESS_HASH)
        requests = [
            *(reveal(appliance.http, secret, access=ACCESS) for _ in range(3)),
            *(burn(appliance.http, secret, PROOF) for _ in range(3)),
            appliance.http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret)),
        ]
        responses = await asyncio.gather(*requests[turn % 7 :], *requests[: turn % 7])
        winners = [response for response in responses if response.status_code < 300]
        assert len(winners) == 1
        assert {response.status_code for response in responses} <= {200, 204, 410}
        receipt = await state(appliance.http, secret)
        assert receipt["state"] == ("burned" if winners[0].status_code == 204 else "revealed")
        assert len(receipt["events"]) == 2


async def test_burn_counts_against_the_reveal_rate(make_appliance: MakeAppliance) -> None:
    http = (await make_appliance('[rates]\nreveal = "1/hour"\n')).http
    secret = await create(http, accessHash=ACCESS_HASH)
    check_problem(await burn(http, secret, {}), 401, "access_required")
    check_problem(await burn(http, secret, PROOF), 429, "rate_limited")
    assert (await state(http, secret))["state"] == "active"


async def test_closed_store_burns_nothing(appliance: Appliance) -> None:
    secret = await create(appliance.http, accessHash=ACCESS_HASH)
    await appliance.store.close()
    check_problem(await burn(appliance.http, secret, PROOF), 503, "storage")


async def test_unknown_members_and_ids_are_refused(appliance: Appliance) -> None:
    secret = await create(appliance.http, accessHash=ACCESS_HASH)
    assert faults(await burn(appliance.http, secret, PROOF | {"force": True})) == {"force"}
    check_problem(await burn(appliance.http, {"linkId": "no-id"}, PROOF), 404, "not_found")
    check_problem(await burn(appliance.http, {"linkId": "abcdefghijkl"}, PROOF), 404, "not_found")

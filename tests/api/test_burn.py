"""A reader who has it may end it: the same questions as for revealing, in the same order, and nothing but right answers
to all of them burns.
"""

import asyncio
from typing import Any

import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, check_problem, create, encoded, faults, manage, reveal, state

pytestmark = pytest.mark.anyio
PROOF = {"access": ACCESS}


async def burn(http: Any, made: dict[str, Any], sent: Any = None, **headers: str) -> Any:
    return await http.post(f"/secrets/{made['linkId']}/burn", json=sent, headers=headers)


async def test_reader_with_the_key_ends_it(appliance: Any) -> None:
    made = await create(appliance.http, accessHash=ACCESS_HASH, maxViews=3, encryptedBlob=encoded(b"MARKER" * 50))
    assert (await reveal(appliance.http, made, access=ACCESS)).status_code == 200
    answer = await burn(appliance.http, made, PROOF)
    assert (answer.status_code, answer.content) == (204, b"")
    receipt = await state(appliance.http, made)
    assert (receipt["state"], receipt["views"]) == ("burned", 1)
    assert [each["type"] for each in receipt["events"]] == ["created", "revealed", "burned"]
    for again in (await reveal(appliance.http, made, access=ACCESS), await burn(appliance.http, made, PROOF)):
        assert check_problem(again, 410, "gone")["state"] == "burned"
    assert "burned" in appliance.log.getvalue()
    assert made["linkId"] not in appliance.log.getvalue()


async def test_proofs_may_stand_in_headers(appliance: Any) -> None:
    made = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    answer = await burn(appliance.http, made, **{"SecLink-Access": ACCESS, "SecLink-Passcode": RIGHT})
    assert answer.status_code == 204


async def test_without_any_body_it_is_asked_for_the_proof(appliance: Any) -> None:
    made = await create(appliance.http, accessHash=ACCESS_HASH)
    check_problem(await appliance.http.post(f"/secrets/{made['linkId']}/burn"), 401, "access_required")


@pytest.mark.parametrize(
    ("sent", "code"),
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
async def test_nothing_but_all_right_answers_burns(appliance: Any, sent: Any, code: str) -> None:
    """BOT-04: what lacks the proof touches no passcode budget either."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    check_problem(await burn(appliance.http, made, sent), 401, code)
    meta = (await appliance.http.get(f"/secrets/{made['linkId']}/meta")).json()
    assert (meta["viewsLeft"], meta["attemptsLeft"]) == (1, 4 if code == "passcode_wrong" else 5)
    assert (await state(appliance.http, made))["state"] == "active"


async def test_linkid_alone_burns_nothing(appliance: Any) -> None:
    """BOT-04: what asks for no proof of key cannot be ended by whoever comes across its linkId."""
    for members in ({}, {"passcodeHash": RIGHT}):
        made = await create(appliance.http, **members)
        for sent in ({}, PROOF, {"access": ACCESS, "passcodeHash": RIGHT}):
            check_problem(await burn(appliance.http, made, sent), 401, "access_required")
        assert (await reveal(appliance.http, made, passcode=RIGHT)).status_code == 200


async def test_passcode_cannot_be_guessed_by_burning(appliance: Any) -> None:
    """PC-02: tries at either door are counted together, before they are checked."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    wrong = {"access": ACCESS, "passcodeHash": WRONG}
    tries = [await burn(appliance.http, made, wrong), await reveal(appliance.http, made, access=ACCESS, passcode=WRONG)]
    tries += [await burn(appliance.http, made, wrong) for _ in range(3)]
    assert [check_problem(each, 401, "passcode_wrong")["attemptsLeft"] for each in tries] == [4, 3, 2, 1, 0]
    locked = await burn(appliance.http, made, {"access": ACCESS, "passcodeHash": RIGHT})
    check_problem(locked, 429, "passcode_locked")
    assert (await state(appliance.http, made))["state"] == "active"


async def test_reader_sender_and_other_readers_race_for_one_end(appliance: Any) -> None:
    """ONE-03: with one view there is one winner, and the receipt names who it was."""
    for turn in range(20):
        made = await create(appliance.http, accessHash=ACCESS_HASH)
        asked = [
            *(reveal(appliance.http, made, access=ACCESS) for _ in range(3)),
            *(burn(appliance.http, made, PROOF) for _ in range(3)),
            appliance.http.delete(f"/receipts/{made['receiptId']}", headers=manage(made)),
        ]
        answers = await asyncio.gather(*asked[turn % 7 :], *asked[: turn % 7])
        won = [each for each in answers if each.status_code < 300]
        assert len(won) == 1
        assert {each.status_code for each in answers} <= {200, 204, 410}
        receipt = await state(appliance.http, made)
        assert receipt["state"] == ("burned" if won[0].status_code == 204 else "revealed")
        assert len(receipt["events"]) == 2


async def test_burning_counts_like_revealing(make_appliance: Any) -> None:
    http = (await make_appliance('[rates]\nreveal = "1/hour"\n')).http
    made = await create(http, accessHash=ACCESS_HASH)
    check_problem(await burn(http, made, {}), 401, "access_required")
    check_problem(await burn(http, made, PROOF), 429, "rate_limited")
    assert (await state(http, made))["state"] == "active"


async def test_store_that_is_away_burns_nothing(appliance: Any) -> None:
    made = await create(appliance.http, accessHash=ACCESS_HASH)
    await appliance.store.close()
    check_problem(await burn(appliance.http, made, PROOF), 503, "storage")


async def test_unknown_members_and_ids_are_refused(appliance: Any) -> None:
    made = await create(appliance.http, accessHash=ACCESS_HASH)
    assert faults(await burn(appliance.http, made, PROOF | {"force": True})) == {"force"}
    check_problem(await burn(appliance.http, {"linkId": "no-id"}, PROOF), 404, "not_found")
    check_problem(await burn(appliance.http, {"linkId": "abcdefghijkl"}, PROOF), 404, "not_found")

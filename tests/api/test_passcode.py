"""Passcodes: each try is counted before it is checked, a wrong one spends nothing else, and a flood costs little."""

import asyncio
import base64
import hashlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import argon2
import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, check_problem, create, encoded, manage, reveal, state

from seclink.domain.passcodes import QUEUE, THREADS
from seclink.format import envelope

pytestmark = pytest.mark.anyio
WINDOW = 600


class Count:
    """How often argon2 ran: hashes, checks, and how many at the same time at most."""

    def __init__(self) -> None:
        self.hashes = self.checks = self.running = self.most = 0


@pytest.fixture
def argon(monkeypatch: pytest.MonkeyPatch) -> Count:
    """The library's own functions with a counter around them."""
    count = Count()
    hash_, verify = argon2.PasswordHasher.hash, argon2.PasswordHasher.verify

    def counted_hash(self: Any, *arguments: Any, **options: Any) -> str:
        count.hashes += 1
        return hash_(self, *arguments, **options)

    def counted_verify(self: Any, *arguments: Any, **options: Any) -> bool:
        count.checks += 1
        count.running += 1
        count.most = max(count.most, count.running)
        try:
            return verify(self, *arguments, **options)
        finally:
            count.running -= 1

    monkeypatch.setattr(argon2.PasswordHasher, "hash", counted_hash)
    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted_verify)
    return count


async def test_native_passcode_opens_and_the_payload_with_it(appliance: Any) -> None:
    """PC-01: what the client derives, the server takes; what comes back, the client opens."""
    key, iv = b"k" * 32, b"i" * 12
    keys = envelope.derive(key, "pässcode")
    blob = envelope.seal(keys.content_key, iv, {"type": "text"}, b"hello")
    made = await create(
        appliance.http, encryptedBlob=encoded(blob), iv=encoded(iv), passcodeHash=keys.passcode_hash,
        accessHash=keys.access_hash,
        format="seclink/v1",
    )  # fmt: skip
    same = envelope.derive(key, "pa\u0308sscode")  # as another keyboard writes it
    answer = await reveal(appliance.http, made, access=same.access, passcode=same.passcode_hash or "")
    assert answer.json()["encryptedBlob"] == encoded(blob)
    assert envelope.open(same.content_key, iv, blob).body == b"hello"


async def test_right_passcode_opens_in_either_case_and_place(appliance: Any) -> None:
    made = await create(appliance.http, passcodeHash=RIGHT.upper(), maxViews=4)
    link = f"/secrets/{made['linkId']}"
    http = appliance.http
    assert (await http.get(link, headers={"SecLink-Passcode": RIGHT})).status_code == 200
    assert (await http.get(link, headers={"SecLink-Passcode": RIGHT.upper()})).status_code == 200
    assert (await http.post(f"{link}/reveal", headers={"SecLink-Passcode": RIGHT})).status_code == 200
    assert (await http.post(f"{link}/reveal", json={"passcodeHash": RIGHT})).status_code == 200


async def test_burst_of_wrong_guesses_is_checked_no_oftener_than_the_budget(appliance: Any, argon: Count) -> None:
    """PC-02: counted before it is checked, so that many at once gain nothing."""
    made = await create(appliance.http, passcodeHash=RIGHT)
    answers = []
    for _ in range(10):  # in turns that fit the queue, each all at once
        answers += await asyncio.gather(*(reveal(appliance.http, made, passcode=WRONG) for _ in range(10)))
    assert argon.checks == 5
    assert sorted(each.status_code for each in answers) == [401] * 5 + [429] * 95
    assert {each.json()["attemptsLeft"] for each in answers if each.status_code == 401} == {0, 1, 2, 3, 4}
    check_problem(await reveal(appliance.http, made, passcode=RIGHT), 429, "passcode_locked")
    assert argon.checks == 5
    assert (await state(appliance.http, made))["views"] == 0


async def test_right_guess_in_a_burst_is_counted_or_refused_like_any(appliance: Any, argon: Count) -> None:
    """PC-02"""
    made = await create(appliance.http, passcodeHash=RIGHT)
    offers = [WRONG] * 3 + [RIGHT] + [WRONG] * 8
    answers = await asyncio.gather(*(reveal(appliance.http, made, passcode=each) for each in offers))
    assert argon.checks <= 5
    assert [each.status_code for each in answers].count(200) == 1
    assert {each.status_code for each in answers} <= {200, 401, 410, 429}


async def test_flood_of_guesses_is_bounded_and_the_rest_is_told_to_come_again(appliance: Any, argon: Count) -> None:
    """PC-03: two threads, sixteen in the queue; whoever is sent away has not used up a try."""
    made = [await create(appliance.http, passcodeHash=RIGHT) for _ in range(40)]
    answers = await asyncio.gather(*(reveal(appliance.http, each, passcode=WRONG) for each in made))
    busy = [each for each in answers if each.status_code == 503]
    assert argon.most <= THREADS
    assert argon.checks == len(made) - len(busy)
    assert len(busy) == len(made) - THREADS - QUEUE
    for each in busy:
        check_problem(each, 503, "busy")
        assert each.headers["retry-after"] == "1"
    tries = [(await appliance.http.get(f"/secrets/{each['linkId']}/meta")).json()["attemptsLeft"] for each in made]
    assert tries.count(5) >= len(busy)


async def test_flood_of_creates_with_passcodes_is_bounded_too(appliance: Any) -> None:
    """PC-03"""
    sent = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "1hour", "passcodeHash": RIGHT}
    answers = await asyncio.gather(*(appliance.http.post("/secrets", json=sent) for _ in range(30)))
    assert [each.status_code for each in answers].count(201) == THREADS + QUEUE
    assert {each.status_code for each in answers} == {201, 503}


async def test_stranger_without_the_key_cannot_use_up_the_readers_tries(appliance: Any, argon: Count) -> None:
    """PC-04: who knows the id alone never reaches the passcode."""
    made = await create(appliance.http, passcodeHash=RIGHT, accessHash=ACCESS_HASH)
    for number in range(200):
        stranger = appliance.client(f"203.0.113.{number}")
        answer = await reveal(stranger, made, passcode=WRONG, **({"access": "AAAA"} if number % 2 else {}))
        check_problem(answer, 401, "access_denied" if number % 2 else "access_required")
    assert argon.checks == 0
    assert (await reveal(appliance.http, made, access=ACCESS, passcode=RIGHT)).status_code == 200


async def test_lock_is_for_one_client_range_and_for_a_while(appliance: Any) -> None:
    """PC-04: another reader of the same link goes on; the locked one may try again in ten minutes."""
    made = await create(appliance.http, passcodeHash=RIGHT, maxViews=3)
    for left in (4, 3, 2, 1, 0):
        assert (await reveal(appliance.http, made, passcode=WRONG)).json()["attemptsLeft"] == left
    locked = await reveal(appliance.http, made, passcode=RIGHT)
    check_problem(locked, 429, "passcode_locked")
    assert int(locked.headers["retry-after"]) == WINDOW
    assert (await reveal(appliance.client("198.51.100.7"), made, passcode=RIGHT)).status_code == 200
    appliance.clock.move(WINDOW - 1)
    assert (await reveal(appliance.http, made, passcode=RIGHT)).headers["retry-after"] == "1"
    appliance.clock.move(1)
    assert (await reveal(appliance.http, made, passcode=RIGHT)).status_code == 200


async def test_twenty_tries_are_all_there_are(appliance: Any, argon: Count) -> None:
    """PC-04: however many client ranges share them, and however long they wait; the sender can set it free."""
    made = await create(appliance.http, passcodeHash=RIGHT)
    for number in range(4):
        for _ in range(5):
            answer = await reveal(appliance.client(f"203.0.113.{number}"), made, passcode=WRONG)
            check_problem(answer, 401, "passcode_wrong")
    appliance.clock.move(WINDOW)
    fresh = appliance.client("198.51.100.9")
    check_problem(await reveal(fresh, made, passcode=RIGHT), 429, "passcode_locked")
    assert argon.checks == 20
    assert (await fresh.get(f"/secrets/{made['linkId']}/meta")).json()["attemptsLeft"] == 0
    other = hashlib.sha256(b"other").hexdigest()
    await fresh.patch(f"/receipts/{made['receiptId']}", json={"passcodeHash": other}, headers=manage(made))
    assert (await reveal(fresh, made, passcode=other)).status_code == 200


async def test_addresses_of_one_network_share_their_tries(appliance: Any) -> None:
    """PC-04: a /64 is one client."""
    made = await create(appliance.http, passcodeHash=RIGHT)
    statuses = [
        (await reveal(appliance.client(f"2001:db8::{n:x}"), made, passcode=WRONG)).status_code for n in range(6)
    ]
    assert statuses == [401] * 5 + [429]


async def test_locked_secret_costs_no_hash(appliance: Any, argon: Count) -> None:
    """PC-05: the order is count, then check; nor does a missing, malformed or key-less try cost one."""
    made = await create(appliance.http, passcodeHash=RIGHT)
    assert (argon.hashes, argon.checks) == (1, 0)
    check_problem(await reveal(appliance.http, made), 401, "passcode_required")
    check_problem(await reveal(appliance.http, made, passcode="not hex"), 400, "bad_request")
    check_problem(await reveal(appliance.http, {"linkId": "x" * 12}, passcode=WRONG), 404, "not_found")
    assert argon.checks == 0
    for _ in range(5):
        await reveal(appliance.http, made, passcode=WRONG)
    assert argon.checks == 5
    for _ in range(20):
        check_problem(await reveal(appliance.http, made, passcode=WRONG), 429, "passcode_locked")
    assert (argon.hashes, argon.checks) == (1, 5)


async def test_answers_tell_no_more_than_they_are_documented_to(appliance: Any) -> None:
    """PC-06: per status, one set of members and headers, whatever the secret."""
    http = appliance.http
    plain, coded, ended = (
        await create(http),
        await create(http, passcodeHash=RIGHT),
        await create(http, passcodeHash=RIGHT),
    )
    other = await create(http, passcodeHash=RIGHT, publicNote="note", label="label")
    await http.delete(f"/receipts/{ended['receiptId']}", headers=manage(ended))
    await reveal(http, plain)
    shapes: dict[tuple[int, str], set[Any]] = {}
    for made in (plain, coded, ended, other, {"linkId": "x" * 12}, {"linkId": "y" * 12}, {"linkId": "no id"}):
        for headers in ({}, {"passcode": WRONG}):
            answer = await reveal(http, made, **headers)
            shape = (frozenset(answer.json()), frozenset(answer.headers))
            shapes.setdefault((answer.status_code, answer.json()["code"]), set()).add(shape)
    assert {*shapes} == {(401, "passcode_required"), (401, "passcode_wrong"), (404, "not_found"), (410, "gone")}
    assert all(len(each) == 1 for each in shapes.values())


async def test_wrong_passcodes_never_burn(appliance: Any) -> None:
    """PC-07"""
    made = await create(appliance.http, passcodeHash=RIGHT)
    for number in range(30):
        await reveal(appliance.client(f"203.0.113.{number % 3}"), made, passcode=WRONG)
    receipt = await state(appliance.http, made)
    assert (receipt["state"], receipt["views"]) == ("active", 0)
    assert {each["type"] for each in receipt["events"]} == {"created", "passcode_wrong"}
    assert (await reveal(appliance.client("198.51.100.1"), made, passcode=RIGHT)).status_code == 200


async def test_right_passcode_gives_its_try_back(appliance: Any) -> None:
    """Twenty readers with the right passcode use up no budget."""
    made = await create(appliance.http, passcodeHash=RIGHT, maxViews=30)
    for _ in range(25):
        assert (await reveal(appliance.http, made, passcode=RIGHT)).status_code == 200
    assert (await reveal(appliance.http, made, passcode=WRONG)).json()["attemptsLeft"] == 4


async def test_counts_of_tries_outlive_a_restart(make_appliance: Any) -> None:
    """RL-08"""
    before = await make_appliance()
    made = await create(before.http, passcodeHash=RIGHT)
    for _ in range(5):
        await reveal(before.http, made, passcode=WRONG)
    await before.store.close()
    after = await make_appliance(path=before.path, clock=before.clock)
    check_problem(await reveal(after.http, made, passcode=RIGHT), 429, "passcode_locked")
    assert (await reveal(after.client("198.51.100.1"), made, passcode=WRONG)).status_code == 401


async def test_what_the_server_has_is_no_use_for_guessing_a_passcode(appliance: Any) -> None:
    """PC-08: everything received and stored for two secrets with one passcode has nothing in common, because each is
    bound to its own key; and with the passcode itself but not the key, nothing that is stored can be recomputed.
    """
    passcode = "314159"
    keys = [envelope.derive(bytes([n]) * 32, passcode) for n in (7, 8)]
    made = [await create(appliance.http, passcodeHash=each.passcode_hash, accessHash=each.access_hash) for each in keys]
    assert keys[0].passcode_hash != keys[1].passcode_hash
    for each, derived in zip(made, keys, strict=True):
        assert (await reveal(appliance.http, each, access=derived.access, passcode=WRONG)).status_code == 401
    with sqlite3.connect(appliance.path) as db:
        rows = db.execute("SELECT access_hash, passcode FROM secrets").fetchall()
    db.close()
    hasher = argon2.PasswordHasher()
    accesses = [base64.urlsafe_b64decode(each.access + "=") for each in keys]
    for access_hash, stored in rows:
        assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        without_key = [
            passcode,
            hashlib.sha256(passcode.encode()).hexdigest(),
            *_stretched(passcode, access_hash, *accesses),
        ]
        for guess in without_key:
            with pytest.raises(argon2.exceptions.VerifyMismatchError):
                hasher.verify(stored, guess)
    assert hasher.verify(rows[0][1], envelope.derive(bytes([7]) * 32, passcode).passcode_hash or "")


def _stretched(passcode: str, access_hash: str, *accesses: bytes) -> Iterator[str]:
    """The format's derivation with what a server has, stored or received, in place of the key."""
    for key in (b"", bytes(32), bytes.fromhex(access_hash), *accesses):
        yield envelope.derive(key, passcode).passcode_hash or ""


async def test_strong_profile_is_what_is_stored_when_configured(make_appliance: Any) -> None:
    strong = await make_appliance('[passcodes]\nprofile = "strong"\n')
    made = await create(strong.http, passcodeHash=RIGHT)
    with sqlite3.connect(strong.path) as db:
        (stored,) = db.execute("SELECT passcode FROM secrets").fetchone()
    db.close()
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (await reveal(strong.http, made, passcode=RIGHT)).status_code == 200

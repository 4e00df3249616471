"""Passcodes: attempts are counted before they are checked, spend nothing else, and a flood of them costs little."""

import asyncio
import base64
import hashlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import argon2
import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, check_problem, create, encoded, manage, reveal, state
from support.appliance import Appliance, MakeAppliance

from seclink.domain.passcodes import QUEUE, THREADS
from seclink.format import envelope

ANONYMOUS_SLOTS = (THREADS + QUEUE) * 3 // 4
pytestmark = pytest.mark.anyio
WINDOW = 600


class ArgonCounter:
    """Counts argon2 runs: hashes, checks, and the maximum of concurrent checks."""

    def __init__(self) -> None:
        self.hashes = self.checks = self.running = self.max_running = 0


@pytest.fixture
def argon(monkeypatch: pytest.MonkeyPatch) -> ArgonCounter:
    """Count the calls of the argon2 library."""
    count = ArgonCounter()
    hash_, verify = argon2.PasswordHasher.hash, argon2.PasswordHasher.verify

    def counted_hash(self: Any, *arguments: Any, **options: Any) -> str:
        count.hashes += 1
        return hash_(self, *arguments, **options)

    def counted_verify(self: Any, *arguments: Any, **options: Any) -> bool:
        count.checks += 1
        count.running += 1
        count.max_running = max(count.max_running, count.running)
        try:
            return verify(self, *arguments, **options)
        finally:
            count.running -= 1

    monkeypatch.setattr(argon2.PasswordHasher, "hash", counted_hash)
    monkeypatch.setattr(argon2.PasswordHasher, "verify", counted_verify)
    return count


async def test_native_passcode_reveals_and_opens_the_payload(appliance: Appliance) -> None:
    """PC-01: the server accepts the client's derivation, and the client opens the response."""
    key, iv = b"k" * 32, b"i" * 12
    keys = envelope.derive(key, "pässcode")
    blob = envelope.seal(keys.content_key, iv, {"type": "text"}, b"hello")
    secret = await create(
        appliance.http, encryptedBlob=encoded(blob), iv=encoded(iv), passcodeHash=keys.passcode_hash,
        accessHash=keys.access_hash,
        format="seclink/v1",
    )  # fmt: skip
    retyped = envelope.derive(key, "pa\u0308sscode")  # as another keyboard writes it
    response = await reveal(appliance.http, secret, access=retyped.access, passcode=retyped.passcode_hash or "")
    assert response.json()["encryptedBlob"] == encoded(blob)
    assert envelope.open(retyped.content_key, iv, blob).body == b"hello"


async def test_right_passcode_may_be_upper_case_in_header_or_body(appliance: Appliance) -> None:
    secret = await create(appliance.http, passcodeHash=RIGHT.upper(), maxViews=4)
    link = f"/secrets/{secret['linkId']}"
    http = appliance.http
    assert (await http.get(link, headers={"SecLink-Passcode": RIGHT})).status_code == 200
    assert (await http.get(link, headers={"SecLink-Passcode": RIGHT.upper()})).status_code == 200
    assert (await http.post(f"{link}/reveal", headers={"SecLink-Passcode": RIGHT})).status_code == 200
    assert (await http.post(f"{link}/reveal", json={"passcodeHash": RIGHT})).status_code == 200


async def test_burst_of_wrong_passcodes_is_checked_within_the_budget(appliance: Appliance, argon: ArgonCounter) -> None:
    """PC-02: attempts are counted before they are checked, so concurrent ones gain nothing."""
    secret = await create(appliance.http, passcodeHash=RIGHT)
    responses = []
    for _ in range(20):  # in batches that fit one client's share of the queue
        responses += await asyncio.gather(*(reveal(appliance.http, secret, passcode=WRONG) for _ in range(5)))
    assert argon.checks == 5
    assert sorted(response.status_code for response in responses) == [401] * 5 + [429] * 95
    assert {response.json()["attemptsLeft"] for response in responses if response.status_code == 401} == {0, 1, 2, 3, 4}
    check_problem(await reveal(appliance.http, secret, passcode=RIGHT), 429, "passcode_locked")
    assert argon.checks == 5
    assert (await state(appliance.http, secret))["views"] == 0


async def test_right_passcode_in_a_burst_counts_like_any_attempt(appliance: Appliance, argon: ArgonCounter) -> None:
    """PC-02"""
    secret = await create(appliance.http, passcodeHash=RIGHT)
    offers = [WRONG] * 2 + [RIGHT] + [WRONG] * 3
    responses = await asyncio.gather(*(reveal(appliance.http, secret, passcode=passcode) for passcode in offers))
    assert argon.checks <= 5
    assert [response.status_code for response in responses].count(200) == 1
    assert {response.status_code for response in responses} <= {200, 401, 410, 429}


@pytest.mark.slow
async def test_flood_of_attempts_is_bounded(appliance: Appliance, argon: ArgonCounter) -> None:
    """PC-03: two threads and a queue, of which one client gets a part; a request refused as busy uses up no attempt."""
    secrets = [await create(appliance.http, passcodeHash=RIGHT) for _ in range(60)]
    clients = [appliance.client(f"198.51.100.{n}") for n in range(10)]
    responses = await asyncio.gather(
        *(reveal(clients[n // 6], secret, passcode=WRONG) for n, secret in enumerate(secrets))
    )
    busy = [response for response in responses if response.status_code == 503]
    assert argon.max_running <= THREADS
    assert argon.checks == len(secrets) - len(busy)
    assert len(busy) == len(secrets) - ANONYMOUS_SLOTS
    for response in busy:
        check_problem(response, 503, "busy")
        assert response.headers["retry-after"] == "1"
    attempts = [
        (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).json()["attemptsLeft"] for secret in secrets
    ]
    assert attempts.count(5) >= len(busy)


async def test_flood_of_creates_with_passcodes_is_bounded(appliance: Appliance) -> None:
    """PC-03: one client gets an eighth of the queue, so that another one's passcode is still checked."""
    body = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "1hour", "passcodeHash": RIGHT}
    bystander = appliance.client("198.51.100.1")
    flood = [appliance.http.post("/secrets", json=body) for _ in range(30)]
    *responses, other = await asyncio.gather(*flood, bystander.post("/secrets", json=body))
    assert [response.status_code for response in responses].count(201) == (THREADS + QUEUE) // 8
    assert {response.status_code for response in responses} == {201, 503}
    assert other.status_code == 201


async def test_stranger_without_the_key_uses_up_no_attempts(appliance: Appliance, argon: ArgonCounter) -> None:
    """PC-04: a client that knows only the linkId never reaches the passcode."""
    secret = await create(appliance.http, passcodeHash=RIGHT, accessHash=ACCESS_HASH)
    for number in range(200):
        stranger = appliance.client(f"203.0.113.{number}")
        response = await reveal(stranger, secret, passcode=WRONG, **({"access": "AAAA"} if number % 2 else {}))
        check_problem(response, 401, "access_denied" if number % 2 else "access_required")
    assert argon.checks == 0
    assert (await reveal(appliance.http, secret, access=ACCESS, passcode=RIGHT)).status_code == 200


async def test_lock_is_per_client_and_expires(appliance: Appliance) -> None:
    """PC-04: another reader of the same link is not locked; the lock ends after ten minutes."""
    secret = await create(appliance.http, passcodeHash=RIGHT, maxViews=3)
    for remaining in (4, 3, 2, 1, 0):
        assert (await reveal(appliance.http, secret, passcode=WRONG)).json()["attemptsLeft"] == remaining
    locked = await reveal(appliance.http, secret, passcode=RIGHT)
    check_problem(locked, 429, "passcode_locked")
    assert int(locked.headers["retry-after"]) == WINDOW
    assert (await reveal(appliance.client("198.51.100.7"), secret, passcode=RIGHT)).status_code == 200
    appliance.clock.move(WINDOW - 1)
    assert (await reveal(appliance.http, secret, passcode=RIGHT)).headers["retry-after"] == "1"
    appliance.clock.move(1)
    assert (await reveal(appliance.http, secret, passcode=RIGHT)).status_code == 200


async def test_secret_has_twenty_attempts_in_total(appliance: Appliance, argon: ArgonCounter) -> None:
    """PC-04: over all clients that prove the key, without a time limit; a new passcode by the sender resets them."""
    secret = await create(appliance.http, passcodeHash=RIGHT, accessHash=ACCESS_HASH)
    left = []
    for number in (0, 1, 2, 3, 4):
        for _ in range(4):
            response = await reveal(appliance.client(f"203.0.113.{number}"), secret, access=ACCESS, passcode=WRONG)
            left.append(check_problem(response, 401, "passcode_wrong")["attemptsLeft"])
    assert left == [4, 3, 2, 1] * 4 + [3, 2, 1, 0]  # of the last client's five, four were left for all
    appliance.clock.move(WINDOW)
    fresh = appliance.client("198.51.100.9")
    check_problem(await reveal(fresh, secret, access=ACCESS, passcode=RIGHT), 429, "passcode_locked")
    assert argon.checks == 20
    assert (await fresh.get(f"/secrets/{secret['linkId']}/meta")).json()["attemptsLeft"] == 0
    other = hashlib.sha256(b"other").hexdigest()
    await fresh.patch(f"/receipts/{secret['receiptId']}", json={"passcodeHash": other}, headers=manage(secret))
    assert (await reveal(fresh, secret, access=ACCESS, passcode=other)).status_code == 200


async def test_who_knows_only_the_link_id_cannot_lock_the_reader_out(appliance: Appliance) -> None:
    """PC-10: four addresses with five tries each locked a secret without proof of key until it expired."""
    secret = await create(appliance.http, passcodeHash=RIGHT)
    for number in range(20):
        await reveal(appliance.client(f"203.0.113.{number // 5}"), secret, passcode=WRONG)
    receipt = await state(appliance.http, secret)
    assert (receipt["lockedUntil"], receipt["lockedClients"]) == (None, 4)
    assert [event["type"] for event in receipt["events"]].count("locked") == 4
    assert (await reveal(appliance.http, secret, passcode=RIGHT)).status_code == 200


async def test_sender_unlocks(appliance: Appliance) -> None:
    """PC-10: after fifty wrong passcodes everybody waits a minute; the sender sees it and need not wait."""
    secret = await create(appliance.http, passcodeHash=RIGHT)
    for number in range(50):
        response = await reveal(appliance.client(f"203.0.113.{number // 5}"), secret, passcode=WRONG)
        check_problem(response, 401, "passcode_wrong")
    locked = await reveal(appliance.http, secret, passcode=RIGHT)
    check_problem(locked, 429, "passcode_locked")
    assert locked.headers["retry-after"] == "60"
    receipt = await state(appliance.http, secret)
    assert (receipt["lockedUntil"], receipt["lockedClients"]) == (appliance.clock.now() + 60_000, 10)
    path = f"/receipts/{secret['receiptId']}"
    check_problem(await appliance.http.patch(path, json={"unlock": True}), 404, "not_found")
    unlocked = await appliance.http.patch(path, json={"unlock": True}, headers=manage(secret))
    assert (unlocked.json()["lockedUntil"], unlocked.json()["lockedClients"]) == (None, 0)
    types = [event["type"] for event in unlocked.json()["events"]]
    assert (types[-1], "changed" in types) == ("unlocked", False)
    assert (await reveal(appliance.http, secret, passcode=RIGHT)).status_code == 200


@pytest.mark.parametrize("passcode", [None, RIGHT])
async def test_unlocking_without_attempts_records_nothing(appliance: Appliance, passcode: str | None) -> None:
    """Other changes of the same request are made and recorded."""
    secret = await create(appliance.http, passcodeHash=passcode)
    for members, events in (({}, ["created"]), ({"label": "x"}, ["created", "changed"])):
        response = await appliance.http.patch(
            f"/receipts/{secret['receiptId']}", json={"unlock": True, **members}, headers=manage(secret)
        )
        assert [event["type"] for event in response.json()["events"]] == events
    assert response.json()["label"] == "x"


async def test_addresses_of_one_network_share_their_attempts(appliance: Appliance) -> None:
    """PC-04: a /64 is one client."""
    secret = await create(appliance.http, passcodeHash=RIGHT)
    statuses = [
        (await reveal(appliance.client(f"2001:db8::{n:x}"), secret, passcode=WRONG)).status_code for n in range(6)
    ]
    assert statuses == [401] * 5 + [429]


async def test_locked_secret_costs_no_hash(appliance: Appliance, argon: ArgonCounter) -> None:
    """PC-05: count, then check; a missing or malformed passcode and an unknown linkId cost no hash."""
    secret = await create(appliance.http, passcodeHash=RIGHT)
    assert (argon.hashes, argon.checks) == (1, 0)
    check_problem(await reveal(appliance.http, secret), 401, "passcode_required")
    check_problem(await reveal(appliance.http, secret, passcode="not hex"), 400, "bad_request")
    check_problem(await reveal(appliance.http, {"linkId": "x" * 12}, passcode=WRONG), 404, "not_found")
    assert argon.checks == 0
    for _ in range(5):
        await reveal(appliance.http, secret, passcode=WRONG)
    assert argon.checks == 5
    for _ in range(20):
        check_problem(await reveal(appliance.http, secret, passcode=WRONG), 429, "passcode_locked")
    assert (argon.hashes, argon.checks) == (1, 5)


async def test_error_responses_of_one_kind_have_one_shape(appliance: Appliance) -> None:
    """PC-06: one set of members and headers for each code, for any secret."""
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
    for secret in (plain, coded, ended, other, {"linkId": "x" * 12}, {"linkId": "y" * 12}, {"linkId": "no id"}):
        for headers in ({}, {"passcode": WRONG}):
            response = await reveal(http, secret, **headers)
            shape = (frozenset(response.json()), frozenset(response.headers))
            shapes.setdefault((response.status_code, response.json()["code"]), set()).add(shape)
    assert {*shapes} == {(401, "passcode_required"), (401, "passcode_wrong"), (404, "not_found"), (410, "gone")}
    assert all(len(shape) == 1 for shape in shapes.values())


async def test_wrong_passcodes_never_burn(appliance: Appliance) -> None:
    """PC-07"""
    secret = await create(appliance.http, passcodeHash=RIGHT)
    for number in range(30):
        await reveal(appliance.client(f"203.0.113.{number % 3}"), secret, passcode=WRONG)
    receipt = await state(appliance.http, secret)
    assert (receipt["state"], receipt["views"]) == ("active", 0)
    assert {event["type"] for event in receipt["events"]} == {"created", "passcode_wrong", "locked"}
    assert (await reveal(appliance.client("198.51.100.1"), secret, passcode=RIGHT)).status_code == 200


async def test_right_passcode_refunds_its_attempt(appliance: Appliance) -> None:
    """Readers with the right passcode use up no attempts."""
    secret = await create(appliance.http, passcodeHash=RIGHT, maxViews=30)
    for _ in range(25):
        assert (await reveal(appliance.http, secret, passcode=RIGHT)).status_code == 200
    assert (await reveal(appliance.http, secret, passcode=WRONG)).json()["attemptsLeft"] == 4


async def test_attempts_outlive_a_restart(make_appliance: MakeAppliance) -> None:
    """RL-08"""
    before = await make_appliance()
    secret = await create(before.http, passcodeHash=RIGHT)
    for _ in range(5):
        await reveal(before.http, secret, passcode=WRONG)
    await before.store.close()
    after = await make_appliance(path=before.path, clock=before.clock)
    check_problem(await reveal(after.http, secret, passcode=RIGHT), 429, "passcode_locked")
    assert (await reveal(after.client("198.51.100.1"), secret, passcode=WRONG)).status_code == 401


@pytest.mark.slow
async def test_stored_data_does_not_help_to_guess_a_passcode(appliance: Appliance) -> None:
    """PC-08: two secrets with one passcode have nothing in common on the server, because each hash is bound to its
    own key; with the passcode but without the key, no stored value can be recomputed.
    """
    passcode = "314159"
    keys = [envelope.derive(bytes([n]) * 32, passcode) for n in (7, 8)]
    secrets = [
        await create(appliance.http, passcodeHash=keys_.passcode_hash, accessHash=keys_.access_hash) for keys_ in keys
    ]
    assert keys[0].passcode_hash != keys[1].passcode_hash
    for secret, derived in zip(secrets, keys, strict=True):
        assert (await reveal(appliance.http, secret, access=derived.access, passcode=WRONG)).status_code == 401
    with sqlite3.connect(appliance.path) as db:
        rows = db.execute("SELECT access_hash, passcode FROM secrets").fetchall()
    db.close()
    hasher = argon2.PasswordHasher()
    accesses = [base64.urlsafe_b64decode(keys_.access + "=") for keys_ in keys]
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
    """Derive as the format does, with the values a server stores or receives in place of the key."""
    for key in (b"", bytes(32), bytes.fromhex(access_hash), *accesses):
        yield envelope.derive(key, passcode).passcode_hash or ""


async def test_strong_profile_is_used_if_configured(make_appliance: MakeAppliance) -> None:
    strong = await make_appliance('[passcodes]\nprofile = "strong"\n')
    secret = await create(strong.http, passcodeHash=RIGHT)
    with sqlite3.connect(strong.path) as db:
        (stored,) = db.execute("SELECT passcode FROM secrets").fetchone()
    db.close()
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (await reveal(strong.http, secret, passcode=RIGHT)).status_code == 200

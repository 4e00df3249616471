"""The store's contract, verb by verb, on every engine: a new engine needs only a line in ENGINES."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec
import pytest

from seclink.errors import BadRequest, StorageFailed, StorageFull, TooManyChanges
from seclink.model import ApiKey, Changes, Filter, Rate, Scope, Secret, State, Stats
from seclink.store.contract import IdTaken, Store
from seclink.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000_000
DAY = 86_400_000
KEEP_DAYS = 30
END = NOW + DAY
SINCE = (NOW - DAY, NOW - 7 * DAY, NOW - 30 * DAY)

Open = Callable[..., Awaitable[Store]]


async def open_sqlite(folder: Path, max_bytes: int) -> Store:
    return await SqliteStore.open(folder / "store.db", keep_seconds=KEEP_DAYS * 86400, max_bytes=max_bytes)


ENGINES: dict[str, Callable[[Path, int], Awaitable[Store]]] = {"sqlite": open_sqlite}


@pytest.fixture(params=ENGINES)
async def open_store(request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Open]:
    """Open the same store, as often as a test needs; all are closed at its end."""
    opened: list[Store] = []

    async def open_it(max_bytes: int = 2**30) -> Store:
        opened.append(await ENGINES[request.param](tmp_path, max_bytes))
        return opened[-1]

    yield open_it
    for each in opened:
        await each.close()


@pytest.fixture
async def store(open_store: Open) -> Store:
    return await open_store()


def secret(name: str = "a", **more: Any) -> Secret:
    """Return a secret whose linkId, receiptId and payload are derived from `name`."""
    usual: dict[str, Any] = {
        "link_id": link(name),
        "receipt_id": receipt(name),
        "manage_digest": b"digest of " + name.encode(),
        "account": None,
        "format": "raw",
        "expiry_type": "view_once",
        "payload": b"payload of " + name.encode(),
        "iv": b"iv of " + name.encode(),
        "created_at": NOW,
        "expires_at": END,
        "max_views": 1,
    }
    return Secret(**{**usual, **more})


def link(name: str) -> str:
    return name.rjust(12, "l")


def receipt(name: str) -> str:
    return name.rjust(20, "r")


def key(prefix: str = "sk_live_abcdef", **more: Any) -> ApiKey:
    usual: dict[str, Any] = {
        "digest": b"d" + prefix.encode(),
        "prefix": prefix,
        "account": "acme",
        "scopes": frozenset({Scope.CREATE, Scope.MANAGE}),
        "created_at": NOW,
    }
    return ApiKey(**{**usual, **more})


async def history(store: Store, name: str, now: int) -> list[tuple[int, str]]:
    found = await store.receipt(receipt(name), now)
    assert found is not None
    return [(event.at, event.type) for event in found.events]


# add and peek


async def test_peek_shows_an_added_secret(store: Store) -> None:
    await store.add(secret(max_views=3, access_hash="a" * 64, passcode="argon", public_note="note", label="label"))
    peek = await store.peek(link("a"), NOW)
    assert peek is not None
    assert (peek.receipt_id, peek.format, peek.expiry_type) == (receipt("a"), "raw", "view_once")
    assert (peek.state, peek.created_at, peek.expires_at, peek.ended_at) == (State.ACTIVE, NOW, END, None)
    assert (peek.max_views, peek.views, peek.views_left) == (3, 0, 3)
    assert (peek.access_hash, peek.passcode, peek.passcode_required) == ("a" * 64, "argon", True)
    assert (peek.public_note, peek.was_peeked) == ("note", False)


async def test_unknown_ids_have_no_effect(store: Store) -> None:
    await store.add(secret())
    assert await store.peek(link("b"), NOW) is None
    assert await store.claim(link("b"), NOW) is None
    assert await store.attempt(link("b"), "client", NOW) is None
    assert await store.receipt(receipt("b"), NOW) is None
    assert await store.edit(receipt("b"), Changes(label="x"), NOW) is None
    assert await store.burn(receipt("b"), NOW) is None
    assert await store.find_key(b"unknown") is None
    await store.record(link("b"), "peeked", NOW)


async def test_link_id_and_receipt_id_are_not_interchangeable(store: Store) -> None:
    await store.add(secret(link_id="x" * 12, receipt_id="y" * 20))
    assert await store.peek("y" * 20, NOW) is None
    assert await store.receipt("x" * 12, NOW) is None


@pytest.mark.parametrize("taken", [{"link_id": link("a")}, {"receipt_id": receipt("a")}], ids=["link", "receipt"])
async def test_add_refuses_a_taken_id_and_changes_nothing(store: Store, taken: dict[str, str]) -> None:
    await store.add(secret("a"))
    with pytest.raises(IdTaken):
        await store.add(secret("b", **taken))
    claimed = await store.claim(link("a"), NOW)
    assert claimed is not None
    assert claimed.payload == b"payload of a"
    assert await store.receipt(receipt("b"), NOW) is None


async def test_full_store_refuses_new_secrets_and_reveals_existing_ones(open_store: Open) -> None:
    store = await open_store(max_bytes=2**20)
    await store.add(secret("a"))
    with pytest.raises(StorageFull):
        await store.add(secret("b", payload=b"x" * 2**20))
    assert await store.peek(link("b"), NOW) is None
    assert await store.claim(link("a"), NOW) is not None


async def test_space_of_burned_secrets_is_used_again(open_store: Open) -> None:
    store = await open_store(max_bytes=2**20)
    free_bytes = []
    for name in "abcdefgh":
        await store.add(secret(name, payload=b"x" * 500_000))
        assert await store.burn(receipt(name), NOW) is State.ACTIVE
        free_bytes.append(await store.free_bytes())
    assert min(free_bytes) > 500_000


@pytest.mark.parametrize("expires_at", [0, -1, NOW, NOW - 1])
async def test_add_refuses_an_expiry_before_the_creation(store: Store, expires_at: int) -> None:
    """EXP-03"""
    with pytest.raises(StorageFailed):
        await store.add(secret(expires_at=expires_at))
    assert await store.peek(link("a"), NOW) is None
    assert await store.receipt(receipt("a"), NOW) is None


async def test_claimed_payload_equals_the_added_one(store: Store) -> None:
    every_byte = bytes(range(256)) * 400
    await store.add(secret(payload=every_byte, iv=bytes(64)))
    claimed = await store.claim(link("a"), NOW)
    assert claimed is not None
    assert (claimed.payload, claimed.iv) == (every_byte, bytes(64))


# claim


async def test_last_claim_erases_the_secret(store: Store) -> None:
    await store.add(secret(access_hash="a" * 64, public_note="note", label="label"))
    claimed = await store.claim(link("a"), NOW + 5, access_hash="a" * 64)
    assert claimed is not None
    assert (claimed.receipt_id, claimed.payload, claimed.iv) == (receipt("a"), b"payload of a", b"iv of a")
    assert (claimed.format, claimed.expiry_type, claimed.views_left, claimed.expires_at) == ("raw", "view_once", 0, END)
    peek = await store.peek(link("a"), NOW + 6)
    assert peek is not None
    assert (peek.state, peek.ended_at, peek.views) == (State.REVEALED, NOW + 5, 1)
    assert (peek.access_hash, peek.passcode, peek.public_note) == (None, None, None)
    found = await store.receipt(receipt("a"), NOW + 6)
    assert found is not None
    assert (found.label, found.public_note) == (None, None)
    assert await history(store, "a", NOW + 6) == [(NOW, "created"), (NOW + 5, "revealed")]
    assert await store.claim(link("a"), NOW + 6, access_hash="a" * 64) is None


async def test_claims_count_down_the_views(store: Store) -> None:
    await store.add(secret(max_views=3))
    left = []
    for at in range(4):
        claimed = await store.claim(link("a"), NOW + at)
        left.append(claimed and (claimed.views_left, claimed.payload))
    assert left == [(2, b"payload of a"), (1, b"payload of a"), (0, b"payload of a"), None]
    assert [type for _, type in await history(store, "a", NOW + 9)] == ["created", "revealed", "revealed", "revealed"]


async def test_unlimited_secret_ends_only_by_expiry(store: Store) -> None:
    await store.add(secret(max_views=None))
    for _ in range(150):
        claimed = await store.claim(link("a"), NOW)
        assert claimed is not None
        assert claimed.views_left is None
    found = await store.receipt(receipt("a"), NOW)
    assert found is not None
    assert found.views == 150
    assert len(found.events) <= 101  # the history has a maximum
    assert await store.claim(link("a"), END) is None


async def test_many_reports_do_not_crowd_out_other_events(store: Store) -> None:
    """Anyone with the linkId may report a secret, as often as they like."""
    await store.add(secret(max_views=2))
    for _ in range(150):
        await store.record(link("a"), "reported", NOW, "spam")
    await store.claim(link("a"), NOW + 1)
    found = await store.receipt(receipt("a"), NOW + 2)
    assert found is not None
    assert [each.type for each in found.events].count("reported") == 100
    assert found.events[-1].type == "revealed"


@pytest.mark.parametrize(("at", "is_live"), [(END - 1, True), (END, False), (END + 1, False)])
async def test_claim_is_refused_from_the_instant_of_expiry(store: Store, at: int, is_live: bool) -> None:
    """EXP-01, EXP-02: reaped or not."""
    await store.add(secret())
    peek = await store.peek(link("a"), at)
    assert peek is not None
    assert (peek.state is State.ACTIVE) == is_live
    assert peek.ended_at == (None if is_live else END)
    assert (await store.claim(link("a"), at) is not None) == is_live


@pytest.mark.parametrize("access_hash", [None, "b" * 64, "A" * 64, "a" * 63, ""])
async def test_claim_without_the_right_proof_is_refused(store: Store, access_hash: str | None) -> None:
    await store.add(secret(access_hash="a" * 64))
    assert await store.claim(link("a"), NOW, access_hash=access_hash) is None
    assert await store.claim(link("a"), NOW, access_hash="a" * 64) is not None


@pytest.mark.parametrize("passcode", [None, "other", ""])
async def test_claim_with_a_replaced_passcode_is_refused(store: Store, passcode: str | None) -> None:
    await store.add(secret(passcode="argon"))
    assert await store.claim(link("a"), NOW, passcode=passcode) is None
    assert await store.claim(link("a"), NOW, passcode="argon") is not None


@pytest.mark.parametrize("views", [1, 2, 3, 10])
async def test_concurrent_claims_take_exactly_the_views(store: Store, views: int) -> None:
    """ONE-02"""
    await store.add(secret(max_views=views))
    claims = await asyncio.gather(*(store.claim(link("a"), NOW) for _ in range(64)))
    taken = [claimed for claimed in claims if claimed is not None]
    assert sorted(claimed.views_left or 0 for claimed in taken) == list(range(views))
    assert {claimed.payload for claimed in taken} == {b"payload of a"}


async def test_concurrent_claims_get_their_own_payloads(store: Store) -> None:
    names = [f"{n:04}" for n in range(300)]
    await asyncio.gather(*(store.add(secret(name, max_views=1 + n % 2)) for n, name in enumerate(names)))
    claims = await asyncio.gather(*(store.claim(link(name), NOW) for name in names))
    assert [claimed and claimed.payload for claimed in claims] == [b"payload of " + name.encode() for name in names]


async def test_concurrent_claim_and_burn_have_one_winner(store: Store) -> None:
    """ONE-03"""
    for n in range(50):
        name = f"{n:04}"
        await store.add(secret(name))
        asked = [store.burn(receipt(name), NOW), store.claim(link(name), NOW)]
        burned, claimed = await asyncio.gather(*(asked if n % 2 else reversed(asked)))
        burned, claimed = (burned, claimed) if n % 2 else (claimed, burned)
        assert (burned is State.ACTIVE) != (claimed is not None)


# attempt and record


async def test_attempts_count_down_per_client_until_the_window_ends(store: Store) -> None:
    await store.add(secret(passcode="argon", access_hash="access", expires_at=NOW + 7 * DAY))
    tries = [await store.attempt(link("a"), "one", NOW + at) for at in range(6)]
    assert [(each.is_allowed, each.attempts_left) for each in tries if each] == [
        (True, 4),
        (True, 3),
        (True, 2),
        (True, 1),
        (True, 0),
        (False, 0),
    ]
    assert tries[5] is not None
    assert tries[5].retry_after == 600
    other = await store.attempt(link("a"), "other", NOW)
    assert other is not None
    assert other.is_allowed
    later = await store.attempt(link("a"), "one", NOW + 600_000)
    assert later is not None
    assert (later.is_allowed, later.attempts_left) == (True, 4)


async def test_attempts_left_counts_nothing(store: Store) -> None:
    await store.add(secret(passcode="argon", access_hash="access", expires_at=NOW + 7 * DAY))
    for n in range(6):
        assert await store.attempts_left(link("a"), "one", NOW) == 5 - min(n, 5)
        await store.attempt(link("a"), "one", NOW)
    assert await store.attempts_left(link("a"), "one", NOW + 599_999) == 0
    assert await store.attempts_left(link("a"), "one", NOW + 600_000) == 5
    assert await store.attempts_left(link("a"), "one", NOW + 7 * DAY) == 0
    for n in range(13):
        await store.attempt(link("a"), f"client {n}", NOW)
    assert await store.attempts_left(link("a"), "other", NOW) == 2
    await store.burn(receipt("a"), NOW)
    assert await store.attempts_left(link("a"), "other", NOW) == 0
    assert await store.attempts_left(link("b"), "one", NOW) == 0


async def test_secret_allows_twenty_attempts_of_all_clients_together(store: Store) -> None:
    await store.add(secret(passcode="argon", access_hash="access"))
    tries = [await store.attempt(link("a"), f"client {n}", NOW) for n in range(25)]
    assert [each.is_allowed for each in tries if each] == [True] * 20 + [False] * 5


async def test_concurrent_attempts_do_not_exceed_the_limit(store: Store) -> None:
    """PC-02"""
    await store.add(secret(passcode="argon"))
    tries = await asyncio.gather(*(store.attempt(link("a"), "one", NOW) for _ in range(100)))
    assert sum(each.is_allowed for each in tries if each) == 5


async def test_attempts_survive_a_restart(open_store: Open) -> None:
    """RL-08"""
    store = await open_store()
    await store.add(secret(passcode="argon"))
    for _ in range(5):
        await store.attempt(link("a"), "one", NOW)
    await store.close()
    again = await (await open_store()).attempt(link("a"), "one", NOW)
    assert again is not None
    assert not again.is_allowed


async def test_attempts_are_erased_when_their_window_is_over(open_store: Open, tmp_path: Path) -> None:
    """FOR-04: in the raw bytes; the attempts of all clients together stay counted."""
    store = await open_store()
    await store.add(secret(passcode="argon", access_hash="access", expires_at=NOW + 7 * DAY))
    for at in (NOW, NOW, NOW + 1):
        await store.attempt(link("a"), f"client at {at}", at)
    file = tmp_path / "store.db"
    old, new = _clients(file)
    assert await store.reap(NOW + 599_999, 10) == 0
    assert _clients(file) == [old, new]
    assert await store.reap(NOW + 600_000, 10) == 0
    assert _clients(file) == [new]
    assert await store.attempts_left(link("a"), f"client at {NOW + 1}", NOW + 600_000) == 4
    await store.close()
    assert (old in file.read_bytes(), new in file.read_bytes()) == (False, True)
    store = await open_store()
    tries = [await store.attempt(link("a"), f"client {n}", NOW + 700_000) for n in range(18)]
    assert [each.is_allowed for each in tries if each] == [True] * 17 + [False]


def _clients(file: Path) -> list[bytes]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        return [client for (client,) in db.execute("SELECT client FROM attempts ORDER BY since")]


# attempts where the linkId alone is enough

MINUTE, HOUR = 60_000, 3_600_000


async def tried(store: Store, client: str, now: int) -> int:
    """Try a passcode; return the attempts left, or, negative, the seconds that the client is locked for."""
    attempt = await store.attempt(link("a"), client, now)
    assert attempt is not None
    return attempt.attempts_left if attempt.is_allowed else -attempt.retry_after


async def test_range_is_locked_for_longer_each_time(store: Store) -> None:
    """PC-10"""
    await store.add(secret(passcode="argon", expires_at=NOW + 30 * DAY))
    now = NOW
    for lock in (10 * MINUTE, HOUR, 6 * HOUR, DAY, DAY):
        assert [await tried(store, "one", now + n) for n in range(5)] == [4, 3, 2, 1, 0]
        assert await tried(store, "one", now + 4) == -lock // 1000
        assert await store.attempts_left(link("a"), "one", now + 4) == 0
        assert await tried(store, "other", now) >= 0
        now += lock + 4
        assert await tried(store, "one", now - 1) == -1
        assert await store.attempts_left(link("a"), "one", now) == 5
    assert await tried(store, "one", now) == 4
    assert [await tried(store, "one", now + DAY + n) for n in range(5)] == [4, 3, 2, 1, 0]  # a day later: a fresh start
    assert await tried(store, "one", now + DAY + 4) == -600


async def test_everybody_pauses_after_every_fifty_attempts(store: Store) -> None:
    """PC-10: longer each time, up to six hours, and never until the end."""
    await store.add(secret(passcode="argon", expires_at=NOW + 30 * DAY))
    now, client = NOW, 0
    for minutes in (1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360):
        for remaining in reversed(range(50)):
            assert await tried(store, f"client {client}", now) == min(4, remaining)
            client += 1
        assert await tried(store, "reader", now) == -minutes * 60
        assert await store.attempts_left(link("a"), "reader", now) == 0
        found = await store.receipt(receipt("a"), now)
        assert found is not None
        now += minutes * MINUTE
        assert found.locks.until == now
    assert await store.attempts_left(link("a"), "reader", now) == 5
    found = await store.receipt(receipt("a"), now)
    assert found is not None
    assert found.locks.until is None


async def test_guesses_of_any_number_of_clients_are_few(store: Store) -> None:
    """PC-10: 600 on the first day and 200 on each day after; one range has 20 and 5."""
    await store.add(secret(passcode="argon", expires_at=NOW + 30 * DAY))
    counts, now, client = [0, 0, 0], NOW, 0
    for _ in range(2000):
        if now >= NOW + 3 * DAY:
            break
        answer = await tried(store, f"client {client}", now)
        counts[(now - NOW) // DAY] += answer >= 0
        client, now = client + 1, now + max(0, -answer) * 1000
    assert counts == [600, 200, 200]


async def test_right_passcode_ends_the_lock_and_the_pause_that_its_attempt_began(store: Store) -> None:
    """PC-10"""
    await store.add(secret(passcode="argon", max_views=None))
    for n in range(49):
        await tried(store, f"client {n // 5}", NOW)
    assert await tried(store, "client 9", NOW) == 0
    assert await store.claim(link("a"), NOW, passcode="argon", client="client 9") is not None
    assert await tried(store, "client 9", NOW) == 0
    later = NOW + MINUTE
    assert await tried(store, "reader", later) == 4
    assert await store.claim(link("a"), later, passcode="argon", client="reader") is not None
    assert await tried(store, "reader", later) == 4  # the pause that is over does not begin again
    for n in range(48):
        await tried(store, f"new {n // 5}", later)
    assert await tried(store, "reader", later) == 0
    assert await store.claim(link("a"), later, passcode="argon", client="reader") is not None
    assert await tried(store, "another", later) == 0


async def test_sender_sees_locks_and_unlocks(store: Store) -> None:
    """PC-10"""
    await store.add(secret(passcode="argon"))
    for n in range(12):
        await tried(store, f"client {n // 5}", NOW)
    found = await store.receipt(receipt("a"), NOW)
    assert found is not None
    assert (found.locks.until, found.locks.clients) == (None, 2)
    later = await store.receipt(receipt("a"), NOW + 10 * MINUTE)
    assert later is not None
    assert later.locks.clients == 0
    assert await store.edit(receipt("a"), Changes(unlock=True), NOW) is State.ACTIVE
    found = await store.receipt(receipt("a"), NOW)
    assert found is not None
    assert (found.locks.until, found.locks.clients) == (None, 0)
    assert await tried(store, "client 0", NOW) == 4


async def test_lock_with_the_key_is_shown_and_can_be_unlocked(store: Store) -> None:
    await store.add(secret(passcode="argon", access_hash="access"))
    for n in range(20):
        await tried(store, f"client {n // 5}", NOW)
    found = await store.receipt(receipt("a"), NOW)
    assert found is not None
    assert (found.locks.until, found.locks.clients) == (END, 4)
    await store.edit(receipt("a"), Changes(unlock=True), NOW)
    assert await tried(store, "client 0", NOW) == 4


async def test_attempts_without_the_key_are_erased_when_they_no_longer_count(open_store: Open, tmp_path: Path) -> None:
    """FOR-04: a day after the last attempt, or after the end of the lock."""
    store = await open_store()
    await store.add(secret(passcode="argon", expires_at=NOW + 30 * DAY))
    await tried(store, "one", NOW)
    for _ in range(5):
        await tried(store, "locked", NOW)
    file = tmp_path / "store.db"
    for at, count in ((DAY - 1, 2), (DAY, 1), (DAY + 10 * MINUTE - 1, 1), (DAY + 10 * MINUTE, 0)):
        await store.reap(NOW + at, 10)
        assert len(_clients(file)) == count, at


async def test_attempts_that_a_wrong_clock_noted_lock_nobody(open_store: Open, tmp_path: Path) -> None:
    """PC-10: and the reaper erases them."""
    store = await open_store()
    ahead = NOW + 300 * DAY
    await store.add(secret(passcode="argon", expires_at=NOW + 365 * DAY))
    for n in range(50):
        await tried(store, f"client {n // 5}", ahead)
    assert await tried(store, "client 1", NOW) == 4
    await store.reap(NOW, 10)
    assert len(_clients(tmp_path / "store.db")) == 1


async def test_hundred_changes_are_all_in_the_trail_and_no_more(open_store: Open, tmp_path: Path) -> None:
    """AUTH-10: a swap of content or passcode is never missing; burning always works."""
    store = await open_store()
    await store.add(secret())
    for n in range(100):
        assert await store.edit(receipt("a"), Changes(payload=b"%d" % n, iv=b"iv"), NOW) is State.ACTIVE
    for changes in (Changes(payload=b"swapped", iv=b"iv"), Changes(passcode="other"), Changes(label="x")):
        with pytest.raises(TooManyChanges):
            await store.edit(receipt("a"), changes, NOW)
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as db:
        entries = db.execute("SELECT count(*) FROM audit WHERE entry ->> 'event' = 'changed'").fetchone()
    assert entries == (100,)
    claimed = await store.claim(link("a"), NOW)
    assert claimed is not None
    assert claimed.payload == b"99"
    await store.add(secret("b"))
    for _ in range(100):
        await store.edit(receipt("b"), Changes(label="x"), NOW)
    assert await store.burn(receipt("b"), NOW) is State.ACTIVE


async def test_right_passcode_gets_its_attempt_back(store: Store) -> None:
    await store.add(secret(passcode="argon", max_views=None))
    for _ in range(30):
        attempt = await store.attempt(link("a"), "one", NOW)
        assert attempt is not None
        assert attempt.is_allowed
        assert await store.claim(link("a"), NOW, passcode="argon", client="one") is not None
    assert await store.attempts_left(link("a"), "one", NOW) == 5


async def test_ended_secret_allows_no_attempts(store: Store) -> None:
    await store.add(secret(passcode="argon"))
    assert await store.attempt(link("a"), "one", END) is None
    await store.burn(receipt("a"), NOW)
    assert await store.attempt(link("a"), "one", NOW) is None


async def test_peek_after_the_end_is_not_recorded(store: Store) -> None:
    """A peek is recorded after its response, and the secret may have been opened in between."""
    await store.add(secret())
    assert await store.claim(link("a"), NOW + 1) is not None
    await store.record(link("a"), "peeked", NOW + 2)
    assert await history(store, "a", NOW + 3) == [(NOW, "created"), (NOW + 1, "revealed")]


async def test_only_the_first_peek_is_recorded(store: Store) -> None:
    await store.add(secret())
    for at in (3, 1, 7):
        await store.record(link("a"), "peeked", NOW + at)
    await store.record(link("a"), "reported", NOW + 8, "spam")
    assert await history(store, "a", NOW + 9) == [(NOW, "created"), (NOW + 3, "peeked"), (NOW + 8, "reported")]
    found, peek = await store.receipt(receipt("a"), NOW + 9), await store.peek(link("a"), NOW)
    assert found is not None
    assert peek is not None
    assert found.events[-1].reason == "spam"
    assert peek.was_peeked


# replace and burn


async def test_replace_changes_only_the_given_members(store: Store) -> None:
    await store.add(secret(public_note="note", label="label", max_views=2))
    assert await store.edit(receipt("a"), Changes(label="other"), NOW + 1) is State.ACTIVE
    found = await store.receipt(receipt("a"), NOW + 2)
    assert found is not None
    assert (found.label, found.public_note, found.max_views, found.expires_at) == ("other", "note", 2, END)
    assert [type for _, type in await history(store, "a", NOW + 2)] == ["created", "changed"]
    await store.edit(receipt("a"), Changes(public_note=None, label=None, max_views=None), NOW + 3)
    found = await store.receipt(receipt("a"), NOW + 4)
    assert found is not None
    assert (found.label, found.public_note, found.max_views) == (None, None, None)


async def test_claim_returns_the_replaced_payload(store: Store) -> None:
    await store.add(secret())
    await store.edit(receipt("a"), Changes(payload=b"new", iv=b"newer"), NOW)
    claimed = await store.claim(link("a"), NOW)
    assert claimed is not None
    assert (claimed.payload, claimed.iv) == (b"new", b"newer")


async def test_reap_takes_a_few_large_secrets_at_a_time(store: Store) -> None:
    """Erasing hundreds of megabytes at once would hold them all in memory."""
    for name in "abc":
        await store.add(secret(name, payload=b"x" * 3 * 2**20))
    assert [await store.reap(END, 250) for _ in range(4)] == [2, 1, 0, 0]


@pytest.mark.parametrize("step", [-DAY // 2, DAY])
async def test_replaced_expiry_takes_effect(store: Store, step: int) -> None:
    await store.add(secret())
    await store.edit(receipt("a"), Changes(expires_at=END + step), NOW)
    assert await store.reap(END + step - 1, 10) == 0
    peek = await store.peek(link("a"), END + step - 1)
    assert peek is not None
    assert peek.state is State.ACTIVE
    assert await store.reap(END + step, 10) == 1
    assert await store.claim(link("a"), END + step - 1) is None


async def test_replace_refuses_fewer_views_than_were_spent(store: Store) -> None:
    await store.add(secret(max_views=5, label="label"))
    for _ in range(2):
        await store.claim(link("a"), NOW)
    for views in (1, 2):
        with pytest.raises(BadRequest) as refusal:
            await store.edit(receipt("a"), Changes(max_views=views, label="changed"), NOW)
        assert [(fault.field, fault.limit and fault.limit.min) for fault in refusal.value.faults] == [("maxViews", 3)]
    found = await store.receipt(receipt("a"), NOW)
    assert found is not None
    assert found.label == "label"
    assert await store.edit(receipt("a"), Changes(max_views=3), NOW) is State.ACTIVE
    assert await store.claim(link("a"), NOW) is not None
    assert await store.claim(link("a"), NOW) is None


async def test_new_passcode_starts_with_fresh_attempts(store: Store) -> None:
    await store.add(secret(passcode="argon"))
    for _ in range(5):
        await store.attempt(link("a"), "one", NOW)
    await store.edit(receipt("a"), Changes(passcode="other"), NOW)
    attempt = await store.attempt(link("a"), "one", NOW)
    assert attempt is not None
    assert (attempt.is_allowed, attempt.attempts_left) == (True, 4)
    assert await store.claim(link("a"), NOW, passcode="argon") is None
    await store.edit(receipt("a"), Changes(passcode=None), NOW)
    peek = await store.peek(link("a"), NOW)
    assert peek is not None
    assert (peek.passcode, peek.passcode_required) == (None, False)
    assert await store.claim(link("a"), NOW) is not None


async def test_verbs_return_the_state_of_an_ended_secret_and_do_not_change_it(store: Store) -> None:
    for name in "abc":
        await store.add(secret(name))
    await store.claim(link("a"), NOW)
    await store.burn(receipt("b"), NOW)
    await store.reap(END, 10)
    for name, state in zip("abc", (State.REVEALED, State.BURNED, State.EXPIRED), strict=True):
        assert await store.edit(receipt(name), Changes(label="x", payload=b"x", iv=b"x"), END) is state
        assert await store.burn(receipt(name), END) is state
        assert await store.claim(link(name), NOW) is None
        peek = await store.peek(link(name), NOW)
        assert peek is not None
        assert peek.state is state


async def test_expired_but_not_reaped_cannot_be_changed_or_burned(store: Store) -> None:
    await store.add(secret())
    assert await store.edit(receipt("a"), Changes(expires_at=END + DAY), END) is State.EXPIRED
    assert await store.burn(receipt("a"), END) is State.EXPIRED
    assert await store.claim(link("a"), END) is None


async def test_burned_secret_keeps_only_the_facts_of_its_receipt(store: Store) -> None:
    await store.add(secret(public_note="note", label="label", passcode="argon", access_hash="a" * 64))
    assert await store.burn(receipt("a"), NOW + 5) is State.ACTIVE
    peek = await store.peek(link("a"), NOW + 6)
    assert peek is not None
    assert (peek.state, peek.ended_at) == (State.BURNED, NOW + 5)
    assert (peek.passcode, peek.passcode_required, peek.access_hash, peek.public_note) == (None, True, None, None)
    assert await history(store, "a", NOW + 6) == [(NOW, "created"), (NOW + 5, "burned")]


# reap


async def test_reap_expires_only_due_secrets(store: Store) -> None:
    """EXP-05"""
    await store.add(secret("due", expires_at=NOW + 10))
    await store.add(secret("live", expires_at=NOW + 11))
    await store.add(secret("read", expires_at=NOW + 10))
    await store.claim(link("read"), NOW)
    assert await store.reap(NOW + 10, 100) == 1
    states = [await store.peek(link(name), NOW) for name in ("due", "live", "read")]
    assert [peek.state for peek in states if peek] == [State.EXPIRED, State.ACTIVE, State.REVEALED]
    assert await history(store, "due", NOW + 20) == [(NOW, "created"), (NOW + 10, "expired")]
    assert await store.claim(link("live"), NOW + 10) is not None


async def test_reap_takes_at_most_the_limit(store: Store) -> None:
    await asyncio.gather(*(store.add(secret(f"{n:04}", expires_at=NOW + 1 + n)) for n in range(25)))
    assert [await store.reap(NOW + 30, 10) for _ in range(4)] == [10, 10, 5, 0]


async def test_reap_forgets_old_receipts_and_keeps_their_counts(store: Store) -> None:
    await store.add(secret("read", account="acme", passcode="argon"))
    await store.add(secret("burned", account="acme"))
    await store.add(secret("expired", account="acme"))
    await store.add(secret("nobodys"))
    await store.claim(link("read"), NOW, passcode="argon")
    await store.burn(receipt("burned"), NOW)
    before = await store.stats("acme", END, SINCE)
    while await store.reap(END + KEEP_DAYS * DAY - 1, 10):
        pass
    assert await store.receipt(receipt("expired"), END) is not None
    while await store.reap(END + KEEP_DAYS * DAY, 10):
        pass
    for name in ("read", "burned", "expired", "nobodys"):
        assert await store.peek(link(name), END) is None
        assert await store.receipt(receipt(name), END) is None
    after = await store.stats("acme", END, SINCE)
    assert after == msgspec.structs.replace(before, created_today=0, created_this_week=0, created_this_month=0)
    assert (after.total_secrets, after.revealed_secrets, after.burned_secrets, after.expired_secrets) == (3, 1, 1, 1)
    assert (after.total_views, after.secrets_with_passcode) == (1, 1)


# receipts and stats


async def test_receipts_of_an_account_come_in_pages_newest_first(store: Store) -> None:
    for n in range(25):
        await store.add(secret(f"{n:04}", account="acme" if n % 5 else "other"))
    page = await store.receipts(Filter(account="acme", page=2, limit=8), NOW)
    assert (page.page, page.limit, page.total) == (2, 8, 20)
    assert [each.receipt_id for each in page.receipts] == [receipt(f"{n:04}") for n in reversed(range(25)) if n % 5][
        8:16
    ]
    assert all(each.account == "acme" for each in page.receipts)
    assert (await store.receipts(Filter(account=None), NOW)).total == 25
    assert (await store.receipts(Filter(account="acme", page=9), NOW)).receipts == ()


async def test_receipts_can_be_filtered_by_state_and_text(store: Store) -> None:
    for name in ("live", "read", "burned", "late"):
        ends = NOW + 5 if name == "late" else END
        await store.add(secret(name, account="acme", label=f"For {name.upper()}_%", expires_at=ends))
    await store.add(secret("note", account="acme", public_note="Say please"))
    await store.claim(link("read"), NOW)
    await store.burn(receipt("burned"), NOW)

    async def names(**wanted: Any) -> list[str]:
        page = await store.receipts(Filter(account="acme", **wanted), NOW + 5)
        assert page.total == len(page.receipts)
        return sorted(each.receipt_id.lstrip("r") for each in page.receipts)

    assert await names(state=State.ACTIVE) == ["live", "note"]
    assert await names(state=State.REVEALED) == ["ead"]  # "read" without what lstrip took
    assert await names(state=State.BURNED) == ["burned"]
    assert await names(state=State.EXPIRED) == ["late"]
    assert await names(has_ended=True) == ["burned", "ead", "late"]
    assert await names(has_ended=False) == ["live", "note"]
    assert await names(has_ended=True, state=State.ACTIVE) == []
    assert await names(search="for live") == ["live"]
    assert await names(search="PLEASE") == ["note"]
    assert await names(search="_%") == ["late", "live"]  # not patterns; ended secrets have no label
    assert await names(search="nothing like it") == []


async def test_receipts_and_stats_can_be_filtered_by_format(store: Store) -> None:
    for name, format in (("one", "sharokey"), ("two", "sharokey"), ("native", "raw")):
        await store.add(secret(name, account="acme", format=format, max_views=2))
    await store.add(secret("other", account="other", format="sharokey"))
    page = await store.receipts(Filter(account="acme", format="sharokey", limit=1), NOW)
    assert (page.total, [each.format for each in page.receipts]) == (2, ["sharokey"])
    assert (await store.receipts(Filter(account="acme"), NOW)).total == 3
    assert (await store.stats("acme", NOW, SINCE, "sharokey")).active_secrets == 2
    assert (await store.stats("acme", NOW, SINCE)).active_secrets == 3


async def test_stats_count_by_state_and_by_day(store: Store) -> None:
    await store.add(secret("old", account="acme", created_at=NOW - 8 * DAY))
    await store.add(secret("late", account="acme", expires_at=NOW + 5))
    await store.add(secret("many", account="acme", max_views=5, passcode="argon"))
    await store.add(secret("other", account="other"))
    await store.claim(link("many"), NOW, passcode="argon")
    assert await store.stats("acme", NOW + 5, SINCE) == Stats(
        total_secrets=3,
        active_secrets=2,
        expired_secrets=1,
        revealed_secrets=0,
        burned_secrets=0,
        total_views=1,
        secrets_with_passcode=1,
        created_today=2,
        created_this_week=2,
        created_this_month=3,
    )
    assert (await store.stats("nobody", NOW, SINCE)).total_secrets == 0


async def test_receipt_has_its_manage_digest_and_account(store: Store) -> None:
    await store.add(secret(account="acme"))
    found = await store.receipt(receipt("a"), NOW)
    assert found is not None
    assert (found.manage_digest, found.account, found.link_id) == (b"digest of a", "acme", link("a"))


# Keys


async def test_found_key_equals_the_added_one(store: Store) -> None:
    kept = key(expires_at=END, rate=Rate(500, 3600), scopes=frozenset({Scope.ADMIN}))
    await store.add_key(kept)
    assert await store.find_key(kept.digest) == kept
    assert await store.keys() == (kept,)


async def test_keys_are_revoked_by_prefix_and_stay_listed(store: Store) -> None:
    prefixes = ("sk_live_aaaaaa", "sk_live_aaaabb", "sk_live_%aa")
    keys = [key(prefix, created_at=NOW + n) for n, prefix in enumerate(prefixes)]
    for each in reversed(keys):
        await store.add_key(each)
    assert await store.keys() == tuple(keys)
    assert await store.revoke_keys("sk_live_%", NOW + 9) == (msgspec.structs.replace(keys[2], revoked_at=NOW + 9),)
    revoked = await store.revoke_keys("sk_live_aaaa", NOW + 10)
    assert [(each.prefix, each.revoked_at) for each in revoked] == [
        ("sk_live_aaaaaa", NOW + 10),
        ("sk_live_aaaabb", NOW + 10),
    ]
    assert await store.revoke_keys("sk_live_", NOW + 11) == ()
    found = await store.find_key(keys[0].digest)
    assert found is not None
    assert not found.is_live(NOW + 10)


async def test_concurrent_peeks_find_their_own_secrets(store: Store) -> None:
    """Peeks of unknown ids return None."""
    names = [f"n{number}" for number in range(150)]
    await asyncio.gather(*(store.add(secret(name, public_note=name)) for name in names))
    asked = [*names, "nobody", *names, "nobody either"]
    found = await asyncio.gather(*(store.peek(link(name), NOW) for name in asked))
    assert [each and each.public_note for each in found] == [*names, None, *names, None]


async def test_concurrent_lookups_of_a_key_all_find_it(store: Store) -> None:
    await store.add_key(key())
    found = await asyncio.gather(*(store.find_key(key().digest) for _ in range(50)))
    assert set(found) == {key()}


async def test_lookup_after_a_revocation_sees_it(store: Store) -> None:
    """AUTH-02"""
    for n in range(20):
        each = key(f"sk_live_{n:06}")
        await store.add_key(each)
        early = [asyncio.ensure_future(store.find_key(each.digest)) for _ in range(5)]
        await store.revoke_keys(each.prefix, NOW)
        found = await store.find_key(each.digest)
        assert found is not None
        assert found.revoked_at == NOW
        await asyncio.gather(*early)


# Durability and time


async def test_secrets_and_keys_survive_a_restart(open_store: Open) -> None:
    store = await open_store()
    await store.add(secret("live", max_views=2))
    await store.add(secret("read"))
    await store.claim(link("live"), NOW)
    await store.claim(link("read"), NOW)
    await store.add_key(key())
    await store.close()
    store = await open_store()
    claimed = await store.claim(link("live"), NOW)
    assert claimed is not None
    assert claimed.views_left == 0
    assert await store.claim(link("read"), NOW) is None
    assert await store.keys() == (key(),)
    await store.add(secret("new"))
    assert await store.claim(link("new"), NOW) is not None


async def test_store_can_be_closed_twice(open_store: Open) -> None:
    store = await open_store()
    await store.add(secret())
    await store.close()
    await store.close()
    assert await (await open_store()).claim(link("a"), NOW) is not None


async def test_close_finishes_pending_writes(open_store: Open) -> None:
    """CR-13"""
    store = await open_store()
    adding = [asyncio.ensure_future(store.add(secret(f"{n:04}"))) for n in range(300)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*adding)
    store = await open_store()
    for n in range(300):
        assert await store.peek(link(f"{n:04}"), NOW) is not None


@pytest.mark.parametrize("verb", ["ping", "reap"])
async def test_last_seen_instant_only_moves_forward(open_store: Open, verb: str) -> None:
    """CR-09"""
    store = await open_store()

    async def see(now: int) -> None:
        await (store.ping(now) if verb == "ping" else store.reap(now, 10))

    before = await store.last_seen_at()
    assert before < NOW
    await see(NOW)
    await see(NOW - DAY)
    assert await store.last_seen_at() == NOW
    await store.close()
    store = await open_store()
    assert await store.last_seen_at() == NOW


async def test_claim_of_a_cancelled_caller_is_still_a_claim(store: Store) -> None:
    """LR-01: a reader who disconnects has spent the view, and other callers are not disturbed."""
    await store.add(secret("a"))
    await store.add(secret("b"))
    gone = asyncio.ensure_future(store.claim(link("a"), NOW))
    stays = asyncio.ensure_future(store.claim(link("b"), NOW))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays is not None
    peek = await store.peek(link("a"), NOW)
    assert peek is not None
    assert peek.state is State.REVEALED


# Group commit


async def test_failing_write_fails_alone(store: Store) -> None:
    """CR-03: the other writes of its batch are committed."""
    await store.add(secret("0000"))
    names = [f"{n:04}" for n in range(40)]
    outcomes = await asyncio.gather(
        *(store.add(secret(name)) for name in names),
        store.edit(receipt("0000"), Changes(max_views=0), NOW),
        store.edit(receipt("0000"), Changes(label="kept"), NOW),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes[:40]] == [IdTaken] + [type(None)] * 39
    assert isinstance(outcomes[40], BadRequest)
    assert outcomes[41] is State.ACTIVE
    for name in names:
        assert await store.claim(link(name), NOW) is not None


async def test_claim_with_a_proof_the_secret_does_not_need_is_refused(store: Store) -> None:
    """BOT-05: it proves the key of another secret."""
    await store.add(secret("a", access_hash=None))
    assert await store.claim(link("a"), NOW, access_hash="0" * 64) is None
    assert await store.claim(link("a"), NOW) is not None


async def test_open_transaction_does_not_swallow_later_writes(tmp_path: Path) -> None:
    """CR-12: a commit that failed halfway does not affect the durability of later writes."""
    engine = await SqliteStore.open(tmp_path / "store.db", keep_seconds=86400, max_bytes=2**30)
    await engine._writer.execute_fetchall("BEGIN IMMEDIATE")
    await engine.add(secret("a"))
    await engine.add(secret("b"))
    assert await engine.claim(link("b"), NOW) is not None
    seen = await _count_from_elsewhere(tmp_path / "store.db")
    await engine.close()
    assert seen == 2


async def _count_from_elsewhere(path: Path) -> int:
    async with aiosqlite.connect(path) as other:
        rows = await other.execute_fetchall("SELECT count(*) FROM secrets")
    return int(next(iter(rows))[0])

"""SIGKILL at any moment: what was acknowledged lasts, what was ended stays so. CR-01, CR-13, LR-04, EXP-06, RL-08."""

import contextlib
import hashlib
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from typing import Any

import httpx
from api_client import ApiClient, payload_of
from crowd import Crowd, reveal_request
from database_files import database_path, find_bytes, is_intact, open_readonly, query_value, wait_until_erased
from fault_injection import LONG, lock_database
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

from seclink.store.audit_reader import AuditReader

KILLS = 200 if LONG else 40
REAPER_KILLS = 50 if LONG else 6
CLIENTS = 4


class Journal:
    """The acknowledged actions of a client. `begun` is a request that has no response yet."""

    def __init__(self) -> None:
        self.created: dict[str, dict[str, Any]] = {}
        self.begun: set[str] = set()
        self.ended: dict[str, str] = {}

    def fate(self, link_id: str) -> str:
        return self.ended.get(link_id, "unknown" if link_id in self.begun else "active")


def work(server: Server, journal: Journal, seed: int) -> None:
    """Create, reveal and burn until the server is gone; record only acknowledged actions."""
    chance = random.Random(seed)
    with ApiClient(server) as api, contextlib.suppress(httpx.TransportError):
        while True:
            payload = hashlib.sha256(chance.randbytes(16)).hexdigest().encode()
            receipt = api.create(payload)
            journal.created[receipt["linkId"]] = {**receipt, "payload": payload}
            what = chance.choice(("keep", "reveal", "burn"))
            if what == "keep":
                continue
            journal.begun.add(receipt["linkId"])
            response = api.reveal(receipt["linkId"]) if what == "reveal" else api.burn(receipt)
            assert response.status_code == (200 if what == "reveal" else 204), response.text
            journal.ended[receipt["linkId"]] = "revealed" if what == "reveal" else "burned"


def settle(api: ApiClient, journal: Journal, tally: Counter[str]) -> None:
    """Compare the server after a crash with its acknowledged actions; reveal every secret that is still active."""
    for link_id, made in journal.created.items():
        fate = journal.fate(link_id)
        response = api.reveal(link_id)
        tally[f"{fate} {response.status_code}"] += 1
        if fate in ("revealed", "burned"):
            assert (response.status_code, response.json()["state"]) == (410, fate)
        elif fate == "active" or response.status_code == 200:
            assert response.status_code == 200, response.text
            assert payload_of(response.json()) == made["payload"]
            assert api.reveal(link_id).status_code == 410
        else:
            assert response.status_code == 410


def test_kill_undoes_no_acknowledged_write(make_server: MakeServer) -> None:
    """CR-01: no acknowledged reveal or burn comes back, no acknowledged create is lost, the file stays intact."""
    server = make_server(HIGH_RATES + '[log]\nlevel = "error"\n').start()
    chance = random.Random(1)
    tally: Counter[str] = Counter()
    answered: set[tuple[str, str]] = set()
    slowest = 0.0
    for kill in range(KILLS):
        journals = [Journal() for _ in range(CLIENTS)]
        clients = [
            threading.Thread(target=work, args=(server, journal, kill * CLIENTS + n))
            for n, journal in enumerate(journals)
        ]
        for client in clients:
            client.start()
        time.sleep(chance.uniform(0.05, 0.5))
        server.kill()
        for client in clients:
            client.join(TIMEOUT_SECONDS)
            assert not client.is_alive()
        began = time.monotonic()
        server.start()
        slowest = max(slowest, time.monotonic() - began)
        with ApiClient(server) as api:
            for journal in journals:
                settle(api, journal, tally)
                answered |= {("created", each["receiptId"]) for each in journal.created.values()}
                answered |= {(how, journal.created[link]["receiptId"]) for link, how in journal.ended.items()}
        if kill % 10 == 0:
            assert is_intact(database_path(server.folder))
    assert tally["active 200"] > KILLS
    assert tally["revealed 410"] > KILLS
    assert tally["burned 410"] > KILLS
    assert server.stop() == 0, server.log()
    assert is_intact(database_path(server.folder))
    told = [
        (each.entry.event, each.entry.receipt) for each in AuditReader(database_path(server.folder)).new()
    ]  # and is a chain
    assert answered <= set(told)
    once = [each for each in told if each[0] != "failed"]
    assert len(once) == len(set(once))
    unanswered = query_value(database_path(server.folder), "SELECT count(*) FROM payloads")
    assert unanswered <= KILLS * CLIENTS  # creates that were cut off: durable, but nobody knows their names
    print(f"\nCR-01: {KILLS} kills, {dict(sorted(tally.items()))}, {unanswered=}, slowest start {slowest:.2f} s")


def test_response_cached_for_a_retry_is_lost_with_the_process(make_server: MakeServer) -> None:
    """LR-04: within the minute it is only in memory; after a SIGKILL it is 410, and nothing was ever on the disk."""
    server = make_server().start()
    again = {"Idempotency-Key": "0123456789abcdef"}
    with ApiClient(server) as api:
        receipt = api.create(b"only in memory")
        first = api.reveal(receipt["linkId"], **again)
        assert first.status_code == 200
        wait_until_erased(server.folder, b"only in memory")
        assert api.reveal(receipt["linkId"], **again).content == first.content
        assert find_bytes(server.folder, b"only in memory") == []
    server.kill()
    assert find_bytes(server.folder, b"only in memory") == []
    server.start()
    with ApiClient(server) as api:
        gone = api.reveal(receipt["linkId"], **again)
        assert (gone.status_code, gone.json()["state"]) == (410, "revealed")
        assert api.receipt(receipt)["views"] == 1
    assert find_bytes(server.folder, b"only in memory") == []


def test_kill_right_after_a_reveal_leaves_nothing_after_the_next_start(make_server: MakeServer) -> None:
    """LR-04, FOR-01: killed before the log is truncated, the next start truncates it."""
    server = make_server().start()
    for n in range(3):
        payload = b"killed at once %d" % n
        with ApiClient(server) as api:
            receipt = api.create(payload)
            assert api.reveal(receipt["linkId"]).status_code == 200
        server.kill()
        assert find_bytes(server.folder, payload), "the log was emptied before the kill: this round shows nothing"
        server.start()
        wait_until_erased(server.folder, payload)
        with ApiClient(server) as api:
            assert api.reveal(receipt["linkId"]).status_code == 410


def test_reaper_killed_between_batches_finishes_after_the_next_start(make_server: MakeServer) -> None:
    """EXP-06"""
    server = make_server(HIGH_RATES + '[reaper]\nevery = "1s"\n').start()
    with ApiClient(server) as api:
        live = [api.create(b"still live") for _ in range(5)]
    assert server.stop() == 0
    count = 10_000 * REAPER_KILLS
    fill(server, count, ends_in_ms=1)
    chance, kills = random.Random(6), 0
    with open_readonly(database_path(server.folder)) as db:
        for _ in range(REAPER_KILLS):
            server.start()
            before = due(db)
            time.sleep(chance.uniform(0, 0.2))
            server.kill()
            kills += 0 < due(db) <= before
        assert kills >= REAPER_KILLS // 2, "it was always done before the kill: this shows nothing"
        server.start()
        deadline = time.monotonic() + TIMEOUT_SECONDS * 2
        while due(db):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        states = dict(db.execute("SELECT state, count(*) FROM secrets GROUP BY state"))
        assert states == {"active": 5, "expired": count}
        assert db.execute(
            "SELECT count(*) FROM secrets WHERE state = 'expired' AND ended_at <> expires_at"
        ).fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM events").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM payloads").fetchone() == (5,)
    with ApiClient(server) as api:
        assert [api.reveal(each["linkId"]).status_code for each in live] == [200] * 5
    wait_until_erased(server.folder, b"filled in", seconds=10)
    assert server.stop() == 0
    assert is_intact(database_path(server.folder))


def test_passcode_attempts_are_still_counted_after_a_kill(make_server: MakeServer) -> None:
    """RL-08"""
    server = make_server().start()
    right, wrong = hashlib.sha256(b"right").hexdigest(), hashlib.sha256(b"wrong").hexdigest()
    with ApiClient(server) as api:
        receipt = api.create(b"behind a passcode", passcodeHash=right)
    left = []
    for _ in range(5):
        with ApiClient(server) as api:
            refused = api.reveal(receipt["linkId"], **{"SecLink-Passcode": wrong})
            assert refused.status_code == 401, refused.text
            left.append(refused.json()["attemptsLeft"])
        server.kill()
        server.start()
    assert left == [4, 3, 2, 1, 0]
    with ApiClient(server) as api:
        locked_out = api.reveal(receipt["linkId"], **{"SecLink-Passcode": right})
        assert (locked_out.status_code, locked_out.json()["code"]) == (429, "passcode_locked")
        assert 1 <= int(locked_out.headers["Retry-After"]) <= 600
        assert api.receipt(receipt)["state"] == "active"


def test_stop_finishes_reveals_in_flight_and_leaves_no_log(make_server: MakeServer) -> None:
    """CR-13: twenty reveals wait for the disk at SIGTERM; all get a response, the log is empty, the exit status 0."""
    server = make_server().start()
    with ApiClient(server) as api, Crowd(server, 20) as crowd:
        receipts = [api.create(b"in flight %d" % n) for n in range(20)]
        requests = [reveal_request(receipt["linkId"]) for receipt in receipts]
        with lock_database(database_path(server.folder)):
            crowd.prime(requests)
            crowd.release(requests)
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert server.process.poll() is None
        responses = crowd.read(20)
    assert [response.status for response in responses] == [200] * 20
    assert [payload_of(response.json) for response in responses] == [b"in flight %d" % n for n in range(20)]
    assert server.process.wait(TIMEOUT_SECONDS) == 0, server.log()
    log = server.folder / "seclink.db-wal"
    assert not log.exists() or log.stat().st_size == 0
    assert find_bytes(server.folder, b"in flight") == []
    assert is_intact(database_path(server.folder))
    server.start()
    with ApiClient(server) as api:
        assert {api.reveal(receipt["linkId"]).status_code for receipt in receipts} == {410}


def fill(server: Server, count: int, ends_in_ms: int) -> None:
    """Insert rows like those a server writes, many at a time."""
    now = time.time_ns() // 1_000_000
    with contextlib.closing(sqlite3.connect(database_path(server.folder), isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        (first,) = db.execute("SELECT coalesce(max(id), 0) FROM secrets").fetchone()
        db.execute(
            """
            WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :count)
            INSERT INTO secrets (id, link_id, receipt_id, manage_digest, format, expiry_type, created_at, expires_at,
                                 due_at, max_views, passcode_required)
            SELECT :first + n, printf('%012d', n), printf('%020d', n), zeroblob(32), 'raw', 'view_once', :now - 60000,
                   :now + :ends, :now + :ends, 1, 0
            FROM n
            """,
            {"count": count, "first": first, "now": now, "ends": ends_in_ms},
        )
        db.execute(
            "INSERT INTO payloads (id, iv, payload) SELECT id, zeroblob(12), CAST('filled in' AS BLOB)"
            " FROM secrets WHERE id > ?",
            (first,),
        )
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def due(db: sqlite3.Connection) -> int:
    (count,) = db.execute("SELECT count(*) FROM payloads").fetchone()
    return int(count) - 5

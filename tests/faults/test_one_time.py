"""One view is one view, however many ask at once on a real port: ONE-01 to ONE-05 and ONE-09."""

import contextlib
import random
import socket
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from api_client import ApiClient, payload_of
from crowd import (
    Crowd,
    Request,
    burn_request,
    post_reveal_request,
    read_response,
    read_responses,
    reveal_request,
)
from database_files import database_path, find_bytes, query_value, wait_until_erased
from fault_injection import LONG
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

CLIENTS = 64
ROUNDS = 200 if LONG else 40


@pytest.fixture
def running(appliance_server: Server) -> Any:
    return appliance_server


def payloads(server: Server) -> int:
    return int(query_value(database_path(server.folder), "SELECT count(*) FROM payloads"))


def test_one_of_64_simultaneous_readers_wins(running: Server) -> None:
    """ONE-01"""
    with ApiClient(running) as api, Crowd(running, CLIENTS) as crowd:
        for round_number in range(ROUNDS):
            payload = b"payload of round %06d" % round_number
            receipt = api.create(payload)
            asked = [(reveal_request, post_reveal_request)[n % 2](receipt["linkId"]) for n in range(CLIENTS)]
            responses = crowd.ask(asked)
            assert Counter(response.status for response in responses) == {200: 1, 410: CLIENTS - 1}
            [won] = [response.json for response in responses if response.status == 200]
            assert payload_of(won) == payload
            assert {response.json["state"] for response in responses if response.status == 410} == {"revealed"}
            assert payloads(running) == 0
            assert api.receipt(receipt)["views"] == 1
        wait_until_erased(running.folder, b"payload of round")


@pytest.mark.parametrize("views", [2, 3, 10])
def test_k_of_64_simultaneous_readers_win_k_views(running: Server, views: int) -> None:
    """ONE-02"""
    with ApiClient(running) as api, Crowd(running, CLIENTS) as crowd:
        for _ in range(ROUNDS // 4):
            receipt = api.create(expiryType="24hours", maxViews=views)
            responses = crowd.ask([reveal_request(receipt["linkId"])] * CLIENTS)
            assert Counter(response.status for response in responses) == {200: views, 410: CLIENTS - views}
            left = sorted(response.json["viewsLeft"] for response in responses if response.status == 200)
            assert left == list(range(views))
            assert payloads(running) == 0


def test_mixed_operations_have_one_winner_and_the_receipt_names_it(make_server: MakeServer) -> None:
    """ONE-03: GET, POST, burn, the reaper and expiry race for one secret."""
    server = make_server().start()
    chance = random.Random(3)
    winners: Counter[str] = Counter()
    with ApiClient(server) as api, Crowd(server, 16) as crowd, writing(server) as db:
        for _ in range(ROUNDS * 2):
            receipt = api.create()
            ends = int(
                db.execute("SELECT created_at FROM secrets WHERE link_id = ?", (receipt["linkId"],)).fetchone()[0]
            )
            if chance.random() < 0.5:  # a life that ends while they ask
                ends += chance.randrange(1, 25)
                db.execute(
                    "UPDATE secrets SET expires_at = ?1, due_at = ?1 WHERE link_id = ?2", (ends, receipt["linkId"])
                )
            asked: list[Request] = [
                reveal_request(receipt["linkId"]),
                post_reveal_request(receipt["linkId"]),
                burn_request(receipt),
            ] * 4
            chance.shuffle(asked)
            if chance.random() < 0.3:  # a head start for the slower door
                asked.sort(key=lambda request: request.method != "DELETE")
            responses = crowd.ask(asked, pause=chance.choice((0, 0.001)))
            kinds = Counter(
                (request.method == "DELETE", answer.status) for request, answer in zip(asked, responses, strict=True)
            )
            reads, burns = kinds[False, 200], kinds[True, 204]
            assert reads + burns <= 1
            assert kinds[False, 410] + reads == 8
            assert kinds[True, 410] + burns == 4
            state = api.receipt(receipt)["state"]
            assert state == ("revealed" if reads else "burned" if burns else "expired")
            endings = [event["type"] for event in api.receipt(receipt)["events"]][1:]
            assert endings == [state]
            winners[state] += 1
    assert set(winners) == {"revealed", "burned", "expired"}, winners
    assert server.stop() == 0


def test_reaper_and_readers_race_for_expired_secrets(make_server: MakeServer) -> None:
    """ONE-03: with the reaper running every second, no expired secret is revealed, and no other is reaped."""
    server = make_server(HIGH_RATES + '[reaper]\nevery = "1s"\n').start()
    with ApiClient(server) as api, Crowd(server, 32) as crowd, writing(server) as db:
        receipts = [api.create(b"due or not") for _ in range(320)]
        (now,) = db.execute("SELECT max(created_at) FROM secrets").fetchone()
        db.execute("UPDATE secrets SET expires_at = ?1, due_at = ?1 WHERE id % 2", (now + 1500,))
        responses = [
            answer.status
            for n in range(0, 320, 32)
            for answer in crowd.ask([reveal_request(receipt["linkId"]) for receipt in receipts[n : n + 32]])
        ]
        assert Counter(responses)[200] >= 160
        assert set(responses) <= {200, 410}
        wait_until_erased(server.folder, b"due or not", seconds=10)
        states = Counter(api.receipt(receipt)["state"] for receipt in receipts)
        assert states["revealed"] == responses.count(200)
        assert states["expired"] == responses.count(410)
    assert server.stop() == 0


def test_second_server_on_the_same_file_refuses_to_start(make_server: MakeServer) -> None:
    """ONE-04"""
    first = make_server().start()
    second = make_server(f'[store]\npath = "{database_path(first.folder)}"\n')
    second.start(wait=False)
    assert second.process.wait(TIMEOUT_SECONDS) == 1
    said = [line for line in second.log().splitlines() if line.startswith("seclink: ")]
    at = f"{second.config}:2: store.path: {database_path(first.folder)}"
    assert said == [f"seclink: {at}: another SecLink server is using this database"]
    assert "Traceback" not in second.log()
    with ApiClient(first) as api:
        receipt = api.create()
        assert api.reveal(receipt["linkId"]).status_code == 200
    first.kill()
    third = make_server(f'[store]\npath = "{database_path(first.folder)}"\n').start()  # a dead server's lock is no lock
    assert third.stop() == 0


@pytest.mark.parametrize(
    ("trigger", "views"),
    [
        ("BEFORE INSERT ON events", 2),
        ("BEFORE UPDATE ON secrets", 1),
        ("BEFORE UPDATE ON secrets", 2),
        ("AFTER UPDATE ON secrets", 1),
        ("BEFORE DELETE ON payloads", 1),
        ("AFTER DELETE ON payloads", 1),
    ],
)
def test_failing_side_effect_leaves_the_secret_unchanged(running: Server, trigger: str, views: int) -> None:
    """ONE-05: 503, and the row is active and unchanged."""
    with ApiClient(running) as api, writing(running) as db:
        receipt = api.create(b"keep me", maxViews=views, expiryType="24hours")
        before = db.execute("SELECT * FROM secrets").fetchall(), db.execute("SELECT * FROM events").fetchall()
        db.execute(f"CREATE TRIGGER fail {trigger} BEGIN SELECT RAISE(ABORT, 'no'); END")
        for headers in ({}, {"Idempotency-Key": "the same key each time"}):
            refused = api.reveal(receipt["linkId"], **headers)
            assert (refused.status_code, refused.json()["code"]) == (503, "storage")
            assert int(refused.headers["Retry-After"]) >= 1
        assert (
            db.execute("SELECT * FROM secrets").fetchall(),
            db.execute("SELECT * FROM events").fetchall(),
        ) == before
        db.execute("DROP TRIGGER fail")
        given = [api.reveal(receipt["linkId"]) for _ in range(views + 1)]
        assert [each.status_code for each in given] == [200] * views + [410]
        assert payload_of(given[0].json()) == b"keep me"


def test_burn_with_a_failing_side_effect_burns_nothing(running: Server) -> None:
    """ONE-05"""
    with ApiClient(running) as api, writing(running) as db:
        receipt = api.create()
        db.execute("CREATE TRIGGER fail BEFORE UPDATE ON secrets BEGIN SELECT RAISE(ABORT, 'no'); END")
        assert api.burn(receipt).status_code == 503
        db.execute("DROP TRIGGER fail")
        assert api.receipt(receipt)["state"] == "active"
        assert api.burn(receipt).status_code == 204


def test_two_reveals_in_one_segment_get_one_secret(running: Server) -> None:
    """ONE-09: pipelined on one connection."""
    for how in (reveal_request, post_reveal_request):
        for _ in range(20):
            with (
                ApiClient(running) as api,
                socket.create_connection(("127.0.0.1", running.port), TIMEOUT_SECONDS) as client,
            ):
                receipt = api.create()
                client.sendall(how(receipt["linkId"]).encode() * 2)
                assert [response.status for response in read_responses(client, 2)] == [200, 410]


def test_second_reveal_on_the_same_connection_is_gone(running: Server) -> None:
    """ONE-09: a kept connection repeats nothing."""
    with ApiClient(running) as api, socket.create_connection(("127.0.0.1", running.port), TIMEOUT_SECONDS) as client:
        receipt = api.create(b"once on this connection")
        for status in (200, 410, 410):
            client.sendall(reveal_request(receipt["linkId"]).encode())
            assert read_response(client).status == status
        wait_until_erased(running.folder, b"once on this connection")
        assert find_bytes(running.folder, b"once on this connection") == []


@contextlib.contextmanager
def writing(server: Server) -> Iterator[sqlite3.Connection]:
    """Open the server's database for writing."""
    with contextlib.closing(
        sqlite3.connect(database_path(server.folder), isolation_level=None, timeout=TIMEOUT_SECONDS)
    ) as db:
        yield db

"""EnigmaCrypt: what no transcript can say; the conformance cases are in transcripts/enigmacrypt."""

import asyncio
import contextlib
import http.client
import json
import socket
from collections import Counter
from typing import Any

import httpx
import pytest
from replaying import GOLDEN, ROOT
from speaking import enigmacrypt_request
from test_every_dialect import PLENTY, ask, written

from seclink.domain import tokens
from seclink.errors import StorageFailed

pytestmark = pytest.mark.anyio
URL = f"{ROOT}/enigmacrypt/api/messages"
CONTENT = GOLDEN[4]["encryptedContent"]
JSON = {"Content-Type": "application/json"}


async def create(appliance: Any, views: int | None = 1, **headers: str) -> Any:
    answer = await ask(appliance, "POST", URL, json={"encryptedContent": CONTENT, "maxAccess": views}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


@pytest.mark.parametrize("views", [1, 3])
async def test_parallel_fetches_get_as_many_as_there_are(make_appliance: Any, views: int) -> None:
    """ONE-01: by its own call, by the native one, and by both."""
    appliance = await make_appliance(PLENTY)
    made = await create(appliance, views)
    native = f"{ROOT}/api/v1/secrets/enigmacrypt.{made['messageId']}/reveal"
    urls = [f"{URL}/{made['messageId']}/access", native] * 10
    answers = await asyncio.gather(*(ask(appliance, "POST", url) for url in urls))
    assert Counter(each.status_code for each in answers) == {200: views, 410: 20 - views}


async def test_of_fetching_and_deleting_at_once_one_wins(make_appliance: Any) -> None:
    """ONE-01"""
    appliance = await make_appliance(PLENTY)
    for _ in range(10):
        made = await create(appliance)
        fetched, deleted = await asyncio.gather(
            ask(appliance, "POST", f"{URL}/{made['messageId']}/access"),
            ask(appliance, "DELETE", f"{URL}/{made['messageId']}", headers={"X-Delete-Token": made["deleteToken"]}),
        )
        assert sorted((fetched.status_code, deleted.status_code)) == [200, 410]


async def test_delete_token_is_kept_as_its_digest_alone(make_appliance: Any) -> None:
    """FOR-01"""
    appliance = await make_appliance(PLENTY + '[log]\nlevel = "debug"\nformat = "json"\n')
    made = await create(appliance)
    token = made["deleteToken"]
    assert tokens.digest(token) in written(appliance)  # the search finds what is there
    assert token.encode() not in written(appliance)
    for sent in ("x" * 32, token, token):
        await ask(appliance, "DELETE", f"{URL}/{made['messageId']}", headers={"X-Delete-Token": sent})
    assert token.encode() not in written(appliance)
    assert made["messageId"] not in appliance.log.getvalue()


async def test_id_that_is_taken_is_drawn_again(make_appliance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of a message that has ended: a link never leads to another message than it did."""
    appliance = await make_appliance(PLENTY)
    ids = iter(["AAAAAAAA", "AAAAAAAA", "BBBBBBBB", "AAAAAAAA", "BBBBBBBB", "CCCCCCCC"])
    draw = tokens.draw
    monkeypatch.setattr(tokens, "draw", lambda length, *more: next(ids) if length == 8 else draw(length, *more))
    assert (await create(appliance))["messageId"] == "AAAAAAAA"
    assert (await create(appliance))["messageId"] == "BBBBBBBB"
    assert (await ask(appliance, "POST", f"{URL}/AAAAAAAA/access")).status_code == 200
    assert (await create(appliance))["messageId"] == "CCCCCCCC"


async def test_where_no_id_is_free_nothing_is_done_and_it_says_try_again(
    make_appliance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    appliance = await make_appliance(PLENTY)
    draw = tokens.draw
    monkeypatch.setattr(tokens, "draw", lambda length, *more: "AAAAAAAA" if length == 8 else draw(length, *more))
    await create(appliance)
    answer = await ask(appliance, "POST", URL, json={"encryptedContent": CONTENT})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["success"] is False


async def test_what_is_no_id_is_not_even_looked_up(make_appliance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    appliance = await make_appliance(PLENTY)

    async def fail(*_: Any) -> None:
        raise StorageFailed

    monkeypatch.setattr(appliance.store, "peek", fail)
    for message_id, status in (("x" * 7, 404), ("x" * 9, 404), ("a-b_c.d~", 404), ("x" * 8, 503)):
        answer = await ask(appliance, "GET", f"{URL}/{message_id}/meta")
        assert answer.status_code == status


async def test_of_two_delete_tokens_none_counts(make_appliance: Any) -> None:
    appliance = await make_appliance(PLENTY)
    made = await create(appliance)
    twice = [("X-Delete-Token", made["deleteToken"]), ("X-Delete-Token", "x")]
    answer = await ask(appliance, "DELETE", f"{URL}/{made['messageId']}", headers=twice)
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    odd = await ask(appliance, "DELETE", f"{URL}/{made['messageId']}", headers=[("X-Delete-Token", b"\xff\xe9")])
    assert odd.status_code == 404
    assert (await ask(appliance, "GET", f"{URL}/{made['messageId']}/meta")).status_code == 200


@pytest.mark.parametrize(
    "name", ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]
)
async def test_what_asks_for_a_part_spends_nothing(make_appliance: Any, name: str) -> None:
    """As natively."""
    appliance = await make_appliance(PLENTY)
    made = await create(appliance)
    answer = await ask(appliance, "POST", f"{URL}/{made['messageId']}/access", headers={name: "bytes=0-1"})
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert (await ask(appliance, "POST", f"{URL}/{made['messageId']}/access")).status_code == 200


async def test_lost_answer_is_given_again_by_its_idempotency_key(make_appliance: Any) -> None:
    """As natively: for a minute, to the same key alone, and it spends no second access."""
    appliance = await make_appliance(PLENTY)
    made = await create(appliance, 2)
    url, named = f"{URL}/{made['messageId']}/access", {"Idempotency-Key": "k" * 16}
    answers = await asyncio.gather(*(ask(appliance, "POST", url, headers=named) for _ in range(5)))
    assert {(each.status_code, each.text) for each in answers} == {(200, answers[0].text)}
    assert (await ask(appliance, "GET", f"{URL}/{made['messageId']}/meta")).json()["data"]["remainingAccess"] == 1
    assert (await ask(appliance, "POST", url, headers={"Idempotency-Key": "short"})).status_code == 400
    assert (await ask(appliance, "POST", url, headers={"Idempotency-Key": "l" * 16})).status_code == 200
    assert (await ask(appliance, "POST", url)).status_code == 410
    assert (await ask(appliance, "POST", url, headers=named)).status_code == 200
    appliance.clock.move(61)
    assert (await ask(appliance, "POST", url, headers=named)).status_code == 410


async def test_fetch_takes_no_large_body_and_then_spends_nothing(make_appliance: Any) -> None:
    appliance = await make_appliance(PLENTY)
    made = await create(appliance)
    url = f"{URL}/{made['messageId']}/access"
    assert (await ask(appliance, "POST", url, content=b"x" * 20_000)).status_code == 413
    assert (await ask(appliance, "POST", url, content=b"x" * 10_000)).status_code == 200


def test_fetch_that_never_becomes_whole_spends_nothing(server: Any) -> None:
    """ONE-01: it announces a body, and breaks off before there is one."""
    url = f"{server.url}/enigmacrypt/api/messages"
    made = httpx.post(url, json={"encryptedContent": CONTENT, "maxAccess": 1}).json()["data"]
    path = f"/enigmacrypt/api/messages/{made['messageId']}"
    head = f"POST {path}/access HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head.encode())
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            assert b"encryptedContent" not in client.makefile("rb").read()
    assert httpx.get(f"{server.url}{path}/meta").json()["data"]["remainingAccess"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-16😀10:00", "2027-01-16x10:00", "2027-01-16\x0010:00", "2027-01-16\n10:00",
        "2027-01-16 10:00", "2027-01-1٦", "20270116", "2027-W02-6",
        "2027-01-16T10", "2027-01-16T10:00:00.", " 2027-01-16", "2027-01-16T10:00:00Z ", "\ud800",
    ],
    ids=ascii,
)  # fmt: skip
async def test_instant_is_written_as_iso_8601_does_and_no_other_way(make_appliance: Any, text: str) -> None:
    """IN-02"""
    appliance = await make_appliance(PLENTY)
    sent = {"encryptedContent": CONTENT, "expiresAt": text}
    answer = await ask(appliance, "POST", URL, content=json.dumps(sent), headers=JSON)
    assert (answer.status_code, answer.json()["success"]) == (400, False)


async def test_fetched_payload_is_erased(make_appliance: Any) -> None:
    """FOR-01: by its own call as by the native one."""
    appliance = await make_appliance(PLENTY)
    made = await create(appliance)
    sealed = CONTENT.encode()
    assert sealed in written(appliance)
    await ask(appliance, "POST", f"{URL}/{made['messageId']}/access")
    for _ in range(100):
        if sealed not in written(appliance):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the payload is still there")


def test_real_port_takes_what_its_client_sends(server: Any) -> None:
    """Keep-alive and all: a look, a fetch whose body nobody reads, and the next request on the same connection."""
    key = server.key()
    sent = enigmacrypt_request(key, 1, False)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", "/enigmacrypt/api/messages", json.dumps(sent["json"]), sent["headers"] | JSON)
        made = json.loads(connection.getresponse().read())["data"]
        for method, path, body, status in (
            ("GET", "meta", None, 200), ("POST", "access", b"x" * 10_000, 200), ("GET", "meta", None, 410),
        ):  # fmt: skip
            connection.request(method, f"/enigmacrypt/api/messages/{made['messageId']}/{path}", body)
            answer = connection.getresponse()
            assert (answer.status, answer.read()[:1]) == (status, b"{")
    assert key not in server.log()
    assert made["messageId"] not in server.log()

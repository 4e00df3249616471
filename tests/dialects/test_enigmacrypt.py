"""EnigmaCrypt: the cases that a transcript cannot express; the others are in transcripts/enigmacrypt."""

import asyncio
import contextlib
import http.client
import json
import socket
from collections import Counter
from typing import Any

import httpx
import pytest
from dialect_helpers import ask, enigmacrypt_request, wait_until_gone, written
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES, Server
from support.waiting import TIMEOUT_SECONDS
from transcripts import GOLDEN, ROOT

from seclink.domain import tokens
from seclink.errors import StorageFailed

pytestmark = pytest.mark.anyio
URL = f"{ROOT}/enigmacrypt/api/messages"
CONTENT = GOLDEN[4]["encryptedContent"]
JSON = {"Content-Type": "application/json"}


async def create(appliance: Appliance, views: int | None = 1, **headers: str) -> Any:
    body = {"encryptedContent": CONTENT, "maxAccess": views}
    response = await ask(appliance, "POST", URL, json=body, headers=headers)
    assert response.status_code == 201, response.text
    return response.json()["data"]


@pytest.mark.parametrize("views", [1, 3])
async def test_parallel_fetches_get_exactly_the_allowed_accesses(make_appliance: MakeAppliance, views: int) -> None:
    """ONE-01: through the dialect and the native API at the same time."""
    appliance = await make_appliance(HIGH_RATES)
    message = await create(appliance, views)
    native = f"{ROOT}/api/v1/secrets/enigmacrypt.{message['messageId']}/reveal"
    urls = [f"{URL}/{message['messageId']}/access", native] * 10
    responses = await asyncio.gather(*(ask(appliance, "POST", url) for url in urls))
    assert Counter(response.status_code for response in responses) == {200: views, 410: 20 - views}


async def test_either_fetch_or_parallel_delete_succeeds(make_appliance: MakeAppliance) -> None:
    """ONE-01"""
    appliance = await make_appliance(HIGH_RATES)
    for _ in range(10):
        message = await create(appliance)
        url, headers = f"{URL}/{message['messageId']}", {"X-Delete-Token": message["deleteToken"]}
        fetched, deleted = await asyncio.gather(
            ask(appliance, "POST", f"{url}/access"), ask(appliance, "DELETE", url, headers=headers)
        )
        assert sorted((fetched.status_code, deleted.status_code)) == [200, 410]


async def test_delete_token_is_stored_only_as_a_digest(make_appliance: MakeAppliance) -> None:
    """FOR-01"""
    appliance = await make_appliance(HIGH_RATES + '[log]\nlevel = "debug"\nformat = "json"\n')
    message = await create(appliance)
    token = message["deleteToken"]
    assert tokens.digest(token) in written(appliance)  # the search finds what is there
    assert token.encode() not in written(appliance)
    for attempt in ("x" * 32, token, token):
        await ask(appliance, "DELETE", f"{URL}/{message['messageId']}", headers={"X-Delete-Token": attempt})
    assert token.encode() not in written(appliance)
    assert message["messageId"] not in appliance.log.getvalue()


async def test_taken_id_is_drawn_again(make_appliance: MakeAppliance, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id of an ended message stays taken: a link never leads to another message."""
    appliance = await make_appliance(HIGH_RATES)
    ids = iter(["AAAAAAAA", "AAAAAAAA", "BBBBBBBB", "AAAAAAAA", "BBBBBBBB", "CCCCCCCC"])
    draw = tokens.draw
    monkeypatch.setattr(tokens, "draw", lambda length, *more: next(ids) if length == 8 else draw(length, *more))
    assert (await create(appliance))["messageId"] == "AAAAAAAA"
    assert (await create(appliance))["messageId"] == "BBBBBBBB"
    assert (await ask(appliance, "POST", f"{URL}/AAAAAAAA/access")).status_code == 200
    assert (await create(appliance))["messageId"] == "CCCCCCCC"


async def test_create_is_busy_if_every_id_is_taken(
    make_appliance: MakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    appliance = await make_appliance(HIGH_RATES)
    draw = tokens.draw
    monkeypatch.setattr(tokens, "draw", lambda length, *more: "AAAAAAAA" if length == 8 else draw(length, *more))
    await create(appliance)
    response = await ask(appliance, "POST", URL, json={"encryptedContent": CONTENT})
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert response.json()["success"] is False


async def test_malformed_id_does_not_reach_the_store(
    make_appliance: MakeAppliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    appliance = await make_appliance(HIGH_RATES)

    async def fail(*_: Any) -> None:
        raise StorageFailed

    monkeypatch.setattr(appliance.store, "peek", fail)
    for message_id, status in (("x" * 7, 404), ("x" * 9, 404), ("a-b_c.d~", 404), ("x" * 8, 503)):
        response = await ask(appliance, "GET", f"{URL}/{message_id}/meta")
        assert response.status_code == status


async def test_two_delete_tokens_are_rejected(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(HIGH_RATES)
    message = await create(appliance)
    twice = [("X-Delete-Token", message["deleteToken"]), ("X-Delete-Token", "x")]
    response = await ask(appliance, "DELETE", f"{URL}/{message['messageId']}", headers=twice)
    assert (response.status_code, response.json()["success"]) == (400, False)
    odd = await ask(appliance, "DELETE", f"{URL}/{message['messageId']}", headers=[("X-Delete-Token", b"\xff\xe9")])
    assert odd.status_code == 404
    assert (await ask(appliance, "GET", f"{URL}/{message['messageId']}/meta")).status_code == 200


@pytest.mark.parametrize(
    "name", ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"]
)
async def test_partial_request_spends_no_access(make_appliance: MakeAppliance, name: str) -> None:
    appliance = await make_appliance(HIGH_RATES)
    message = await create(appliance)
    response = await ask(appliance, "POST", f"{URL}/{message['messageId']}/access", headers={name: "bytes=0-1"})
    assert (response.status_code, response.json()["success"]) == (400, False)
    assert (await ask(appliance, "POST", f"{URL}/{message['messageId']}/access")).status_code == 200


async def test_idempotency_key_repeats_a_lost_response(make_appliance: MakeAppliance) -> None:
    """For a minute, to the same key only, and without a second access, as in the native API."""
    appliance = await make_appliance(HIGH_RATES)
    message = await create(appliance, 2)
    url, headers = f"{URL}/{message['messageId']}/access", {"Idempotency-Key": "k" * 16}
    responses = await asyncio.gather(*(ask(appliance, "POST", url, headers=headers) for _ in range(5)))
    assert {(response.status_code, response.text) for response in responses} == {(200, responses[0].text)}
    assert (await ask(appliance, "GET", f"{URL}/{message['messageId']}/meta")).json()["data"]["remainingAccess"] == 1
    assert (await ask(appliance, "POST", url, headers={"Idempotency-Key": "short"})).status_code == 400
    assert (await ask(appliance, "POST", url, headers={"Idempotency-Key": "l" * 16})).status_code == 200
    assert (await ask(appliance, "POST", url)).status_code == 410
    assert (await ask(appliance, "POST", url, headers=headers)).status_code == 200
    appliance.clock.move(61)
    assert (await ask(appliance, "POST", url, headers=headers)).status_code == 410


async def test_fetch_with_a_large_body_spends_no_access(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(HIGH_RATES)
    message = await create(appliance)
    url = f"{URL}/{message['messageId']}/access"
    assert (await ask(appliance, "POST", url, content=b"x" * 20_000)).status_code == 413
    assert (await ask(appliance, "POST", url, content=b"x" * 10_000)).status_code == 200


def test_fetch_with_an_incomplete_body_spends_no_access(server: Server) -> None:
    """ONE-01: the client announces a body and disconnects before sending it."""
    url = f"{server.url}/enigmacrypt/api/messages"
    message = httpx.post(url, json={"encryptedContent": CONTENT, "maxAccess": 1}).json()["data"]
    path = f"/enigmacrypt/api/messages/{message['messageId']}"
    head = f"POST {path}/access HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_SECONDS) as client:
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
async def test_instant_that_is_not_iso_8601_is_rejected(make_appliance: MakeAppliance, text: str) -> None:
    """IN-02"""
    appliance = await make_appliance(HIGH_RATES)
    body = {"encryptedContent": CONTENT, "expiresAt": text}
    response = await ask(appliance, "POST", URL, content=json.dumps(body), headers=JSON)
    assert (response.status_code, response.json()["success"]) == (400, False)


async def test_fetched_payload_is_erased(make_appliance: MakeAppliance) -> None:
    """FOR-01"""
    appliance = await make_appliance(HIGH_RATES)
    message = await create(appliance)
    sealed = CONTENT.encode()
    assert sealed in written(appliance)
    await ask(appliance, "POST", f"{URL}/{message['messageId']}/access")
    await wait_until_gone(appliance, sealed)


def test_client_requests_work_on_one_connection(server: Server) -> None:
    """A peek, a fetch whose body the server does not use, and a further request on the same socket."""
    key = server.key()
    request = enigmacrypt_request(key, 1, False)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    with contextlib.closing(connection):
        connection.request("POST", "/enigmacrypt/api/messages", json.dumps(request["json"]), request["headers"] | JSON)
        message = json.loads(connection.getresponse().read())["data"]
        for method, path, body, status in (
            ("GET", "meta", None, 200), ("POST", "access", b"x" * 10_000, 200), ("GET", "meta", None, 410),
        ):  # fmt: skip
            connection.request(method, f"/enigmacrypt/api/messages/{message['messageId']}/{path}", body)
            response = connection.getresponse()
            assert (response.status, response.read()[:1]) == (status, b"{")
    assert key not in server.log()
    assert message["messageId"] not in server.log()

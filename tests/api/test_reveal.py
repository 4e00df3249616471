"""Revealing: exactly as many readers as there are views, and only a complete request with every proof spends one."""

import ast
import asyncio
import contextlib
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_helpers import (
    ACCESS,
    ACCESS_HASH,
    RIGHT,
    WRONG,
    bearer,
    body,
    check_problem,
    create,
    encoded,
    manage,
    reveal,
    state,
)
from support.appliance import Appliance, MakeAppliance
from support.server import Server
from support.waiting import TIMEOUT_SECONDS

import seclink

pytestmark = pytest.mark.anyio
SOURCE = Path(seclink.__file__).parent
RETRY = "retry-key-0123456789"

Route = Callable[[httpx.AsyncClient, str], Any]
ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/api/v1/secrets/{link_id}"): lambda http, link_id: http.get(f"/secrets/{link_id}"),
    ("POST", "/api/v1/secrets/{link_id}/reveal"): lambda http, link_id: http.post(f"/secrets/{link_id}/reveal"),
}


async def race(*requests: Any) -> list[httpx.Response]:
    return list(await asyncio.gather(*requests))


# One-time


@pytest.mark.parametrize("route", ROUTES.values(), ids=[path for _, path in ROUTES])
async def test_one_of_many_readers_wins_on_every_route(appliance: Appliance, route: Route) -> None:
    """ONE-01, ONE-06"""
    for _ in range(10):
        secret = await create(appliance.http)
        responses = await race(*(route(appliance.http, secret["linkId"]) for _ in range(32)))
        assert sorted(response.status_code for response in responses) == [200] + [410] * 31
        assert sum("encryptedBlob" in response.text for response in responses) == 1


@pytest.mark.parametrize("views", [2, 3, 10])
async def test_as_many_readers_win_as_there_are_views(appliance: Appliance, views: int) -> None:
    """ONE-02"""
    for _ in range(5):
        secret = await create(appliance.http, maxViews=views)
        routes = [*ROUTES.values()] * 16
        responses = await race(*(route(appliance.http, secret["linkId"]) for route in routes))
        winners = [response.json() for response in responses if response.status_code == 200]
        assert sorted(response["viewsLeft"] for response in winners) == list(range(views))
        assert {response.status_code for response in responses} == {200, 410}
        receipt = await state(appliance.http, secret)
        assert (receipt["state"], receipt["views"]) == ("revealed", views)


async def test_unlimited_secret_is_revealed_until_it_expires(appliance: Appliance) -> None:
    secret = await create(appliance.http, expiryType="1hour")
    responses = await race(*(reveal(appliance.http, secret) for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert {response.json()["viewsLeft"] for response in responses} == {None}
    assert (await state(appliance.http, secret))["views"] == 20
    appliance.clock.move(3600)
    check_problem(await reveal(appliance.http, secret), 410, "gone")


async def test_get_post_delete_and_reaper_race_for_one_end(appliance: Appliance) -> None:
    """ONE-03: at most one of them wins, and the receipt names it."""
    http = appliance.http
    for turn in range(30):
        secret = await create(http, expiresIn=60)
        appliance.clock.move(59.999 if turn % 2 else 1)

        async def reap_late() -> None:
            appliance.clock.move(0.002)
            await appliance.store.reap(appliance.clock.now(), 100)

        requests = [
            *(route(http, secret["linkId"]) for route in ROUTES.values()),
            http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret)),
            reap_late(),
        ]
        requests = requests[turn % 4 :] + requests[: turn % 4]
        responses = [response for response in await race(*requests) if response is not None]
        winners = [response for response in responses if response.status_code in (200, 204)]
        assert len(winners) <= 1
        assert {response.status_code for response in responses} <= {200, 204, 410}
        if turn % 2 == 0 or winners:
            assert len(winners) == 1
            expected = "burned" if winners[0].status_code == 204 else "revealed"
        else:
            expected = "expired"
        receipt = await state(http, secret)
        assert receipt["state"] == expected
        assert [event["type"] for event in receipt["events"]] == ["created", expected]


def statements() -> dict[str, set[str]]:
    """Return the string literals that read or write the table of payloads, by module."""
    by_module: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if re.search(r"\b(FROM|JOIN|INTO|UPDATE)\s+payloads\b", text):
                by_module.setdefault(str(path.relative_to(SOURCE)), set()).add(text)
    return by_module


def test_only_the_claim_reads_a_payload() -> None:
    """ONE-06: besides the schema, claims read the table, edits write it and the erasure check counts it."""
    assert statements().keys() == {"store/claims.py", "store/edits.py", "store/inspect.py", "store/schema.py"}
    assert all("SELECT count(*) FROM payloads" in text for text in statements()["store/inspect.py"])
    for script in statements()["store/schema.py"]:
        assert not re.search(r"(?<!DELETE )FROM payloads|JOIN payloads", script)
    readers = {
        (module, function.name)
        for module in ("store/claims.py", "store/edits.py")
        for function in ast.parse((SOURCE / module).read_text()).body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and re.search(r"\b(FROM|JOIN)\s+payloads\b", str(node.value))
    }
    assert readers == {("store/claims.py", "_query")}


async def test_every_route_that_returns_a_payload_is_in_the_races(appliance: Appliance) -> None:
    """ONE-06: a new route that returns a payload fails here until it is in ROUTES."""
    document = (await appliance.http.get("/openapi.json")).json()
    returning = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            schemas = str(
                [response.get("content") for code, response in operation["responses"].items() if code < "300"]
            )
            for name in re.findall(r"schemas/(\w+)", schemas):
                if "encryptedBlob" in document["components"]["schemas"][name].get("properties", {}):
                    returning.add((method.upper(), path))
    assert returning == ROUTES.keys()


# Requests that spend nothing


NEUTRAL: list[tuple[str, str, dict[str, str], int]] = [
    ("HEAD", "", {}, 405),
    ("OPTIONS", "", {}, 204),
    ("OPTIONS", "/reveal", {"Origin": "https://x.example", "Access-Control-Request-Method": "POST"}, 204),
    ("GET", "/meta", {}, 200),
    ("HEAD", "/meta", {}, 405),
    ("GET", "/reveal", {}, 405),
    ("POST", "", {}, 405),
    ("DELETE", "", {}, 405),
    ("PUT", "", {}, 405),
    *(
        (method, path, {name: value}, 400)
        for method, path in (("GET", ""), ("POST", "/reveal"))
        for name, value in (
            ("Range", "bytes=0-0"),
            ("If-None-Match", "*"),
            ("If-Match", '"x"'),
            ("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("If-Range", '"x"'),
        )
    ),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), NEUTRAL)
async def test_other_requests_spend_nothing(
    appliance: Appliance, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """ONE-08"""
    secret = await create(appliance.http)
    for _ in range(20):
        response = await appliance.http.request(method, f"/secrets/{secret['linkId']}{path}", headers=headers)
        assert response.status_code == status
        assert "encryptedBlob" not in response.text
    assert (await reveal(appliance.http, secret)).status_code == 200


async def test_only_the_first_peek_is_recorded(appliance: Appliance) -> None:
    """ONE-08"""
    secret = await create(appliance.http)
    for _ in range(1000):
        assert (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).status_code == 200
    receipt = await state(appliance.http, secret)
    assert [event["type"] for event in receipt["events"]] == ["created", "peeked"]
    assert (receipt["state"], receipt["views"]) == ("active", 0)


PRELOAD = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "cross-site", "Accept": "*/*"}
VISITORS = [
    {"Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Dest": "document"},
    {"Sec-Fetch-Dest": "iframe"},
    {"Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Dest": "script"},
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch"},
    {"X-Purpose": "preview"},
    {"X-Moz": "prefetch"},
    {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
    {"SEC-FETCH-MODE": "Navigate"},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "cross-site", "Accept": "*/*"},
    {"Sec-Fetch-Mode": "no-cors"},
    {"Accept": "image/avif,image/webp,*/*"},
    {"Accept": "application/xhtml+xml,text/html;q=0.9,*/*;q=0.5"},
    {"Accept": "application/xml,application/xhtml+xml,text/html;q=0.9,text/plain;q=0.8,image/png,*/*;q=0.5"},
    {"Accept": "*/*, text/html"},
    {"Accept": "video/webm, video/*;q=0.9"},
    {"Accept": "text/css,*/*;q=0.1"},
    {"Accept": " Text/HTML"},
    {"Accept": "text/event-stream"},
    PRELOAD,
    PRELOAD | {"Sec-Fetch-Site": "same-site"},
    PRELOAD | {"Sec-Fetch-Site": "Cross-Site", "Accept": "application/json"},
    PRELOAD | {"Sec-Fetch-Site": "something new"},
    {"Origin": "https://elsewhere.example", "Accept": "*/*"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("headers", VISITORS)
async def test_request_of_a_browser_spends_nothing(appliance: Appliance, headers: dict[str, str]) -> None:
    """BOT-02"""
    secret = await create(appliance.http)
    response = await appliance.http.get(f"/secrets/{secret['linkId']}", headers=headers)
    check_problem(response, 400, "not_a_navigation")
    assert (await state(appliance.http, secret))["views"] == 0
    assert (await appliance.http.get(f"/secrets/{secret['linkId']}")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"User-Agent": "curl/8.5.0", "Accept": "*/*"},
        {"User-Agent": "python-requests/2.32", "Accept": "*/*"},
        {"Accept": "application/json"},
        {"Accept": "application/json, text/plain, */*"},
        {"Accept": "text/plain"},
        {"Accept": ""},
        {"Sec-Fetch-Mode": "cors", "Accept": "*/*"},
        PRELOAD | {"Sec-Fetch-Site": "same-origin"},
        PRELOAD | {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8080"},
        PRELOAD | {"Sec-Fetch-Site": "none"},
    ],
)
async def test_request_of_a_program_reveals_by_get(appliance: Appliance, headers: dict[str, str]) -> None:
    """BOT-02"""
    secret = await create(appliance.http)
    assert (await appliance.http.get(f"/secrets/{secret['linkId']}", headers=headers)).status_code == 200


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "SecLink-Access", "SecLink-Passcode"])
@pytest.mark.parametrize("page", [PRELOAD, {"Origin": "https://elsewhere.example"}], ids=["new", "old browser"])
async def test_cross_origin_script_reveals_by_get_with_a_preflighted_header(
    appliance: Appliance, page: dict[str, str], name: str
) -> None:
    """BOT-02, CSRF-01"""
    secret = await create(appliance.http, accessHash=ACCESS_HASH if name == "SecLink-Access" else None)
    values = {"Authorization": f"Bearer {await appliance.key()}", "SecLink-Access": ACCESS}
    preflighted = {name: values.get(name, RIGHT)}
    assert (await appliance.http.get(f"/secrets/{secret['linkId']}", headers=page | preflighted)).status_code == 200


@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/reveal")])
def test_incomplete_request_spends_nothing(server: Server, method: str, end: str) -> None:
    """ONE-01: it announces a body and ends before sending one."""
    url = f"{server.url}/api/v1/secrets"
    secret = httpx.post(url, json=body()).json()
    head = f"{method} /api/v1/secrets/{secret['linkId']}{end} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_SECONDS) as client:
        client.sendall(head.encode())
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            assert b"encryptedBlob" not in client.makefile("rb").read()
    assert httpx.get(f"{url}/{secret['linkId']}/meta").json()["viewsLeft"] == 1


# Proof of key


WRONG_PROOFS = [
    "",
    "AAAA",
    ACCESS[:-1],
    ACCESS[1:],
    ACCESS.swapcase(),
    ACCESS + "AAAA",
    "not base64!",
    "=",
    "ü",
    ACCESS_HASH,
]


@pytest.mark.parametrize("proof", WRONG_PROOFS)
async def test_wrong_proof_spends_no_view_and_no_attempt(appliance: Appliance, proof: str) -> None:
    """BOT-04: on both routes, in header and body, even with the right passcode."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    headers = httpx.Headers([(b"SecLink-Access", proof.encode("latin-1")), (b"SecLink-Passcode", RIGHT.encode())])
    link = f"/secrets/{secret['linkId']}"
    for response in (
        await appliance.http.get(link, headers=headers),
        await appliance.http.post(f"{link}/reveal", headers=headers),
        await appliance.http.post(f"{link}/reveal", json={"access": proof or "A", "passcodeHash": RIGHT}),
    ):
        check_problem(response, 401, "access_denied")
    meta = (await appliance.http.get(f"{link}/meta")).json()
    assert (meta["viewsLeft"], meta["attemptsLeft"]) == (1, 5)
    assert (await reveal(appliance.http, secret, access=ACCESS, passcode=RIGHT)).status_code == 200


async def test_missing_proof_has_its_own_code(appliance: Appliance) -> None:
    secret = await create(appliance.http, accessHash=ACCESS_HASH)
    for route in ROUTES.values():
        check_problem(await route(appliance.http, secret["linkId"]), 401, "access_required")
    assert (await state(appliance.http, secret))["views"] == 0


@pytest.mark.parametrize("padding", ["", "="])
async def test_right_proof_may_be_padded(appliance: Appliance, padding: str) -> None:
    proof = ACCESS + padding * (-len(ACCESS) % 4)
    secret = await create(appliance.http, accessHash=ACCESS_HASH.upper(), maxViews=3)
    link = f"/secrets/{secret['linkId']}"
    assert (await appliance.http.get(link, headers={"SecLink-Access": proof})).status_code == 200
    assert (await appliance.http.post(f"{link}/reveal", headers={"SecLink-Access": proof})).status_code == 200
    assert (await appliance.http.post(f"{link}/reveal", json={"access": proof})).status_code == 200


async def test_ended_secret_is_gone_with_any_proof(appliance: Appliance) -> None:
    """Hashes are erased with the payload, so every request gets 410."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    await reveal(appliance.http, secret, access=ACCESS, passcode=RIGHT)
    for headers in (
        {},
        {"access": "AAAA"},
        {"access": ACCESS, "passcode": WRONG},
        {"access": ACCESS, "passcode": RIGHT},
    ):
        check_problem(await reveal(appliance.http, secret, **headers), 410, "gone")


# Lost responses


async def test_lost_response_is_repeated_for_the_same_request(appliance: Appliance) -> None:
    """LR-02: identical bytes, one view."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, encryptedBlob=encoded(b"MARKER" * 50))
    responses = []
    for seconds in (0, 30, 29.9):
        appliance.clock.move(seconds)
        responses.append(await reveal(appliance.http, secret, access=ACCESS, idempotency=RETRY))
    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) == 1
    receipt = await state(appliance.http, secret)
    assert (receipt["state"], receipt["views"]) == ("revealed", 1)


async def test_retry_may_use_the_other_route(appliance: Appliance) -> None:
    """LR-02"""
    secret = await create(appliance.http)
    first = await appliance.http.get(f"/secrets/{secret['linkId']}", headers={"Idempotency-Key": RETRY})
    assert (await reveal(appliance.http, secret, idempotency=RETRY)).content == first.content


@pytest.mark.parametrize(
    "other",
    [
        {"idempotency": "another-key-01234567", "access": ACCESS},
        {"access": ACCESS},
        {"idempotency": RETRY, "access": "AAAA"},
        {"idempotency": RETRY},
    ],
)
async def test_other_request_is_not_repeated(appliance: Appliance, other: dict[str, str]) -> None:
    """LR-03: with another retry key, without one, or with the same and no proof, the secret is gone."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH)
    assert (await reveal(appliance.http, secret, access=ACCESS, idempotency=RETRY)).status_code == 200
    check_problem(await reveal(appliance.http, secret, **other), 410, "gone")


async def test_retry_expires_after_a_minute(appliance: Appliance) -> None:
    """LR-04"""
    secret = await create(appliance.http)
    assert (await reveal(appliance.http, secret, idempotency=RETRY)).status_code == 200
    appliance.clock.move(60)
    check_problem(await reveal(appliance.http, secret, idempotency=RETRY), 410, "gone")


@pytest.mark.parametrize("by", ["sender", "reader"])
async def test_retry_after_a_burn_is_gone(appliance: Appliance, by: str) -> None:
    """LR-01: a burn ends retries, too."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, maxViews=3)
    for _ in range(2):
        assert (await reveal(appliance.http, secret, access=ACCESS, idempotency=RETRY)).status_code == 200
    if by == "sender":
        burned = await appliance.http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret))
    else:
        burned = await appliance.http.post(f"/secrets/{secret['linkId']}/burn", headers={"SecLink-Access": ACCESS})
    assert burned.status_code == 204
    gone = check_problem(await reveal(appliance.http, secret, access=ACCESS, idempotency=RETRY), 410, "gone")
    assert gone["state"] == "burned"


async def test_restart_forgets_responses_for_retries(make_appliance: MakeAppliance) -> None:
    """LR-04: they are in memory only."""
    before = await make_appliance()
    secret = await create(before.http)
    assert (await reveal(before.http, secret, idempotency=RETRY)).status_code == 200
    await before.store.close()
    after = await make_appliance(path=before.path, clock=before.clock)
    check_problem(await reveal(after.http, secret, idempotency=RETRY), 410, "gone")


async def test_concurrent_retries_spend_one_view(appliance: Appliance) -> None:
    """LR-02: a retry that overtakes its first attempt waits for the same response."""
    secret = await create(appliance.http, maxViews=5)
    responses = await race(*(reveal(appliance.http, secret, idempotency=RETRY) for _ in range(20)))
    assert len({response.content for response in responses}) == 1
    assert (await state(appliance.http, secret))["views"] == 1


async def test_failed_reveal_is_not_repeated(appliance: Appliance) -> None:
    secret = await create(appliance.http, passcodeHash=RIGHT)
    check_problem(await reveal(appliance.http, secret, idempotency=RETRY), 401, "passcode_required")
    assert (await reveal(appliance.http, secret, idempotency=RETRY, passcode=RIGHT)).status_code == 200


async def test_disconnected_caller_can_retry(appliance: Appliance) -> None:
    """LR-01: the view is taken, and a retry gets the response."""
    secret = await create(appliance.http)
    caller = asyncio.ensure_future(reveal(appliance.http, secret, idempotency=RETRY))
    for _ in range(20):
        await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    again = await reveal(appliance.http, secret, idempotency=RETRY)
    assert again.status_code == 200
    assert (await state(appliance.http, secret))["views"] == 1


async def test_retry_key_is_bound_to_its_secret(appliance: Appliance) -> None:
    first, second = await create(appliance.http), await create(appliance.http, encryptedBlob=encoded(b"other"))
    responses = [await reveal(appliance.http, secret, idempotency=RETRY) for secret in (first, second)]
    assert [response.json()["encryptedBlob"] for response in responses] == [encoded(b"ciphertext"), encoded(b"other")]


async def test_reveal_needs_no_key_but_refuses_an_invalid_one(appliance: Appliance) -> None:
    """AUTH-03"""
    secret = await create(appliance.http)
    link = f"/secrets/{secret['linkId']}"
    check_problem(await appliance.http.get(link, headers=bearer("sk_live_x")), 401, "key_invalid")
    created_only = await appliance.key("acme", "create")
    assert (await appliance.http.get(link, headers=bearer(created_only))).status_code == 200


async def test_body_of_a_reveal_is_empty_or_json(appliance: Appliance) -> None:
    secret = await create(appliance.http, maxViews=5)
    link = f"/secrets/{secret['linkId']}/reveal"
    assert (await appliance.http.post(link)).status_code == 200
    assert (await appliance.http.post(link, json={})).status_code == 200
    check_problem(await appliance.http.post(link, data={"access": "x"}), 415, "unsupported_media_type")
    assert (await appliance.http.post("/secrets", json=body())).status_code == 201
    assert (await state(appliance.http, secret))["views"] == 2

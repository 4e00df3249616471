"""Revealing: exactly as many readers as there are views, and nothing but a right and whole answer to every
question spends one.
"""

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

import seclink

pytestmark = pytest.mark.anyio
SOURCE = Path(seclink.__file__).parent
RETRY = "retry-key-0123456789"

Door = Callable[[httpx.AsyncClient, str], Any]
DOORS: dict[tuple[str, str], Door] = {
    ("GET", "/api/v1/secrets/{link_id}"): lambda http, link_id: http.get(f"/secrets/{link_id}"),
    ("POST", "/api/v1/secrets/{link_id}/reveal"): lambda http, link_id: http.post(f"/secrets/{link_id}/reveal"),
}


async def race(*asked: Any) -> list[httpx.Response]:
    return list(await asyncio.gather(*asked))


# One-time


@pytest.mark.parametrize("door", DOORS.values(), ids=[path for _, path in DOORS])
async def test_one_of_many_readers_wins_at_every_door(appliance: Any, door: Door) -> None:
    """ONE-01, ONE-06"""
    for _ in range(10):
        made = await create(appliance.http)
        answers = await race(*(door(appliance.http, made["linkId"]) for _ in range(32)))
        assert sorted(each.status_code for each in answers) == [200] + [410] * 31
        assert sum("encryptedBlob" in each.text for each in answers) == 1


@pytest.mark.parametrize("views", [2, 3, 10])
async def test_as_many_readers_win_as_there_are_views(appliance: Any, views: int) -> None:
    """ONE-02"""
    for _ in range(5):
        made = await create(appliance.http, maxViews=views)
        doors = [*DOORS.values()] * 16
        answers = await race(*(door(appliance.http, made["linkId"]) for door in doors))
        won = [each.json() for each in answers if each.status_code == 200]
        assert sorted(each["viewsLeft"] for each in won) == list(range(views))
        assert {each.status_code for each in answers} == {200, 410}
        receipt = await state(appliance.http, made)
        assert (receipt["state"], receipt["views"]) == ("revealed", views)


async def test_unlimited_secret_is_read_by_everybody_until_it_expires(appliance: Any) -> None:
    made = await create(appliance.http, expiryType="1hour")
    answers = await race(*(reveal(appliance.http, made) for _ in range(20)))
    assert {each.status_code for each in answers} == {200}
    assert {each.json()["viewsLeft"] for each in answers} == {None}
    assert (await state(appliance.http, made))["views"] == 20
    appliance.clock.move(3600)
    check_problem(await reveal(appliance.http, made), 410, "gone")


async def test_get_post_burn_and_reaper_race_for_one_end(appliance: Any) -> None:
    """ONE-03: at most one of them gets it, and the receipt names who did."""
    http = appliance.http
    for turn in range(30):
        made = await create(http, expiresIn=60)
        appliance.clock.move(59.999 if turn % 2 else 1)

        async def reap_late() -> None:
            appliance.clock.move(0.002)
            await appliance.store.reap(appliance.clock.now(), 100)

        asked = [
            *(door(http, made["linkId"]) for door in DOORS.values()),
            http.delete(f"/receipts/{made['receiptId']}", headers=manage(made)),
            reap_late(),
        ]
        asked = asked[turn % 4 :] + asked[: turn % 4]
        answers = [each for each in await race(*asked) if each is not None]
        won = [each for each in answers if each.status_code in (200, 204)]
        assert len(won) <= 1
        assert {each.status_code for each in answers} <= {200, 204, 410}
        if turn % 2 == 0 or won:
            assert len(won) == 1
            expected = "burned" if won[0].status_code == 204 else "revealed"
        else:
            expected = "expired"
        receipt = await state(http, made)
        assert receipt["state"] == expected
        assert [each["type"] for each in receipt["events"]] == ["created", expected]


def statements() -> dict[str, set[str]]:
    """Every literal of the server that reads or writes the payloads' table, by module."""
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if re.search(r"\b(FROM|JOIN|INTO|UPDATE)\s+payloads\b", text):
                found.setdefault(str(path.relative_to(SOURCE)), set()).add(text)
    return found


def test_only_the_claim_reads_a_payload() -> None:
    """ONE-06: besides the schema one module speaks to the table at all, and in it one function reads."""
    assert statements().keys() == {"store/writes.py", "store/schema.py"}
    for script in statements()["store/schema.py"]:
        assert not re.search(r"(?<!DELETE )FROM payloads|JOIN payloads", script)
    tree = ast.parse((SOURCE / "store/writes.py").read_text())
    readers = {
        function.name
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and re.search(r"SELECT[^;]*FROM payloads", str(node.value))
    }
    assert readers == {"claim_all"}


async def test_every_door_that_returns_a_payload_is_in_the_race_above(appliance: Any) -> None:
    """ONE-06: a new route that returns one fails here until it is in DOORS."""
    document = (await appliance.http.get("/openapi.json")).json()
    returning = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            schemas = str([each.get("content") for code, each in operation["responses"].items() if code < "300"])
            for name in re.findall(r"schemas/(\w+)", schemas):
                if "encryptedBlob" in document["components"]["schemas"][name].get("properties", {}):
                    returning.add((method.upper(), path))
    assert returning == DOORS.keys()


# Neutral looks


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
async def test_looks_are_neutral(appliance: Any, method: str, path: str, headers: dict[str, str], status: int) -> None:
    """ONE-08"""
    made = await create(appliance.http)
    for _ in range(20):
        answer = await appliance.http.request(method, f"/secrets/{made['linkId']}{path}", headers=headers)
        assert answer.status_code == status
        assert "encryptedBlob" not in answer.text
    assert (await reveal(appliance.http, made)).status_code == 200


async def test_a_thousand_looks_leave_one_trace(appliance: Any) -> None:
    """ONE-08: the first peek is remembered, the others are not."""
    made = await create(appliance.http)
    for _ in range(1000):
        assert (await appliance.http.get(f"/secrets/{made['linkId']}/meta")).status_code == 200
    receipt = await state(appliance.http, made)
    assert [each["type"] for each in receipt["events"]] == ["created", "peeked"]
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
async def test_browser_that_merely_comes_by_spends_nothing(appliance: Any, headers: dict[str, str]) -> None:
    """BOT-02"""
    made = await create(appliance.http)
    answer = await appliance.http.get(f"/secrets/{made['linkId']}", headers=headers)
    check_problem(answer, 400, "not_a_navigation")
    assert (await state(appliance.http, made))["views"] == 0
    assert (await appliance.http.get(f"/secrets/{made['linkId']}")).status_code == 200


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
async def test_programs_reveal_by_get_as_documented(appliance: Any, headers: dict[str, str]) -> None:
    """BOT-02"""
    made = await create(appliance.http)
    assert (await appliance.http.get(f"/secrets/{made['linkId']}", headers=headers)).status_code == 200


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "SecLink-Access", "SecLink-Passcode"])
@pytest.mark.parametrize("page", [PRELOAD, {"Origin": "https://elsewhere.example"}], ids=["new", "old browser"])
async def test_script_elsewhere_reveals_by_get_with_what_makes_its_browser_ask_first(
    appliance: Any, page: dict[str, str], name: str
) -> None:
    """BOT-02, CSRF-01"""
    made = await create(appliance.http, accessHash=ACCESS_HASH if name == "SecLink-Access" else None)
    values = {"Authorization": f"Bearer {await appliance.key()}", "SecLink-Access": ACCESS}
    sent = {name: values.get(name, RIGHT)}
    assert (await appliance.http.get(f"/secrets/{made['linkId']}", headers=page | sent)).status_code == 200


@pytest.mark.parametrize(("method", "end"), [("GET", ""), ("POST", "/reveal")])
def test_request_that_never_becomes_whole_spends_nothing(server: Any, method: str, end: str) -> None:
    """ONE-01: it announces a body, and breaks off before there is one."""
    url = f"{server.url}/api/v1/secrets"
    made = httpx.post(url, json=body()).json()
    head = f"{method} /api/v1/secrets/{made['linkId']}{end} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head.encode())
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            assert b"encryptedBlob" not in client.makefile("rb").read()
    assert httpx.get(f"{url}/{made['linkId']}/meta").json()["viewsLeft"] == 1


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
async def test_wrong_proof_spends_nothing_and_touches_no_passcode_budget(appliance: Any, proof: str) -> None:
    """BOT-04: at both doors, in header and body, even with the right passcode."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    headers = httpx.Headers([(b"SecLink-Access", proof.encode("latin-1")), (b"SecLink-Passcode", RIGHT.encode())])
    link = f"/secrets/{made['linkId']}"
    for answer in (
        await appliance.http.get(link, headers=headers),
        await appliance.http.post(f"{link}/reveal", headers=headers),
        await appliance.http.post(f"{link}/reveal", json={"access": proof or "A", "passcodeHash": RIGHT}),
    ):
        check_problem(answer, 401, "access_denied")
    meta = (await appliance.http.get(f"{link}/meta")).json()
    assert (meta["viewsLeft"], meta["attemptsLeft"]) == (1, 5)
    assert (await reveal(appliance.http, made, access=ACCESS, passcode=RIGHT)).status_code == 200


async def test_no_proof_is_told_from_a_wrong_one(appliance: Any) -> None:
    made = await create(appliance.http, accessHash=ACCESS_HASH)
    for door in DOORS.values():
        check_problem(await door(appliance.http, made["linkId"]), 401, "access_required")
    assert (await state(appliance.http, made))["views"] == 0


@pytest.mark.parametrize("padding", ["", "="])
async def test_right_proof_opens_with_and_without_padding(appliance: Any, padding: str) -> None:
    proof = ACCESS + padding * (-len(ACCESS) % 4)
    made = await create(appliance.http, accessHash=ACCESS_HASH.upper(), maxViews=3)
    link = f"/secrets/{made['linkId']}"
    assert (await appliance.http.get(link, headers={"SecLink-Access": proof})).status_code == 200
    assert (await appliance.http.post(f"{link}/reveal", headers={"SecLink-Access": proof})).status_code == 200
    assert (await appliance.http.post(f"{link}/reveal", json={"access": proof})).status_code == 200


async def test_ended_secret_asks_no_questions(appliance: Any) -> None:
    """Proof and passcode are erased with the rest: 410 for everybody."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    await reveal(appliance.http, made, access=ACCESS, passcode=RIGHT)
    for headers in (
        {},
        {"access": "AAAA"},
        {"access": ACCESS, "passcode": WRONG},
        {"access": ACCESS, "passcode": RIGHT},
    ):
        check_problem(await reveal(appliance.http, made, **headers), 410, "gone")


# Lost answers


async def test_lost_answer_can_be_fetched_again_by_the_same_caller(appliance: Any) -> None:
    """LR-02: identical bytes, one view, and the payload is gone from the disk meanwhile."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, encryptedBlob=encoded(b"MARKER" * 50))
    answers = []
    for seconds in (0, 30, 29.9):
        appliance.clock.move(seconds)
        answers.append(await reveal(appliance.http, made, access=ACCESS, idempotency=RETRY))
    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    receipt = await state(appliance.http, made)
    assert (receipt["state"], receipt["views"]) == ("revealed", 1)


async def test_retry_may_come_by_the_other_door(appliance: Any) -> None:
    """LR-02"""
    made = await create(appliance.http)
    first = await appliance.http.get(f"/secrets/{made['linkId']}", headers={"Idempotency-Key": RETRY})
    assert (await reveal(appliance.http, made, idempotency=RETRY)).content == first.content


@pytest.mark.parametrize(
    "other",
    [
        {"idempotency": "another-key-01234567", "access": ACCESS},
        {"access": ACCESS},
        {"idempotency": RETRY, "access": "AAAA"},
        {"idempotency": RETRY},
    ],
)
async def test_anybody_else_is_told_at_once_that_it_is_gone(appliance: Any, other: dict[str, str]) -> None:
    """LR-03: with another retry key, with none, or with the same and no proof."""
    made = await create(appliance.http, accessHash=ACCESS_HASH)
    assert (await reveal(appliance.http, made, access=ACCESS, idempotency=RETRY)).status_code == 200
    check_problem(await reveal(appliance.http, made, **other), 410, "gone")


async def test_retry_after_the_window_is_too_late(appliance: Any) -> None:
    """LR-04"""
    made = await create(appliance.http)
    assert (await reveal(appliance.http, made, idempotency=RETRY)).status_code == 200
    appliance.clock.move(60)
    check_problem(await reveal(appliance.http, made, idempotency=RETRY), 410, "gone")


@pytest.mark.parametrize("by", ["sender", "reader"])
async def test_kept_answer_is_not_given_once_the_secret_is_burned(appliance: Any, by: str) -> None:
    """LR-01: a lost answer may be had again, not what was taken back."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, maxViews=3)
    for _ in range(2):
        assert (await reveal(appliance.http, made, access=ACCESS, idempotency=RETRY)).status_code == 200
    if by == "sender":
        burned = await appliance.http.delete(f"/receipts/{made['receiptId']}", headers=manage(made))
    else:
        burned = await appliance.http.post(f"/secrets/{made['linkId']}/burn", headers={"SecLink-Access": ACCESS})
    assert burned.status_code == 204
    gone = check_problem(await reveal(appliance.http, made, access=ACCESS, idempotency=RETRY), 410, "gone")
    assert gone["state"] == "burned"


async def test_restart_forgets_what_might_have_been_asked_again(make_appliance: Any) -> None:
    """LR-04: the answer was in memory alone."""
    before = await make_appliance()
    made = await create(before.http)
    assert (await reveal(before.http, made, idempotency=RETRY)).status_code == 200
    await before.store.close()
    after = await make_appliance(path=before.path, clock=before.clock)
    check_problem(await reveal(after.http, made, idempotency=RETRY), 410, "gone")


async def test_retries_at_once_spend_one_view(appliance: Any) -> None:
    """LR-02: a retry that overtakes its first try waits for the same answer."""
    made = await create(appliance.http, maxViews=5)
    answers = await race(*(reveal(appliance.http, made, idempotency=RETRY) for _ in range(20)))
    assert len({each.content for each in answers}) == 1
    assert (await state(appliance.http, made))["views"] == 1


async def test_refusal_is_not_kept_for_the_retry(appliance: Any) -> None:
    made = await create(appliance.http, passcodeHash=RIGHT)
    check_problem(await reveal(appliance.http, made, idempotency=RETRY), 401, "passcode_required")
    assert (await reveal(appliance.http, made, idempotency=RETRY, passcode=RIGHT)).status_code == 200


async def test_caller_who_hangs_up_has_still_revealed_it(appliance: Any) -> None:
    """LR-01: the view is taken; with a retry key the answer is there for the next try."""
    made = await create(appliance.http)
    asked = asyncio.ensure_future(reveal(appliance.http, made, idempotency=RETRY))
    for _ in range(20):
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    again = await reveal(appliance.http, made, idempotency=RETRY)
    assert again.status_code == 200
    assert (await state(appliance.http, made))["views"] == 1


async def test_retry_key_of_one_secret_opens_no_other(appliance: Any) -> None:
    first, second = await create(appliance.http), await create(appliance.http, encryptedBlob=encoded(b"other"))
    answers = [await reveal(appliance.http, made, idempotency=RETRY) for made in (first, second)]
    assert [each.json()["encryptedBlob"] for each in answers] == [encoded(b"ciphertext"), encoded(b"other")]


async def test_reveal_needs_no_key_and_a_bad_one_is_still_refused(appliance: Any) -> None:
    """AUTH-03"""
    made = await create(appliance.http)
    link = f"/secrets/{made['linkId']}"
    check_problem(await appliance.http.get(link, headers=bearer("sk_live_x")), 401, "key_invalid")
    created_only = await appliance.key("acme", "create")
    assert (await appliance.http.get(link, headers=bearer(created_only))).status_code == 200


async def test_body_of_a_reveal_may_be_empty_and_of_nothing_but_json(appliance: Any) -> None:
    made = await create(appliance.http, maxViews=5)
    link = f"/secrets/{made['linkId']}/reveal"
    assert (await appliance.http.post(link)).status_code == 200
    assert (await appliance.http.post(link, json={})).status_code == 200
    check_problem(await appliance.http.post(link, data={"access": "x"}), 415, "unsupported_media_type")
    assert (await appliance.http.post("/secrets", json=body())).status_code == 201
    assert (await state(appliance.http, made))["views"] == 2

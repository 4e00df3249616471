"""What holds in every dialect: one view is one view, nothing is left behind, every refusal is in its own words, and it
can be switched off or put on a host of its own.
"""

import asyncio
import base64
import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from replaying import ROOT
from speaking import PASSWORD_HASH, ROWS, Made, Row

from seclink.errors import StorageFailed, StorageFull

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)]

PLENTY = '[rates]\ncreate = "1000000/hour"\nreveal = "1000000/hour"\npeek = "1000000/hour"\nkey = "1000000/hour"\n'
READERS = 20


async def ask(appliance: Any, method: str, url: str, **options: Any) -> httpx.Response:
    async with appliance.client() as http:
        answer: httpx.Response = await http.request(method, url, **options)
    return answer


async def reveal(appliance: Any, made: Made, proof: dict[str, str]) -> httpx.Response:
    return await ask(appliance, "POST", f"{ROOT}/api/v1/secrets/{made.link_id}/reveal", json=proof)


def without_password(made: Made) -> dict[str, str]:
    return {name: value for name, value in made.proof.items() if name != "passcodeHash"}


# Once


@pytest.mark.parametrize("views", [1, 3])
async def test_parallel_readers_get_as_many_views_as_there_are(make_appliance: Any, row: Row, views: int) -> None:
    """ONE-01"""
    for _ in range(5):
        appliance = await make_appliance(PLENTY + row.toml)
        made = await row.create(appliance, views)
        proof = without_password(made)
        answers = await asyncio.gather(*(reveal(appliance, made, proof) for _ in range(READERS)))
        assert Counter(each.status_code for each in answers) == {200: views, 410: READERS - views}
        payloads = {each.json()["encryptedBlob"] for each in answers if each.status_code == 200}
        assert len(payloads) == 1


async def test_password_is_asked_for_and_nothing_is_spent_without_it(make_appliance: Any, row: Row) -> None:
    """The native call says so whatever the dialect's client does: without it, or with a wrong one, nothing is given.
    Where all of the key is in the password, the server has nothing to ask for, and says so.
    """
    appliance = await make_appliance(PLENTY + row.toml)
    made = await row.create(appliance, 1, has_password=True)
    meta = (await ask(appliance, "GET", f"{ROOT}/api/v1/secrets/{made.link_id}/meta")).json()
    assert (meta["passcodeRequired"], meta["viewsLeft"]) == (row.has_gate, 1)
    if not row.has_gate:
        return
    for wrong in ({}, {"passcodeHash": ""}, {"passcodeHash": "0" * 64}):
        answer = await reveal(appliance, made, without_password(made) | wrong)
        assert answer.status_code in (400, 401)
        assert "encryptedBlob" not in answer.json()
    assert (await reveal(appliance, made, made.proof)).json()["viewsLeft"] == 0


# Nothing left


def written(appliance: Any) -> bytes:
    """Every byte of the database, its log and what the server has said."""
    path: Path = appliance.path
    said = b""
    for each in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        with contextlib.suppress(FileNotFoundError):
            said += each.read_bytes()
    return said + appliance.log.getvalue().encode()


async def wait_until_gone(appliance: Any, trace: bytes) -> None:
    for _ in range(100):
        if trace not in written(appliance):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the payload is still there")


async def test_neither_text_nor_password_nor_key_is_ever_written(make_appliance: Any, row: Row) -> None:
    """FOR-01: searched in raw bytes while it lives and after; once it has ended its payload is nowhere either."""
    appliance = await make_appliance(PLENTY + '[log]\nlevel = "debug"\nformat = "json"\n' + row.toml)
    made = await row.create(appliance, 2 if row.has_gate else 3, has_password=True)
    never = [*made.traces, b"foobar123", PASSWORD_HASH.encode(), *(each.encode() for each in made.proof.values())]
    await reveal(appliance, made, without_password(made))
    first = await reveal(appliance, made, made.proof)
    payload = base64.b64decode(first.json()["encryptedBlob"])
    assert payload[:200] in written(appliance)  # the search finds what is there
    assert not [each for each in never if each in written(appliance)]
    assert (await reveal(appliance, made, made.proof)).json()["viewsLeft"] == 0
    await wait_until_gone(appliance, payload[:200])
    await wait_until_gone(appliance, payload[-100:])
    assert not [each for each in never if each in written(appliance)]
    assert made.link_id not in appliance.log.getvalue()


# In its own words


def check_envelope(row: Row, answer: httpx.Response, status: int) -> None:
    said = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}"
    assert answer.status_code == row.statuses.get(status, status), said
    assert answer.headers["content-type"] == "application/json", said
    assert answer.headers["access-control-allow-origin"] == "*", said
    assert answer.headers["x-content-type-options"] == "nosniff", said
    assert row.is_envelope(answer.json()), said


async def test_what_the_gate_and_the_framework_refuse_is_in_the_envelope(make_appliance: Any, row: Row) -> None:
    appliance = await make_appliance(PLENTY + row.toml)
    twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    for status, method, url, options in (
        (404, "GET", f"{ROOT}/{row.name}", {}),
        (404, "GET", f"{ROOT}/{row.name}/", {}),
        (404, "GET", f"{ROOT}/{row.name}/nothing/at/all", {"headers": {"Accept": "text/html"}}),
        (404, "POST", f"{row.url}/nothing/at/all", {}),
        (405, "PATCH", row.url, {}),
        (405, "PUT", row.url, {}),
        (400, "POST", row.url, {"headers": {"Host": "evil.example"}}),
        (400, "POST", row.url, {"headers": twice}),
        (413, "POST", row.url, {"content": b"x" * 5_000_000}),
        (431, "POST", row.url, {"headers": {"X-Long": "x" * 20_000}}),
    ):
        check_envelope(row, await ask(appliance, method, url, **options), status)


async def test_chunked_body_that_grows_too_large_is_refused_in_the_envelope(make_appliance: Any, row: Row) -> None:
    async def endless() -> Any:
        for _ in range(80):
            yield b"x" * 65_536

    appliance = await make_appliance(PLENTY + row.toml)
    named = row.request(await appliance.key(), 1, False)["headers"]
    check_envelope(row, await ask(appliance, "POST", row.url, content=endless(), headers=named), 413)


async def test_key_that_is_not_known_is_refused_in_the_envelope(make_appliance: Any, row: Row) -> None:
    appliance = await make_appliance(PLENTY + row.toml)
    for key in ("sk_live_" + "0" * 38, "", "x"):
        answer = await ask(appliance, "POST", row.url, **row.request(key, 1, False))
        check_envelope(row, answer, 401)


async def test_too_many_are_refused_in_the_envelope_and_told_when_to_come_again(make_appliance: Any, row: Row) -> None:
    appliance = await make_appliance('[rates]\nkey = "2/hour"\n' + row.toml)
    sent = row.request(await appliance.key(), 1, False)
    answers = [await ask(appliance, "POST", row.url, **sent) for _ in range(3)]
    check_envelope(row, answers[-1], 429)
    assert answers[-1].headers["retry-after"] == "1800"


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("x"), 500), (StorageFailed(), 503), (StorageFull(), 507)])
async def test_what_goes_wrong_is_in_the_envelope_and_told_nothing_of(
    make_appliance: Any, row: Row, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    appliance = await make_appliance(PLENTY + row.toml)

    async def fail(_: Any) -> None:
        raise error

    monkeypatch.setattr(appliance.store, "add", fail)
    answer = await ask(appliance, "POST", row.url, **row.request(await appliance.key(), 1, False))
    check_envelope(row, answer, status)
    assert "Runtime" not in answer.text


async def test_busy_and_broken_gates_answer_in_the_envelope(make_appliance: Any, row: Row) -> None:
    appliance = await make_appliance(PLENTY + row.toml)

    async def fail(*_: Any) -> None:
        raise RuntimeError

    appliance.app.app = fail
    check_envelope(row, await ask(appliance, "GET", row.url), 500)
    appliance.app.max_requests = 0
    check_envelope(row, await ask(appliance, "GET", row.url), 503)


async def test_preflight_is_answered_wherever_it_asks(make_appliance: Any, row: Row) -> None:
    appliance = await make_appliance(PLENTY + row.toml)
    for url in (row.url, f"{row.url}/x", f"{ROOT}/{row.name}/nothing"):
        answer = await ask(appliance, "OPTIONS", url)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")
        assert {"authorization", "content-type"} <= set(
            answer.headers["access-control-allow-headers"].lower().split(", ")
        )


# Where it is


async def test_switched_off_there_is_nothing(make_appliance: Any, row: Row) -> None:
    appliance = await make_appliance(f"{PLENTY}[dialects.{row.name}]\nenabled = false\nhost = 'own.example'\n")
    sent = row.request(await appliance.key(), 1, False)
    for method in ("POST", "GET", "OPTIONS", "DELETE"):
        for url in (row.url, f"{ROOT}/{row.name}", f"{ROOT}/{row.name}/s"):
            answer = await ask(appliance, method, url, **sent)
            nothing = await ask(appliance, method, f"{ROOT}/nothing{row.path}", **sent)
            for each in (answer, nothing):
                assert (each.status_code, each.headers["content-type"]) == (404, "application/problem+json")
            differs = {"requestId"}
            assert {k: v for k, v in answer.json().items() if k not in differs} == {
                k: v for k, v in nothing.json().items() if k not in differs
            }
    answer = await ask(appliance, "POST", ROOT + row.path, **sent | {"headers": {"Host": "own.example"}})
    assert answer.json()["code"] == "unknown_host"


async def test_own_host_has_its_own_paths_and_nothing_else(make_appliance: Any, row: Row) -> None:
    host = f"[dialects.{row.name}]\nhost = 'own.example'\n"
    toml = row.toml.replace(f"[dialects.{row.name}]\n", host) if row.toml else host
    appliance = await make_appliance(PLENTY + toml)
    sent = row.request(await appliance.key(), 1, False)
    there = {"Host": "own.example:8443"}
    answer = await ask(appliance, "POST", ROOT + row.path, **sent | {"headers": sent["headers"] | there})
    assert answer.is_success, answer.text
    made = row.made(answer)
    assert (await reveal(appliance, made, without_password(made))).status_code == 200
    for path in ("/", "/healthz", "/robots.txt", "/api/v1/openapi.json", f"/{row.name}{row.path}", "/AbCdEfGhIjKl"):
        check_envelope(row, await ask(appliance, "GET", ROOT + path, headers=there), 404)
    check_envelope(row, await ask(appliance, "PUT", ROOT + row.path, headers=there), 405)

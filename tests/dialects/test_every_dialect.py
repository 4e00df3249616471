"""The rules that hold in every dialect: one view is one view, no plaintext is ever written, every error is in the
dialect's envelope, and the dialect can be switched off or have its own host.
"""

import asyncio
import base64
from collections import Counter
from typing import Any

import httpx
import pytest
from dialect_helpers import PASSWORD_HASH, ROWS, CreatedSecret, Row, ask, wait_until_gone, written
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES
from transcripts import ROOT

from seclink.errors import StorageFailed, StorageFull

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)]

READERS = 20


async def reveal(appliance: Appliance, secret: CreatedSecret, proof: dict[str, str]) -> httpx.Response:
    return await ask(appliance, "POST", f"{ROOT}/api/v1/secrets/{secret.link_id}/reveal", json=proof)


def without_password(secret: CreatedSecret) -> dict[str, str]:
    return {name: value for name, value in secret.proof.items() if name != "passcodeHash"}


# Once


@pytest.mark.parametrize("views", [1, 3])
async def test_parallel_readers_get_exactly_the_allowed_views(
    make_appliance: MakeAppliance, row: Row, views: int
) -> None:
    """ONE-01"""
    for _ in range(5):
        appliance = await make_appliance(HIGH_RATES + row.toml)
        secret = await row.create(appliance, views)
        proof = without_password(secret)
        responses = await asyncio.gather(*(reveal(appliance, secret, proof) for _ in range(READERS)))
        assert Counter(response.status_code for response in responses) == {200: views, 410: READERS - views}
        payloads = {response.json()["encryptedBlob"] for response in responses if response.status_code == 200}
        assert len(payloads) == 1


async def test_wrong_or_missing_password_spends_no_view(make_appliance: MakeAppliance, row: Row) -> None:
    """The native API checks the password, too. If the whole key is derived from it, the server reports none."""
    appliance = await make_appliance(HIGH_RATES + row.toml)
    secret = await row.create(appliance, 1, has_password=True)
    meta = (await ask(appliance, "GET", f"{ROOT}/api/v1/secrets/{secret.link_id}/meta")).json()
    assert (meta["passcodeRequired"], meta["viewsLeft"]) == (row.checks_password, 1)
    if not row.checks_password:
        return
    for wrong in ({}, {"passcodeHash": ""}, {"passcodeHash": "0" * 64}):
        response = await reveal(appliance, secret, without_password(secret) | wrong)
        assert response.status_code in (400, 401)
        assert "encryptedBlob" not in response.json()
    assert (await reveal(appliance, secret, secret.proof)).json()["viewsLeft"] == 0


# Nothing left


async def test_text_password_and_key_are_never_written(make_appliance: MakeAppliance, row: Row) -> None:
    """FOR-01: search the raw bytes while the secret is active and after; its payload is gone once it has ended."""
    appliance = await make_appliance(HIGH_RATES + '[log]\nlevel = "debug"\nformat = "json"\n' + row.toml)
    secret = await row.create(appliance, 2 if row.checks_password else 3, has_password=True)
    forbidden = [*secret.traces, b"foobar123", PASSWORD_HASH.encode(), *map(str.encode, secret.proof.values())]
    await reveal(appliance, secret, without_password(secret))
    first = await reveal(appliance, secret, secret.proof)
    payload = base64.b64decode(first.json()["encryptedBlob"])
    assert payload[:200] in written(appliance)  # the search finds what is there
    assert not [trace for trace in forbidden if trace in written(appliance)]
    assert (await reveal(appliance, secret, secret.proof)).json()["viewsLeft"] == 0
    await wait_until_gone(appliance, payload[:200])
    await wait_until_gone(appliance, payload[-100:])
    assert not [trace for trace in forbidden if trace in written(appliance)]
    assert secret.link_id not in appliance.log.getvalue()


# Its own error envelope


def check_envelope(row: Row, response: httpx.Response, status: int) -> None:
    details = f"{response.request.method} {response.request.url}: {response.status_code} {response.text[:300]}"
    assert response.status_code == row.statuses.get(status, status), details
    assert response.headers["content-type"] == "application/json", details
    assert response.headers["access-control-allow-origin"] == "*", details
    assert response.headers["x-content-type-options"] == "nosniff", details
    assert row.is_envelope(response.json()), details


async def test_errors_of_middleware_and_framework_are_in_the_envelope(make_appliance: MakeAppliance, row: Row) -> None:
    appliance = await make_appliance(HIGH_RATES + row.toml)
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


async def test_too_large_chunked_body_is_rejected_in_the_envelope(make_appliance: MakeAppliance, row: Row) -> None:
    async def endless() -> Any:
        for _ in range(80):
            yield b"x" * 65_536

    appliance = await make_appliance(HIGH_RATES + row.toml)
    named = row.request(await appliance.key(), 1, False)["headers"]
    check_envelope(row, await ask(appliance, "POST", row.url, content=endless(), headers=named), 413)


async def test_unknown_key_is_rejected_in_the_envelope(make_appliance: MakeAppliance, row: Row) -> None:
    appliance = await make_appliance(HIGH_RATES + row.toml)
    for key in ("sk_live_" + "0" * 38, "", "x"):
        response = await ask(appliance, "POST", row.url, **row.request(key, 1, False))
        check_envelope(row, response, 401)


async def test_who_knows_only_the_link_id_cannot_lock_the_reader_out(make_appliance: MakeAppliance, row: Row) -> None:
    """PC-10"""
    if not row.checks_password:
        return
    appliance = await make_appliance(HIGH_RATES + row.toml)
    secret = await row.create(appliance, 1, has_password=True)
    for number in range(25):
        async with appliance.client(f"203.0.113.{number // 5}") as stranger:
            url = f"{ROOT}/api/v1/secrets/{secret.link_id}/reveal"
            refused = await stranger.post(url, json={"passcodeHash": "0" * 64})
            assert refused.status_code == 401
    response = await reveal(appliance, secret, secret.proof | {"passcodeHash": PASSWORD_HASH})
    assert response.status_code == 200


async def test_rate_limit_is_in_the_envelope_with_retry_after(make_appliance: MakeAppliance, row: Row) -> None:
    appliance = await make_appliance('[rates]\nkey = "2/hour"\n' + row.toml)
    request = row.request(await appliance.key(), 1, False)
    responses = [await ask(appliance, "POST", row.url, **request) for _ in range(3)]
    check_envelope(row, responses[-1], 429)
    assert responses[-1].headers["retry-after"] == "3600"


@pytest.mark.parametrize(("error", "status"), [(RuntimeError("x"), 500), (StorageFailed(), 503), (StorageFull(), 507)])
async def test_internal_errors_are_in_the_envelope_without_details(
    make_appliance: MakeAppliance, row: Row, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    appliance = await make_appliance(HIGH_RATES + row.toml)

    async def fail(_: Any) -> None:
        raise error

    monkeypatch.setattr(appliance.store, "add", fail)
    response = await ask(appliance, "POST", row.url, **row.request(await appliance.key(), 1, False))
    check_envelope(row, response, status)
    assert "Runtime" not in response.text


async def test_overload_and_crashes_are_in_the_envelope(make_appliance: MakeAppliance, row: Row) -> None:
    appliance = await make_appliance(HIGH_RATES + row.toml)

    async def fail(*_: Any) -> None:
        raise RuntimeError

    appliance.app.app = fail
    check_envelope(row, await ask(appliance, "GET", row.url), 500)
    appliance.app.requests.reconfigure(0)
    check_envelope(row, await ask(appliance, "GET", row.url), 503)


async def test_every_path_answers_a_preflight(make_appliance: MakeAppliance, row: Row) -> None:
    appliance = await make_appliance(HIGH_RATES + row.toml)
    for url in (row.url, f"{row.url}/x", f"{ROOT}/{row.name}/nothing"):
        response = await ask(appliance, "OPTIONS", url)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (204, "*")
        assert {"authorization", "content-type"} <= set(
            response.headers["access-control-allow-headers"].lower().split(", ")
        )


# Its paths and hosts


async def test_disabled_dialect_has_no_routes(make_appliance: MakeAppliance, row: Row) -> None:
    appliance = await make_appliance(f"{HIGH_RATES}[dialects.{row.name}]\nenabled = false\nhost = 'own.example'\n")
    request = row.request(await appliance.key(), 1, False)
    for method in ("POST", "GET", "OPTIONS", "DELETE"):
        for url in (row.url, f"{ROOT}/{row.name}", f"{ROOT}/{row.name}/s"):
            response = await ask(appliance, method, url, **request)
            nothing = await ask(appliance, method, f"{ROOT}/nothing{row.path}", **request)
            for missing in (response, nothing):
                assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
            assert response.json() | {"requestId": ""} == nothing.json() | {"requestId": ""}
    response = await ask(appliance, "POST", ROOT + row.path, **request | {"headers": {"Host": "own.example"}})
    assert response.json()["code"] == "unknown_host"


async def test_own_host_serves_only_the_dialects_paths(make_appliance: MakeAppliance, row: Row) -> None:
    host = f"[dialects.{row.name}]\nhost = 'own.example'\n"
    toml = row.toml.replace(f"[dialects.{row.name}]\n", host) if row.toml else host
    appliance = await make_appliance(HIGH_RATES + toml)
    request = row.request(await appliance.key(), 1, False)
    there = {"Host": "own.example:8443"}
    response = await ask(appliance, "POST", ROOT + row.path, **request | {"headers": request["headers"] | there})
    assert response.is_success, response.text
    secret = row.read(response)
    assert (await reveal(appliance, secret, without_password(secret))).status_code == 200
    for path in ("/", "/robots.txt", "/api/v1/openapi.json", f"/{row.name}{row.path}"):
        check_envelope(row, await ask(appliance, "GET", ROOT + path, headers=there), 404)
    check_envelope(row, await ask(appliance, "PUT", ROOT + row.path, headers=there), 405)

"""Requests that a page of another site can send without a CORS preflight have no effect (CSRF-01)."""

from typing import Any

import pytest
from api_helpers import ACCESS, ACCESS_HASH, body, check_problem, create, reveal, state
from support.appliance import Appliance, MakeAppliance

pytestmark = pytest.mark.anyio
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}
FORM = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}
NO_CORS = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "cross-site"}
CORS = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "cross-site"}
REQUESTS = {
    "form": (FORM | URLENCODED, b"access=x"),
    "form with nothing in it": (FORM | URLENCODED, b""),
    "form with nothing in it, old browser": (URLENCODED, b""),
    "form as text": ({"Content-Type": "text/plain"}, b'{"access": "x"}'),
    "form of parts": ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--"),
    "fetch without cors": (NO_CORS | {"Content-Type": "text/plain;charset=UTF-8"}, b"{}"),
    "fetch without cors or body": (NO_CORS, b""),
    "fetch without cors from another port": (NO_CORS | {"Sec-Fetch-Site": "same-site"}, b""),
    "beacon": (NO_CORS | {"Content-Type": "text/plain;charset=UTF-8"}, b""),
    "navigation without a type": (FORM, b""),
}


@pytest.mark.parametrize("request_parts", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("action", ["reveal", "burn", "report"])
async def test_request_without_preflight_spends_burns_and_reports_nothing(
    appliance: Appliance, action: str, request_parts: Any
) -> None:
    """CSRF-01"""
    headers, content = request_parts
    raw, with_access = await create(appliance.http), await create(appliance.http, accessHash=ACCESS_HASH)
    for secret in (raw, with_access):
        response = await appliance.http.post(f"/secrets/{secret['linkId']}/{action}", content=content, headers=headers)
        code = "not_a_navigation" if "Sec-Fetch-Mode" in headers else "unsupported_media_type"
        check_problem(response, 400 if code == "not_a_navigation" else 415, code)
        receipt = await state(appliance.http, secret)
        assert (receipt["state"], receipt["views"], len(receipt["events"])) == ("active", 0, 1)


@pytest.mark.parametrize("request_parts", REQUESTS.values(), ids=REQUESTS)
async def test_request_without_preflight_creates_nothing(appliance: Appliance, request_parts: Any) -> None:
    """CSRF-01"""
    headers, content = request_parts
    check_problem(
        await appliance.http.post("/secrets", content=content, headers=headers), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize("headers", [{}, CORS, CORS | {"Sec-Fetch-Mode": "same-origin"}])
async def test_deliberate_request_still_works(appliance: Appliance, headers: dict[str, str]) -> None:
    """CSRF-01: curl, without Fetch Metadata, and a script that uses CORS."""
    http = appliance.client(headers=headers)
    assert (await reveal(http, await create(http))).status_code == 200
    secret = (await http.post("/secrets", json=body(accessHash=ACCESS_HASH))).json()
    assert (await http.post(f"/secrets/{secret['linkId']}/report")).status_code == 202
    assert (await http.post(f"/secrets/{secret['linkId']}/burn", json={"access": ACCESS})).status_code == 204


async def test_other_sites_cannot_spend_a_visitors_rates(make_appliance: MakeAppliance) -> None:
    """RL-12: images and forms are counted apart; scripts of other sites may spend half."""
    appliance = await make_appliance('[rates]\ncreate = "20/hour"\nreveal = "12/hour"\npeek = "600/hour"\n')
    http, links = appliance.http, [(await create(appliance.http))["linkId"] for _ in range(2)]
    image = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"}
    for _ in range(120):
        assert (await http.get(f"/secrets/{links[0]}", headers=image)).status_code in (400, 429)
        assert (await http.post("/secrets", headers=FORM | URLENCODED, content=b"x")).status_code in (400, 415, 429)
    assert (await http.get(f"/secrets/{links[0]}")).status_code == 200
    statuses = [(await http.post("/secrets", headers=CORS, json=body())).status_code for _ in range(20)]
    assert statuses.count(201) <= 10
    statuses = [(await http.post("/secrets", json=body())).status_code for _ in range(20)]
    assert statuses.count(201) >= 8
    own = {"Origin": "http://localhost:8080"}
    assert (
        (await http.post(f"/secrets/{links[1]}/reveal", headers=own, json={}))
        .headers["ratelimit"]
        .startswith('"reveal"')
    )


@pytest.mark.parametrize(
    ("method", "path", "rate"),
    [
        ("POST", "/secrets/{}/reveal", "reveal"),
        ("POST", "/secrets/{}/burn", "reveal"),
        ("POST", "/secrets/{}/report", "create"),
        ("GET", "/secrets/{}/meta", "peek"),
    ],
)
async def test_whatever_takes_effect_counts_as_the_visitors_own(
    make_appliance: MakeAppliance, method: str, path: str, rate: str
) -> None:
    """RL-12: an empty POST in cors mode needs no preflight, and is not refused."""
    appliance = await make_appliance(f'[rates]\n{rate} = "8/hour"\n')
    http, key = appliance.http, await appliance.key()
    link_ids = iter([(await create(http, key=key))["linkId"] for _ in range(16)])

    async def ask(headers: dict[str, str]) -> bool:
        return (await http.request(method, path.format(next(link_ids)), headers=headers)).status_code != 429

    assert [await ask(CORS) for _ in range(5)] == [True] * 4 + [False]
    assert [await ask({}) for _ in range(5)] == [True] * 4 + [False]

"""Rates: exact counts, in the right buckets, by addresses that a client cannot forge."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from api_helpers import bearer, body, check_problem, create, encoded, manage, reveal, state
from support.appliance import Appliance, MakeAppliance

from seclink.model import Rate

pytestmark = pytest.mark.anyio


async def statuses(count: int, ask: Any) -> list[int]:
    return [(await ask()).status_code for _ in range(count)]


async def test_default_rate_of_creates_is_exact(make_appliance: MakeAppliance) -> None:
    """RL-01, with the default rates."""
    appliance = await make_appliance("")
    http = appliance.http
    remaining = []
    for _ in range(20):
        response = await http.post("/secrets", json=body())
        assert response.status_code == 201
        assert response.headers["ratelimit-policy"] == '"create";q=20;w=3600'
        match = re.fullmatch(r'"create";r=(\d+);t=\d+', response.headers["ratelimit"])
        assert match
        remaining.append(match[1])
    assert remaining == [str(n) for n in reversed(range(20))]
    refused = await http.post("/secrets", json=body())
    assert (
        "new secrets and reports from this address; an API key has"
        in check_problem(refused, 429, "rate_limited")["detail"]
    )
    assert refused.headers["retry-after"] == "3600"
    assert refused.headers["ratelimit"] == '"create";r=0;t=3600'
    appliance.clock.move(3599)
    again = await http.post("/secrets", json=body())
    assert (again.status_code, again.headers["retry-after"]) == (429, "1")
    appliance.clock.move(1)
    assert await statuses(21, lambda: http.post("/secrets", json=body())) == [201] * 20 + [429]


async def test_rate_of_a_key_is_exact(make_appliance: MakeAppliance) -> None:
    """RL-01: scaled to a rate of the key; its requests from all addresses count together."""
    appliance = await make_appliance("")
    key = await appliance.key("acme", "create", "manage", rate=Rate(50, 3600))
    results = []
    for n in range(26):
        http = appliance.client(f"203.0.113.{n}")
        results += [
            await http.post("/secrets", json=body(), headers=bearer(key)),
            await http.get("/stats", headers=bearer(key)),
        ]
    assert [response.status_code for response in results] == [201, 200] * 25 + [429] * 2
    assert results[0].headers["ratelimit-policy"] == '"key";q=50;w=3600'
    assert results[-1].headers["retry-after"] == "3600"
    assert (await appliance.http.get("/stats", headers=bearer(await appliance.key("acme")))).status_code == 200


async def test_rate_limited_request_spends_no_view_and_no_attempt(make_appliance: MakeAppliance) -> None:
    """RL-01"""
    appliance = await make_appliance('[rates]\nreveal = "1/hour"\n')
    right, wrong = "a" * 64, "b" * 64
    secret = await create(appliance.http, passcodeHash=right, maxViews=2)
    assert (await reveal(appliance.http, secret, passcode=right)).status_code == 200
    assert set(await statuses(9, lambda: reveal(appliance.http, secret, passcode=wrong))) == {429}
    meta = (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).json()
    assert (meta["viewsLeft"], meta["attemptsLeft"]) == (1, 5)


SPOOFED = [
    "X-Forwarded-For",
    "Forwarded",
    "X-Real-IP",
    "CF-Connecting-IP",
    "True-Client-IP",
    "X-Client-IP",
    "Client-IP",
]


@pytest.mark.parametrize("name", SPOOFED)
async def test_headers_of_an_untrusted_peer_are_ignored(make_appliance: MakeAppliance, name: str) -> None:
    """RL-02"""
    appliance = await make_appliance('[rates]\ncreate = "3/hour"\n')
    addresses = iter(range(1, 100))
    results = await statuses(
        5, lambda: appliance.http.post("/secrets", json=body(), headers={name: f"203.0.113.{next(addresses)}"})
    )
    assert results == [201] * 3 + [429] * 2


PROXIED = '[server]\ntrusted_proxies = ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"]\n[rates]\ncreate = "1/hour"\n'
HOPS = [
    # peer, X-Forwarded-For lines, the address that is counted
    ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["203.0.113.66, 198.51.100.1"], "198.51.100.1"),
    ("10.0.0.1", ["203.0.113.66, 198.51.100.1, 10.0.0.9"], "198.51.100.1"),
    ("10.0.0.1", ["203.0.113.66", "198.51.100.1", "10.0.0.9,10.0.0.8"], "198.51.100.1"),
    ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
    ("10.0.0.1", [" 198.51.100.1 "], "198.51.100.1"),
    ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
    ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ("2001:db8:ffff::1", ["[2001:db8::5]:443"], "2001:db8::9"),
    ("10.0.0.1", ["fe80::1%eth0"], "fe80::2"),
    ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", [""], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1, 1.2.3.4.5"], "10.0.0.1"),
    ("10.0.0.1", ["198.51.100.1, _hidden"], "10.0.0.1"),
    ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
    ("203.0.113.9", ["10.0.0.1"], "203.0.113.9"),
]


@pytest.mark.parametrize(("peer", "lines", "counted_as"), HOPS)
async def test_trusted_proxy_names_the_client(
    make_appliance: MakeAppliance, peer: str, lines: list[str], counted_as: str
) -> None:
    """RL-03: the right-most untrusted hop is the client; if a hop is malformed, the peer is."""
    appliance = await make_appliance(PROXIED)
    headers = httpx.Headers([("X-Forwarded-For", line) for line in lines])
    response = await appliance.client(peer).post("/secrets", json=body(), headers=headers)
    assert response.status_code == 201
    # The same client once more, this time named by a proxy in the plainest way.
    same = {"X-Forwarded-For": counted_as}
    again = await appliance.client("192.0.2.1").post("/secrets", json=body(), headers=same)
    assert again.status_code == 429


async def test_mapped_address_counts_as_its_ipv4_address(make_appliance: MakeAppliance) -> None:
    """RL-05"""
    appliance = await make_appliance('[rates]\ncreate = "1/hour"\n')
    for first, second in (("::ffff:198.51.100.1", "198.51.100.1"), ("198.51.100.2", "::ffff:c633:6402")):
        assert (await appliance.client(first).post("/secrets", json=body())).status_code == 201
        assert (await appliance.client(second).post("/secrets", json=body())).status_code == 429


async def test_network_is_one_client_and_subnet_is_ten(make_appliance: MakeAppliance) -> None:
    """RL-04: a /64 shares a bucket, a /48 ten times one."""
    appliance = await make_appliance('[rates]\ncreate = "2/hour"\n')

    async def ask(address: str) -> int:
        return (await appliance.client(address).post("/secrets", json=body())).status_code

    assert [await ask(f"2001:db8:1::{n:x}") for n in range(4)] == [201, 201, 429, 429]
    site = [await ask(f"2001:db8:2:{n:x}::1") for n in range(30)]
    assert site == [201] * 20 + [429] * 10
    assert await ask("2001:db8:3::1") == 201


async def test_one_network_cannot_use_up_the_rate_of_its_subnet(make_appliance: MakeAppliance) -> None:
    """RL-04: requests refused to a /64 are not charged to its /48."""
    appliance = await make_appliance('[rates]\ncreate = "2/hour"\n')
    greedy = appliance.client("2001:db8:1:1::1")
    assert (await statuses(60, lambda: greedy.post("/secrets", json=body()))).count(201) == 2
    neighbour = appliance.client("2001:db8:1:2::1")
    assert (await neighbour.post("/secrets", json=body())).status_code == 201


async def test_full_database_refuses_creates_and_still_reveals(make_appliance: MakeAppliance) -> None:
    """RL-07: 507 at the cap; stored secrets are revealed, and the freed space is used again."""
    toml = '[store]\nmax_bytes = 1048576\n[rates]\ncreate = "1000/hour"\nreveal = "1000/hour"\n'
    toml += "[limits]\nclient_bytes = 100000000\n"
    appliance = await make_appliance(toml)
    http, stored = appliance.http, []
    blob = encoded(b"x" * 50_000)
    for _ in range(60):
        response = await http.post("/secrets", json=body(encryptedBlob=blob))
        if response.status_code != 201:
            break
        stored.append(response.json())
    check_problem(response, 507, "storage_full")
    assert 10 < len(stored) < 21
    for secret in stored:
        assert (await reveal(http, secret)).json()["encryptedBlob"] == blob
    assert (await http.post("/secrets", json=body(encryptedBlob=blob))).status_code == 201
    size = sum(file.stat().st_size for file in appliance.path.parent.glob(f"{appliance.path.name}"))
    assert size <= 1_048_576


async def test_anonymous_creators_leave_a_quarter_of_the_database_to_key_holders(make_appliance: MakeAppliance) -> None:
    """RL-11"""
    appliance = await make_appliance('[store]\nmax_bytes = 4194304\n[rates]\ncreate = "1000/hour"\n')
    key, large = await appliance.key(), body(encryptedBlob=encoded(b"x" * 400_000))

    async def fill(http: httpx.AsyncClient, **options: Any) -> int:
        for count in range(20):
            if (response := await http.post("/secrets", json=large, **options)).status_code != 201:
                check_problem(response, 507, "storage_full")
                return count
        raise AssertionError("never full")

    anonymous = await fill(appliance.http)
    assert anonymous == await fill(appliance.client("198.51.100.7")) + anonymous
    assert await fill(appliance.http, headers=bearer(key)) >= 2


async def test_full_database_refuses_only_the_large_creates_of_a_batch(make_appliance: MakeAppliance) -> None:
    """RL-07: creates of one commit are refused one by one."""
    appliance = await make_appliance('[store]\nmax_bytes = 1048576\n[rates]\ncreate = "1000/hour"\n')
    big, small = body(encryptedBlob=encoded(b"x" * 1_000_000)), body()
    requests = (appliance.http.post("/secrets", json=members) for members in (small, big, small, big, small))
    responses = await asyncio.gather(*requests)
    assert [response.status_code for response in responses] == [201, 507, 201, 507, 201]


async def test_stored_bytes_per_client_are_limited(make_appliance: MakeAppliance) -> None:
    """RL-07: 429 for that client; another client, a key and readers are not affected."""
    appliance = await make_appliance("[limits]\nclient_bytes = 10240\npayload_bytes = 4096\n")
    blob = encoded(b"x" * 4096)
    http = appliance.http
    secrets = [await create(http, encryptedBlob=blob) for _ in range(2)]
    refused = await http.post("/secrets", json=body(encryptedBlob=blob))
    check_problem(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    await create(appliance.client("198.51.100.1"), encryptedBlob=blob)
    await create(http, key=await appliance.key(), encryptedBlob=blob)
    for secret in secrets:
        assert (await reveal(http, secret)).status_code == 200
    appliance.clock.move(int(refused.headers["retry-after"]))
    await create(http, encryptedBlob=blob)


async def test_stored_bytes_per_subnet_are_limited(make_appliance: MakeAppliance) -> None:
    """RL-07: a /48 has ten times the limit of a client, as with rates."""
    appliance = await make_appliance(
        '[limits]\nclient_bytes = 4096\npayload_bytes = 4096\n[rates]\ncreate = "1000/hour"\n'
    )
    large = body(encryptedBlob=encoded(b"x" * 4096))
    results = [
        (await appliance.client(f"2001:db8:2:{n:x}::1").post("/secrets", json=large)).status_code for n in range(14)
    ]
    assert results == [201] * 10 + [429] * 4


async def test_invalid_requests_count_like_valid_ones(make_appliance: MakeAppliance) -> None:
    """RL-09"""
    appliance = await make_appliance('[rates]\ncreate = "3/hour"\npeek = "3/hour"\nreveal = "3/hour"\n')

    async def chunks() -> Any:
        for _ in range(64):
            yield b"x" * 65_536

    nonsense = [
        lambda http: http.post("/secrets", content=b"{"),
        lambda http: http.post("/secrets", content=b"{}", headers={"Content-Type": "text/plain"}),
        lambda http: http.post("/secrets", json=body(), headers=bearer("sk_live_x")),
        lambda http: http.post("/secrets", json=body(), headers={"Authorization": "Basic eA=="}),
        lambda http: http.post("/secrets?key=x", json=body()),
        lambda http: http.post("/secrets", json=body(), headers={"Idempotency-Key": "x"}),
        lambda http: http.post("/secrets", content=chunks(), headers={"Content-Type": "application/json"}),
        lambda http: http.get("/secrets/no-id"),
        lambda http: http.get("/secrets/abcdefghijkl", headers={"Sec-Fetch-Mode": "navigate"}),
        lambda http: http.get("/receipts"),
        lambda http: http.get("/receipts/no-id"),
        lambda http: http.get("/stats", headers=bearer("sk_live_x")),
    ]
    for number, ask in enumerate(nonsense):
        http = appliance.client(f"203.0.113.{number}")
        results = await statuses(5, lambda http=http, ask=ask: ask(http))
        assert 429 not in results[:3], number
        assert results[3:] == [429, 429], number


async def test_health_openapi_and_preflight_do_not_count(make_appliance: MakeAppliance) -> None:
    """RL-09"""
    appliance = await make_appliance('[rates]\ncreate = "1/hour"\npeek = "1/hour"\nreveal = "1/hour"\n')
    http = appliance.client()
    for _ in range(30):
        assert (await http.get("http://localhost:8080/healthz")).status_code == 200
        assert (await http.get("/openapi.json")).status_code == 200
        assert (await http.options("/secrets")).status_code == 204
        assert (await http.get("/nothing")).status_code == 404
    assert "ratelimit" not in (await http.get("/openapi.json")).headers
    assert (await http.post("/secrets", json=body())).status_code == 201


async def test_creates_do_not_use_up_the_rate_of_reveals(make_appliance: MakeAppliance) -> None:
    """RL-10: with the default rates, the rate of creates is used up and 25 readers still read."""
    appliance = await make_appliance("")
    office = appliance.http
    key = await appliance.key()
    secrets = [await create(office, key=key) for _ in range(25)]
    await statuses(25, lambda: office.post("/secrets", json=body()))
    assert (await office.post("/secrets", json=body())).status_code == 429
    for secret in secrets:
        assert (await office.get(f"/secrets/{secret['linkId']}/meta")).status_code == 200
        assert (await reveal(office, secret)).status_code == 200


async def test_every_response_of_a_limited_route_has_rate_headers(appliance: Appliance) -> None:
    http, secret = appliance.http, await create(appliance.http)
    link, receipt = f"/secrets/{secret['linkId']}", f"/receipts/{secret['receiptId']}"
    results = [
        (await http.post("/secrets", json=body()), "create"),
        (await http.post("/secrets", json={}), "create"),
        (await http.post(f"{link}/report"), "create"),
        (await http.get(f"{link}/meta"), "peek"),
        (await http.get(receipt, headers=manage(secret)), "peek"),
        (await http.get("/stats"), "peek"),
        (await http.get(link), "reveal"),
        (await http.post(f"{link}/reveal"), "reveal"),
        (await http.get("/stats", headers=bearer("sk_live_x")), "peek"),
        (await http.get("/stats", headers=bearer(await appliance.key())), "key"),
    ]
    for response, name in results:
        assert re.fullmatch(rf'"{name}";q=1000000;w=3600', response.headers["ratelimit-policy"]), response.request.url
        assert re.fullmatch(rf'"{name}";r=\d+;t=\d+', response.headers["ratelimit"])


async def test_replaced_payload_counts_as_stored_bytes(make_appliance: MakeAppliance) -> None:
    """RL-07: an edit cannot exceed a client's bytes or the cap of the database."""
    appliance = await make_appliance("[limits]\nclient_bytes = 10240\npayload_bytes = 4096\n")
    secret = await create(appliance.http)
    larger = {"encryptedBlob": encoded(b"x" * 4096), "iv": encoded(b"i" * 12)}
    address = f"/receipts/{secret['receiptId']}"
    responses = [await appliance.http.patch(address, json=larger, headers=manage(secret)) for _ in range(3)]
    assert [response.status_code for response in responses] == [200, 200, 429]

    full = await make_appliance("[store]\nmax_bytes = 1048576\n")
    secret = await create(full.http)
    largest = {"encryptedBlob": encoded(b"x" * 1_000_000), "iv": encoded(b"i" * 12)}
    refused = await full.http.patch(f"/receipts/{secret['receiptId']}", json=largest, headers=manage(secret))
    check_problem(refused, 507, "storage_full")
    assert (await state(full.http, secret))["events"][-1]["type"] == "created"


async def test_large_body_needs_a_route_with_a_payload(appliance: Appliance) -> None:
    """IN-01: a reveal or a report needs no megabytes."""
    secret = await create(appliance.http)
    for call in ("reveal", "report"):
        response = await appliance.http.post(f"/secrets/{secret['linkId']}/{call}", json={"reason": "x" * 20_000})
        check_problem(response, 413, "payload_too_large")
    assert (await reveal(appliance.http, secret)).status_code == 200

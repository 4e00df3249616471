"""Rates: exact counts, in the buckets they belong to, by addresses nobody can forge."""

import asyncio
import re
from typing import Any

import httpx
import pytest
from api_helpers import bearer, body, check_problem, create, encoded, manage, reveal, state

from seclink.model import Rate

pytestmark = pytest.mark.anyio


async def statuses(count: int, ask: Any) -> list[int]:
    return [(await ask()).status_code for _ in range(count)]


async def test_twenty_creates_an_hour_and_not_one_more(make_appliance: Any) -> None:
    """RL-01, with the rates as they come."""
    made_appliance = await make_appliance("")
    http = made_appliance.http
    left = []
    for _ in range(20):
        answer = await http.post("/secrets", json=body())
        assert answer.status_code == 201
        assert answer.headers["ratelimit-policy"] == '"create";q=20;w=3600'
        left.append(re.fullmatch(r'"create";r=(\d+);t=\d+', answer.headers["ratelimit"])[1])
    assert left == [str(n) for n in reversed(range(20))]
    refused = await http.post("/secrets", json=body())
    check_problem(refused, 429, "rate_limited")
    assert refused.headers["retry-after"] == "180"
    assert refused.headers["ratelimit"] == '"create";r=0;t=3600'
    made_appliance.clock.move(179)
    assert (await http.post("/secrets", json=body())).status_code == 429
    made_appliance.clock.move(1)
    assert await statuses(2, lambda: http.post("/secrets", json=body())) == [201, 429]


async def test_key_may_ask_as_often_as_its_rate_and_not_once_more(make_appliance: Any) -> None:
    """RL-01: scaled to a rate of its own; all its calls count together, whatever address they come from."""
    made_appliance = await make_appliance("")
    key = await made_appliance.key("acme", "create", "manage", rate=Rate(50, 3600))
    asked = []
    for n in range(26):
        http = made_appliance.client(f"203.0.113.{n}")
        asked += [
            await http.post("/secrets", json=body(), headers=bearer(key)),
            await http.get("/stats", headers=bearer(key)),
        ]
    assert [each.status_code for each in asked] == [201, 200] * 25 + [429] * 2
    assert asked[0].headers["ratelimit-policy"] == '"key";q=50;w=3600'
    assert asked[-1].headers["retry-after"] == "72"
    assert (
        await made_appliance.http.get("/stats", headers=bearer(await made_appliance.key("acme")))
    ).status_code == 200


async def test_refused_request_neither_spends_nor_counts_a_try(make_appliance: Any) -> None:
    """RL-01"""
    made_appliance = await make_appliance('[rates]\nreveal = "1/hour"\n')
    right, wrong = "a" * 64, "b" * 64
    made = await create(made_appliance.http, passcodeHash=right, maxViews=2)
    assert (await reveal(made_appliance.http, made, passcode=right)).status_code == 200
    assert set(await statuses(9, lambda: reveal(made_appliance.http, made, passcode=wrong))) == {429}
    meta = (await made_appliance.http.get(f"/secrets/{made['linkId']}/meta")).json()
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
async def test_headers_of_an_untrusted_peer_change_nothing(make_appliance: Any, name: str) -> None:
    """RL-02"""
    made_appliance = await make_appliance('[rates]\ncreate = "3/hour"\n')
    addresses = iter(range(1, 100))
    asked = await statuses(
        5, lambda: made_appliance.http.post("/secrets", json=body(), headers={name: f"203.0.113.{next(addresses)}"})
    )
    assert asked == [201] * 3 + [429] * 2


PROXIED = '[server]\ntrusted_proxies = ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"]\n[rates]\ncreate = "1/hour"\n'
HOPS = [
    # peer, X-Forwarded-For lines, whom it is counted as
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
async def test_trusted_proxy_is_believed_up_to_the_first_stranger(
    make_appliance: Any, peer: str, lines: list[str], counted_as: str
) -> None:
    """RL-03: the right-most hop that is not ours; where a hop is malformed, the peer itself."""
    made_appliance = await make_appliance(PROXIED)
    headers = httpx.Headers([("X-Forwarded-For", each) for each in lines])
    answer = await made_appliance.client(peer).post("/secrets", json=body(), headers=headers)
    assert answer.status_code == 201
    # The same client once more, this time named by a proxy in the plainest way.
    same = {"X-Forwarded-For": counted_as}
    again = await made_appliance.client("192.0.2.1").post("/secrets", json=body(), headers=same)
    assert again.status_code == 429


async def test_mapped_address_is_the_address_itself(make_appliance: Any) -> None:
    """RL-05"""
    made_appliance = await make_appliance('[rates]\ncreate = "1/hour"\n')
    for first, second in (("::ffff:198.51.100.1", "198.51.100.1"), ("198.51.100.2", "::ffff:c633:6402")):
        assert (await made_appliance.client(first).post("/secrets", json=body())).status_code == 201
        assert (await made_appliance.client(second).post("/secrets", json=body())).status_code == 429


async def test_network_of_a_customer_is_one_client_and_a_site_is_ten(make_appliance: Any) -> None:
    """RL-04: a /64 shares a bucket, a /48 ten times one."""
    made_appliance = await make_appliance('[rates]\ncreate = "2/hour"\n')

    async def ask(address: str) -> int:
        return (await made_appliance.client(address).post("/secrets", json=body())).status_code  # type: ignore[no-any-return]

    assert [await ask(f"2001:db8:1::{n:x}") for n in range(4)] == [201, 201, 429, 429]
    site = [await ask(f"2001:db8:2:{n:x}::1") for n in range(30)]
    assert site == [201] * 20 + [429] * 10
    assert await ask("2001:db8:3::1") == 201


async def test_one_network_cannot_use_up_its_sites_budget(make_appliance: Any) -> None:
    """RL-04: what is refused to a /64 is not charged to the /48 it shares with others."""
    made_appliance = await make_appliance('[rates]\ncreate = "2/hour"\n')
    greedy = made_appliance.client("2001:db8:1:1::1")
    assert (await statuses(60, lambda: greedy.post("/secrets", json=body()))).count(201) == 2
    neighbour = made_appliance.client("2001:db8:1:2::1")
    assert (await neighbour.post("/secrets", json=body())).status_code == 201


async def test_full_database_takes_no_more_and_still_gives_back(make_appliance: Any) -> None:
    """RL-07: 507 at the cap; what is there is revealed, and what that frees is used again."""
    toml = '[store]\nmax_bytes = 1048576\n[rates]\ncreate = "1000/hour"\nreveal = "1000/hour"\n'
    toml += "[limits]\nclient_bytes = 100000000\n"
    made_appliance = await make_appliance(toml)
    http, kept = made_appliance.http, []
    blob = encoded(b"x" * 50_000)
    for _ in range(60):
        answer = await http.post("/secrets", json=body(encryptedBlob=blob))
        if answer.status_code != 201:
            break
        kept.append(answer.json())
    check_problem(answer, 507, "storage_full")
    assert 10 < len(kept) < 21
    for made in kept:
        assert (await reveal(http, made)).json()["encryptedBlob"] == blob
    assert (await http.post("/secrets", json=body(encryptedBlob=blob))).status_code == 201
    size = sum(each.stat().st_size for each in made_appliance.path.parent.glob(f"{made_appliance.path.name}"))
    assert size <= 1_048_576


async def test_full_database_refuses_the_big_and_not_its_small_neighbour(make_appliance: Any) -> None:
    """RL-07: creates that arrive together are committed together and refused one by one."""
    made_appliance = await make_appliance('[store]\nmax_bytes = 1048576\n[rates]\ncreate = "1000/hour"\n')
    big, small = body(encryptedBlob=encoded(b"x" * 1_000_000)), body()
    asked = (made_appliance.http.post("/secrets", json=each) for each in (small, big, small, big, small))
    answers = await asyncio.gather(*asked)
    assert [each.status_code for each in answers] == [201, 507, 201, 507, 201]


async def test_client_may_store_so_much_a_day(make_appliance: Any) -> None:
    """RL-07: 429 for that client; another, a key, and every reader go on."""
    made_appliance = await make_appliance("[limits]\nclient_bytes = 10240\npayload_bytes = 4096\n")
    blob = encoded(b"x" * 4096)
    http = made_appliance.http
    made = [await create(http, encryptedBlob=blob) for _ in range(2)]
    refused = await http.post("/secrets", json=body(encryptedBlob=blob))
    check_problem(refused, 429, "rate_limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    await create(made_appliance.client("198.51.100.1"), encryptedBlob=blob)
    await create(http, key=await made_appliance.key(), encryptedBlob=blob)
    for each in made:
        assert (await reveal(http, each)).status_code == 200
    made_appliance.clock.move(int(refused.headers["retry-after"]))
    await create(http, encryptedBlob=blob)


async def test_address_space_of_one_site_does_not_multiply_what_it_may_store(make_appliance: Any) -> None:
    """RL-07: ten times a client's share for a /48, like every other budget."""
    made_appliance = await make_appliance(
        '[limits]\nclient_bytes = 4096\npayload_bytes = 4096\n[rates]\ncreate = "1000/hour"\n'
    )
    sent = body(encryptedBlob=encoded(b"x" * 4096))
    asked = [
        (await made_appliance.client(f"2001:db8:2:{n:x}::1").post("/secrets", json=sent)).status_code for n in range(14)
    ]
    assert asked == [201] * 10 + [429] * 4


async def test_invalid_requests_count_like_valid_ones(make_appliance: Any) -> None:
    """RL-09: whoever sends nonsense pays for it."""
    made_appliance = await make_appliance('[rates]\ncreate = "3/hour"\npeek = "3/hour"\nreveal = "3/hour"\n')

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
        http = made_appliance.client(f"203.0.113.{number}")
        asked = await statuses(5, lambda http=http, ask=ask: ask(http))
        assert 429 not in asked[:3], number
        assert asked[3:] == [429, 429], number


async def test_health_document_and_preflight_do_not_count(make_appliance: Any) -> None:
    """RL-09"""
    made_appliance = await make_appliance('[rates]\ncreate = "1/hour"\npeek = "1/hour"\nreveal = "1/hour"\n')
    http = made_appliance.client()
    for _ in range(30):
        assert (await http.get("http://localhost:8080/healthz")).status_code == 200
        assert (await http.get("/openapi.json")).status_code == 200
        assert (await http.options("/secrets")).status_code == 204
        assert (await http.get("/nothing")).status_code == 404
    assert "ratelimit" not in (await http.get("/openapi.json")).headers
    assert (await http.post("/secrets", json=body())).status_code == 201


async def test_readers_behind_one_address_are_not_starved_by_creators(make_appliance: Any) -> None:
    """RL-10: with the rates as they come, creating is used up and 25 readers still read."""
    made_appliance = await make_appliance("")
    office = made_appliance.http
    key = await made_appliance.key()
    made = [await create(office, key=key) for _ in range(25)]
    await statuses(25, lambda: office.post("/secrets", json=body()))
    assert (await office.post("/secrets", json=body())).status_code == 429
    for each in made:
        assert (await office.get(f"/secrets/{each['linkId']}/meta")).status_code == 200
        assert (await reveal(office, each)).status_code == 200


async def test_every_answer_of_a_limited_route_tells_its_rate(appliance: Any) -> None:
    http, made = appliance.http, await create(appliance.http)
    link, receipt = f"/secrets/{made['linkId']}", f"/receipts/{made['receiptId']}"
    asked = [
        (await http.post("/secrets", json=body()), "create"),
        (await http.post("/secrets", json={}), "create"),
        (await http.post(f"{link}/report"), "create"),
        (await http.get(f"{link}/meta"), "peek"),
        (await http.get(receipt, headers=manage(made)), "peek"),
        (await http.get("/stats"), "peek"),
        (await http.get(link), "reveal"),
        (await http.post(f"{link}/reveal"), "reveal"),
        (await http.get("/stats", headers=bearer("sk_live_x")), "peek"),
        (await http.get("/stats", headers=bearer(await appliance.key())), "key"),
    ]
    for answer, name in asked:
        assert re.fullmatch(rf'"{name}";q=1000000;w=3600', answer.headers["ratelimit-policy"]), answer.request.url
        assert re.fullmatch(rf'"{name}";r=\d+;t=\d+', answer.headers["ratelimit"])


async def test_replacing_a_payload_counts_like_storing_one(make_appliance: Any) -> None:
    """RL-07: an edit is no way around a client's bytes, nor around the cap on the file."""
    appliance = await make_appliance("[limits]\nclient_bytes = 10240\npayload_bytes = 4096\n")
    made = await create(appliance.http)
    larger = {"encryptedBlob": encoded(b"x" * 4096), "iv": encoded(b"i" * 12)}
    address = f"/receipts/{made['receiptId']}"
    answers = [await appliance.http.patch(address, json=larger, headers=manage(made)) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]

    full = await make_appliance("[store]\nmax_bytes = 1048576\n")
    made = await create(full.http)
    largest = {"encryptedBlob": encoded(b"x" * 1_000_000), "iv": encoded(b"i" * 12)}
    refused = await full.http.patch(f"/receipts/{made['receiptId']}", json=largest, headers=manage(made))
    check_problem(refused, 507, "storage_full")
    assert (await state(full.http, made))["events"][-1]["type"] == "created"


async def test_only_bodies_with_a_payload_may_be_large(appliance: Any) -> None:
    """IN-01: a reveal or a report has no use for megabytes."""
    made = await create(appliance.http)
    for call in ("reveal", "report"):
        answer = await appliance.http.post(f"/secrets/{made['linkId']}/{call}", json={"reason": "x" * 20_000})
        check_problem(answer, 413, "payload_too_large")
    assert (await reveal(appliance.http, made)).status_code == 200

"""Admission: rate limits under a flood of addresses, extra rates, query parameters."""

from typing import Any

import pytest

from seclink.config.parser import parse
from seclink.domain import tokens
from seclink.domain.api_keys import ApiKeys
from seclink.domain.clock import Clock
from seclink.domain.rate_limiter import RateLimiter
from seclink.errors import BadRequest, KeyInvalid, RateLimited
from seclink.model import ApiKey, Rate
from seclink.web.admission import AccessRule, Admission, client_and_subnet
from seclink.web.request import RequestContext

pytestmark = pytest.mark.anyio
CREATE = AccessRule(rate="create")


class Keys(ApiKeys):
    """Accepts every key."""

    def __init__(self) -> None:
        pass

    async def is_known(self, key: str, monotonic: float) -> bool:
        return True

    async def find(self, key: str, now: int) -> ApiKey:
        return ApiKey(digest=tokens.digest(key), prefix=key, account="acme", scopes=frozenset(), created_at=now)


class NoKeys(ApiKeys):
    """Knows one key, and counts the queries."""

    def __init__(self, known: str) -> None:
        super().__init__(self)  # type: ignore[arg-type]
        self.known, self.queries = known, 0

    async def find_key(self, digest: bytes) -> ApiKey | None:
        self.queries += 1
        return (await self.keys())[0] if digest == tokens.digest(self.known) else None

    async def keys(self) -> tuple[ApiKey, ...]:
        self.queries += 1
        known = tokens.digest(self.known)
        return (ApiKey(digest=known, prefix="sk", account="acme", scopes=frozenset(), created_at=1),)


async def _no_body() -> dict[str, Any]:
    return {"type": "http.request"}


def make_admission(limiter: RateLimiter, toml: str = "", keys: ApiKeys | None = None) -> Admission:
    return Admission(keys or Keys(), limiter, RateLimiter(), parse(toml, "test.toml"), Clock(monotonic=lambda: 1.0))


async def is_admitted(admission: Admission, address: str, *headers: tuple[bytes, bytes]) -> bool:
    scope: dict[str, Any] = {"state": {}, "headers": headers, "client": (address, 1), "query_string": b""}
    try:
        await admission.admit(scope, CREATE)
    except RateLimited:
        return False
    return True


async def test_subnet_over_its_rate_adds_no_client_entries() -> None:
    """RL-06: or one /48 could fill the limiter with its 65,536 clients and make everybody else share one bucket."""
    limiter = RateLimiter()
    admission = make_admission(limiter, '[rates]\ncreate = "1/hour"\n')
    admitted = [await is_admitted(admission, f"2001:db8:1:{n:x}::1") for n in range(2000)]
    assert sum(admitted) == 10
    assert len(limiter) == 11


async def test_flood_of_addresses_does_not_evict_keys() -> None:
    """RL-06: keys have a limiter of their own."""
    admission = make_admission(RateLimiter(capacity=1))
    assert not all([await is_admitted(admission, f"198.{n}.100.1") for n in range(60)])
    assert not await is_admitted(admission, "203.0.113.1")
    assert await is_admitted(admission, "203.0.113.1", (b"authorization", b"Bearer sk_live_x"))


@pytest.mark.parametrize("site", [[], [(b"sec-fetch-site", b"cross-site")]], ids=["program", "page"])
async def test_made_up_keys_of_a_refused_client_cost_no_query(site: list[tuple[bytes, bytes]]) -> None:
    """RL-13: and a real key at the same address works, for the first time too."""
    keys = NoKeys(tokens.mint_key())
    admission = make_admission(RateLimiter(), '[rates]\ncreate = "2/hour"\n', keys)

    async def attempts(*made_up: str) -> list[bool]:
        headers = [(b"authorization", f"Bearer {key}".encode()) for key in made_up]
        return [await is_admitted(admission, "192.0.2.1", header, *site) for header in headers]

    with pytest.raises(KeyInvalid):
        await attempts(tokens.mint_key())
    if not site:
        with pytest.raises(KeyInvalid):
            await attempts(tokens.mint_key())
    before = keys.queries
    assert not any(await attempts(*(tokens.mint_key() for _ in range(100))))
    assert keys.queries == before + 1
    assert await attempts(keys.known) == [True]


def test_addresses_are_counted_in_their_places() -> None:
    """RL-06: many /64s of a /48 and many /48s of a /34 leave room for others."""
    limiter = RateLimiter(capacity=5120)
    admission = make_admission(limiter, '[rates]\ncreate = "9/hour"\n')
    for n in range(16_384):
        admission._count("create", Rate(9, 3600), *client_and_subnet(f"2001:db8:{n:x}:{n % 7:x}::1"))
    for n in range(3000):
        admission._count("create", Rate(9, 3600), *client_and_subnet(f"2001:db9:1:{n:x}::1"))
        admission._count("create", Rate(9, 3600), *client_and_subnet(f"198.51.{n >> 8}.{n & 255}"))
    assert len(limiter) <= 2 * (5120 // 16) + 5120 // 256 + 4
    for address in ("203.0.113.1", "2001:dba::1"):
        decisions = [admission._count("create", Rate(9, 3600), *client_and_subnet(address))[1] for _ in range(10)]
        assert [decision.is_allowed for decision in decisions] == [True] * 9 + [False]


async def test_own_rate_of_an_operation_replaces_that_of_the_configuration() -> None:
    """For addresses; a key's comes on top of its general one, for each key alone."""
    admission = make_admission(RateLimiter())
    rule = AccessRule(rate="own", own_rate=Rate(2, 900))
    scope: dict[str, Any] = {"state": {}, "headers": [], "client": ("192.0.2.1", 1), "query_string": b""}
    for _ in range(2):
        admission.enforce_for_key(
            RequestContext(scope, _no_body, await admission.admit(scope, rule)), "own", Rate(1, 1)
        )
    with pytest.raises(RateLimited):
        await admission.admit(scope, rule)
    assert dict(scope["state"]["seclink_headers"])[b"ratelimit-policy"] == b'"own";q=2;w=900'
    await admission.admit(scope, CREATE)
    for key in (b"Bearer sk_live_x", b"Bearer sk_live_y"):
        keyed = scope | {"state": {}, "headers": [(b"authorization", key)]}
        request = RequestContext(keyed, _no_body, await admission.admit(keyed, rule))
        for _ in range(3):
            admission.enforce_for_key(request, "own", Rate(3, 900))
        with pytest.raises(RateLimited):
            admission.enforce_for_key(request, "own", Rate(3, 900))


async def test_unknown_query_parameter_is_rejected_unless_any_is_allowed() -> None:
    scope: dict[str, Any] = {"state": {}, "headers": [], "client": ("192.0.2.1", 1), "query_string": b"key=sk_live_x"}
    with pytest.raises(BadRequest):
        await make_admission(RateLimiter()).admit(scope, CREATE)
    await make_admission(RateLimiter()).admit(scope, AccessRule(rate="create", query=None))

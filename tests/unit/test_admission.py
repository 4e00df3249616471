"""Admission: rate limits under a flood of addresses, extra rates, query parameters."""

from typing import Any

import pytest

from seclink.config.parser import parse
from seclink.domain import tokens
from seclink.domain.api_keys import ApiKeys
from seclink.domain.clock import Clock
from seclink.domain.rate_limiter import RateLimiter
from seclink.errors import BadRequest, RateLimited
from seclink.model import ApiKey, Rate
from seclink.web.admission import AccessRule, Admission
from seclink.web.request import RequestContext

pytestmark = pytest.mark.anyio
CREATE = AccessRule(rate="create")


class Keys(ApiKeys):
    """Accepts every key."""

    def __init__(self) -> None:
        pass

    async def find(self, key: str, now: int) -> ApiKey:
        return ApiKey(digest=tokens.digest(key), prefix=key, account="acme", scopes=frozenset(), created_at=now)


async def _no_body() -> dict[str, Any]:
    return {"type": "http.request"}


def make_admission(limiter: RateLimiter, toml: str = "") -> Admission:
    return Admission(Keys(), limiter, RateLimiter(), parse(toml, "test.toml"), Clock(monotonic=lambda: 1.0))


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
    assert not all([await is_admitted(admission, f"198.51.100.{n}") for n in range(60)])
    assert not await is_admitted(admission, "203.0.113.1")
    assert await is_admitted(admission, "203.0.113.1", (b"authorization", b"Bearer sk_live_x"))


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

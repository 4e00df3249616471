"""What a flood of addresses does to the limiter's memory, and to those who have nothing to do with it."""

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
    """Takes every key for a live one."""

    def __init__(self) -> None:
        pass

    async def find(self, key: str, now: int) -> ApiKey:
        return ApiKey(digest=tokens.digest(key), prefix=key, account="acme", scopes=frozenset(), created_at=now)


async def _no_body() -> dict[str, Any]:
    return {"type": "http.request"}


def guards(limiter: RateLimiter, toml: str = "") -> Admission:
    return Admission(Keys(), limiter, RateLimiter(), parse(toml, "test.toml"), Clock(monotonic=lambda: 1.0))


async def is_admitted(guards: Admission, address: str, *headers: tuple[bytes, bytes]) -> bool:
    scope: dict[str, Any] = {"state": {}, "headers": headers, "client": (address, 1), "query_string": b""}
    try:
        await guards.admit(scope, CREATE)
    except RateLimited:
        return False
    return True


async def test_site_that_used_up_its_budget_leaves_no_trace_of_each_of_its_clients() -> None:
    """RL-06: or one /48 could fill the limiter with its 65,536 clients and make everybody else share one bucket."""
    limiter = RateLimiter()
    crowd = guards(limiter, '[rates]\ncreate = "1/hour"\n')
    admitted = [await is_admitted(crowd, f"2001:db8:1:{n:x}::1") for n in range(2000)]
    assert sum(admitted) == 10
    assert len(limiter) == 11


async def test_flood_of_addresses_crowds_out_no_key() -> None:
    """RL-06: keys are counted apart."""
    crowded = guards(RateLimiter(capacity=1))
    assert not all([await is_admitted(crowded, f"198.51.100.{n}") for n in range(60)])
    assert not await is_admitted(crowded, "203.0.113.1")
    assert await is_admitted(crowded, "203.0.113.1", (b"authorization", b"Bearer sk_live_x"))


async def test_further_rate_holds_addresses_and_keys_on_top_of_their_own() -> None:
    bound = guards(RateLimiter())
    requests: list[RequestContext] = []
    for name, address in ((b"Bearer sk_live_x", "192.0.2.1"), (b"Bearer sk_live_y", "192.0.2.1"), (None, "192.0.2.1")):
        given = [(b"authorization", name)] if name else []
        scope: dict[str, Any] = {"state": {}, "headers": given, "client": (address, 1), "query_string": b""}
        actor = await bound.admit(scope, CREATE)
        requests.append(RequestContext(scope, _no_body, actor))
    for request, allowed in zip(requests, (3, 3, 2), strict=True):
        for _ in range(allowed):
            bound.enforce_extra(request, "further", Rate(2, 900), Rate(3, 900))
        with pytest.raises(RateLimited):
            bound.enforce_extra(request, "further", Rate(2, 900), Rate(3, 900))
        assert dict(request.scope["state"]["seclink_headers"])[b"ratelimit-policy"].startswith(b'"further";')


async def test_query_is_refused_unless_it_is_said_that_anything_may_stand_there() -> None:
    scope: dict[str, Any] = {"state": {}, "headers": [], "client": ("192.0.2.1", 1), "query_string": b"key=sk_live_x"}
    with pytest.raises(BadRequest):
        await guards(RateLimiter()).admit(scope, CREATE)
    await guards(RateLimiter()).admit(scope, AccessRule(rate="create", query=None))

"""Bodies of requests: what all of them together may hold in memory."""

from typing import Any

import pytest

from seclink.errors import Busy
from seclink.model import Actor
from seclink.web.body_limits import BodyBudget, LimitedBody
from seclink.web.middleware import Middleware
from seclink.web.problems import render
from seclink.web.request import RequestContext

pytestmark = pytest.mark.anyio
NOBODY = Actor(client="")


def body_of(pieces: list[bytes], together: BodyBudget, client: str = "") -> LimitedBody:
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    return LimitedBody(receive, -1, 100_000, together, lambda: client)


LARGE = [b"x" * 65_536, b"x" * 900]  # 900 beyond the 64 KiB that any may have


async def test_bodies_together_stay_within_memory() -> None:
    """IN-01: many large bodies at once are refused, and what is done with makes room again."""
    together = BodyBudget(15.0, 16_384, max_bytes=4000)
    fitting = [body_of(LARGE, together, f"192.0.2.{n}") for n in range(4)]
    one_more, later = (body_of(LARGE, together, "192.0.2.9") for _ in range(2))
    for body in fitting:
        assert len(await RequestContext({}, body, NOBODY).body()) == 66_436
    with pytest.raises(Busy):
        await RequestContext({}, one_more, NOBODY).body()
    assert isinstance(one_more.error, Busy)
    one_more.release()
    fitting[0].release()
    assert len(await RequestContext({}, later, NOBODY).body()) == 66_436
    for body in (*fitting, later):
        body.release()
    assert (together.reserved, together.reserved_by) == (0, {})


async def test_one_client_cannot_hold_what_is_for_all() -> None:
    """IN-01: a quarter each; what one sends too much of holds up nobody else."""
    together = BodyBudget(15.0, 16_384, max_bytes=4000)
    first, second = (body_of(LARGE, together, "192.0.2.1") for _ in range(2))
    other = body_of(LARGE, together, "192.0.2.2")
    await RequestContext({}, first, NOBODY).body()
    with pytest.raises(Busy):
        await RequestContext({}, second, NOBODY).body()
    assert len(await RequestContext({}, other, NOBODY).body()) == 66_436


async def test_body_in_a_million_pieces_is_put_together() -> None:
    """IN-01: small pieces must not be copied again and again."""
    together = BodyBudget(15.0, 16_384, max_bytes=10_000)
    assert await RequestContext({}, body_of([b"ab"] * 2_000, together), NOBODY).body() == b"ab" * 2_000


async def test_busy_server_still_says_that_it_lives() -> None:
    """OPS-05: or whoever watches would restart it just when there is most to do."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    gate = Middleware(app, render, max_body_bytes=10, max_requests=0, exempt_paths=("/healthz",))
    statuses = {}
    for path in ("/healthz", "/api/v1/secrets"):
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        head = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        await gate({**head, "headers": [(b"host", b"x")]}, None, send)  # type: ignore[arg-type]
        statuses[path] = sent[0]["status"]
    assert statuses == {"/healthz": 200, "/api/v1/secrets": 503}


async def test_gate_asks_whose_a_large_body_is(make_appliance: Any) -> None:
    """IN-01: by IPv4 address or IPv6 /64, behind a proxy by what the proxy says."""
    toml = '[server]\ntrusted_proxies = ["192.0.2.1"]\n'
    gate = (await make_appliance(toml)).app
    asked = {
        (client, forwarded): gate._client_of(
            {"client": (client, 1), "headers": [(b"x-forwarded-for", forwarded)] if forwarded else []}
        )
        for client, forwarded in (
            ("192.0.2.1", b"198.51.100.7"), ("192.0.2.2", b"198.51.100.7"),
            ("2001:db8::1", b""), ("2001:db8::ffff", b""),
        )
    }  # fmt: skip
    ranges = list(asked.values())
    assert ranges[:2] == ["198.51.100.7", "192.0.2.2"]
    assert ranges[2] == ranges[3]

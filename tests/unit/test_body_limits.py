"""Limits of request bodies: the memory that all of them share, and the client a large one is charged to."""

from typing import Any

import pytest
from support.appliance import MakeAppliance

from seclink.domain.shares import Holder
from seclink.errors import Busy
from seclink.model import Actor
from seclink.web.body_limits import BodyBudget, LimitedBody
from seclink.web.middleware import Middleware
from seclink.web.problems import render
from seclink.web.request import RequestContext

pytestmark = pytest.mark.anyio
ANONYMOUS = Actor(client="")


def make_body(pieces: list[bytes], budget: BodyBudget, client: str = "") -> LimitedBody:
    queue = list(pieces)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": queue.pop(0), "more_body": bool(queue)}

    return LimitedBody(receive, -1, 100_000, budget, Holder(client=client, is_anonymous=False))


LARGE = [b"x" * 65_536, b"x" * 900]  # 900 beyond the 64 KiB that are not counted


async def test_large_bodies_share_a_memory_limit() -> None:
    """IN-01: a body over the limit gets 503; memory is released when a request ends."""
    budget = BodyBudget(15.0, 16_384, max_bytes=4000)
    fitting = [make_body(LARGE, budget, f"192.0.2.{n}") for n in range(4)]
    one_more, later = (make_body(LARGE, budget, "192.0.2.9") for _ in range(2))
    for body in fitting:
        assert len(await RequestContext({}, body, ANONYMOUS).body()) == 66_436
    with pytest.raises(Busy):
        await RequestContext({}, one_more, ANONYMOUS).body()
    assert isinstance(one_more.error, Busy)
    one_more.release()
    fitting[0].release()
    assert len(await RequestContext({}, later, ANONYMOUS).body()) == 66_436
    for body in (*fitting, later):
        body.release()
    assert budget.memory.in_use == 0


async def test_one_client_gets_a_share_of_the_memory() -> None:
    """IN-01: a client over its share does not affect others."""
    budget = BodyBudget(15.0, 16_384, max_bytes=4000)
    first, second = (make_body(LARGE, budget, "192.0.2.1") for _ in range(2))
    other = make_body(LARGE, budget, "192.0.2.2")
    await RequestContext({}, first, ANONYMOUS).body()
    with pytest.raises(Busy):
        await RequestContext({}, second, ANONYMOUS).body()
    assert len(await RequestContext({}, other, ANONYMOUS).body()) == 66_436


async def test_many_small_pieces_are_joined() -> None:
    """IN-01: without copying the earlier ones for each piece."""
    budget = BodyBudget(15.0, 16_384, max_bytes=10_000)
    assert await RequestContext({}, make_body([b"ab"] * 2_000, budget), ANONYMOUS).body() == b"ab" * 2_000


async def test_busy_server_still_passes_its_health_check() -> None:
    """OPS-05: otherwise a monitor would restart it under load."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    middleware = Middleware(app, render, max_body_bytes=10, max_requests=0, exempt_paths=("/healthz",))
    statuses = {}
    for path in ("/healthz", "/api/v1/secrets"):
        messages: list[Any] = []

        async def send(message: Any, messages: list[Any] = messages) -> None:
            messages.append(message)

        head = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        await middleware({**head, "headers": [(b"host", b"x")]}, None, send)  # type: ignore[arg-type]
        statuses[path] = messages[0]["status"]
    assert statuses == {"/healthz": 200, "/api/v1/secrets": 503}


async def test_ended_requests_give_everything_back() -> None:
    """RL-11: their place and the memory of their bodies, also if they failed."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await RequestContext(scope, receive, ANONYMOUS).body()
        assert middleware.in_flight == 1
        assert middleware._budget.memory.in_use == 900
        raise RuntimeError

    middleware = Middleware(app, render, max_body_bytes=100_000)
    head = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b""}
    for _ in range(2):
        pieces = list(LARGE)

        async def receive(pieces: list[bytes] = pieces) -> dict[str, Any]:
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        async def send(message: Any) -> None:
            return None

        headers = [(b"host", b"x"), (b"content-length", b"66436")]
        await middleware({**head, "headers": headers}, receive, send)
        assert (middleware.in_flight, middleware._budget.memory.in_use) == (0, 0)


async def test_large_body_is_charged_to_its_client(make_appliance: MakeAppliance) -> None:
    """IN-01: by IPv4 address or IPv6 /64, behind a trusted proxy by the forwarded address."""
    toml = '[server]\ntrusted_proxies = ["192.0.2.1"]\n'
    middleware = (await make_appliance(toml)).app
    clients = {
        (client, forwarded): middleware.holder_of(
            {"client": (client, 1), "headers": [(b"x-forwarded-for", forwarded)] if forwarded else []}
        )
        for client, forwarded in (
            ("192.0.2.1", b"198.51.100.7"), ("192.0.2.2", b"198.51.100.7"),
            ("2001:db8::1", b""), ("2001:db8::ffff", b""),
        )
    }  # fmt: skip
    ranges = list(clients.values())
    assert [holder.client for holder in ranges[:2]] == ["198.51.100.7", "192.0.2.2"]
    assert ranges[2] == ranges[3]

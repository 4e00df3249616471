"""Bodies of requests: what all of them together may hold in memory."""

from typing import Any

import pytest

from seclink.errors import Busy
from seclink.web.bodies import Call
from seclink.web.body import Bodies, Body
from seclink.web.gate import Gate
from seclink.web.problems import render

pytestmark = pytest.mark.anyio


def body_of(pieces: list[bytes], together: Bodies) -> Body:
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    return Body(receive, -1, 100_000, together)


async def test_bodies_together_stay_within_memory() -> None:
    """IN-01: many large bodies at once are refused, and what is done with makes room again."""
    together = Bodies(15.0, 16_384, most_held=1000)  # beyond the 64 KiB that any may have
    first, second, third = (body_of([b"x" * 65_536, b"x" * 600], together) for _ in range(3))
    assert len(await Call({}, first).body()) == 66_136
    with pytest.raises(Busy):
        await Call({}, second).body()
    assert isinstance(second.cut, Busy)
    second.release()
    first.release()
    assert len(await Call({}, third).body()) == 66_136
    third.release()
    assert together.held == 0


async def test_body_in_a_million_pieces_is_put_together() -> None:
    """IN-01: small pieces must not be copied again and again."""
    together = Bodies(15.0, 16_384, most_held=10_000)
    assert await Call({}, body_of([b"ab"] * 2_000, together)).body() == b"ab" * 2_000


async def test_busy_server_still_says_that_it_lives() -> None:
    """OPS-05: or whoever watches would restart it just when there is most to do."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    gate = Gate(app, render, body_bytes=10, requests=0, always=("/healthz",))
    statuses = {}
    for path in ("/healthz", "/api/v1/secrets"):
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        head = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        await gate({**head, "headers": [(b"host", b"x")]}, None, send)  # type: ignore[arg-type]
        statuses[path] = sent[0]["status"]
    assert statuses == {"/healthz": 200, "/api/v1/secrets": 503}

"""Bodies of requests: what all of them together may hold in memory."""

from typing import Any

import pytest

from seclink.errors import Busy
from seclink.web.bodies import Call
from seclink.web.body import Bodies, Body

pytestmark = pytest.mark.anyio


def body_of(pieces: list[bytes], together: Bodies) -> Body:
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    return Body(receive, -1, 10_000, together)


async def test_bodies_together_stay_within_memory() -> None:
    """IN-01: many large bodies at once are refused, and what is done with makes room again."""
    together = Bodies(15.0, 16_384, most_held=1000)
    first, second, third = (body_of([b"x" * 300, b"x" * 300], together) for _ in range(3))
    assert len(await Call({}, first).body()) == 600
    with pytest.raises(Busy):
        await Call({}, second).body()
    assert isinstance(second.cut, Busy)
    second.release()
    first.release()
    assert len(await Call({}, third).body()) == 600
    third.release()
    assert together.held == 0


async def test_body_in_a_million_pieces_is_put_together() -> None:
    """IN-01: small pieces must not be copied again and again."""
    together = Bodies(15.0, 16_384, most_held=10_000)
    assert await Call({}, body_of([b"ab"] * 2_000, together)).body() == b"ab" * 2_000

"""Whether the process lives (`/healthz`) and whether it can do its work (`/readyz`):

a write is durable, the reaper goes round.
"""

from typing import Any

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from seclink.clock import Clock
from seclink.errors import StorageFailed
from seclink.reaper import Reaper
from seclink.vault import Vault
from seclink.web import bodies, wire
from seclink.web.operations import plain

PING_SECONDS = 1.0  # asking more often costs no further write
LATE_ROUNDS = 3


class HealthApi:
    def __init__(self, vault: Vault, reaper: Reaper, clock: Clock) -> None:
        self._vault, self._reaper, self._clock = vault, reaper, clock
        self._pinged_at = float("-inf")

    def handlers(self) -> list[HTTPRouteHandler]:
        return [get("/healthz")(plain(self.alive)), get("/readyz")(plain(self.ready))]

    async def alive(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        return bodies.answer(wire.Health(status="alive"))

    async def ready(self, request: Request[Any, Any, Any]) -> ASGIResponse:
        now = self._clock.monotonic()
        if now - self._pinged_at >= PING_SECONDS:
            await self._vault.ping(self._clock.now())
            self._pinged_at = now
        beat_at = self._reaper.beat_at
        if beat_at is None or now - beat_at > LATE_ROUNDS * self._reaper.every_seconds + 10:
            raise StorageFailed("The reaper has not finished a round lately")
        return bodies.answer(wire.Health(status="ready"))

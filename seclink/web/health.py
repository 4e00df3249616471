"""Whether the process lives (`/healthz`) and whether it can do its work (`/readyz`):

a write is durable, the reaper goes round.
"""

from litestar.handlers import HTTPRouteHandler

from seclink.clock import Clock
from seclink.errors import StorageFailed
from seclink.reaper import Reaper
from seclink.vault import Vault
from seclink.web import bodies, wire
from seclink.web.bodies import Answer

PATHS = ("/healthz", "/readyz")
PING_SECONDS = 1.0  # asking more often costs no further write
LATE_ROUNDS = 3


class HealthApi:
    def __init__(self, vault: Vault, reaper: Reaper, clock: Clock) -> None:
        self._vault, self._reaper, self._clock = vault, reaper, clock
        self._pinged_at = float("-inf")

    def handlers(self) -> list[HTTPRouteHandler]:
        async def healthz() -> Answer:
            return self.alive()

        async def readyz() -> Answer:
            return await self.ready()

        return [
            HTTPRouteHandler(path, http_method=["GET", "HEAD"], status_code=200)(handler)
            for path, handler in zip(PATHS, (healthz, readyz), strict=True)
        ]

    def alive(self) -> Answer:
        return bodies.answer(wire.Health(status="alive"))

    async def ready(self) -> Answer:
        now = self._clock.monotonic()
        if now - self._pinged_at >= PING_SECONDS:
            await self._vault.ping(self._clock.now())
            self._pinged_at = now
        beat_at = self._reaper.beat_at
        if beat_at is None or now - beat_at > LATE_ROUNDS * self._reaper.every_seconds + 10:
            raise StorageFailed("The reaper has not finished a round lately")
        return bodies.answer(wire.Health(status="ready"))

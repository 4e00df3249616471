"""Whether the appliance can do its work: a write is durable, the reaper goes round.

Asking costs one small durable write a second at most, however many ask, and also while the answer is no. A store that
does not answer in time is as good as one that refuses.
"""

import asyncio

from seclink.domain.clock import Clock
from seclink.domain.reaper import Reaper
from seclink.domain.vault import Vault
from seclink.errors import SecLinkError
from seclink.telemetry.log import Log

GOOD_SECONDS = 1.0
PATIENCE_SECONDS = 2.0
LATE_ROUNDS, LATE_SECONDS = 3, 10
SMALLEST_BYTES = 8192  # what the store sets aside for the smallest secret

PARTS = ("store", "reaper")


class HealthCheck:
    """A change is logged, once, when somebody asks."""

    def __init__(self, vault: Vault, reaper: Reaper, clock: Clock, log: Log) -> None:
        self._vault, self._reaper, self._clock, self._log = vault, reaper, clock, log
        self._failing: tuple[str, ...] = ()
        self._look: asyncio.Task[bool] | None = None
        self._looked_at = float("-inf")

    async def failing(self) -> tuple[str, ...]:
        """Which of PARTS do not do their work; ready is who has none."""
        failing = () if await self._writes() else ("store",)
        failing = failing if self._reaps() else (*failing, "reaper")
        self._note(failing)
        return failing

    async def is_full(self) -> bool:
        """Whether not even the smallest secret can be added. Raises StorageFailed."""
        return await self._vault.free_bytes() <= SMALLEST_BYTES

    async def _writes(self) -> bool:
        now = self._clock.monotonic()
        if self._look is None or (self._look.done() and now - self._looked_at >= GOOD_SECONDS):
            self._looked_at = now
            self._look = asyncio.create_task(self._ping())
        done, _ = await asyncio.wait((self._look,), timeout=PATIENCE_SECONDS)
        return bool(done) and self._look.result()

    async def _ping(self) -> bool:
        try:
            await self._vault.ping(self._clock.now())
        except SecLinkError:
            return False
        return True

    def _reaps(self) -> bool:
        beat_at = self._reaper.beat_at
        late = LATE_ROUNDS * self._reaper.every_seconds + LATE_SECONDS
        return beat_at is not None and self._clock.monotonic() - beat_at <= late

    def _note(self, failing: tuple[str, ...]) -> None:
        if failing and failing != self._failing:
            self._log.error("unready", detail=" ".join(failing))
        elif self._failing and not failing:
            self._log.info("ready")
        self._failing = failing

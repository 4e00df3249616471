"""Readiness of the server: a write is durable, and the reaper runs.

Checks cost one small durable write a second at most, whatever the number of requests, also while the write fails. A
store that does not respond in time counts as failing.
"""

import asyncio

from seclink.domain.clock import Clock
from seclink.domain.reaper import Reaper
from seclink.domain.vault import Vault
from seclink.errors import SecLinkError
from seclink.telemetry.log import Log

RESULT_TTL_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
MAX_MISSED_ROUNDS, GRACE_SECONDS = 3, 10
MIN_SECRET_BYTES = 8192  # which the store reserves for the smallest secret

COMPONENTS = ("store", "reaper")


class HealthCheck:
    """Checks the components. A change is logged once, by the check that notices it."""

    def __init__(self, vault: Vault, reaper: Reaper, clock: Clock, log: Log) -> None:
        self._vault, self._reaper, self._clock, self._log = vault, reaper, clock, log
        self._failing: tuple[str, ...] = ()
        self._probe: asyncio.Task[bool] | None = None
        self._probed_at = float("-inf")

    async def failing(self) -> tuple[str, ...]:
        """Return the COMPONENTS that fail; none means ready."""
        failing = () if await self._is_writable() else ("store",)
        failing = failing if self._is_reaper_on_time() else (*failing, "reaper")
        self._log_change(failing)
        return failing

    async def is_full(self) -> bool:
        """Return whether not even the smallest secret can be added. Raise StorageFailed."""
        return await self._vault.free_bytes() <= MIN_SECRET_BYTES

    @property
    def is_clock_doubtful(self) -> bool:
        """Return whether nothing is erased until somebody has looked at the clock. The server is ready all the same."""
        return self._clock.is_doubtful

    async def _is_writable(self) -> bool:
        now = self._clock.monotonic()
        if self._probe is None or (self._probe.done() and now - self._probed_at >= RESULT_TTL_SECONDS):
            self._probed_at = now
            self._probe = asyncio.create_task(self._ping())
        done, _ = await asyncio.wait((self._probe,), timeout=TIMEOUT_SECONDS)
        return bool(done) and self._probe.result()

    async def _ping(self) -> bool:
        try:
            await self._vault.ping(self._clock.mark())
        except SecLinkError:
            return False
        return True

    def _is_reaper_on_time(self) -> bool:
        finished_at = self._reaper.finished_at
        max_age = MAX_MISSED_ROUNDS * self._reaper.interval_seconds + GRACE_SECONDS
        return finished_at is not None and self._clock.monotonic() - finished_at <= max_age

    def _log_change(self, failing: tuple[str, ...]) -> None:
        if failing and failing != self._failing:
            self._log.error("unready", detail=" ".join(failing))
        elif self._failing and not failing:
            self._log.info("ready")
        self._failing = failing

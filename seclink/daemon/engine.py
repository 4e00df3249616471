"""The parts that live as long as the process: the vault, the rate limiters, the reaper, the health check, the metrics.

A reload builds everything else anew around them (`app.build_app`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from seclink.config.schema import Config
from seclink.domain.clock import Clock
from seclink.domain.health import HealthCheck
from seclink.domain.passcodes import Passcodes
from seclink.domain.rate_limiter import RateLimiter
from seclink.domain.reaper import Reaper
from seclink.domain.vault import Vault
from seclink.domain.vault_state import VaultState
from seclink.store.contract import Store
from seclink.telemetry.log import Log
from seclink.web.metrics_collector import MetricsCollector, MetricsSources


class Engine:
    """`address_limiter` and `key_limiter` limit the rates of client addresses and of API keys."""

    def __init__(
        self, config: Config, store: Store, log: Log, clock: Clock, metrics: MetricsCollector | None = None
    ) -> None:
        self.store, self.log, self.clock, self.metrics = store, log, clock, metrics or MetricsCollector()
        counters = self.metrics.counters
        self.passcodes = Passcodes(config.passcodes.profile, counters.passcode_seconds)
        state = VaultState(store, self.passcodes, log, clock.monotonic, counters.events)
        self.vault, self.unsent, self._files = Vault(state, config), state.unsent, state.files
        self.address_limiter, self.key_limiter = RateLimiter(), RateLimiter()
        self.reaper = Reaper(self.vault, config.reaper.every, clock, log, counters.reaped_rows)
        self.health = HealthCheck(self.vault, self.reaper, clock, log)

    def reconfigure(self, config: Config, in_flight: Callable[[], int]) -> None:
        """Apply a configuration to the parts that stay, after the application around them was built from it.

        `in_flight` returns that application's number of requests in flight. Must not fail: a reload is all or nothing.
        """
        self.log.reconfigure(config.log)
        self.passcodes.reconfigure(config.passcodes.profile)
        self.reaper.reconfigure(config.reaper.every)
        self.store.reconfigure(
            config.receipts.keep_days * 86400, config.audit.keep_days * 86400, config.store.max_bytes
        )
        self.metrics.set_sources(
            MetricsSources(
                store=self.store,
                passcodes=self.passcodes,
                health=self.health,
                clock=self.clock,
                in_flight=in_flight,
                files=self._files,
                max_files_bytes=config.files.total_bytes,
            )
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Run the reaper for the duration of the block, then close the vault and its store."""
        await self._files.load()
        reaping = asyncio.create_task(self.reaper.run())
        try:
            yield
        finally:
            reaping.cancel()
            await asyncio.wait([reaping])
            await self.vault.close()

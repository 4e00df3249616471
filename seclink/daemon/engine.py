"""What runs as long as the process does: the vault with the answers it keeps for a retry, the counts of who has asked
how often, the reaper, what is measured. A reload builds everything else anew around it (`app.build_app`).
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
from seclink.store.contract import Store
from seclink.telemetry.log import Log
from seclink.web.metrics_collector import MetricsCollector, MetricsSources


class Engine:
    """`addresses` and `keys` count requests. `metrics` is told of all there is to be watched."""

    def __init__(
        self, config: Config, store: Store, log: Log, clock: Clock, metrics: MetricsCollector | None = None
    ) -> None:
        self.store, self.log, self.clock, self.metrics = store, log, clock, metrics or MetricsCollector()
        counted = self.metrics.instruments
        self.passcodes = Passcodes(config.passcodes.profile, counted.passcode_seconds)
        self.vault = Vault(store, self.passcodes, config, log, clock.monotonic, counted.events)
        self.addresses, self.keys = RateLimiter(), RateLimiter()
        self.reaper = Reaper(self.vault, config.reaper.every, clock.now, clock.monotonic, log, counted.reaped_rows)
        self.health = HealthCheck(self.vault, self.reaper, clock, log)

    def reconfigure(self, config: Config, running: Callable[[], int]) -> None:
        """Take what a configuration says of the parts that stay, once the application around them is made by it;
        `in_flight` says how many requests that has in flight. Cannot fail: a reload happens whole or not at all.
        """
        self.log.reconfigure(config.log)
        self.passcodes.reconfigure(config.passcodes.profile)
        self.reaper.reconfigure(config.reaper.every)
        self.store.reconfigure(
            config.receipts.keep_days * 86400, config.audit.keep_days * 86400, config.store.max_bytes
        )
        self.metrics.set_sources(
            MetricsSources(
                store=self.store, passcodes=self.passcodes, health=self.health, clock=self.clock, in_flight=running
            )
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Runs the reaper and, at the end, closes vault and store."""
        reaping = asyncio.create_task(self.reaper.run())
        try:
            yield
        finally:
            reaping.cancel()
            await asyncio.wait([reaping])
            await self.vault.close()

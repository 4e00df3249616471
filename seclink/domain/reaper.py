"""The loop that erases expired secrets. Safety does not depend on it: an expired secret is refused, reaped or not.

It works in small batches through the same queue as requests, and rests after each batch as long as the batch took, so
that requests get at least half of the writer.
"""

import asyncio
import contextlib

from seclink.domain.clock import Clock
from seclink.domain.vault import Vault
from seclink.errors import SecLinkError
from seclink.telemetry.counters import ROWS, Histogram
from seclink.telemetry.log import Log

MARK_INTERVAL_SECONDS = 3600


class Reaper:
    """`finished_at` is the end of the last batch in monotonic seconds, None before the first; `rows` counts the secrets
    of each round.
    """

    def __init__(
        self,
        vault: Vault,
        interval_seconds: float,
        clock: Clock,
        log: Log,
        rows: Histogram | None = None,
    ) -> None:
        self._vault, self._clock, self._log = vault, clock, log
        self._rows = rows or Histogram(ROWS)
        self.finished_at: float | None = None
        self.interval_seconds = self._next_interval_seconds = interval_seconds
        self._interval_changed = asyncio.Event()
        self._mark, self._mark_due_at = "", clock.monotonic()

    def reconfigure(self, interval_seconds: float) -> None:
        """Change the interval between rounds; another one starts a round at once."""
        if interval_seconds != self._next_interval_seconds:
            self._next_interval_seconds = interval_seconds
            self._interval_changed.set()

    async def run(self) -> None:
        """Run rounds until cancelled."""
        try:
            while True:
                try:
                    await self.reap_all()
                    await self._log_mark()
                except SecLinkError as error:
                    self._log.error("reaper", code=error.code)
                except Exception as error:  # our own bug: without this loop the disk would fill unnoticed
                    self._log.error("reaper", detail=type(error).__name__)
                # Only after a round: with a shorter interval, the round before would count as late.
                self.interval_seconds = self._next_interval_seconds
                self._interval_changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._interval_changed.wait(), self.interval_seconds)
        finally:  # the ping keeps expired secrets expired even if the wall clock is behind at the next start
            with contextlib.suppress(SecLinkError):
                await self._vault.drain()
                await self._vault.ping(self._clock.mark())
                await self._log_mark(at_once=True)

    async def _log_mark(self, *, at_once: bool = False) -> None:
        """Log the end of the audit trail if it has grown: the log is stored elsewhere, so it can prove a cut."""
        if not at_once and self._clock.monotonic() < self._mark_due_at:
            return
        self._mark_due_at = self._clock.monotonic() + MARK_INTERVAL_SECONDS
        mark = await self._vault.audit_mark()
        if mark != self._mark and not mark.startswith("0:"):
            self._log.info("audit", mark=mark)
            self._mark = mark

    async def reap_all(self) -> None:
        """Erase all secrets and files that are due now; none while the clock is in doubt."""
        if self._clock.is_doubtful and not await self._is_clock_accepted():
            self.finished_at = self._clock.monotonic()
            return
        rows = 0
        while True:
            started_at = self._clock.monotonic()
            count = await self._vault.reap(self._clock.now())
            self.finished_at = self._clock.monotonic()
            rows += count
            if not count:
                break
            await asyncio.sleep(self.finished_at - started_at)
        while await self._vault.sweep_files(self._clock.now()):
            pass
        self._rows.observe(rows)

    async def _is_clock_accepted(self) -> bool:
        is_accepted = self._clock.review(await self._vault.last_seen_at())
        if is_accepted:
            self._log.info("clock", detail="the system clock is no longer in doubt; expired secrets are erased again")
        else:
            await self._vault.ping(self._clock.mark())
        return is_accepted

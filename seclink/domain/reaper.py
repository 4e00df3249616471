"""The loop that erases the expired. Nothing depends on it for safety: an expired secret is refused whether or not
it was reaped.

It works in small batches through the same queue as everybody, and after each rests as long as the batch took,
so that reveals get at least half of the writer.
"""

import asyncio
import contextlib
from collections.abc import Callable

from seclink.domain.vault import Vault
from seclink.errors import SecLinkError
from seclink.telemetry.counters import ROWS, Histogram
from seclink.telemetry.log import Log

NOTE_SECONDS = 3600


class Reaper:
    """`beat_at` is when it last finished a batch, in monotonic seconds; None before the first. `rows` is told how much
    there was to do in each round.
    """

    def __init__(
        self,
        vault: Vault,
        every_seconds: float,
        now: Callable[[], int],
        monotonic: Callable[[], float],
        log: Log,
        rows: Histogram | None = None,
    ) -> None:
        self._vault, self.every_seconds, self._now, self._monotonic, self._log = (
            vault,
            every_seconds,
            now,
            monotonic,
            log,
        )
        self.beat_at: float | None = None
        self._wanted_seconds = every_seconds
        self._paced = asyncio.Event()
        self._rows = rows or Histogram(ROWS)
        self._noted, self._note_at = "", monotonic()

    def reconfigure(self, every_seconds: float) -> None:
        """Another pause, from now on."""
        if every_seconds != self._wanted_seconds:
            self._wanted_seconds = every_seconds
            self._paced.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await self.round()
                    await self._note()
                except SecLinkError as error:
                    self._log.error("reaper", code=error.code)
                except Exception as error:  # a mistake of ours: without this loop the disk would fill in silence
                    self._log.error("reaper", detail=type(error).__name__)
                self.every_seconds = self._wanted_seconds  # after a round, or the last one would look late
                self._paced.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._paced.wait(), self.every_seconds)
        finally:  # what has expired by now stays so, even if the clock is behind at the next start
            with contextlib.suppress(SecLinkError):
                await self._vault.settle()
                await self._vault.ping(self._now())
                await self._note(at_once=True)

    async def _note(self, *, at_once: bool = False) -> None:
        """Say in the log, which is kept elsewhere, where the audit trail ends, if it has grown since."""
        if not at_once and self._monotonic() < self._note_at:
            return
        self._note_at = self._monotonic() + NOTE_SECONDS
        mark = await self._vault.audit_checkpoint()
        if mark != self._noted and not mark.startswith("0:"):
            self._log.info("audit", mark=mark)
            self._noted = mark

    async def round(self) -> None:
        """Erase all that is due now."""
        rows = 0
        while True:
            began = self._monotonic()
            count = await self._vault.reap(self._now())
            self.beat_at = self._monotonic()
            rows += count
            if not count:
                break
            await asyncio.sleep(self.beat_at - began)
        self._rows.observe(rows)

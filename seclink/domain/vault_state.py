"""The parts of the vault that outlive a reload."""

from collections import Counter
from collections.abc import Callable

from seclink.domain.background import BackgroundTasks
from seclink.domain.files_state import FilesState
from seclink.domain.idempotency import IdempotencyCache
from seclink.domain.passcodes import Passcodes
from seclink.domain.rate_limiter import RateLimiter
from seclink.domain.shares import Shares
from seclink.model import Claimed, Created
from seclink.store.contract import Store
from seclink.telemetry.log import Log

REVEAL_RETRY_SECONDS, MAX_REVEAL_RETRIES, MAX_REVEAL_BYTES = 60, 100_000, 64 * 2**20
CREATE_RETRY_SECONDS, MAX_CREATE_RETRIES, MAX_CREATE_BYTES = 600, 20_000, 2**30
MAX_UNSENT_BYTES = 256 * 2**20  # of responses that their readers have not taken yet
MAX_LISTS = 256  # waiting or being read
RESULT_BYTES = 512  # of memory for one result without its payload


class VaultState:
    """The store, results for retries, counters, background tasks.

    `events` counts created, revealed, burned and reported secrets by (event, format). `unsent` counts the bytes of
    responses that the server could not send yet.
    """

    def __init__(
        self,
        store: Store,
        passcodes: Passcodes,
        log: Log,
        monotonic: Callable[[], float],
        events: Counter[tuple[str, str]] | None = None,
    ) -> None:
        self.store, self.passcodes, self.log, self.monotonic = store, passcodes, log, monotonic
        self.events = Counter[tuple[str, str]]() if events is None else events
        self.created: IdempotencyCache[Created] = IdempotencyCache(
            CREATE_RETRY_SECONDS, MAX_CREATE_RETRIES, MAX_CREATE_BYTES, lambda _: RESULT_BYTES, monotonic
        )
        self.revealed: IdempotencyCache[Claimed] = IdempotencyCache(
            REVEAL_RETRY_SECONDS,
            MAX_REVEAL_RETRIES,
            MAX_REVEAL_BYTES,
            lambda claimed: len(claimed.payload) + RESULT_BYTES,
            monotonic,
        )
        self.unsent, self.lists = Shares(MAX_UNSENT_BYTES), Shares(MAX_LISTS)
        self.failures = RateLimiter()
        self.background = BackgroundTasks()
        self.files = FilesState(store.uploads, self.background, monotonic)

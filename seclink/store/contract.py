"""The store's contract: domain verbs, each one durable transaction; no caller needs two of them to be safe.

A verb and its entry in the audit trail are one transaction: neither happens without the other. `by` is the account
whose API key was used. Of events that can be repeated without end on one secret, the trail has the first hundred of
each kind, and the last view.

`now` is epoch milliseconds and always passed in. A verb returns once its effect would survive a power cut, or raises
StorageFailed and had no effect that was acknowledged to anyone. A secret counts as expired from `expires_at` on,
reaped or not.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from seclink.model import ApiKey, Attempt, Changes, Claimed, Filter, Page, Peek, Receipt, Secret, State, Stats
from seclink.telemetry.counters import Histogram

MAX_BYTES = 2**62  # larger than any payload


class StoreStats(Struct, frozen=True, kw_only=True):
    """Sizes and counts for monitoring.

    `secrets` counts by (format, state) and may be somewhat old; it is None before the first count. `expired` counts the
    secrets reaped since the start by format. `overdue_ms` is how long the oldest due secret has waited for the reaper.
    `used_bytes` of the file are in use, and `max_bytes` may be.
    """

    secrets: Mapping[tuple[str, str], int] | None
    expired: Mapping[str, int]
    overdue_ms: int
    used_bytes: int
    max_bytes: int
    file_bytes: int
    log_bytes: int
    batches: Histogram
    commit_seconds: Histogram


class IdTaken(Exception):
    """A new secret has a linkId or receiptId that another one has or had."""


class Store(Protocol):
    engine: str
    """The database engine with its version."""

    async def add(self, secret: Secret) -> None:
        """Add a new secret. Raises StorageFull, IdTaken."""

    async def peek(self, link_id: str, now: int) -> Peek | None:
        """Return a secret without its payload; changes nothing."""

    async def claim(
        self,
        link_id: str,
        now: int,
        *,
        access_hash: str | None = None,
        passcode: str | None = None,
        client: str = "",
        by: str | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> Claimed | None:
        """Take one view of a live secret for a caller who has proved its key and passed its passcode, if it has one.

        `access_hash` is the digest of the proof, `passcode` the stored string that was verified. Both must still equal
        the row's, and a secret without an access hash accepts no proof. The last view erases payload, notes and hashes
        in the same transaction. A right passcode gets its attempt back. Return None if there is no view to take, or
        the payload has more than `max_bytes`: then none was spent, and `peek` says why.
        """

    async def attempt(self, link_id: str, client: str, now: int) -> Attempt | None:
        """Count a passcode attempt before it is checked; a refused one does not count. None if no secret is live."""

    async def attempts_left(self, link_id: str, client: str, now: int) -> int:
        """Return how many passcode attempts the client range has now, 0 if no secret is live. Counts nothing."""

    async def record(
        self, link_id: str, event: str, now: int, reason: str | None = None, by: str | None = None
    ) -> None:
        """Record an event. Unknown ids are ignored.

        A secret's history has peeked (once), passcode_wrong and reported. The audit trail has the last two, and every
        other event as a failure to open the secret.
        """

    async def receipt(self, receipt_id: str, now: int) -> Receipt | None:
        """Return a receipt with its events."""

    async def receipts(self, filter: Filter, now: int) -> Page:
        """Return a page of receipts, newest first, without events."""

    async def edit(
        self, receipt_id: str, changes: Changes, now: int, by: str | None = None, detail: str | None = None
    ) -> State | None:
        """Edit a live secret. Return its previous state: only an active one was changed. None if there is no receipt.

        A new or removed passcode starts with fresh attempts. Raises StorageFull, and BadRequest if `max_views` is not
        more than the views already spent.
        """

    async def burn(self, receipt_id: str, now: int, by: str | None = None, detail: str | None = None) -> State | None:
        """End a live secret and erase it. Return its previous state: only an active one was burned now.

        `detail` says in the audit trail how the caller proved the right to do so, if not with an API key.
        """

    async def reap(self, now: int, limit: int) -> int:
        """Erase expired secrets, forget those past their retention, prune the audit trail.

        Handles at most `limit` secrets, fewer where they are large. Return the number of rows; 0 means that nothing is
        left to do.
        """

    async def stats(self, account: str, now: int, since: tuple[int, int, int], format: str | None = None) -> Stats:
        """Return an account's counts; `since` holds the starts of today, this week and this month.

        With `format`, count the existing secrets of that format; without, all that ever were.
        """

    async def add_key(self, key: ApiKey) -> None:
        """Add an API key."""

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """Return the API key with that digest, revoked or not."""

    async def keys(self) -> tuple[ApiKey, ...]:
        """Return all API keys, oldest first."""

    async def revoke_keys(self, prefix: str, now: int) -> tuple[ApiKey, ...]:
        """Revoke every live API key whose shown prefix begins with `prefix`; return them, oldest first."""

    async def ping(self, now: int) -> None:
        """Prove that writes are durable, and remember `now` as the latest instant seen."""

    async def free_bytes(self) -> int:
        """Return how many bytes may be added before creating is refused."""

    async def statistics(self, now: int) -> StoreStats:
        """Return sizes, counts and timings for monitoring."""

    async def audit_mark(self) -> str:
        """Return the end of the audit trail. Noted elsewhere, it proves later that nothing before it was changed."""

    async def last_seen_at(self) -> int:
        """Return the latest instant that any ping or reap has seen, over all restarts."""

    def reconfigure(self, keep_seconds: int, audit_seconds: int, max_bytes: int) -> None:
        """Set the retention of receipts (if they end from now on) and audit entries, and the maximum size."""

    async def close(self) -> None:
        """Finish all writes, move the log into the file, close it."""

"""The store's contract: domain verbs, each one durable transaction; no caller needs two of them to be safe.

What a verb does stands in the audit trail with it, or was not done; `by` is the account whose key it was done with. Of
what can be done to one secret again and again, the first hundred times of each kind do, and the last view.
`now` is epoch milliseconds and always passed in. A verb returns only once what it did would survive a power
cut, or raises StorageFailed and did nothing that anybody was told of. A secret counts as expired from
`expires_at` on, whether or not it was reaped.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from seclink.model import ApiKey, Attempt, Changes, Claimed, Filter, Page, Peek, Receipt, Secret, State, Stats
from seclink.telemetry.counters import Histogram


class StoreStats(Struct, frozen=True, kw_only=True):
    """How much there is. `secrets` by (format, state) may be a while old or, at first, None; `expired` by format are
    those reaped since the start. `overdue_ms` is how long the oldest thing that is due has been waiting for the reaper;
    `used_bytes` of the file's are in use, `max_bytes` may be.
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
    """`Store.add` refuses a secret whose linkId or receiptId another secret has or had."""


class Store(Protocol):
    engine: str
    """What keeps the rows, with its version."""

    async def add(self, secret: Secret) -> None:
        """Keep a new secret. Raises StorageFull, IdTaken."""

    async def peek(self, link_id: str, now: int) -> Peek | None:
        """Look at a secret; changes nothing."""

    async def claim(
        self,
        link_id: str,
        now: int,
        *,
        access_hash: str | None = None,
        passcode: str | None = None,
        client: str = "",
        by: str | None = None,
    ) -> Claimed | None:
        """Take one view of a live secret whose key is proved and whose passcode, if it has one, was found right.

        `access_hash` is the digest of the proof offered, `passcode` the stored string that was verified: both must
        still be what the row holds, and a proof fits no row that asks for none. The last view erases payload, notes
        and hashes in the same transaction, and a right passcode gives its try back. None: nothing to take, and
        nothing spent; `peek` says why.
        """

    async def attempt(self, link_id: str, client: str, now: int) -> Attempt | None:
        """Count a passcode try before it is checked; a refused one is not counted. None: no live secret."""

    async def attempts_left(self, link_id: str, client: str, now: int) -> int:
        """How many passcode tries that client range has now. Counts nothing; 0 where there is no live secret."""

    async def record(
        self, link_id: str, event: str, now: int, reason: str | None = None, by: str | None = None
    ) -> None:
        """Add an event to a secret's history: peeked (kept once), passcode_wrong or reported; and to the audit trail
        the last two, and any other as a failure to open it. Unknown ids are ignored.
        """

    async def receipt(self, receipt_id: str, now: int) -> Receipt | None:
        """One receipt with its events."""

    async def receipts(self, wanted: Filter, now: int) -> Page:
        """A page of receipts, newest first, without events."""

    async def replace(
        self, receipt_id: str, changes: Changes, now: int, by: str | None = None, detail: str | None = None
    ) -> State | None:
        """Edit a live secret. The answer is the state it found: only `active` was changed. None: no such receipt.

        Raises BadRequest where the views already spent do not fit. A new or removed passcode starts with fresh tries.
        """

    async def burn(self, receipt_id: str, now: int, by: str | None = None, detail: str | None = None) -> State | None:
        """End a live secret and erase it. The answer is the state it found: only `active` was burned now. `detail` says
        in the audit trail with what it was done, if not with a key.
        """

    async def reap(self, now: int, limit: int) -> int:
        """Erase what has expired and forget what ended long ago, `limit` rows at most, fewer where they are large, and
        what is too old for the audit trail.

        The answer is how many there were; 0 means that nothing is left to do.
        """

    async def stats(self, account: str, now: int, since: tuple[int, int, int], format: str | None = None) -> Stats:
        """Counts of an account; `since` are the starts of today, this week and this month.

        With `format`, of what is kept of that kind; else of everything there ever was.
        """

    async def add_key(self, key: ApiKey) -> None:
        """Keep a key."""

    async def find_key(self, digest: bytes) -> ApiKey | None:
        """The key with that digest, revoked or not."""

    async def keys(self) -> tuple[ApiKey, ...]:
        """All keys, oldest first."""

    async def revoke_keys(self, prefix: str, now: int) -> tuple[ApiKey, ...]:
        """Revoke every live key whose shown prefix begins so; those that were."""

    async def ping(self, now: int) -> None:
        """Prove that a write is durable, and remember `now` as the latest instant seen."""

    async def free_bytes(self) -> int:
        """Bytes that may be added before creating is refused."""

    async def statistics(self, now: int) -> StoreStats:
        """How much there is of everything, and how long things take."""

    async def audit_checkpoint(self) -> str:
        """Where the audit trail ends: what is noted elsewhere proves later that nothing before it was changed."""

    async def last_seen_at(self) -> int:
        """The latest instant any ping or reap has seen, over all restarts."""

    def reconfigure(self, keep_seconds: int, audit_seconds: int, max_bytes: int) -> None:
        """How long receipts of what ends from now on are kept, and the audit trail, and how large the file may grow."""

    async def close(self) -> None:
        """Finish what was asked, move the log into the file, let go."""

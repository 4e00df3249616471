"""The store's contract: domain verbs, each one durable transaction; no caller needs two of them to be safe.

A verb and its entry in the audit trail are one transaction: neither happens without the other. `by` is the account
whose API key was used. Of events that can be repeated without end on one secret, the trail has the first hundred of
each kind, and the last view; of changes there are no more than that.

`now` is epoch milliseconds and always passed in. A verb returns once its effect would survive a power cut, or raises
StorageFailed and had no effect that was acknowledged to anyone. A secret counts as expired from `expires_at` on,
reaped or not.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from seclink.model import (
    ApiKey,
    Attempt,
    Changes,
    Claimed,
    Filter,
    Grant,
    Page,
    Peek,
    Receipt,
    Secret,
    State,
    Stats,
    Upload,
)
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
    files: "FilesUsage"


class NewGrant(Struct, frozen=True):
    """The grant that a claim makes for a secret with files: the SHA-256 of its token, and its end."""

    digest: bytes
    expires_at: int


class Room(Struct, frozen=True):
    """The bytes that all files may have before encryption, and those of anonymous senders among them."""

    total_bytes: int
    anonymous_bytes: int


class FilesUsage(Struct, frozen=True, kw_only=True):
    """The uploads with their plain bytes, the bytes of the chunks that are stored, and those that are to come.

    `unfinished` are the uploads that secrets may still be attached to, `grants` the live ones of readers.
    """

    uploads: int
    plain_bytes: int
    stored_bytes: int
    missing_bytes: int
    unfinished: int
    grants: int


class ChunkFiles(Protocol):
    """The files with the chunks, one for each upload. The methods do not block the event loop. Raise OSError."""

    async def create(self, name: str) -> None:
        """Create an empty file, durably."""

    async def open_file(self, name: str, *, writable: bool = False) -> int:
        """Return a descriptor. Raises FileNotFoundError."""

    async def write(self, file: int, offset: int, piece: bytes, digest: Any = None) -> None:
        """Write a piece, and update a hash object with it."""

    async def sync(self, file: int) -> None:
        """Return once the bytes are durable."""

    async def read(self, file: int, offset: int, size: int) -> bytes:
        """Return bytes, fewer at the end of the file."""

    async def close_file(self, file: int) -> None:
        """Close a descriptor."""

    async def size(self, name: str) -> int:
        """Return the size of a file, 0 if there is none."""

    async def free_bytes(self) -> int:
        """Return the bytes that are free on the disk."""

    async def erase(self, names: Iterable[str]) -> None:
        """Remove files, and those that could not be removed before."""


class IdTaken(Exception):
    """A new secret has a linkId or receiptId that another one has or had."""


class Store(Protocol):
    engine: str
    """The database engine with its version."""

    @property
    def uploads(self) -> "UploadStore":
        """The files of secrets."""

    async def add(self, secret: Secret) -> None:
        """Add a new secret. Raises StorageFull, IdTaken."""

    async def add_with_files(self, secret: Secret, upload_id: str, token_digest: bytes) -> int:
        """Add a new secret with the files of an upload of the same account, or like the secret of none.

        Return how many more secrets the upload may be attached to. Raises UploadUnknown, UploadUsed, UploadIncomplete,
        StorageFull, IdTaken.
        """

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
        grant: NewGrant | None = None,
    ) -> Claimed | None:
        """Take one view of a live secret for a caller who has proved its key and passed its passcode, if it has one.

        `access_hash` is the digest of the proof, `passcode` the stored string that was verified. Both must still equal
        the row's, and a secret without an access hash accepts no proof. The last view erases payload, notes and hashes
        in the same transaction. A right passcode gets its attempt back. Return None if there is no view to take, or
        the payload has more than `max_bytes`: then none was spent, and `peek` says why.

        A secret with files is claimed only with a `grant`, which becomes the reader's right to download them.
        """

    async def attempt(self, link_id: str, client: str, now: int) -> Attempt | None:
        """Count a passcode attempt before it is checked; a refused one does not count. None if no secret is live."""

    async def attempts_left(self, link_id: str, client: str, now: int) -> int:
        """Return how many passcode attempts the client range has now, 0 if no secret is live. Counts nothing."""

    async def record(
        self, link_id: str, event: str, now: int, reason: str | None = None, by: str | None = None
    ) -> None:
        """Record an event. Unknown ids are ignored.

        A secret's history has peeked (once), passcode_wrong, locked and reported. The audit trail has the last three,
        and every other event as a failure to open the secret.
        """

    async def receipt(self, receipt_id: str, now: int) -> Receipt | None:
        """Return a receipt with its events."""

    async def receipts(self, filter: Filter, now: int) -> Page:
        """Return a page of receipts, newest first, without events."""

    async def edit(
        self, receipt_id: str, changes: Changes, now: int, by: str | None = None, detail: str | None = None
    ) -> State | None:
        """Edit a live secret. Return its previous state: only an active one was changed. None if there is no receipt.

        A new or removed passcode starts with fresh attempts. Raises StorageFull, TooManyChanges after the hundredth
        change, and BadRequest if `max_views` is not more than the views already spent.
        """

    async def burn(
        self, receipt_id: str, now: int, by: str | None = None, detail: str | None = None, *, with_grants: bool = False
    ) -> State | None:
        """End a live secret and erase it. Return its previous state: only an active one was burned now.

        With `with_grants`, also end the grants of its readers. One that had ended and had grants counts as active.
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


class UploadStore(Protocol):
    """The verbs about files, each one durable transaction."""

    @property
    def files(self) -> ChunkFiles:
        """The files with the chunks."""

    async def add(self, upload: Upload, plain_bytes: int, room: Room, disk_bytes: int) -> None:
        """Add an upload and reserve its room, also among the `disk_bytes` that are free.

        Raises FilesFull, StorageFull.
        """

    async def find(self, upload_id: str) -> Upload | None:
        """Return an upload, also one that is due."""

    async def add_chunk(self, upload_id: str, chunk: int, now: int) -> None:
        """Count a chunk whose bytes are durable. Raises UploadUnknown if the upload has ended meanwhile."""

    async def end(self, upload_id: str) -> None:
        """End what is outstanding of an upload."""

    async def attached_file(self, link_id: str) -> tuple[str, int] | None:
        """Return the name and the size of the file with the chunks of a secret."""

    async def find_grant(self, digest: bytes, now: int) -> Grant | None:
        """Return a grant, ended or not."""

    async def start_grant(self, digest: bytes, now: int) -> None:
        """Note that a reader downloads; the first time, it is an event."""

    async def end_grant(self, digest: bytes, now: int) -> bool:
        """End a grant whose reader has everything; return False if it had ended."""

    async def sweep(self, now: int) -> tuple[int, tuple[str, ...]]:
        """End uploads that are due, and erase the files that nobody needs any more.

        Return how many there were, and the ids of those that have ended. With `now` 0 the clock decides nothing.
        """

    async def unfinished(self) -> Sequence[tuple[str, str | None]]:
        """Return id and account of the uploads that secrets may still be attached to."""

    async def usage(self, now: int) -> FilesUsage:
        """Return the numbers and bytes of the uploads, and of the grants."""

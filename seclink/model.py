"""The records that the packages pass to each other: frozen, without behaviour beyond facts about themselves.

Instants (`_at`) are epoch milliseconds, lifetimes whole seconds, digests raw SHA-256 bytes unless stated otherwise.
"""

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

# Passcode attempts: of one client range within the window, and of all clients together.
ATTEMPTS_PER_CLIENT, ATTEMPT_WINDOW_MS, ATTEMPTS_PER_SECRET = 5, 600_000, 20
# The same where no proof of key is needed: the locks of a range, each longer than the one before, and the pauses of
# everybody after so many attempts, from the first to the longest.
LOCKS_MS = (600_000, 3_600_000, 21_600_000, 86_400_000)
PAUSE_AFTER, PAUSE_MS, MAX_PAUSE_MS = 50, 60_000, 21_600_000
# A chunk of files as it is stored: 4 MiB, and 28 bytes of nonce and tag. The last chunk of an upload may be smaller.
SEAL_BYTES = 28
CHUNK_BYTES = 4 * 2**20 + SEAL_BYTES
UPLOAD_IDLE_MS, UPLOAD_MS = 3_600_000, 86_400_000  # the life of an upload without a new chunk, and of any upload


class State(StrEnum):
    """A secret is active, then exactly one of the others, for good."""

    ACTIVE = "active"
    REVEALED = "revealed"
    BURNED = "burned"
    EXPIRED = "expired"


class Scope(StrEnum):
    CREATE = "create"
    MANAGE = "manage"
    ADMIN = "admin"
    METRICS = "metrics"


class Rate(Struct, frozen=True):
    """`count` requests in any `seconds`."""

    count: int
    seconds: int


class ApiKey(Struct, frozen=True, kw_only=True):
    """An API key as stored: `prefix` is the part that may be shown, `digest` verifies the whole."""

    digest: bytes
    prefix: str
    account: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None = None
    rate: Rate | None = None
    revoked_at: int | None = None

    def is_live(self, now: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Actor(Struct, frozen=True, kw_only=True):
    """The caller. `client` is the address range that shares a rate limit, `subnet` the wider range with a limit of its
    own; without `key` the actor is anonymous.
    """

    client: str
    subnet: str | None = None
    key: ApiKey | None = None

    @property
    def account(self) -> str | None:
        return self.key.account if self.key else None

    def may(self, scope: Scope) -> bool:
        return self.key is not None and scope in self.key.scopes


class NewSecret(Struct, frozen=True, kw_only=True):
    """A request to create a secret, decoded. By default `expiry_type` implies the lifetime, and the id is drawn."""

    payload: bytes
    iv: bytes
    format: str
    expiry_type: str
    ttl_seconds: int | None = None
    max_views: int | UnsetType | None = UNSET
    passcode_hash: str | None = None
    access_hash: str | None = None
    public_note: str | None = None
    label: str | None = None
    link_id: str | None = None
    upload: "Attach | None" = None


class Attach(Struct, frozen=True):
    """The upload that a new secret asks for, with its token."""

    upload_id: str
    token: str


class Created(Struct, frozen=True, kw_only=True):
    """A created secret. `manage_token` exists only here: the store has its digest."""

    link_id: str
    receipt_id: str
    manage_token: str
    expiry_type: str
    expires_at: int
    max_views: int | None


class Proof(Struct, frozen=True):
    """The proofs of a reader: `access` as base64url, `passcode_hash` as 64 hex digits."""

    access: str | None = None
    passcode_hash: str | None = None


class Edit(Struct, frozen=True, kw_only=True):
    """A request to change a secret; UNSET leaves a member as it is. With `access`, it must prove the link's key."""

    ttl_seconds: int | UnsetType = UNSET
    max_views: int | UnsetType | None = UNSET
    label: str | UnsetType | None = UNSET
    public_note: str | UnsetType | None = UNSET
    payload: bytes | UnsetType = UNSET
    iv: bytes | UnsetType = UNSET
    passcode_hash: str | UnsetType | None = UNSET
    unlock: bool = False
    access: str | None = None


class Secret(Struct, frozen=True, kw_only=True):
    """A new row, complete: ids drawn, terms checked, digests computed. `passcode` is an argon2id string."""

    link_id: str
    receipt_id: str
    manage_digest: bytes
    account: str | None
    format: str
    expiry_type: str
    payload: bytes
    iv: bytes
    created_at: int
    expires_at: int
    max_views: int | None
    access_hash: str | None = None
    passcode: str | None = None
    public_note: str | None = None
    label: str | None = None


class Peek(Struct, frozen=True, kw_only=True):
    """A secret without its payload, which can be read without spending a view. `ended_at` is set once it has ended,
    `size` is that of the payload in bytes.
    """

    receipt_id: str
    format: str
    expiry_type: str
    state: State
    created_at: int
    expires_at: int
    ended_at: int | None
    max_views: int | None
    views: int
    access_hash: str | None
    passcode: str | None
    passcode_required: bool
    public_note: str | None
    was_peeked: bool
    size: int
    files_size: int | None = None

    @property
    def views_left(self) -> int | None:
        return None if self.max_views is None else self.max_views - self.views


class FilesGrant(Struct, frozen=True, kw_only=True):
    """A reader's right to download the files of a secret; `size` is that of all chunks. The store has no `token`."""

    size: int
    token: str
    expires_at: int


class Claimed(Struct, frozen=True, kw_only=True):
    """A view taken, durably. With `views_left` 0 the stored payload is already erased."""

    receipt_id: str
    format: str
    expiry_type: str
    payload: bytes
    iv: bytes
    views_left: int | None
    expires_at: int
    files: FilesGrant | None = None


class Upload(Struct, frozen=True, kw_only=True):
    """Chunks on their way in: `size` is that of all of them, `received` the bitmap of those that are durable.

    `outstanding` is how many secrets may still be attached, until `expires_at`. `file` has the bytes.
    """

    upload_id: str
    token_digest: bytes
    file: str
    account: str | None
    size: int
    received: bytes
    outstanding: int
    created_at: int
    expires_at: int

    @property
    def chunks(self) -> int:
        return chunk_count(self.size)

    def has(self, chunk: int) -> bool:
        return bool(self.received[chunk // 8] >> chunk % 8 & 1)

    def length(self, chunk: int) -> int:
        """Return the bytes of a chunk."""
        return chunk_length(self.size, chunk)


def chunk_length(size: int, chunk: int) -> int:
    """Return the bytes of a chunk of an upload of `size` bytes."""
    return min(CHUNK_BYTES, size - chunk * CHUNK_BYTES)


def chunk_count(size: int) -> int:
    """Return the number of chunks that an upload of `size` bytes has."""
    return -(-size // CHUNK_BYTES)


class Grant(Struct, frozen=True, kw_only=True):
    """The right to download the files of a secret, as stored. `file` is None once the chunks are erased.

    `state` and `secret_ended_at` are those of the secret.
    """

    size: int
    file: str | None
    expires_at: int
    is_ended: bool
    was_started: bool
    state: State
    secret_ended_at: int | None

    def is_live(self, now: int) -> bool:
        return not self.is_ended and now < self.expires_at


class ReceiptFiles(Struct, frozen=True):
    """The files of a secret, for its sender: `grants` readers may still download them, the last until `until`."""

    size: int
    grants: int
    until: int | None


class Attempt(Struct, frozen=True, kw_only=True):
    """A passcode attempt, counted before the passcode is checked. `retry_after` is in seconds."""

    is_allowed: bool
    attempts_left: int
    retry_after: int


class Locks(Struct, frozen=True):
    """The locks on a secret's passcode: that of everybody lasts `until` then, and `clients` counts locked ranges."""

    until: int | None = None
    clients: int = 0


class Event(Struct, frozen=True):
    """An event in a secret's history. `reason` is the text of a person who reported the secret."""

    at: int
    type: str
    reason: str | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """The sender's view of a secret. `manage_digest` and `account` authorise access; `link_id` is "" for an admin."""

    receipt_id: str
    link_id: str
    manage_digest: bytes
    account: str | None
    format: str
    state: State
    label: str | None
    public_note: str | None
    created_at: int
    expires_at: int
    max_views: int | None
    views: int
    passcode_required: bool
    events: tuple[Event, ...] = ()
    files: ReceiptFiles | None = None
    locks: Locks = Locks()


class Changes(Struct, frozen=True, kw_only=True):
    """The changes of an edit, for the store: UNSET leaves a column as it is, None clears it.

    `unlock` forgets all passcode attempts.
    """

    expires_at: int | UnsetType = UNSET
    max_views: int | UnsetType | None = UNSET
    label: str | UnsetType | None = UNSET
    public_note: str | UnsetType | None = UNSET
    payload: bytes | UnsetType = UNSET
    iv: bytes | UnsetType = UNSET
    passcode: str | UnsetType | None = UNSET
    unlock: bool | UnsetType = UNSET


class Page(Struct, frozen=True, kw_only=True):
    """One page of receipts; `page` counts from 1."""

    receipts: tuple[Receipt, ...]
    page: int
    limit: int
    total: int


class Filter(Struct, frozen=True, kw_only=True):
    """A selection of receipts; None does not restrict. `account` None is for admins; `has_ended` True selects all that
    are not active, False those that are.
    """

    account: str | None
    format: str | None = None
    state: State | None = None
    has_ended: bool | None = None
    search: str | None = None
    page: int = 1
    limit: int = 50


class Stats(Struct, frozen=True, rename="camel"):
    """The counts of an account, including secrets whose receipts are purged."""

    total_secrets: int
    active_secrets: int
    expired_secrets: int
    revealed_secrets: int
    burned_secrets: int
    total_views: int
    secrets_with_passcode: int
    created_today: int
    created_this_week: int
    created_this_month: int

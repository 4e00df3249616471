"""What the parts hand to each other: frozen records, no behaviour beyond facts about themselves.

Instants (`_at`) are epoch milliseconds, lifetimes whole seconds, digests raw SHA-256 bytes unless said otherwise.
"""

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType

# How often a passcode may be tried: by one client range in the window, and by everybody together.
ATTEMPTS_PER_CLIENT, ATTEMPT_WINDOW_MS, ATTEMPTS_PER_SECRET = 5, 600_000, 20


class State(StrEnum):
    """Active, then exactly one of the others, for good."""

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
    """A key as the store knows it: `prefix` is what may be shown, `digest` what proves it."""

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
    """Who asks. `client` is the address range that shares a budget, `subnet` the one around it that bounds many of
    them; without `key` the actor is anonymous.
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
    """What a caller wants kept, already decoded. `ttl_seconds` None means "as `expiry_type` says", `link_id` None that
    one is drawn.
    """

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


class Created(Struct, frozen=True, kw_only=True):
    """A new secret's names. `manage_token` is not kept: this is the only time it exists here."""

    link_id: str
    receipt_id: str
    manage_token: str
    expiry_type: str
    expires_at: int
    max_views: int | None


class Proof(Struct, frozen=True):
    """What a reader knows: `access` as base64url, `passcode_hash` as 64 hex digits."""

    access: str | None = None
    passcode_hash: str | None = None


class Edit(Struct, frozen=True, kw_only=True):
    """A change as its sender asks for it; UNSET leaves a member as it is. With `access` it is made only where that
    proves the link's key.
    """

    ttl_seconds: int | UnsetType = UNSET
    max_views: int | UnsetType | None = UNSET
    label: str | UnsetType | None = UNSET
    public_note: str | UnsetType | None = UNSET
    payload: bytes | UnsetType = UNSET
    iv: bytes | UnsetType = UNSET
    passcode_hash: str | UnsetType | None = UNSET
    access: str | None = None


class Secret(Struct, frozen=True, kw_only=True):
    """A row as it is added: everything drawn, clamped and hashed. `passcode` is an argon2id string."""

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
    """A secret as it can be looked at without spending anything. `ended_at` is set once it is not active."""

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

    @property
    def views_left(self) -> int | None:
        return None if self.max_views is None else self.max_views - self.views


class Claimed(Struct, frozen=True, kw_only=True):
    """A view that has been taken, durably. `views_left` 0 means the payload is already erased."""

    receipt_id: str
    format: str
    expiry_type: str
    payload: bytes
    iv: bytes
    views_left: int | None
    expires_at: int


class Attempt(Struct, frozen=True, kw_only=True):
    """A passcode try that has been counted, before it is checked."""

    is_allowed: bool
    left: int
    retry_after: int


class Event(Struct, frozen=True):
    """`reason` is what the person who reported a secret wrote."""

    at: int
    type: str
    reason: str | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """The sender's view of a secret. `manage_digest` and `account` decide who may open it."""

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


class Changes(Struct, frozen=True, kw_only=True):
    """An edit: UNSET leaves a member as it is, None clears it."""

    expires_at: int | UnsetType = UNSET
    max_views: int | UnsetType | None = UNSET
    label: str | UnsetType | None = UNSET
    public_note: str | UnsetType | None = UNSET
    payload: bytes | UnsetType = UNSET
    iv: bytes | UnsetType = UNSET
    passcode: str | UnsetType | None = UNSET


class Page(Struct, frozen=True, kw_only=True):
    """One page of receipts; `page` counts from 1."""

    receipts: tuple[Receipt, ...]
    page: int
    limit: int
    total: int


class Filter(Struct, frozen=True, kw_only=True):
    """Which receipts: `account` None means everybody's (an admin asks), `format` None those of every kind; with
    `has_ended` only those that are not active any more, however they ended, or only those that are.
    """

    account: str | None
    format: str | None = None
    state: State | None = None
    has_ended: bool | None = None
    search: str | None = None
    page: int = 1
    limit: int = 50


class Stats(Struct, frozen=True, rename="camel"):
    """An account's counts, what has been purged since included."""

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

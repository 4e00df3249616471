"""The results of the client's methods: frozen and typed. No repr shows a link's key, a token or a secret.

Every `of` reads the JSON object of one response and raises KeyError, TypeError or ValueError if it is not the API's.
`raw` is that object, with members that are newer than this client. Times are aware datetimes in UTC.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar

from seclink.format.link import LINK_ID

Json = Mapping[str, Any]
FilesT = TypeVar("FilesT")
OtherT = TypeVar("OtherT")

MAX_STRING_CHARS = 20_000
MAX_INTEGER = 2**53
MAX_INSTANT_MS = 253_370_764_800_000  # 9999-01-01


@dataclass(frozen=True, slots=True)
class CreatedSecret:
    """A secret that is now on the server. `link` contains the key and is stored nowhere; `manage_token` opens the
    receipt.

    `expires_at_ms` is `expires_at` in epoch milliseconds, `lifetime` is in seconds, None if the server chose it, and
    `views` is the number of times the secret can be revealed, None if unlimited.
    """

    link: str = field(repr=False)
    link_id: str
    receipt_id: str
    manage_token: str = field(repr=False)
    expires_at: datetime
    expires_at_ms: int
    lifetime: int | None
    views: int | None


@dataclass(frozen=True, slots=True)
class RevealedSecret(Generic[FilesT]):
    """An opened secret. `views_left` is 0 if this was the last view, None if views are unlimited.

    `type` is text, redirect, neogram or file; `header` has the `name` and `mediaType` of a file. `files` is empty for a
    secret without files beside its body. `response` is the server's, encrypted as it came, for `reopen`.
    `is_key_exposed`: servers on the link's way may have seen its key.
    """

    body: bytes = field(repr=False)
    type: str
    header: Json = field(repr=False)
    views_left: int | None
    expires_at: datetime
    files: FilesT = field(repr=False)
    response: Json = field(repr=False)
    is_key_exposed: bool = False

    @property
    def text(self) -> str:
        """The body as text. Raises UnicodeDecodeError if it is not UTF-8."""
        return self.body.decode()

    def with_files(self, files: OtherT) -> "RevealedSecret[OtherT]":
        """Return the same secret with other files."""
        return replace(self, files=files)  # type: ignore[arg-type, return-value]


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """The public facts of a secret, which cost no view.

    `views_left` is None if views are unlimited, `attempts_left` is None without a passcode.
    """

    link_id: str
    format: str
    expiry_type: str
    expires_at: datetime
    views_left: int | None
    access_required: bool
    passcode_required: bool
    attempts_left: int | None
    public_note: str | None
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            link_id=link_id_of(data),
            format=string(data["format"]),
            expiry_type=string(data["expiryType"]),
            expires_at=instant(data["expiresAt"]),
            views_left=integer_or_none(data["viewsLeft"]),
            access_required=boolean(data["accessRequired"]),
            passcode_required=boolean(data["passcodeRequired"]),
            attempts_left=integer_or_none(data.get("attemptsLeft")),
            public_note=string_or_none(data.get("publicNote")),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class EventInfo:
    at: datetime
    type: str

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(instant(data["at"]), string(data["type"]))


@dataclass(frozen=True, slots=True)
class ReceiptInfo:
    """The sender's view of a secret. `state` is active, revealed, burned or expired; `max_views` None is unlimited.

    In a list `link_id` is None and `events` is empty; `get_details` returns both. After wrong passcodes, nobody can try
    another one until `locked_until`, and so many `locked_clients` cannot; `unlock` ends both.
    """

    receipt_id: str
    state: str
    label: str | None
    public_note: str | None
    created_at: datetime
    expires_at: datetime
    max_views: int | None
    views: int
    passcode_required: bool
    link_id: str | None
    events: tuple[EventInfo, ...]
    locked_until: datetime | None
    locked_clients: int
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, data: Json) -> Self:
        locked_until = integer_or_none(data.get("lockedUntil"))
        return cls(
            receipt_id=string(data["receiptId"]),
            state=string(data["state"]),
            label=string_or_none(data.get("label")),
            public_note=string_or_none(data.get("publicNote")),
            created_at=instant(data["createdAt"]),
            expires_at=instant(data["expiresAt"]),
            max_views=integer_or_none(data["maxViews"]),
            views=integer(data["views"]),
            passcode_required=boolean(data["passcodeRequired"]),
            link_id=string_or_none(data.get("linkId")),
            events=tuple(EventInfo.of(event) for event in data.get("events") or ()),
            locked_until=None if locked_until is None else instant(locked_until),
            locked_clients=integer_or_none(data.get("lockedClients")) or 0,
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class PageInfo:
    current_page: int
    per_page: int
    total: int
    last_page: int


@dataclass(frozen=True, slots=True)
class ReceiptList:
    """One page of receipts, newest first. Iterate over it for the items."""

    items: tuple[ReceiptInfo, ...]
    pagination: PageInfo
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, data: Json) -> Self:
        page = data["pagination"]
        names = ("currentPage", "perPage", "total", "lastPage")
        return cls(
            items=tuple(ReceiptInfo.of(item) for item in data["data"]),
            pagination=PageInfo(*(integer(page[name]) for name in names)),
            raw=data,
        )

    def __iter__(self) -> Iterator[ReceiptInfo]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class AccountStats:
    """Counts of an account's secrets. `revealed_secrets` and `burned_secrets` are None if the server does not send
    them.
    """

    total_secrets: int
    active_secrets: int
    revealed_secrets: int | None
    burned_secrets: int | None
    expired_secrets: int
    total_views: int
    secrets_with_passcode: int
    created_today: int
    created_this_week: int
    created_this_month: int
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, data: Json) -> Self:
        return cls(
            total_secrets=integer(data["totalSecrets"]),
            active_secrets=integer(data["activeSecrets"]),
            revealed_secrets=integer_or_none(data.get("revealedSecrets")),
            burned_secrets=integer_or_none(data.get("burnedSecrets")),
            expired_secrets=integer(data["expiredSecrets"]),
            total_views=integer(data["totalViews"]),
            secrets_with_passcode=integer(data["secretsWithPasscode"]),
            created_today=integer(data["createdToday"]),
            created_this_week=integer(data["createdThisWeek"]),
            created_this_month=integer(data["createdThisMonth"]),
            raw=data,
        )


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """The account and scopes of an API key. `raw` also has the key's rate, its remaining requests, and the number of
    secrets by state.
    """

    name: str
    scopes: tuple[str, ...]
    key_prefix: str
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, data: Json) -> Self:
        scopes = tuple(string(scope) for scope in data["scopes"])
        return cls(string(data["name"]), scopes, string(data["keyPrefix"]), data)


def link_id_of(data: Json) -> str:
    if not LINK_ID.fullmatch(link_id := string(data["linkId"])):
        raise ValueError("not a linkId")
    return link_id


def instant(value: Any) -> datetime:
    """Convert epoch milliseconds, up to the year 9999 in every time zone. Exact, unlike dividing by 1000 first."""
    if not 0 <= integer(value) <= MAX_INSTANT_MS:
        raise ValueError("not a time")
    seconds, milliseconds = divmod(integer(value), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)


def integer(value: Any) -> int:
    if type(value) is not int:  # bool is a subclass
        raise TypeError("not an integer")
    if abs(value) >= MAX_INTEGER:
        raise ValueError("a number that no server counts to")
    return value


def integer_or_none(value: Any) -> int | None:
    return None if value is None else integer(value)


def string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    if len(value) > MAX_STRING_CHARS:
        raise ValueError("longer than any text of SecLink's")
    return value


def string_or_none(value: Any) -> str | None:
    return None if value is None else string(value)


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not a boolean")
    return value

"""What the client hands back: frozen, typed, and safe to print: no repr shows a link's key, a token or a
secret.

Every `of` reads one answer of the API and raises KeyError, TypeError or ValueError where it is not one. `raw`
is the answer as it came, for members newer than this client. Times are aware datetimes in UTC.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from seclink.format.link import LINK_ID

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CreatedSecret:
    """A secret that is on the server now. `link` carries the key and exists nowhere else; `manage_token`
    opens the receipt.

    `lifetime` is the seconds that were asked for and granted, `views` how often it may be revealed, None for any
    number of times.
    """

    link: str = field(repr=False)
    link_id: str
    receipt_id: str
    manage_token: str = field(repr=False)
    expires_at: datetime
    expires_at_ms: int
    lifetime: int
    views: int | None


@dataclass(frozen=True, slots=True)
class RevealedSecret:
    """A secret, opened. `views_left` 0 means that this was the last view, None that they are not counted."""

    body: bytes = field(repr=False)
    type: str
    header: Json = field(repr=False)
    views_left: int | None
    expires_at: datetime

    @property
    def text(self) -> str:
        """The body as text; UnicodeDecodeError where it is not UTF-8."""
        return self.body.decode()


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """What anybody holding the linkId may know before revealing.

    `attempts_left` is None without a passcode.
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
    def of(cls, answer: Json) -> Self:
        return cls(
            link_id=link_id_of(answer),
            format=word(answer["format"]),
            expiry_type=word(answer["expiryType"]),
            expires_at=moment(answer["expiresAt"]),
            views_left=number_or_none(answer["viewsLeft"]),
            access_required=flag(answer["accessRequired"]),
            passcode_required=flag(answer["passcodeRequired"]),
            attempts_left=number_or_none(answer.get("attemptsLeft")),
            public_note=word_or_none(answer.get("publicNote")),
            raw=answer,
        )


@dataclass(frozen=True, slots=True)
class EventInfo:
    at: datetime
    type: str

    @classmethod
    def of(cls, answer: Json) -> Self:
        return cls(moment(answer["at"]), word(answer["type"]))


@dataclass(frozen=True, slots=True)
class ReceiptInfo:
    """The sender's view of a secret.

    In a list `link_id` is None and `events` is empty: ask for the receipt itself.
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
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, answer: Json) -> Self:
        return cls(
            receipt_id=word(answer["receiptId"]),
            state=word(answer["state"]),
            label=word_or_none(answer.get("label")),
            public_note=word_or_none(answer.get("publicNote")),
            created_at=moment(answer["createdAt"]),
            expires_at=moment(answer["expiresAt"]),
            max_views=number_or_none(answer["maxViews"]),
            views=number(answer["views"]),
            passcode_required=flag(answer["passcodeRequired"]),
            link_id=word_or_none(answer.get("linkId")),
            events=tuple(EventInfo.of(each) for each in answer.get("events") or ()),
            raw=answer,
        )


@dataclass(frozen=True, slots=True)
class PageInfo:
    current_page: int
    per_page: int
    total: int
    last_page: int


@dataclass(frozen=True, slots=True)
class ReceiptList:
    """One page of receipts, newest first as the server sorts them; iterating gives the items."""

    items: tuple[ReceiptInfo, ...]
    pagination: PageInfo
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, answer: Json) -> Self:
        page = answer["pagination"]
        names = ("currentPage", "perPage", "total", "lastPage")
        return cls(
            items=tuple(ReceiptInfo.of(each) for each in answer["data"]),
            pagination=PageInfo(*(number(page[name]) for name in names)),
            raw=answer,
        )

    def __iter__(self) -> Iterator[ReceiptInfo]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class AccountStats:
    total_secrets: int
    active_secrets: int
    expired_secrets: int
    total_views: int
    secrets_with_passcode: int
    created_today: int
    created_this_week: int
    created_this_month: int
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, answer: Json) -> Self:
        return cls(
            total_secrets=number(answer["totalSecrets"]),
            active_secrets=number(answer["activeSecrets"]),
            expired_secrets=number(answer["expiredSecrets"]),
            total_views=number(answer["totalViews"]),
            secrets_with_passcode=number(answer["secretsWithPasscode"]),
            created_today=number(answer["createdToday"]),
            created_this_week=number(answer["createdThisWeek"]),
            created_this_month=number(answer["createdThisMonth"]),
            raw=answer,
        )


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """Whose key this is and what it may do; `raw` has its rate, what is left of it, and counts by state."""

    name: str
    scopes: tuple[str, ...]
    key_prefix: str
    raw: Json = field(repr=False, compare=False)

    @classmethod
    def of(cls, answer: Json) -> Self:
        scopes = tuple(word(each) for each in answer["scopes"])
        return cls(word(answer["name"]), scopes, word(answer["keyPrefix"]), answer)


def link_id_of(answer: Json) -> str:
    if not LINK_ID.fullmatch(link_id := word(answer["linkId"])):
        raise ValueError("linkId")
    return link_id


def moment(value: Any) -> datetime:
    """Epoch milliseconds as a datetime; exact, which dividing by 1000 first is not."""
    seconds, milliseconds = divmod(number(value), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)


def number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value


def number_or_none(value: Any) -> int | None:
    return None if value is None else number(value)


def word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def word_or_none(value: Any) -> str | None:
    return None if value is None else word(value)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("not true or false")
    return value

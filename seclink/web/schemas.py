"""The JSON of the native API as types, and the functions that make responses from records.

The OpenAPI document is generated from these types.
"""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from seclink.domain.policy import LABEL_CHARACTERS, MAX_VIEWS, MIN_SECONDS, NOTE_CHARACTERS, REASON_CHARACTERS
from seclink.model import CHUNK_BYTES, Claimed, Created, FilesGrant, Page, Peek, Receipt, Stats, chunk_count
from seclink.web.json_body import encode_base64

Base64 = Annotated[str, Meta(description="Standard base64, padded, canonical.", extra_json_schema={"format": "byte"})]
Digest = Annotated[
    str, Meta(description="SHA-256 as 64 hexadecimal digits.", extra_json_schema={"pattern": "^[0-9a-fA-F]{64}$"})
]
Instant = Annotated[int, Meta(description="Epoch milliseconds.")]
Seconds = Annotated[int, Meta(extra_json_schema={"minimum": MIN_SECONDS})]
Views = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": MAX_VIEWS})]
Note = Annotated[str, Meta(extra_json_schema={"maxLength": NOTE_CHARACTERS})]
Label = Annotated[str, Meta(extra_json_schema={"maxLength": LABEL_CHARACTERS})]
ExpiryType = Literal["view_once", "1hour", "24hours", "7days"]
StateName = Literal["active", "revealed", "burned", "expired"]


class RequestModel(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The JSON of a request; unknown members are rejected."""


class ResponseModel(Struct, kw_only=True, rename="camel"):
    """The JSON of a response."""


class AttachUpload(RequestModel):
    id: str
    token: str


class CreateSecret(RequestModel):
    encrypted_blob: Base64
    iv: Base64
    expiry_type: ExpiryType | None = None
    expires_in: Seconds | None = None
    max_views: Views | UnsetType | None = UNSET
    passcode_hash: Digest | None = None
    access_hash: Digest | None = None
    format: Literal["raw", "seclink/v1"] = "raw"
    public_note: Note | None = None
    label: Label | None = None
    host: Annotated[str, Meta(description="The host of the link, if not the one asked.")] | None = None
    upload: Annotated[AttachUpload, Meta(description="The files of the secret.")] | None = None


class SecretCreated(ResponseModel):
    link_id: str
    share_url: str
    expires_at: Instant
    receipt_id: str
    manage_token: str
    expiry_type: str
    max_views: int | None


class RevealSecret(RequestModel):
    access: str | None = None
    passcode_hash: Digest | None = None
    files: Annotated[bool, Meta(description="The caller can take files.")] = False


class GrantedFiles(ResponseModel):
    """The files of a secret that was revealed; `size` is that of all chunks."""

    size: int
    chunk_bytes: int
    chunks: int
    grant: str
    grant_expires_at: Instant


class SecretRevealed(ResponseModel):
    encrypted_blob: Base64
    iv: Base64
    expiry_type: str
    format: str
    views_left: int | None
    expires_at: Instant
    files: GrantedFiles | UnsetType = UNSET


class MetaFiles(ResponseModel):
    size: int


class SecretMeta(ResponseModel):
    link_id: str
    format: str
    expiry_type: str
    expires_at: Instant
    views_left: int | None
    access_required: bool
    passcode_required: bool
    attempts_left: int | None
    public_note: str | None
    files: MetaFiles | UnsetType = UNSET


class ReportSecret(RequestModel):
    reason: Annotated[str, Meta(extra_json_schema={"maxLength": REASON_CHARACTERS})] | None = None


class Accepted(ResponseModel):
    accepted: bool = True


class ReceiptEvent(ResponseModel):
    at: Instant
    type: str
    reason: str | UnsetType = UNSET


class DownloadState(ResponseModel):
    """The files of a secret; `grants` readers may still download them, the last until `grants_until`."""

    size: int
    grants: int
    grants_until: Instant | None


class ReceiptItem(ResponseModel, kw_only=True):
    """A receipt in a list: no linkId, no history."""

    receipt_id: str
    state: StateName
    label: str | None
    public_note: str | None
    created_at: Instant
    expires_at: Instant
    max_views: int | None
    views: int
    passcode_required: bool
    files: DownloadState | UnsetType = UNSET


class ReceiptDetails(ReceiptItem, kw_only=True):
    link_id: str | None
    events: list[ReceiptEvent]
    locked_until: Annotated[int, Meta(description="Until when nobody can try a passcode.")] | None
    locked_clients: Annotated[int, Meta(description="How many client ranges cannot try a passcode now.")]


class Pagination(ResponseModel):
    current_page: int
    per_page: int
    total: int
    last_page: int


class ReceiptPage(ResponseModel):
    data: list[ReceiptItem]
    pagination: Pagination


class ChangeReceipt(RequestModel):
    expires_in: Seconds | UnsetType = UNSET
    max_views: Views | UnsetType | None = UNSET
    label: Label | UnsetType | None = UNSET
    public_note: Note | UnsetType | None = UNSET
    encrypted_blob: Base64 | UnsetType = UNSET
    iv: Base64 | UnsetType = UNSET
    passcode_hash: Digest | UnsetType | None = UNSET
    unlock: Annotated[bool, Meta(description="Forget all passcode attempts, and with them every lock.")] = False


class RateState(ResponseModel):
    limit: int
    window_seconds: int
    remaining: int


class StateCounts(ResponseModel):
    active: int
    revealed: int
    burned: int
    expired: int


class Account(ResponseModel):
    name: str
    scopes: list[str]
    key_prefix: str
    key_expires_at: Instant | None
    rate: RateState
    secrets: StateCounts


class Health(ResponseModel, omit_defaults=True):
    """The state of the server; `room` is present only if there is none for more secrets, `clock` if it is in doubt."""

    status: str
    room: str = ""
    clock: str = ""


def secret_created(created: Created, share_base: str) -> SecretCreated:
    return SecretCreated(
        link_id=created.link_id,
        share_url=f"{share_base}/{created.link_id}",
        expires_at=created.expires_at,
        receipt_id=created.receipt_id,
        manage_token=created.manage_token,
        expiry_type=created.expiry_type,
        max_views=created.max_views,
    )


def secret_revealed(claimed: Claimed) -> SecretRevealed:
    return SecretRevealed(
        encrypted_blob=encode_base64(claimed.payload),
        iv=encode_base64(claimed.iv),
        expiry_type=claimed.expiry_type,
        format=claimed.format,
        views_left=claimed.views_left,
        expires_at=claimed.expires_at,
        files=UNSET if claimed.files is None else _granted(claimed.files),
    )


def _granted(files: FilesGrant) -> GrantedFiles:
    return GrantedFiles(
        size=files.size,
        chunk_bytes=CHUNK_BYTES,
        chunks=chunk_count(files.size),
        grant=files.token,
        grant_expires_at=files.expires_at,
    )


def secret_meta(link_id: str, peek: Peek, attempts_left: int | None) -> SecretMeta:
    return SecretMeta(
        link_id=link_id,
        format=peek.format,
        expiry_type=peek.expiry_type,
        expires_at=peek.expires_at,
        views_left=peek.views_left,
        access_required=peek.access_hash is not None,
        passcode_required=peek.passcode_required,
        attempts_left=attempts_left,
        public_note=peek.public_note,
        files=UNSET if peek.files_size is None else MetaFiles(size=peek.files_size),
    )


def receipt_page(page: Page) -> ReceiptPage:
    pagination = Pagination(
        current_page=page.page, per_page=page.limit, total=page.total, last_page=max(1, -(-page.total // page.limit))
    )
    return ReceiptPage(data=[ReceiptItem(**_item(receipt)) for receipt in page.receipts], pagination=pagination)


def receipt_details(receipt: Receipt, with_reasons: bool = False) -> ReceiptDetails:
    """Return a receipt with its history.

    The reasons of abuse reports are for the operator, who finds them here with an admin key. The sender, whom a report
    is about, never gets them.
    """
    events = [
        ReceiptEvent(at=event.at, type=event.type, reason=event.reason if with_reasons and event.reason else UNSET)
        for event in receipt.events
    ]
    return ReceiptDetails(
        **_item(receipt),
        link_id=receipt.link_id or None,
        events=events,
        locked_until=receipt.locks.until,
        locked_clients=receipt.locks.clients,
    )


def state_counts(stats: Stats) -> StateCounts:
    return StateCounts(
        active=stats.active_secrets,
        revealed=stats.revealed_secrets,
        burned=stats.burned_secrets,
        expired=stats.expired_secrets,
    )


def _item(receipt: Receipt) -> dict[str, Any]:
    files = (
        UNSET
        if receipt.files is None
        else DownloadState(size=receipt.files.size, grants=receipt.files.grants, grants_until=receipt.files.until)
    )
    members = {name: getattr(receipt, name) for name in ReceiptItem.__struct_fields__}
    return members | {"state": str(receipt.state), "files": files}

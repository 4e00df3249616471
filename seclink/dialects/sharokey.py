"""Sharokey: the Secrets API that its Python and JavaScript clients speak.

    create   POST   /api/v1/secrets            answers access_url; the client adds `#` and its half of the key
    list     GET    /api/v1/secrets            limit, page, status (active or expired), creator, search
    details  GET    /api/v1/secrets/{slug}     spends nothing
    delete   DELETE /api/v1/secrets/{slug}     erases it; list and details still know it, as expired
    stats    GET    /api/v1/secrets-stats
    health   GET    /api/v1/health
    requests        /api/v1/requests...        asking others for a secret: refused for now

A slug is our own linkId, and links are ours, too. The other half of the key lies here beside what it sealed; the
password arrives in the clear and guards the release alone. A description is the label, a message the public note, and
both are erased with the secret. Whatever has ended, however it did, is "expired" here.
"""

from collections.abc import Iterator
from re import compile as pattern
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qsl

from msgspec import Meta, Struct

from seclink.dialects.base import NO_IV, UNSUPPORTED, Dialect, Refusal, iso, pack_payload, password_hash
from seclink.domain import tokens
from seclink.domain.policy import MAX_VIEWS, raise_faults
from seclink.errors import BadRequest, Fault, FaultCode, Forbidden, Limit, NotFound, SecLinkError
from seclink.model import Filter, NewSecret, Page, Receipt, Scope, State
from seclink.web import json_body
from seclink.web.admission import AccessRule
from seclink.web.request import RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Handler, Operation

KEY_HALF, NUMBER = pattern("[A-Za-z0-9]{8}"), pattern("[0-9]{1,7}")
MAX_HOURS, MAX_LISTED, TAG_BYTES = 8760, 1000, 16
CREATE = AccessRule(rate="create", scopes=(Scope.CREATE,), needs_key=True)
MANAGE = AccessRule(rate="peek", scopes=(Scope.MANAGE,), needs_key=True)
SEARCH = AccessRule(rate="peek", scopes=(Scope.MANAGE,), needs_key=True, query=None)  # its clients escape nothing
SAID = {
    400: (422, "VALIDATION_ERROR"),
    401: (401, "AUTHENTICATION_ERROR"),
    403: (403, "PERMISSION_DENIED"),
    410: (404, "NOT_FOUND"),
    507: (403, "QUOTA_EXCEEDED"),  # told a 5xx, its clients send the same three times more
}
MISSING = "Secret not found or expired"
NO_ATTACHMENTS = (
    "cannot be taken: clients of this system seal them with the key and iv of the content, so that whoever knows an "
    "attachment can read the rest without the key"
)


class Attachment(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    data: str


class ReaderRestrictions(Struct):
    """What may be asked of a reader there, and nobody here asks for."""

    captcha: Any = None
    ip_whitelist: Any = None
    geolocation: Any = None
    otp_type: Any = None
    otp_receiver: Any = None
    otp_email: Any = None
    otp_phone: Any = None


class SharokeyCreate(ReaderRestrictions):
    content: str | None = None
    iv: str | None = None
    salt: str | None = None
    key: str | None = None
    maximum_views: int = 1
    expiration_hours: int = 24
    description: str | None = None
    message: str | None = None
    password: str | None = None
    attachments: list[Attachment] | None = None


class Sharokey(Dialect):
    name = "sharokey"
    fields: ClassVar = {"encryptedBlob": "content", "publicNote": "message", "label": "description"}
    headers = "Content-Type, Authorization, Accept, User-Agent"

    def operations(self) -> Iterator[Operation]:
        yield _route("POST", "/secrets", self.create, "Create a secret", CREATE)
        yield _route("GET", "/secrets", self.list_secrets, "Own secrets, newest first", SEARCH)
        yield _route("GET", "/secrets/{slug:str}", self.details, "One of them; changes nothing", MANAGE)
        yield _route("DELETE", "/secrets/{slug:str}", self.delete, "Erase one", MANAGE)
        yield _route("GET", "/secrets-stats", self.stats, "Counts of the account", MANAGE)
        yield _route("GET", "/health", self.health, "Whether anybody is there", AccessRule(rate="peek", query=None))
        for path in ("/requests", "/requests/{token:str}", "/requests-stats"):
            for method in ("GET", "POST", "DELETE"):
                yield _route(method, path, self.no_requests, "Asking others for a secret", SEARCH)

    async def create(self, call: RequestContext) -> Response:
        sent, _ = await self.read(call, SharokeyCreate)
        raise_faults(self._faults_of(sent))
        attached = sent.attachments or None
        new = NewSecret(
            payload=pack_payload(content=sent.content, iv=sent.iv, salt=sent.salt, key=sent.key, attachments=attached),
            iv=NO_IV,
            format=self.name,
            expiry_type="custom",
            ttl_seconds=sent.expiration_hours * 3600,
            max_views=sent.maximum_views,
            passcode_hash=password_hash(sent.password),
            public_note=(sent.message or "").replace("\r\n", "\n") or None,
            label=sent.description or None,
        )
        made = await self.create_secret(call, new)
        receipt = await self.vault.receipts.get(made.receipt_id, call.actor, made.manage_token, self.now())
        count = len(attached or ())
        data = {
            **self._item(receipt),
            **dict.fromkeys(("has_captcha", "has_otp", "has_ip_restriction", "has_geo_restriction"), False),
            "has_attachments": count > 0,
            "attachments_count": count,
            "expires_in_hours": sent.expiration_hours,
            "access_url": self._url(receipt),
        }
        return json_response(_said("Secret created successfully", data), 201)

    async def list_secrets(self, call: RequestContext) -> Response:
        asked, account = _query(call.scope["query_string"]), call.actor.account
        wanted = Filter(
            account=account,
            format=self.name,
            has_ended=asked["status"] == "expired" if "status" in asked else None,
            search=asked.get("search"),
            page=int(asked.get("page", 1)),
            limit=int(asked.get("limit", 50)),
        )
        page = Page(receipts=(), page=wanted.page, limit=wanted.limit, total=0)
        if asked.get("creator", account) == account:
            page = await self.vault.receipts.list(wanted, self.now())
        numbers = {
            "current_page": page.page,
            "per_page": page.limit,
            "total": page.total,
            "last_page": max(1, -(-page.total // page.limit)),
        }
        said = _said("Secrets retrieved successfully", [self._item(each) for each in page.receipts])
        return json_response(said | {"pagination": numbers, "meta": numbers})

    async def details(self, call: RequestContext, slug: str) -> Response:
        found = await self._find(call, slug)
        gates = {"captcha": False, "otp_type": None, "ip_whitelist": None, "geolocation": None}
        names: dict[str, Any] = {} if self.section.allow_attachments else {"attachments": []}
        urls = dict.fromkeys(("share_url", "access_url"), self._url(found))
        return json_response({"success": True, "data": self._item(found) | names | gates | urls})

    async def delete(self, call: RequestContext, slug: str) -> Response:
        found = await self._find(call, slug)
        await self.vault.receipts.burn(found.receipt_id, call.actor, None, self.now())
        return json_response(_said("Secret deleted successfully", None))

    async def stats(self, call: RequestContext) -> Response:
        found = await self.vault.receipts.stats(call.actor.account or "", self.now(), self.name)
        data = {
            "total_secrets": found.total_secrets,
            "active_secrets": found.active_secrets,
            "expired_secrets": found.total_secrets - found.active_secrets,
            "total_views": found.total_views,
            "secrets_with_password": found.secrets_with_passcode,
            "secrets_created_today": found.created_today,
            "secrets_created_this_week": found.created_this_week,
            "secrets_created_this_month": found.created_this_month,
        }
        return json_response(_said("Secrets statistics retrieved successfully", data))

    async def health(self, call: RequestContext) -> Response:
        return json_response({**_said("The API answers", {"status": "healthy"}), "status": "healthy"})

    async def no_requests(self, call: RequestContext, token: str | None = None) -> Response:
        raise Forbidden("Secret requests are not supported by this server")

    def refusal(self, error: SecLinkError) -> Refusal:
        status, code = SAID.get(error.status, (error.status, error.code.upper()))
        message = MISSING if error.code == "gone" else error.message
        details: dict[str, list[str]] = {}
        for name, wrong in self.faults(error):
            details.setdefault(name, []).append(f"{name} {wrong}")
        if details:
            message = next(iter(details.values()))[0]
        if "expiration_hours" in details:
            details["expiration"] = details["expiration_hours"]  # as its documentation calls it
        told = {"code": code, "message": message, **({"details": details} if details else {})}
        return status, {"success": False, "message": message, "error": told}

    def _url(self, receipt: Receipt) -> str:
        return f"{self.public_url}/{receipt.link_id}"

    async def _find(self, call: RequestContext, slug: str) -> Receipt:
        """The receipt of a secret of whoever asks, ended or not. To an admin, too, others' are not there."""
        try:
            receipt_id = await self.receipt_id(slug if tokens.DRAWN_ID.fullmatch(slug) else "")
            found = await self.vault.receipts.get(receipt_id, call.actor, None, self.now())
        except NotFound:
            raise NotFound(MISSING) from None
        if not found.link_id:
            raise NotFound(MISSING)
        return found

    def _item(self, receipt: Receipt) -> dict[str, Any]:
        has_ended = receipt.state != State.ACTIVE
        ended = [each.at for each in receipt.events if has_ended and each.type == receipt.state]
        # Where there may be attachments, it is their reader alone who learns of them.
        none: dict[str, Any] = (
            {} if self.section.allow_attachments else {"has_attachments": False, "attachments_count": 0}
        )
        return {
            "slug": receipt.link_id,
            "description": receipt.label,
            "message": receipt.public_note,
            "creator": receipt.account,
            "maximum_views": MAX_VIEWS if receipt.max_views is None else receipt.max_views,
            "current_views": receipt.views,
            "expiration": iso(receipt.expires_at, "microseconds"),
            "has_password": receipt.passcode_required,
            **none,
            "is_expired": has_ended,
            "status": "expired" if has_ended else "active",
            "created_at": iso(receipt.created_at, "microseconds"),
            "updated_at": iso(max([receipt.created_at, *ended]), "microseconds"),
        }

    def _faults_of(self, sent: SharokeyCreate) -> Iterator[Fault]:
        yield from _sealed("content", sent.content)
        yield from _sealed("iv", sent.iv, exactly=12)
        yield from _sealed("salt", sent.salt, exactly=16)
        if not KEY_HALF.fullmatch(sent.key or ""):
            yield Fault("key", "must be 8 letters and digits", "wrong_format")
        yield from _between("maximum_views", sent.maximum_views, MAX_VIEWS)
        most = min(MAX_HOURS, int(self.parts.config.expiry.max) // 3600)
        yield from _between("expiration_hours", sent.expiration_hours, most)
        if sent.password and not 4 <= len(sent.password) <= 100:
            code: FaultCode = "too_short" if len(sent.password) < 4 else "too_long"
            yield Fault("password", "must have 4 to 100 characters", code, Limit(4, 100))
        for name in ReaderRestrictions.__struct_fields__:
            if getattr(sent, name):
                yield Fault(name, UNSUPPORTED, "unsupported")
        if sent.attachments and not self.section.allow_attachments:
            yield Fault("attachments", NO_ATTACHMENTS, "unsupported")
        elif sent.attachments:
            for number, each in enumerate(sent.attachments):
                yield from _sealed(f"attachments.{number}.data", each.data)


def _route(method: Any, path: str, handler: Handler, summary: str, admission: AccessRule) -> Operation:
    return Operation(method=method, path=f"/api/v1{path}", handler=handler, summary=summary, admission=admission)


def _said(message: str, data: Any) -> dict[str, Any]:
    return {"success": True, "message": message, "data": data}


def _sealed(name: str, text: str | None, exactly: int | None = None) -> Iterator[Fault]:
    """What is wrong with base64 of so many bytes, or of at least what AES-GCM makes of nothing."""
    if not text:
        yield Fault(name, "is required", "required")
        return
    try:
        count = len(json_body.decode_base64(name, text))
    except BadRequest as error:
        yield from error.faults
        return
    if count < TAG_BYTES if exactly is None else count != exactly:
        message = f"must be base64 of {exactly or f'at least {TAG_BYTES}'} bytes"
        yield Fault(name, message, "wrong_format")


def _between(name: str, number: int, most: int) -> Iterator[Fault]:
    if not 1 <= number <= most:
        yield Fault(name, f"must be between 1 and {most}", "out_of_range", Limit(1, most))


def _query(query: bytes) -> dict[str, str]:
    """What a list is asked for; empty is not asked, and what is not known is ignored. Raises BadRequest."""
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict")
    except ValueError:
        raise BadRequest("The query cannot be read") from None
    raise_faults(_query_faults(pairs))
    return dict(pairs)


def _query_faults(pairs: list[tuple[str, str]]) -> Iterator[Fault]:
    asked, names = dict(pairs), [name for name, _ in pairs]
    for name in ("limit", "page", "status", "creator", "search"):
        if names.count(name) > 1:
            yield Fault(name, "is given twice", "duplicate")
    if asked.get("status", "active") not in ("active", "expired"):
        yield Fault("status", "must be active or expired", "not_one_of")
    for name, most in (("page", 1_000_000), ("limit", MAX_LISTED)):
        text = asked.get(name, "1")
        yield from _between(name, int(text) if NUMBER.fullmatch(text) else 0, most)

"""Sharokey: the Secrets API that its Python and JavaScript clients speak.

    create   POST   /api/v1/secrets            returns access_url; the client appends `#` and its half of the key
    list     GET    /api/v1/secrets            limit, page, status (active or expired), creator, search
    details  GET    /api/v1/secrets/{slug}     spends no view
    delete   DELETE /api/v1/secrets/{slug}     erases the payload; list and details still show the secret, as expired
    stats    GET    /api/v1/secrets-stats
    health   GET    /api/v1/health
    me       GET    /api/v1/auth/me            the account of the key
    requests        /api/v1/requests...        asking others for a secret: not supported

A slug is a native linkId, and its link a native link. The server stores one half of the key beside the payload and
never receives the other. The password arrives in the clear and guards only the release. The description is the label,
with a line for each attachment's name, the message the public note; both are erased with the secret. Revealed and
burned secrets are "expired", too.
"""

from collections.abc import Iterator
from re import compile as pattern
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qsl

from msgspec import Meta, Struct

from seclink.dialects.base import (
    NO_IV,
    TAG_BYTES,
    UNSUPPORTED,
    Dialect,
    ErrorBody,
    base64_faults,
    hash_password,
    iso,
    pack_payload,
    range_faults,
)  # fmt: skip
from seclink.domain import tokens
from seclink.domain.policy import MAX_VIEWS, raise_faults
from seclink.errors import BadRequest, Fault, FaultCode, Forbidden, Limit, NotFound, SecLinkError
from seclink.model import Filter, NewSecret, Page, Receipt, Scope, State
from seclink.web.admission import AccessRule
from seclink.web.request import RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Handler, Operation

KEY_HALF, NUMBER = pattern("[A-Za-z0-9]{8}"), pattern("[0-9]{1,7}")
MAX_HOURS, MAX_LISTED = 8760, 1000
CREATE = AccessRule(rate="create", scopes=(Scope.CREATE,), needs_key=True)
MANAGE = AccessRule(rate="peek", scopes=(Scope.MANAGE,), needs_key=True)
# Any query is accepted, because its clients send search texts unescaped.
SEARCH = AccessRule(rate="peek", scopes=(Scope.MANAGE,), needs_key=True, query=None)
STATUS_MAP = {
    400: (422, "VALIDATION_ERROR"),
    401: (401, "AUTHENTICATION_ERROR"),
    403: (403, "PERMISSION_DENIED"),
    410: (404, "NOT_FOUND"),
    507: (403, "QUOTA_EXCEEDED"),  # on a 5xx its clients retry three times
}
ATTACHED = "\n\N{PAPERCLIP} "  # before the name of an attachment in the label
MAX_ATTACHMENTS, MAX_ATTACHED_BYTES, MAX_DESCRIPTION = 10, 10 * 2**20, 255
MISSING = "Secret not found or expired"
NO_ATTACHMENTS = (
    "are not accepted: clients of this system seal them with the key and iv of the content, so anyone who knows one "
    "attachment can read the rest without the key"
)


class Attachment(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    data: str


class ReaderRestrictions(Struct):
    """Conditions that a sender can set for the reader. None of them is supported."""

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
    member_names: ClassVar = {"encryptedBlob": "content", "publicNote": "message", "label": "description"}
    allowed_headers = "Content-Type, Authorization, Accept, User-Agent"
    sign = (b"user-agent", b"Sharokey-")

    def operations(self) -> Iterator[Operation]:
        yield _route("POST", "/secrets", self.create, "Create a secret", CREATE)
        yield _route("GET", "/secrets", self.list_secrets, "List the account's secrets, newest first", SEARCH)
        yield _route("GET", "/secrets/{slug:str}", self.details, "Describe a secret; changes nothing", MANAGE)
        yield _route("DELETE", "/secrets/{slug:str}", self.delete, "Erase a secret", MANAGE)
        yield _route("GET", "/secrets-stats", self.stats, "Count the account's secrets", MANAGE)
        yield _route("GET", "/health", self.health, "Report availability", AccessRule(rate="peek", query=None))
        yield _route("GET", "/auth/me", self.me, "Describe the account", AccessRule(rate="peek", needs_key=True))
        for path in ("/requests", "/requests/{token:str}", "/requests-stats"):
            for method in ("GET", "POST", "DELETE"):
                yield _route(method, path, self.no_requests, "Not supported: ask others for a secret", SEARCH)

    async def create(self, request: RequestContext) -> Response:
        body, _ = await self.read(request, SharokeyCreate)
        raise_faults(self._create_faults(body))
        files = body.attachments or None
        new = NewSecret(
            payload=pack_payload(content=body.content, iv=body.iv, salt=body.salt, key=body.key, attachments=files),
            iv=NO_IV,
            format=self.name,
            expiry_type="custom",
            ttl_seconds=body.expiration_hours * 3600,
            max_views=body.maximum_views,
            passcode_hash=hash_password(body.password),
            public_note=(body.message or "").replace("\r\n", "\n") or None,
            label=ATTACHED.join((body.description or "", *(file.name for file in files or ()))) or None,
        )
        created = await self.create_secret(request, new)
        token = created.manage_token
        receipt = await self.vault.receipts.get(created.receipt_id, request.actor, token, self.now())
        data = {
            **self._describe(receipt),
            **dict.fromkeys(("has_captcha", "has_otp", "has_ip_restriction", "has_geo_restriction"), False),
            "expires_in_hours": body.expiration_hours,
            "access_url": f"{self.link_base(request)}/{created.link_id}",
        }
        return json_response(_success("Secret created successfully", data), 201)

    async def list_secrets(self, request: RequestContext) -> Response:
        query, account = _query(request.scope["query_string"]), request.actor.account
        filter = Filter(
            account=account,
            format=self.name,
            has_ended=query["status"] == "expired" if "status" in query else None,
            search=query.get("search"),
            page=int(query.get("page", 1)),
            limit=int(query.get("limit", 50)),
        )
        page = Page(receipts=(), page=filter.page, limit=filter.limit, total=0)
        if query.get("creator", account) == account:
            page = await self.vault.receipts.list(filter, self.now())
        pagination = {
            "current_page": page.page,
            "per_page": page.limit,
            "total": page.total,
            "last_page": max(1, -(-page.total // page.limit)),
        }
        document = _success("Secrets retrieved successfully", [self._describe(receipt) for receipt in page.receipts])
        return json_response(document | {"pagination": pagination, "meta": pagination})

    async def details(self, request: RequestContext, slug: str) -> Response:
        receipt = await self._receipt(request, slug)
        restrictions = {"captcha": False, "otp_type": None, "ip_whitelist": None, "geolocation": None}
        _, *names = (receipt.label or "").split(ATTACHED)
        urls = dict.fromkeys(("share_url", "access_url"), f"{self.link_base(request)}/{receipt.link_id}")
        data = self._describe(receipt) | {"attachments": [{"name": name} for name in names]} | restrictions | urls
        return json_response({"success": True, "data": data})

    async def delete(self, request: RequestContext, slug: str) -> Response:
        receipt = await self._receipt(request, slug)
        await self.vault.receipts.burn(receipt, request.actor, self.now())
        return json_response(_success("Secret deleted successfully", None))

    async def stats(self, request: RequestContext) -> Response:
        counts = await self.vault.receipts.stats(request.actor.account or "", self.now(), self.name)
        data = {
            "total_secrets": counts.total_secrets,
            "active_secrets": counts.active_secrets,
            "expired_secrets": counts.total_secrets - counts.active_secrets,
            "total_views": counts.total_views,
            "secrets_with_password": counts.secrets_with_passcode,
            "secrets_created_today": counts.created_today,
            "secrets_created_this_week": counts.created_this_week,
            "secrets_created_this_month": counts.created_this_month,
        }
        return json_response(_success("Secrets statistics retrieved successfully", data))

    async def health(self, request: RequestContext) -> Response:
        return json_response(_success("The API is available", {"status": "healthy"}) | {"status": "healthy"})

    async def me(self, request: RequestContext) -> Response:
        return json_response(_success("The token is valid", dict.fromkeys(("name", "email"), request.actor.account)))

    async def no_requests(self, request: RequestContext, token: str | None = None) -> Response:
        raise Forbidden("Secret requests are not supported by this server")

    def render_error(self, error: SecLinkError) -> ErrorBody:
        status, code = STATUS_MAP.get(error.status, (error.status, error.code.upper()))
        message = MISSING if error.code == "gone" else error.message
        details: dict[str, list[str]] = {}
        for name, reason in self.member_faults(error):
            details.setdefault(name, []).append(f"{name} {reason}")
        if details:
            message = next(iter(details.values()))[0]
        if "expiration_hours" in details:
            details["expiration"] = details["expiration_hours"]  # as its documentation calls it
        body = {"code": code, "message": message, **({"details": details} if details else {})}
        return status, {"success": False, "message": message, "error": body}

    async def _receipt(self, request: RequestContext, slug: str) -> Receipt:
        try:
            return await self.own_receipt(request, slug if tokens.DRAWN_ID.fullmatch(slug) else "")
        except NotFound:
            raise NotFound(MISSING) from None

    def _describe(self, receipt: Receipt) -> dict[str, Any]:
        has_ended = receipt.state != State.ACTIVE
        ended_at = [event.at for event in receipt.events if has_ended and event.type == receipt.state]
        description, *names = (receipt.label or "").split(ATTACHED)
        return {
            "slug": receipt.link_id,
            "description": description or None,
            "message": receipt.public_note,
            "creator": receipt.account,
            "maximum_views": MAX_VIEWS if receipt.max_views is None else receipt.max_views,
            "current_views": receipt.views,
            "expiration": iso(receipt.expires_at, "microseconds"),
            "has_password": receipt.passcode_required,
            "has_attachments": bool(names),
            "attachments_count": len(names),
            "is_expired": has_ended,
            "status": "expired" if has_ended else "active",
            "created_at": iso(receipt.created_at, "microseconds"),
            "updated_at": iso(max([receipt.created_at, *ended_at]), "microseconds"),
        }

    def _create_faults(self, body: SharokeyCreate) -> Iterator[Fault]:
        yield from base64_faults("content", body.content)
        yield from base64_faults("iv", body.iv, exact_bytes=12)
        yield from base64_faults("salt", body.salt, exact_bytes=16)
        if not KEY_HALF.fullmatch(body.key or ""):
            yield Fault("key", "must be 8 letters and digits", "wrong_format")
        yield from range_faults("maximum_views", body.maximum_views, MAX_VIEWS)
        max_hours = min(MAX_HOURS, int(self.context.config.expiry.max) // 3600)
        yield from range_faults("expiration_hours", body.expiration_hours, max_hours)
        if body.password and not 4 <= len(body.password) <= 100:
            code: FaultCode = "too_short" if len(body.password) < 4 else "too_long"
            yield Fault("password", "must have 4 to 100 characters", code, Limit(4, 100))
        for name in ReaderRestrictions.__struct_fields__:
            if getattr(body, name):
                yield Fault(name, UNSUPPORTED, "unsupported")
        if body.attachments and not self.options.allow_attachments:
            yield Fault("attachments", NO_ATTACHMENTS, "unsupported")
        else:
            yield from _attachment_faults(body.attachments or [])
        if len(body.description or "") > MAX_DESCRIPTION or ATTACHED in (body.description or ""):
            message = f"must have at most {MAX_DESCRIPTION} characters, and no list of attachments"
            yield Fault("description", message, "too_long", Limit(max=MAX_DESCRIPTION))


def _route(method: Any, path: str, handler: Handler, summary: str, access_rule: AccessRule) -> Operation:
    return Operation(method=method, path=f"/api/v1{path}", handler=handler, summary=summary, access_rule=access_rule)


def _success(message: str, data: Any) -> dict[str, Any]:
    return {"success": True, "message": message, "data": data}


def _attachment_faults(attachments: list[Attachment]) -> Iterator[Fault]:
    for number, attachment in enumerate(attachments):
        yield from base64_faults(f"attachments.{number}.data", attachment.data)
        if not attachment.name.isprintable():
            yield Fault(f"attachments.{number}.name", "must not contain control characters", "control_characters")
    size = sum(len(file.data) * 3 // 4 - TAG_BYTES - 2 for file in attachments)
    if len(attachments) > MAX_ATTACHMENTS or size > MAX_ATTACHED_BYTES:
        yield Fault("attachments", f"must be at most {MAX_ATTACHMENTS}, of 10 MB in all", "too_long")


def _query(query: bytes) -> dict[str, str]:
    """Return a list's parameters, without the empty ones. Unknown ones are ignored. Raises BadRequest."""
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict")
    except ValueError:
        raise BadRequest("The query cannot be read") from None
    raise_faults(_query_faults(pairs))
    return dict(pairs)


def _query_faults(pairs: list[tuple[str, str]]) -> Iterator[Fault]:
    query, names = dict(pairs), [name for name, _ in pairs]
    for name in ("limit", "page", "status", "creator", "search"):
        if names.count(name) > 1:
            yield Fault(name, "is given twice", "duplicate")
    if query.get("status", "active") not in ("active", "expired"):
        yield Fault("status", "must be active or expired", "not_one_of")
    for name, max_value in (("page", 1_000_000), ("limit", MAX_LISTED)):
        text = query.get(name, "1")
        yield from range_faults(name, int(text) if NUMBER.fullmatch(text) else 0, max_value)

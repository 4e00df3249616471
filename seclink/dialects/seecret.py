"""Seecret.it: https://seecret.it/en/doc-api, one path and six operations, sent as forms.

    POST /api       operation=create_seecret, update_, get_ or delete_seecret, list_seecrets, get_account
    POST /api.php   the same in JSON, with other names: content, expiration ("24h"), views
    page /_{id}     the key is in the fragment

Its clients send plaintext. The server seals it on arrival under a random key, which it returns once, in the url; text,
key and password are neither stored nor logged. But anyone who controls the server, or the proxy that ends its TLS, can
read each of them as it arrives: the dialect is off until the operator enables it, and every start logs a warning. A
password guards the release and is no part of the key.

`get_seecret` returns the url without its key, which the server does not know. `cle` on an update is that key: it proves
access like a recipient's request, and the new text is sealed with it, so the url does not change. CODE is the status.
"""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from re import compile as pattern
from secrets import token_bytes
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from seclink.config.dialects import DialectRow
from seclink.config.durations import parse_duration
from seclink.dialects.base import Dialect, DialectContext, ErrorBody, bad_member, hash_password, iso
from seclink.domain.policy import MIN_SECONDS
from seclink.errors import AccessDenied, Forbidden, Gone, NotActive, NotFound, SecLinkError
from seclink.format import envelope
from seclink.model import Edit, Filter, NewSecret, Receipt, Scope, State
from seclink.web import forms, json_body
from seclink.web.admission import AccessRule
from seclink.web.request import RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Operation

DAY_SECONDS, DEFAULT_DAYS, MAX_DAYS = 86_400, 7, 60
STATUS_MAP = {State.ACTIVE: "pending", State.REVEALED: "viewed", State.EXPIRED: "expired", State.BURNED: "deleted"}
MAX_PARSERS = 2  # forms parsed at the same time: parsing a large one takes several times its memory
ID_LENGTH, KEY = 6, pattern("[A-Za-z0-9_-]{43}")
INTEGERS = {"number_view", "view_notification", "split_link", "split_link_required", "delete_password", "page", "limit"}
LISTS, JSON_NAMES = ("country_block",), {"content": "seecret", "views": "number_view"}
Lang = Literal["fr", "en", "es", "ru"]
Views = Annotated[int, Meta(ge=1, le=1000)]
Json = dict[str, Any]
Handler = Callable[[RequestContext, Json], Awaitable[Json]]


class SeecretAttributes(Struct, kw_only=True):
    """The members that create and update share. Those from `view_notification` on ask for unsupported features."""

    expiration_date: date | UnsetType = UNSET
    expiration: str = ""
    password: str = ""
    note: str = ""
    view_notification: Literal[0, 1] = 0
    recipient_email: str = ""
    domain: str = ""
    country_block: list[str] = []
    split_link: Annotated[int, Meta(ge=1, le=10)] = 1
    split_link_required: Annotated[int, Meta(ge=0, le=10)] = 0

    def __post_init__(self) -> None:
        self.note = self.note.replace("\r\n", "\n")  # forms send CR LF


A = TypeVar("A", bound=SeecretAttributes)


class SeecretCreate(SeecretAttributes, kw_only=True):
    lang: Lang
    seecret: str
    number_view: Views = 1


class SeecretUpdate(SeecretAttributes, kw_only=True):
    id: str
    cle: str = ""
    lang: Lang = "en"
    seecret: str = ""
    number_view: Views | UnsetType = UNSET
    delete_password: Literal[0, 1] = 0


class SeecretReference(Struct):
    id: str


class SeecretFilter(Struct):
    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    status: Literal["", "pending", "viewed", "expired", "deleted"] = ""
    search: Annotated[str, Meta(max_length=200)] = ""


MEMBERS = {"operation"}.union(*(kind.__struct_fields__ for kind in (SeecretCreate, SeecretUpdate, SeecretFilter)))


class Seecret(Dialect):
    member_names: ClassVar = {
        "encryptedBlob": "seecret", "expiresIn": "expiration_date", "label": "note", "maxViews": "number_view"
    }  # fmt: skip
    allowed_methods = "POST, OPTIONS"

    def __init__(self, row: DialectRow, context: DialectContext, options: Any) -> None:
        super().__init__(row, context, options)
        self._parsers = asyncio.Semaphore(MAX_PARSERS)

    def operations(self) -> Iterator[Operation]:
        rule, summary = AccessRule(rate="create", needs_key=True), "Do what the member `operation` names"
        for path, handler in (("/api", self.operate), ("/api.php", self.operate_json)):
            yield Operation(method="POST", path=path, handler=handler, summary=summary, access_rule=rule)

    async def operate(self, request: RequestContext) -> Response:
        body, content_type = await request.body(), request.header(b"content-type")
        async with self._parsers:  # in a thread: unquoting a large form would block the event loop
            form = await asyncio.to_thread(forms.parse, body, content_type, LISTS)
        return json_response(await self._operate(request, form))

    async def operate_json(self, request: RequestContext) -> Response:
        body = await request.body()
        json_body.check_type(request.header(b"content-type"))
        form = forms.from_document(json_body.decode(body), LISTS, JSON_NAMES)
        document = await self._operate(request, {"lang": "en"} | form)
        url = document.get("data", {}).get("url")
        return json_response(document | ({"url": url} if url else {}))

    async def _operate(self, request: RequestContext, form: Json) -> Json:
        operations: dict[str, tuple[Scope | None, Handler]] = {
            "create_seecret": (Scope.CREATE, self.create),
            "update_seecret": (Scope.MANAGE, self.update),
            "get_seecret": (Scope.MANAGE, self.details),
            "list_seecrets": (Scope.MANAGE, self.list_secrets),
            "delete_seecret": (Scope.MANAGE, self.delete),
            "get_account": (None, self.account),
        }
        # Ignoring one would create a secret without the password, or the blocked countries, that it stands for.
        self.reject_unsupported(**{name[:64]: True for name in sorted(form.keys() - MEMBERS)})
        forms.check_integers(form, INTEGERS)
        if form.get("operation") not in operations:
            raise bad_member("operation", f"must be one of {', '.join(operations)}", "not_one_of")
        scope, handler = operations[form["operation"]]
        if scope is not None and not request.actor.may(scope):
            raise Forbidden(f"The API key lacks the scope {scope}")
        try:
            return {"CODE": 200, **await handler(request, form)}
        except NotFound:  # the same message whether the secret does not exist or belongs to another account
            raise Forbidden("Your account has no such secret") from None

    async def create(self, request: RequestContext, form: Json) -> Json:
        members = self._read_members(form, SeecretCreate)
        base = self.link_base(request, members.domain, "domain")
        key = token_bytes(envelope.KEY_BYTES)
        iv, payload, keys = _seal(key, members.seecret)
        new = NewSecret(
            payload=payload,
            iv=iv,
            format=self.name,
            expiry_type="custom",
            ttl_seconds=self._ttl_seconds(members),
            max_views=members.number_view,
            passcode_hash=hash_password(members.password),
            access_hash=keys.access_hash,
            label=members.note or None,
        )
        created = await self.create_with_short_id(request, new, ID_LENGTH)
        urls = self._urls(base, created.link_id, _encode_key(key))
        return {"MESSAGE": "Secret created successfully", "data": urls | {"expires_at": created.expires_at}}

    async def update(self, request: RequestContext, form: Json) -> Json:
        members = self._read_members(form, SeecretUpdate)
        if members.seecret and not members.cle:
            raise bad_member("cle", "is missing", "required")
        if members.password and members.delete_password:
            raise bad_member("delete_password", "must not come with another password", "conflict")
        base = self.link_base(request, members.domain, "domain")
        receipt = await self.own_receipt(request, self.link_id(members.id))
        changed = await self.vault.receipts.update(receipt, self._edit(members), request.actor, self.now())
        data = self._urls(base, changed.link_id, members.cle) | {"expires_at": changed.expires_at}
        return {"MESSAGE": "Secret updated successfully", "data": data}

    async def details(self, request: RequestContext, form: Json) -> Json:
        receipt = await self.own_receipt(request, self.link_id(json_body.convert(form, SeecretReference).id))
        viewed = [{"date": iso(event.at)} for event in receipt.events if event.type == State.REVEALED]
        return {"data": self._describe(request, receipt) | {"views_log": viewed, "files": []}}

    async def list_secrets(self, request: RequestContext, form: Json) -> Json:
        members = json_body.convert(form, SeecretFilter, strict=False)
        state = next((state for state, status in STATUS_MAP.items() if status == members.status), None)
        account, search, page, limit = request.actor.account, members.search or None, members.page, members.limit
        filter = Filter(account=account, format=self.name, state=state, search=search, page=page, limit=limit)
        listed = await self.vault.receipts.list(filter, self.now())
        secrets = [self._describe(request, receipt) for receipt in listed.receipts]
        return {"data": {"total": listed.total, "page": page, "limit": limit, "secrets": secrets}}

    async def delete(self, request: RequestContext, form: Json) -> Json:
        receipt = await self.own_receipt(request, self.link_id(json_body.convert(form, SeecretReference).id))
        await self.vault.receipts.burn(receipt, request.actor, self.now())
        return {"MESSAGE": "Secret deleted successfully"}

    async def account(self, request: RequestContext, form: Json) -> Json:
        key = request.actor.key
        assert key is not None  # noqa: S101  the access rule needs a key
        counts = await self.vault.receipts.stats(key.account, self.now(), self.name)
        stats = {status: getattr(counts, f"{state}_secrets") for state, status in STATUS_MAP.items()}
        data = {"email": key.account, "subscription_active": True, "api_token": f"{key.prefix}..."}
        return {"data": data | {"stats": {"total": counts.total_secrets} | stats}}

    def render_error(self, error: SecLinkError) -> ErrorBody:
        faults = "; ".join(f"{name}: {message}" for name, message in self.member_faults(error))
        code, message = error.status, faults or error.message
        if isinstance(error, Gone | NotActive):
            code, message = 400, "The secret has ended"
        elif isinstance(error, AccessDenied):
            code, message = 403, "cle is not the key of this secret"
        return code, {"CODE": code, "MESSAGE": message}

    def _read_members(self, form: Json, kind: type[A]) -> A:
        """Parse a form and reject unsupported features. Raises BadRequest."""
        members = json_body.convert(form, kind, strict=False)
        self.reject_unsupported(
            view_notification=members.view_notification,
            recipient_email=members.recipient_email,
            country_block=members.country_block,
            split_link=members.split_link > 1,
            split_link_required=members.split_link_required > 1,
        )
        return members

    def _ttl_seconds(self, members: SeecretAttributes) -> int:
        """Return the seconds of `expiration`, or to the end of `expiration_date` in UTC, or to the latest allowed
        instant if that falls on this day.
        """
        now, limit = self.now() // 1000, min(MAX_DAYS * DAY_SECONDS, int(self.context.config.expiry.max))
        day = members.expiration_date
        if members.expiration:
            with contextlib.suppress(ValueError):
                if not day and MIN_SECONDS <= (seconds := parse_duration(members.expiration)) <= limit:
                    return seconds
            message = f"must be a lifetime like 24h, up to {limit // DAY_SECONDS} days, without expiration_date"
            raise bad_member("expiration", message, "out_of_range")
        if day is UNSET:
            return min(DEFAULT_DAYS * DAY_SECONDS, limit)
        last_second = int(datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC).timestamp())
        if not now < last_second < now + limit + DAY_SECONDS:
            raise bad_member("expiration_date", f"must be today or within {limit // DAY_SECONDS} days", "out_of_range")
        return min(last_second - now, limit)

    def _edit(self, members: SeecretUpdate) -> Edit:
        edit = Edit(
            ttl_seconds=self._ttl_seconds(members) if members.expiration or members.expiration_date else UNSET,
            max_views=members.number_view,
            label=members.note or UNSET,
            passcode_hash=hash_password(members.password) or (None if members.delete_password else UNSET),
        )
        if not members.cle:
            return edit
        iv, payload, keys = _seal(_decode_key(members.cle), members.seecret)
        sealed = {"iv": iv, "payload": payload} if members.seecret else {}
        return replace(edit, access=keys.access, **sealed)

    def _describe(self, request: RequestContext, receipt: Receipt) -> Json:
        return {
            **self._urls(self.link_base(request), receipt.link_id),
            "status": STATUS_MAP[receipt.state],
            "expiration_date": iso(receipt.expires_at)[:10],
            "expires_at": receipt.expires_at,
            "created_at": receipt.created_at,
            "views_count": receipt.views,
            "views_max": receipt.max_views,
            "has_password": receipt.passcode_required,
            "note": receipt.label or "",
        }

    def _urls(self, base: str, link_id: str, key: str = "") -> Json:
        foreign_id = self.foreign_id(link_id)
        url = f"{base}/_{foreign_id}" + (f"#{key}" if key else "")
        return {"id": foreign_id, "url": url, "url_short": url}


def _seal(key: bytes, text: str) -> tuple[bytes, bytes, envelope.Keys]:
    """Return a random iv, the envelope, and the keys derived from `key`."""
    keys, iv = envelope.derive(key), token_bytes(envelope.IV_BYTES)
    return iv, envelope.seal(keys.content_key, iv, {"type": "text"}, text.encode()), keys


def _encode_key(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def _decode_key(text: str) -> bytes:
    """Return the key in a url's fragment. Raises AccessDenied for a malformed one, as for any wrong key."""
    key = base64.urlsafe_b64decode(text + "=") if KEY.fullmatch(text) else b""
    if _encode_key(key) != text:
        raise AccessDenied()
    return key

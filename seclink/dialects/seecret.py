"""Seecret.it: https://seecret.it/en/doc-api, one address and six operations, as forms.

    POST /api       operation=create_seecret, update_, get_ or delete_seecret, list_seecrets, get_account
    page /_{id}     the key is in the fragment

Its clients send plaintext to this server. It is sealed here on arrival, under a key that is drawn for it and told once,
in the url; text, key and password are neither kept nor logged. Yet whoever controls the server, or the proxy that ends
its TLS, can read each of them as it comes in: so it is off until the operator turns it on, and every start says it. A
password guards the release and is no part of the key.

`get_seecret` gives the url without its key, which nobody here knows. `cle` on an update is that key: it must give the
proof that a reader gives, and the new text is sealed with it, so the url stays what it was. CODE is the status.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from re import compile as pattern
from secrets import token_bytes
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from seclink.dialects.base import Dialect, DialectContext, Refusal, T, iso, password_hash, refuse_misspelt
from seclink.domain.policy import raise_faults
from seclink.errors import AccessDenied, BadRequest, Fault, Forbidden, Gone, NotActive, NotFound, SecLinkError
from seclink.format import envelope
from seclink.model import Edit, Filter, NewSecret, Receipt, Scope, State
from seclink.web import forms, json_body
from seclink.web.admission import AccessRule
from seclink.web.request import RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Operation

DAY, DAYS, MOST_DAYS = 86_400, 7, 60
STATUS = {State.ACTIVE: "pending", State.REVEALED: "viewed", State.EXPIRED: "expired", State.BURNED: "deleted"}
FORMS = 2  # that are read at the same time: a large one takes the room of several
ID, KEY, WHOLE = pattern("[A-Za-z0-9]{6}"), pattern("[A-Za-z0-9_-]{43}"), pattern("-?[0-9]{1,10}")
NUMBERS = {"number_view", "view_notification", "split_link", "split_link_required", "delete_password", "page", "limit"}
Lang = Literal["fr", "en", "es", "ru"]
Views = Annotated[int, Meta(ge=1, le=1000)]
Members = dict[str, Any]
Operate = Callable[[RequestContext, Members], Awaitable[Members]]


class SeecretOptionsMember(Struct, kw_only=True):
    """What a sender may say of a secret. The first few are kept to here, the others are not."""

    expiration_date: date | UnsetType = UNSET
    password: str = ""
    note: str = ""
    view_notification: Literal[0, 1] = 0
    recipient_email: str = ""
    domain: str = ""
    country_block: list[str] = []
    split_link: Annotated[int, Meta(ge=1, le=10)] = 1
    split_link_required: Annotated[int, Meta(ge=0, le=10)] = 0


class SeecretCreate(SeecretOptionsMember, kw_only=True):
    lang: Lang
    seecret: str
    number_view: Views = 1


class SeecretUpdate(SeecretOptionsMember, kw_only=True):
    id: str
    cle: str = ""
    lang: Lang = "en"
    seecret: str = ""
    number_view: Views | UnsetType = UNSET
    delete_password: Literal[0, 1] = 0


class SeecretById(Struct):
    id: str


class SeecretListing(Struct):
    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    status: Literal["", "pending", "viewed", "expired", "deleted"] = ""
    search: Annotated[str, Meta(max_length=200)] = ""


class Seecret(Dialect):
    name = "seecret"
    page = pattern("/_[A-Za-z0-9]{6}")
    fields: ClassVar = {
        "encryptedBlob": "seecret", "expiresIn": "expiration_date", "label": "note", "maxViews": "number_view"
    }  # fmt: skip
    methods = "POST, OPTIONS"
    warning = (
        "its clients send plaintext: this server seals it on arrival and keeps only ciphertext, but whoever controls "
        "the server or its TLS proxy can read it"
    )

    def __init__(self, parts: DialectContext, section: Any) -> None:
        super().__init__(parts, section)
        self._reading = asyncio.Semaphore(FORMS)

    def operations(self) -> Iterator[Operation]:
        yield Operation(
            method="POST",
            path="/api",
            handler=self.operate,
            summary="Whatever its member `operation` says",
            admission=AccessRule(rate="create", needs_key=True),
        )

    async def operate(self, call: RequestContext) -> Response:
        body, content_type = await call.body(), call.header(b"content-type")
        async with self._reading:  # unquoting a large one takes a while, for which nobody else shall wait
            sent = await asyncio.to_thread(forms.parse, body, content_type, ("country_block",))
        operations: dict[str, tuple[Scope | None, Operate]] = {
            "create_seecret": (Scope.CREATE, self.create),
            "update_seecret": (Scope.MANAGE, self.update),
            "get_seecret": (Scope.MANAGE, self.look),
            "list_seecrets": (Scope.MANAGE, self.browse),
            "delete_seecret": (Scope.MANAGE, self.delete),
            "get_account": (None, self.account),
        }
        if sent.get("operation") not in operations:
            message = f"must be one of {', '.join(operations)}"
            raise BadRequest(faults=(Fault("operation", message, "not_one_of"),))
        scope, operation = operations[sent["operation"]]
        if scope is not None and not call.actor.may(scope):
            raise Forbidden(f"The API key lacks the scope {scope}")
        try:
            return json_response({"CODE": 200, **await operation(call, sent)})
        except NotFound:  # the same words whether there is none or it is another's
            raise Forbidden("Your account has no such secret") from None

    async def create(self, call: RequestContext, sent: Members) -> Members:
        wanted = _wanted(sent, SeecretCreate)
        refuse_misspelt(sent, SeecretCreate)
        self._refuse_gates(wanted)
        key = token_bytes(envelope.KEY_BYTES)
        iv, payload, keys = _sealed(key, wanted.seecret)
        new = NewSecret(
            payload=payload,
            iv=iv,
            format=self.name,
            expiry_type="custom",
            ttl_seconds=self._seconds(wanted.expiration_date),
            max_views=wanted.number_view,
            passcode_hash=password_hash(wanted.password),
            access_hash=keys.access_hash,
            label=_note(wanted) or None,
        )
        made = await self.create_with_short_id(call, new, 6)
        data = self._addresses(made.link_id, _written(key)) | {"expires_at": made.expires_at}
        return {"MESSAGE": "Secret created successfully", "data": data}

    async def update(self, call: RequestContext, sent: Members) -> Members:
        wanted = _wanted(sent, SeecretUpdate)
        refuse_misspelt(sent, SeecretUpdate)
        self._refuse_gates(wanted)
        if wanted.seecret and not wanted.cle:
            raise BadRequest(faults=(Fault("cle", "is missing", "required"),))
        if wanted.password and wanted.delete_password:
            raise BadRequest(faults=(Fault("delete_password", "must not come with another password", "conflict"),))
        receipt = await self._own(call, wanted.id)
        edit = self._edit(wanted)
        changed = await self.vault.receipts.update(receipt.receipt_id, edit, call.actor, None, self.now())
        data = self._addresses(changed.link_id, wanted.cle) | {"expires_at": changed.expires_at}
        return {"MESSAGE": "Secret updated successfully", "data": data}

    async def look(self, call: RequestContext, sent: Members) -> Members:
        return {"data": self._described(await self._own(call, json_body.convert(sent, SeecretById).id))}

    async def browse(self, call: RequestContext, sent: Members) -> Members:
        wanted = _wanted(sent, SeecretListing)
        state = next((state for state, status in STATUS.items() if status == wanted.status), None)
        account, search = call.actor.account, wanted.search or None
        only = Filter(
            account=account, format=self.name, state=state, search=search, page=wanted.page, limit=wanted.limit
        )
        found = await self.vault.receipts.list(only, self.now())
        secrets = [self._described(each) for each in found.receipts]
        return {"data": {"total": found.total, "page": found.page, "limit": found.limit, "secrets": secrets}}

    async def delete(self, call: RequestContext, sent: Members) -> Members:
        receipt = await self._own(call, json_body.convert(sent, SeecretById).id)
        await self.vault.receipts.burn(receipt.receipt_id, call.actor, None, self.now())
        return {"MESSAGE": "Secret deleted successfully"}

    async def account(self, call: RequestContext, sent: Members) -> Members:
        key = call.actor.key
        assert key is not None  # noqa: S101  a key is needed here
        counts = await self.vault.receipts.stats(key.account, self.now(), self.name)
        stats = {
            "total": counts.total_secrets,
            "pending": counts.active_secrets,
            "viewed": counts.revealed_secrets,
            "expired": counts.expired_secrets,
            "deleted": counts.burned_secrets,
        }
        about = {"email": key.account, "subscription_active": True, "api_token": f"{key.prefix}..."}
        return {"data": {**about, "stats": stats}}

    def refusal(self, error: SecLinkError) -> Refusal:
        wrong = "; ".join(f"{name}: {message}" for name, message in self.faults(error))
        code, message = error.status, wrong or error.message
        if isinstance(error, Gone | NotActive):
            code, message = 400, "The secret has ended"
        elif isinstance(error, AccessDenied):
            code, message = 403, "cle is not the key of this secret"
        return code, {"CODE": code, "MESSAGE": message}

    def _refuse_gates(self, wanted: SeecretOptionsMember) -> None:
        own = urlsplit(self.public_url)
        self.unsupported(
            view_notification=wanted.view_notification,
            recipient_email=wanted.recipient_email,
            domain=wanted.domain.lower() not in ("", own.netloc, own.hostname),
            country_block=wanted.country_block,
            split_link=wanted.split_link > 1,
            split_link_required=wanted.split_link_required > 1,
        )

    def _seconds(self, day: date | UnsetType) -> int:
        """A lifetime that ends with that day in UTC, or on it as late as any may."""
        now, most = self.now() // 1000, min(MOST_DAYS * DAY, int(self.parts.config.expiry.max))
        if day is UNSET:
            return min(DAYS * DAY, most)
        begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
        if not begin - most <= now < begin + DAY - 1:
            message = f"must be today or within {most // DAY} days"
            raise BadRequest(faults=(Fault("expiration_date", message, "out_of_range"),))
        return min(begin + DAY - 1 - now, most)

    def _edit(self, wanted: SeecretUpdate) -> Edit:
        edit = Edit(
            ttl_seconds=UNSET if wanted.expiration_date is UNSET else self._seconds(wanted.expiration_date),
            max_views=wanted.number_view,
            label=_note(wanted) or UNSET,
            passcode_hash=password_hash(wanted.password) or (None if wanted.delete_password else UNSET),
        )
        if not wanted.cle:
            return edit
        iv, payload, keys = _sealed(_key(wanted.cle), wanted.seecret)
        edit = replace(edit, access=keys.access)
        return replace(edit, iv=iv, payload=payload) if wanted.seecret else edit

    async def _own(self, call: RequestContext, own_id: str) -> Receipt:
        """A secret of the asker's account. Raises NotFound: for an admin, too, there is none of another's here."""
        if not ID.fullmatch(own_id):
            raise NotFound()
        receipt_id = await self.receipt_id(self.link_id(own_id))
        receipt = await self.vault.receipts.get(receipt_id, call.actor, None, self.now())
        if not receipt.link_id:
            raise NotFound()
        return receipt

    def _described(self, receipt: Receipt) -> Members:
        return {
            **self._addresses(receipt.link_id),
            "status": STATUS[receipt.state],
            "expiration_date": iso(receipt.expires_at)[:10],
            "expires_at": receipt.expires_at,
            "created_at": receipt.created_at,
            "views_count": receipt.views,
            "views_max": receipt.max_views,
            "has_password": receipt.passcode_required,
            "note": receipt.label or "",
        }

    def _addresses(self, link_id: str, key: str = "") -> Members:
        own_id = link_id.partition(".")[2]
        url = f"{self.public_url}{self.prefix}/_{own_id}" + (f"#{key}" if key else "")
        return {"id": own_id, "url": url, "url_short": url}


def _wanted(sent: Members, kind: type[T]) -> T:
    """What was sent as `kind`. Raises BadRequest, also for numbers like 1.0 and 1e3."""
    numbers = sorted(NUMBERS & set(kind.__struct_fields__))
    raise_faults(
        Fault(name, "must be an integer", "wrong_type") for name in numbers if not WHOLE.fullmatch(sent.get(name, "0"))
    )
    return json_body.convert(sent, kind, strict=False)


def _sealed(key: bytes, text: str) -> tuple[bytes, bytes, envelope.Keys]:
    """A fresh iv, the envelope, and what else the key gives."""
    keys, iv = envelope.derive(key), token_bytes(envelope.IV_BYTES)
    return iv, envelope.seal(keys.content_key, iv, {"type": "text"}, text.encode()), keys


def _written(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def _key(written: str) -> bytes:
    """The key as an url has it. What is none proves nothing, like any wrong one: AccessDenied."""
    key = base64.urlsafe_b64decode(written + "=") if KEY.fullmatch(written) else b""
    if _written(key) != written:
        raise AccessDenied()
    return key


def _note(wanted: SeecretOptionsMember) -> str:
    """Forms write the ends of lines as the network does."""
    return wanted.note.replace("\r\n", "\n")

"""EnigmaCrypt: https://enigma.websoon.com.ar/docs, its documented samples, and what speaks like them.

    create   POST   /api/messages               sealed by the sender; the password never comes here
    look     GET    /api/messages/{id}/meta     spends nothing
    fetch    POST   /api/messages/{id}/access   spends one access; again with the same Idempotency-Key, none
    delete   DELETE /api/messages/{id}          by its owner's key, or X-Delete-Token
    page     /s/{id}                            no fragment: all of the key is in the password

Creating is all that its document tells; the other calls are ours, in its words. Nobody here can tell a wrong password
from the right one, so each fetch counts. Without `expiresAt`, or with one later than `expiry.max`, a message is kept as
long as the operator allows, and the answer's `expiresAt` says until when.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from re import compile as pattern
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from seclink.dialects.base import NO_IV, Dialect, Refusal, iso, pack_payload
from seclink.domain.policy import MIN_SECONDS
from seclink.errors import BadRequest, Fault, Gone, NotFound, SecLinkError
from seclink.model import NewSecret, Proof, Rate, Scope
from seclink.web import json_body
from seclink.web.admission import AccessRule
from seclink.web.fetch_metadata import reject_navigation, reject_partial
from seclink.web.request import SMALL_BODY, RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Operation

ID = pattern("[A-Za-z0-9]{8}")
ID_LENGTH = 8
SALT_AND_IV, DATA = pattern("[0-9a-fA-F]{64}"), pattern("[A-Za-z0-9+/]+={0,2}")
INSTANT = pattern(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
BLOCK = 16
ANONYMOUS, KEYED = Rate(20, 900), Rate(100, 900)


class EnigmaCryptCreate(Struct, rename="camel"):
    encrypted_content: str
    name: str | None = None
    expires_at: str | None = None
    max_access: int | None = None


class StoredSecret(Struct, rename="camel"):
    encrypted_content: str


class EnigmaCrypt(Dialect):
    name = "enigmacrypt"
    page = pattern("/s/[A-Za-z0-9]{8}")
    fields: ClassVar = {"encryptedBlob": "encryptedContent", "maxViews": "maxAccess", "label": "name"}
    headers = "Content-Type, Authorization, Idempotency-Key, X-Delete-Token"

    def operations(self) -> Iterator[Operation]:
        yield Operation(
            method="POST",
            path="/api/messages",
            handler=self.create,
            summary="Create a message",
            admission=AccessRule(rate="create", scopes=(Scope.CREATE,)),
        )
        yield Operation(
            method="GET",
            path="/api/messages/{message_id:str}/meta",
            handler=self.meta,
            summary="Look at a message; spends nothing",
            admission=AccessRule(rate="peek"),
        )
        yield Operation(
            method="POST",
            path="/api/messages/{message_id:str}/access",
            handler=self.access,
            summary="Fetch a message; spends an access",
            admission=AccessRule(rate="reveal"),
        )
        yield Operation(
            method="DELETE",
            path="/api/messages/{message_id:str}",
            handler=self.delete,
            summary="Delete a message",
            admission=AccessRule(rate="peek"),
        )

    async def create(self, call: RequestContext) -> Response:
        self.admission.enforce_extra(call, self.name, ANONYMOUS, KEYED)
        sent, _ = await self.read(call, EnigmaCryptCreate)
        _check(sent.encrypted_content)
        new = NewSecret(
            payload=pack_payload(encryptedContent=sent.encrypted_content),
            iv=NO_IV,
            format=self.name,
            expiry_type="custom",
            ttl_seconds=self._seconds(sent.expires_at),
            max_views=sent.max_access,
            label=sent.name or None,
        )
        made = await self.create_with_short_id(call, new, ID_LENGTH)
        said = {"messageId": _own(made.link_id), "expiresAt": iso(made.expires_at)}
        if call.actor.account is None:
            said["deleteToken"] = made.manage_token
        return _success(201, "Message stored successfully", said)

    async def meta(self, call: RequestContext, message_id: str) -> Response:
        peek = await self.vault.peek(self._link_id(message_id), self.now())
        said = {"messageId": message_id, "expiresAt": iso(peek.expires_at)}
        return _success(200, None, said | {"maxAccess": peek.max_views, "remainingAccess": peek.views_left})

    async def access(self, call: RequestContext, message_id: str) -> Response:
        reject_navigation(call.scope)
        reject_partial(call.scope)
        await call.body(SMALL_BODY)  # it takes none, but what announces one is not whole without it
        own, key = self._link_id(message_id), call.idempotency_key()
        got = await self.vault.reveal(own, Proof(), call.actor, self.now(), key)
        try:
            content = msgspec.json.decode(got.payload, type=StoredSecret).encrypted_content
        except msgspec.DecodeError:  # its owner has put something else in its place, by the native API
            raise Gone("What is kept under this id is no message") from None
        said = {"messageId": message_id, "encryptedContent": content, "expiresAt": iso(got.expires_at)}
        return _success(200, None, said | {"remainingAccess": got.views_left})

    async def delete(self, call: RequestContext, message_id: str) -> Response:
        token = call.header(b"x-delete-token")
        receipt_id = await self.receipt_id(self._link_id(message_id))
        await self.vault.receipts.burn(receipt_id, call.actor, token, self.now())
        return _success(200, "Message deleted successfully")

    def refusal(self, error: SecLinkError) -> Refusal:
        wrong = "; ".join(f"{name}: {message}".removeprefix(": ") for name, message in self.faults(error))
        return error.status, {"success": False, "error": wrong or error.message}

    def _link_id(self, message_id: str) -> str:
        if not ID.fullmatch(message_id):
            raise NotFound()
        return self.link_id(message_id)

    def _seconds(self, expires_at: str | None) -> int:
        """How long that is from now; as long as is allowed, where it is longer or not said."""
        most = int(self.parts.config.expiry.max)
        seconds = most if expires_at is None else int(_instant(expires_at).timestamp() - self.now() / 1000)
        if seconds < MIN_SECONDS:
            message = f"must be at least {MIN_SECONDS} seconds from now"
            raise BadRequest(faults=(Fault("expiresAt", message, "out_of_range"),))
        return min(seconds, most)


def _instant(text: str) -> datetime:
    """An ISO 8601 date or instant; of UTC, where it does not say."""
    try:
        if not INSTANT.fullmatch(text):  # Python's own takes anything between date and time
            raise ValueError
        at = datetime.fromisoformat(text)
    except ValueError:
        message = "must be an instant in ISO 8601, or null"
        raise BadRequest(faults=(Fault("expiresAt", message, "wrong_format"),)) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _check(content: str) -> None:
    """Refuse what no client has sealed, plaintext above all: hex(salt 16) || hex(iv 16) || base64(AES-CBC)."""
    head, data = content[:64], content[64:]
    if not (SALT_AND_IV.fullmatch(head) and DATA.fullmatch(data)):
        said = "must be sealed before it is sent: salt and iv of 32 hex digits each, then AES-CBC as base64"
        raise BadRequest(faults=(Fault("encryptedContent", said, "wrong_format"),))
    if len(json_body.decode_base64("encryptedContent", data)) % BLOCK:
        message = f"must have whole blocks of {BLOCK} bytes"
        raise BadRequest(faults=(Fault("encryptedContent", message, "wrong_format"),))


def _own(link_id: str) -> str:
    return link_id.rpartition(".")[2]


def _success(status: int, message: str | None, data: dict[str, Any] | None = None) -> Response:
    said = {"success": True, "message": message, "data": data}
    return json_response({name: value for name, value in said.items() if value is not None}, status)

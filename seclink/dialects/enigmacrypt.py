"""EnigmaCrypt: https://enigma.websoon.com.ar/docs, its documented samples, and clients that use the same API.

    create   POST   /api/messages               sealed by the sender; the server never receives the password
    meta     GET    /api/messages/{id}/meta     spends no access
    access   POST   /api/messages/{id}/access   spends one access; a retry with the same Idempotency-Key spends none
    delete   DELETE /api/messages/{id}          by its owner's key, or X-Delete-Token
    page     /s/{id}                            without a fragment: the whole key is derived from the password

Only create is documented; the other calls are our own, in the same style. The server cannot tell a wrong password from
the right one, so every access counts. A message without `expiresAt`, or with one later than `expiry.max`, expires after
`expiry.max`; the response's `expiresAt` is the instant that applies. Creates count against EnigmaCrypt's own rates,
without a key instead of `rates.create`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from re import compile as pattern
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from seclink.dialects.base import NO_IV, Dialect, ErrorBody, bad_member, iso, pack_payload
from seclink.domain.policy import MIN_SECONDS
from seclink.errors import Gone, SecLinkError
from seclink.model import NewSecret, Proof, Rate, Scope
from seclink.web import json_body
from seclink.web.admission import AccessRule
from seclink.web.fetch_metadata import reject_navigation, reject_partial
from seclink.web.request import SMALL_BODY, RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Operation

ID_LENGTH = 8
SALT_AND_IV, DATA = pattern("[0-9a-fA-F]{64}"), pattern("[A-Za-z0-9+/]+={0,2}")
INSTANT = pattern(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
BLOCK_BYTES = 16
ANONYMOUS_RATE, KEY_RATE = Rate(20, 900), Rate(100, 900)


class EnigmaCryptCreate(Struct, rename="camel"):
    encrypted_content: str
    name: str | None = None
    expires_at: str | None = None
    max_access: int | None = None


class EnigmaCryptPayload(Struct, rename="camel"):
    encrypted_content: str


class EnigmaCrypt(Dialect):
    member_names: ClassVar = {"encryptedBlob": "encryptedContent", "maxViews": "maxAccess", "label": "name"}
    allowed_headers = "Content-Type, Authorization, Idempotency-Key, X-Delete-Token"

    def operations(self) -> Iterator[Operation]:
        yield Operation(
            method="POST",
            path="/api/messages",
            handler=self.create,
            summary="Create a message",
            access_rule=AccessRule(rate=self.name, own_rate=ANONYMOUS_RATE, scopes=(Scope.CREATE,)),
        )
        yield Operation(
            method="GET",
            path="/api/messages/{message_id:str}/meta",
            handler=self.meta,
            summary="Describe a message; spends no access",
            access_rule=AccessRule(rate="peek"),
        )
        yield Operation(
            method="POST",
            path="/api/messages/{message_id:str}/access",
            handler=self.access,
            summary="Fetch a message; spends an access",
            access_rule=AccessRule(rate="reveal"),
        )
        yield Operation(
            method="DELETE",
            path="/api/messages/{message_id:str}",
            handler=self.delete,
            summary="Delete a message",
            access_rule=AccessRule(rate="peek"),
        )

    async def create(self, request: RequestContext) -> Response:
        self.admission.enforce_for_key(request, self.name, KEY_RATE)
        body, _ = await self.read(request, EnigmaCryptCreate)
        _check_sealed(body.encrypted_content)
        new = NewSecret(
            payload=pack_payload(encryptedContent=body.encrypted_content),
            iv=NO_IV,
            format=self.name,
            expiry_type="custom",
            ttl_seconds=self._ttl_seconds(body.expires_at),
            max_views=body.max_access,
            label=body.name or None,
        )
        created = await self.create_with_short_id(request, new, ID_LENGTH)
        data = {"messageId": self.foreign_id(created.link_id), "expiresAt": iso(created.expires_at)}
        if request.actor.account is None:
            data["deleteToken"] = created.manage_token
        return _success(201, "Message stored successfully", data)

    async def meta(self, request: RequestContext, message_id: str) -> Response:
        peek = await self.vault.peek(self.link_id(message_id), self.now())
        data = {"messageId": message_id, "expiresAt": iso(peek.expires_at)}
        return _success(200, None, data | {"maxAccess": peek.max_views, "remainingAccess": peek.views_left})

    async def access(self, request: RequestContext, message_id: str) -> Response:
        reject_navigation(request.scope)
        reject_partial(request.scope)
        await request.body(SMALL_BODY)  # unused, but a request is complete only with the body it announces
        link_id, key = self.link_id(message_id), request.idempotency_key()
        claimed = await self.vault.reveal(link_id, Proof(), request.actor, self.now(), key)
        try:
            content = msgspec.json.decode(claimed.payload, type=EnigmaCryptPayload).encrypted_content
        except msgspec.DecodeError:  # its owner has replaced the payload through the native API
            raise Gone("The secret with this id is no longer a message") from None
        data = {"messageId": message_id, "encryptedContent": content, "expiresAt": iso(claimed.expires_at)}
        return _success(200, None, data | {"remainingAccess": claimed.views_left})

    async def delete(self, request: RequestContext, message_id: str) -> Response:
        token = request.header(b"x-delete-token")
        receipt_id = await self.receipt_id(self.link_id(message_id))
        receipt = await self.vault.receipts.get(receipt_id, request.actor, token, self.now())
        await self.vault.receipts.burn(receipt, request.actor, self.now())
        return _success(200, "Message deleted successfully")

    def render_error(self, error: SecLinkError) -> ErrorBody:
        faults = "; ".join(f"{name}: {message}".removeprefix(": ") for name, message in self.member_faults(error))
        return error.status, {"success": False, "error": faults or error.message}

    def _ttl_seconds(self, expires_at: str | None) -> int:
        """Return the lifetime in seconds: at most the maximum, which is also the default."""
        max_seconds = int(self.context.config.expiry.max)
        if expires_at is None:
            return max_seconds
        seconds = int(_instant(expires_at).timestamp() - self.now() / 1000)
        if seconds < MIN_SECONDS:
            raise bad_member("expiresAt", f"must be at least {MIN_SECONDS} seconds from now", "out_of_range")
        return min(seconds, max_seconds)


def _instant(text: str) -> datetime:
    """Parse an ISO 8601 date or instant, in UTC unless it names an offset. Raises BadRequest."""
    try:
        if not INSTANT.fullmatch(text):  # `fromisoformat` accepts any character between date and time
            raise ValueError
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise bad_member("expiresAt", "must be an instant in ISO 8601, or null", "wrong_format") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _check_sealed(content: str) -> None:
    """Reject content that is not hex(salt 16) || hex(iv 16) || base64(AES-CBC), above all plaintext."""
    head, data = content[:64], content[64:]
    if not (SALT_AND_IV.fullmatch(head) and DATA.fullmatch(data)):
        message = "must be sealed before it is sent: salt and iv of 32 hex digits each, then AES-CBC as base64"
        raise bad_member("encryptedContent", message, "wrong_format")
    if len(json_body.decode_base64("encryptedContent", data)) % BLOCK_BYTES:
        raise bad_member("encryptedContent", f"must have whole blocks of {BLOCK_BYTES} bytes", "wrong_format")


def _success(status: int, message: str | None, data: dict[str, Any] | None = None) -> Response:
    document = {"success": True, "message": message, "data": data}
    return json_response({name: value for name, value in document.items() if value is not None}, status)

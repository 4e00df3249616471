"""A request as handlers see it: its headers, who sent it, and its body under a size limit."""

import re
from typing import Any, TypeVar

from msgspec import Struct

from seclink.errors import BadRequest, NotFound, PayloadTooLarge
from seclink.model import Actor
from seclink.web import json_body
from seclink.web.asgi import Receive

T = TypeVar("T", bound=Struct)
SMALL_BODY = 16_384  # bytes, for requests that carry no payload


class RequestContext:
    """An admitted request: the ASGI scope, the actor that `Admission.admit` returned, and the body."""

    __slots__ = ("_is_complete", "_receive", "actor", "scope")

    def __init__(self, scope: Any, receive: Receive, actor: Actor) -> None:
        self.scope, self.actor, self._receive = scope, actor, receive
        self._is_complete = False

    def header(self, name: bytes) -> str | None:
        """Return the value of a header. Raises BadRequest if it was sent twice: two readers could pick different ones.

        `name` is in lower case.
        """
        values = header_values(self.scope, name)
        if len(values) > 1:
            raise BadRequest(f"The header {name.decode()} was sent twice")
        return values[0].decode("latin-1") if values else None

    def idempotency_key(self) -> str | None:
        """Return the Idempotency-Key. Raises BadRequest if it is malformed."""
        key = self.header(b"idempotency-key")
        if key is not None and not (16 <= len(key) <= 128 and key.isascii() and key.isprintable()):
            raise BadRequest("Idempotency-Key must have 16 to 128 printable characters")
        return key

    async def body(self, max_bytes: int | None = None) -> bytes:
        """Return the whole body. Raises PayloadTooLarge over `max_bytes`, BadRequest if the client disconnected.

        The middleware enforces the deadline and the size limit that all requests share.
        """
        message = await self._receive()
        body: bytes | bytearray = message.get("body", b"")
        if message.get("more_body"):
            body = bytearray(body)  # grows in place: a million small pieces must not be copied a million times
        while message.get("more_body") and (max_bytes is None or len(body) <= max_bytes):
            message = await self._receive()
            body += message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise BadRequest("The request ended early")
        if max_bytes is not None and len(body) > max_bytes:
            raise PayloadTooLarge()
        return bytes(body)

    async def piece(self) -> bytes:
        """Return the next piece of the body, empty at its end. Raises BadRequest if the client disconnected."""
        while not self._is_complete:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("The request ended early")
            self._is_complete = not message.get("more_body", False)
            if body := message.get("body", b""):
                return bytes(body)
        return b""

    async def json(self, model: type[T], *, max_bytes: int | None = None, may_be_empty: bool = False) -> T:
        """Return the body as `model`. Raises UnsupportedMediaType, BadRequest, PayloadTooLarge."""
        body = await self.body(max_bytes)
        return json_body.parse(body, self.header(b"content-type"), model, may_be_empty=may_be_empty)


def header_values(scope: Any, name: bytes) -> list[bytes]:
    """Return every value of a header; `name` is in lower case."""
    return [value for key, value in scope["headers"] if key == name]


def checked_id(pattern: re.Pattern[str], value: str) -> str:
    """Return an id from a path. Raises NotFound for one that cannot exist, without a query to the store."""
    if not pattern.fullmatch(value):
        raise NotFound()
    return value

"""The `send` of one request, for the middleware: headers on every response, and errors in place of one."""

from collections.abc import Awaitable
from secrets import token_hex
from typing import Any, Protocol

from seclink.errors import SecLinkError
from seclink.web.asgi import Message, Send
from seclink.web.body_limits import LimitedBody
from seclink.web.security_headers import Header


class ErrorRenderer(Protocol):
    """The middleware, as a response sees it."""

    headers: list[Header]
    header_names: frozenset[bytes]

    def error_response(
        self, error: SecLinkError, request_id: str, scope: Message
    ) -> tuple[int, list[Header], bytes]: ...


class ResponseWriter:
    """The `send` of one request: adds the headers, and can send an error in place of the application's response."""

    __slots__ = ("_middleware", "_scope", "_send", "_state", "body", "is_error", "must_close", "request_id", "started")

    def __init__(self, middleware: ErrorRenderer, scope: Message, send: Send) -> None:
        self._middleware = middleware
        self._scope = scope
        self._send = send
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self.request_id = self._state["request_id"] = token_hex(8)
        self.body: LimitedBody | None = None
        self.must_close = False
        self.started = False
        self.is_error = False

    @property
    def body_error(self) -> SecLinkError | None:
        """The limit that the body exceeded. It becomes the response, whatever the application makes of it."""
        return self.body.error if self.body is not None else None

    def __call__(self, message: Message) -> Awaitable[None]:
        # Not a coroutine function: messages with a body go straight to the server's own `send`.
        if message["type"] == "http.response.start" and not self.started:
            if self.body_error is not None:
                return self.send_error(self.body_error)
            self.started = True
            self._add_headers(message)
        elif self.is_error:
            return _send_nothing()
        return self._send(message)

    async def send_error(self, error: SecLinkError) -> None:
        """Send the response for an error, unless a response has already started."""
        if self.started:
            return
        self.started = self.is_error = True
        status, headers, body = self._middleware.error_response(error, self.request_id, self._scope)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    def _add_headers(self, message: Message) -> None:
        middleware = self._middleware
        headers: list[Header] = [*message.get("headers", ()), *self._state.get("seclink_headers", ())]
        names = {name for name, _ in headers}
        if middleware.header_names.isdisjoint(names):
            headers += middleware.headers
        else:
            headers += [header for header in middleware.headers if header[0] not in names]
        headers.append((b"x-request-id", self.request_id.encode()))
        if self.must_close or (self.body is not None and self.body.has_unread):
            headers.append((b"connection", b"close"))
        message["headers"] = headers


async def _send_nothing() -> None:
    return None

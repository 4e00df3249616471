"""The gate: what every request passes before the application and every answer passes after it. Plain ASGI.

In: the method, the size and number of the headers, headers that may come only once, the Host, the size, duration and
pace of the body, the number of requests at once. Out: the security headers, a request id, and the headers that inner
code left in `scope["state"]["seclink_headers"]`. A refusal is a problem document and closes the connection; it is made
before a byte of the body is asked for whenever the head tells enough. Whatever escapes the application becomes a 500
that tells nothing.

The server in front (`seclink.server.serve`) has already refused what no ASGI application can see: malformed requests,
Content-Length beside Transfer-Encoding, slow and endless heads. What gets here is well-formed and may still be hostile.

Measured: 5 to 10 microseconds per request; the smallest route of the framework takes 100 to 150.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from secrets import token_hex
from typing import Any
from urllib.parse import unquote

from seclink.errors import (
    BadRequest,
    Busy,
    HeadersTooLarge,
    Internal,
    MethodNotAllowed,
    PayloadTooLarge,
    SecLinkError,
    UnknownHost,
)
from seclink.web.body_limits import BodyBudget, LimitedBody, Message, Receive
from seclink.web.security_headers import HEADERS, Header

__all__ = ["App", "Header", "Message", "Middleware", "Notice", "Receive", "Render", "Send", "host_name"]

Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Render = Callable[[SecLinkError, str], tuple[int, list[Header], bytes]]
"""(error, request id) -> status, headers with the content type, body."""
Notice = Callable[[Message, SecLinkError], tuple[int, list[Header], bytes] | None]
"""(scope, error) -> the same for a person's browser; None: this is no person, render it."""

HELD_BYTES = 64 * 2**20
METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS")

# Twice is never honest, and two readers of the request could choose differently.
ONCE = frozenset(
    (
        *(b"host", b"content-length", b"transfer-encoding", b"content-type", b"upgrade", b"expect"),
        *(b"authorization", b"idempotency-key", b"seclink-access", b"seclink-passcode", b"seclink-manage"),
    )
)
HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?)\.?(?::[0-9]{1,5})?")


class Middleware:
    """`body_bytes` caps the body as sent, chunked or not. It has `body_seconds` to come, and a second more for every
    `body_rate` bytes that came. `held_bytes` caps what all bodies together hold in memory, and a quarter of it those of
    one `client`.

    `always` are paths that are answered although as many `requests` run as may. `allowed_hosts` are names without a
    port; none means that any single well-formed Host will do. `too_large` is said of a body that is, and what may be.
    `notice` is asked before `render`.
    `report(error, request_id)` is told what escaped the application. `in_flight` is how many requests are in flight.
    """

    def __init__(
        self,
        app: App,
        render: Render,
        *,
        body_bytes: int,
        allowed_hosts: Iterable[str] = (),
        header_bytes: int = 16_384,
        header_count: int = 100,
        body_seconds: float = 15.0,
        body_rate: int = 16_384,
        held_bytes: int | None = None,
        requests: int = 1_024,
        always: Iterable[str] = (),
        too_large: str = "",
        methods: Iterable[str] = METHODS,
        headers: Iterable[Header] = HEADERS,
        client: Callable[[Message], str] = lambda scope: (scope.get("client") or ("",))[0],
        notice: Notice = lambda scope, error: None,
        report: Callable[[BaseException, str], None] | None = None,
    ) -> None:
        self.app = app
        self.render = render
        self.notice = notice
        self._client = client
        self.report = report
        self.body_bytes = body_bytes
        self._too_large = too_large
        self._bodies = BodyBudget(body_seconds, body_rate, held_bytes or max(HELD_BYTES, 4 * body_bytes))
        self.headers = list(headers)
        self.header_names = frozenset(name for name, _ in self.headers)
        self.allow = ", ".join(methods).encode()
        self._methods = frozenset(methods)
        self._hosts = frozenset(map(host_name, allowed_hosts))
        if "" in self._hosts:
            raise ValueError("an allowed host is not a host name")
        self._header_bytes = header_bytes
        self._header_count = header_count
        self._requests = requests
        self._always = frozenset(always)
        self.in_flight = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = ResponseWriter(self, scope, send)
        try:
            length = self._admit(scope, answer)
        except SecLinkError as refusal:
            await answer.refuse(refusal)
            return
        if length != 0:
            receive = answer.body = LimitedBody(
                receive, length, self.body_bytes, self._bodies, lambda: self._client(scope)
            )
        self.in_flight += 1
        try:
            await self.app(scope, receive, answer)
        except asyncio.CancelledError:
            await answer.refuse(Internal("The server stopped before this was done"))
            raise
        except Exception as error:
            await self._escaped(answer, error)
        finally:
            self.in_flight -= 1
            if answer.body is not None:
                answer.body.release()
        if not answer.started:
            await answer.refuse(answer.cut or Internal())

    def _admit(self, scope: Message, answer: "ResponseWriter") -> int:
        """The body's length: 0 for none, -1 for chunked. Raises the refusal."""
        if scope["method"] not in self._methods:
            raise MethodNotAllowed
        headers = scope["headers"]
        size = len(scope["raw_path"]) + len(scope["query_string"])
        once: dict[bytes, bytes] = {}
        for name, value in headers:
            size += len(name) + len(value)
            if name in ONCE:
                if name in once:
                    raise UnknownHost if name == b"host" else BadRequest("A header that may come once came twice")
                once[name] = value
        # Four more bytes per header: ": " and the line's end.
        if size + 4 * len(headers) > self._header_bytes or len(headers) > self._header_count:
            raise HeadersTooLarge
        name = host_name(once.get(b"host", b"").decode("latin-1"))
        if not name or (self._hosts and name not in self._hosts):
            raise UnknownHost
        if self.in_flight >= self._requests and scope["path"] not in self._always:
            raise Busy
        # The parser stops where another protocol would begin, so nothing more can be read from that connection.
        answer.close = b"upgrade" in once
        return self._length(once)

    def _length(self, once: dict[bytes, bytes]) -> int:
        given = once.get(b"content-length")
        if b"transfer-encoding" in once:
            if given is not None or once[b"transfer-encoding"].lower() != b"chunked":
                raise BadRequest("The request's length cannot be told")
            return -1
        if given is None:
            return 0
        if not given.isdigit():
            raise BadRequest("The request's length is not a number")
        if len(given) > 18 or int(given) > self.body_bytes:
            raise PayloadTooLarge
        return int(given)

    async def _escaped(self, answer: "ResponseWriter", error: Exception) -> None:
        if not (answer.body and (answer.body.lost or answer.body.cut)) and self.report is not None:
            self.report(error, answer.request_id)
        if answer.started and not answer.refused:
            raise error  # half an answer is out: the server cuts the connection
        await answer.refuse(answer.cut or (Busy() if isinstance(error, MemoryError) else Internal()))

    def render_http11(self, error: SecLinkError, target: bytes = b"", given: Iterable[Header] = ()) -> bytes:
        """A refusal as the bytes of a whole HTTP/1.1 answer, for requests that never became one; `target` and `given`
        are what came of the address and of the headers.
        """
        path = unquote(target.partition(b"?")[0].decode("latin-1"))
        scope: Message = {"type": "http", "method": "", "path": path, "query_string": b"", "headers": list(given)}
        status, headers, body = self.refusal(error, token_hex(8), scope)
        first = b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())
        return b"\r\n".join((first, *map(b": ".join, headers), b"", body))

    def refusal(self, error: SecLinkError, request_id: str, scope: Message) -> tuple[int, list[Header], bytes]:
        if isinstance(error, PayloadTooLarge):
            error = PayloadTooLarge(self._too_large)
        said = self.notice(scope, error)
        status, given, body = said or self.render(error, request_id)
        headers = {
            **dict(self.headers),
            # A script on another site may read why it was refused; there is nothing else in these answers.
            **({} if said else {b"access-control-allow-origin": b"*"}),
            **({b"allow": self.allow} if isinstance(error, MethodNotAllowed) else {}),
            **({b"retry-after": b"1"} if isinstance(error, Busy) else {}),
            **dict(given),
            b"x-request-id": request_id.encode(),
            b"content-length": b"%d" % len(body),
            b"connection": b"close",
        }
        return status, list(headers.items()), body


def host_name(host: str) -> str:
    """The name in a Host header without port and final dot, or nothing when it is not one."""
    match = HOST.fullmatch(host.lower())
    return match[1] if match else ""


class ResponseWriter:
    """The `send` that the application gets."""

    __slots__ = ("_gate", "_scope", "_send", "_state", "body", "close", "refused", "request_id", "started")

    def __init__(self, gate: Middleware, scope: Message, send: Send) -> None:
        self._gate = gate
        self._scope = scope
        self._send = send
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self.request_id = self._state["request_id"] = token_hex(8)
        self.body: LimitedBody | None = None
        self.close = False
        self.started = False
        self.refused = False

    @property
    def cut(self) -> SecLinkError | None:
        """Why the body was cut off. Whatever the application makes of that, this is the answer."""
        return self.body.cut if self.body is not None else None

    def __call__(self, message: Message) -> Awaitable[None]:
        # Not a coroutine function: body messages go straight to the server's own `send`.
        if message["type"] == "http.response.start" and not self.started:
            if self.cut is not None:
                return self.refuse(self.cut)
            self.started = True
            self._dress(message)
        elif self.refused:
            return _nothing()
        return self._send(message)

    def _dress(self, message: Message) -> None:
        gate = self._gate
        headers: list[Header] = [*message.get("headers", ()), *self._state.get("seclink_headers", ())]
        names = {name for name, _ in headers}
        if gate.header_names.isdisjoint(names):
            headers += gate.headers
        else:
            headers += [each for each in gate.headers if each[0] not in names]
        headers.append((b"x-request-id", self.request_id.encode()))
        if self.close or (self.body is not None and self.body.is_left_over):
            headers.append((b"connection", b"close"))
        message["headers"] = headers

    async def refuse(self, error: SecLinkError) -> None:
        if self.started:
            return
        self.started = self.refused = True
        status, headers, body = self._gate.refusal(error, self.request_id, self._scope)
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


async def _nothing() -> None:
    return None

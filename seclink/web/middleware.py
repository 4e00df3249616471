"""The outermost layer: checks on every request before the application, headers on every response after it. Plain ASGI.

In: the method, the size and number of the headers, headers that may appear only once, the Host, the size, duration and
pace of the body, the number of requests in flight. Out: the security headers, a request id, and the headers that inner
code left in `scope["state"]["seclink_headers"]`. A rejected request gets an error response and its connection is
closed, before a byte of the body is read where the head is enough to decide. An exception that escapes the application
becomes a 500 without details.

The server (`seclink.server.serve`) has already rejected what an ASGI application cannot see: malformed requests,
Content-Length beside Transfer-Encoding, slow and endless heads. The requests that arrive here are well-formed and can
still be hostile.

Measured: 5 to 10 microseconds per request; the smallest route of Litestar takes 100 to 150.
"""

import asyncio
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from secrets import token_hex
from urllib.parse import unquote

from seclink.domain.shares import Holder, Shares
from seclink.errors import (
    BadRequest,
    Busy,
    HeadersTooLarge,
    Internal,
    MethodNotAllowed,
    PayloadTooLarge,
    SecLinkError,
    UnknownHost,
    UnsupportedMediaType,
)
from seclink.web.asgi import App, Message, Receive, Send
from seclink.web.body_limits import BodyBudget, LimitedBody
from seclink.web.response_writer import ResponseWriter
from seclink.web.security_headers import HEADERS, Header

ErrorResponse = tuple[int, list[Header], bytes]
"""Status, headers with the content type, body."""
JsonError = Callable[[SecLinkError, str], ErrorResponse]
"""(error, request id) -> the error response for programs."""
CustomError = Callable[[Message, SecLinkError], ErrorResponse | None]
"""(scope, error) -> the error response of a dialect or for a browser, or None for that of JsonError."""

HolderOf = Callable[[Message], Holder]
PeerHolder = Callable[[str], Holder | None]
"""(address of a connection's other end) -> whose share it counts against, None for a trusted proxy."""

MIN_BUFFERED_BYTES = 64 * 2**20
MIN_BUFFERED_BODIES = 8  # of the largest size, so that one client's share holds one
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# An honest client sends these once. Of two values, two readers of the request could pick different ones.
UNIQUE_HEADERS = frozenset(
    (
        *(
            b"host",
            b"content-length",
            b"transfer-encoding",
            b"content-type",
            b"content-encoding",
            b"upgrade",
            b"expect",
        ),
        *(b"authorization", b"idempotency-key", b"seclink-access", b"seclink-passcode", b"seclink-manage"),
        *(b"content-digest", b"seclink-upload", b"seclink-grant", b"seclink-files"),
    )
)
HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?)\.?(:[0-9]{1,5})?")


class Middleware:
    """Wraps `app` with the limits.

    - `max_body_bytes` limits the body as sent, chunked or not. It has `body_seconds` to arrive, and one more second for
      every `min_body_rate` bytes received. All bodies together may buffer `max_buffered_bytes`.
      A body that the application takes piece by piece is limited by `streamed_bytes(scope)` instead, and not buffered.
    - `max_requests` limits the requests in flight; requests for `exempt_paths` are served beyond it. A request that
      `is_urgent(scope)` is refused only when its own client has too many.
    - One client, as `holder_of(scope)` names it, gets a share of the requests and of the buffered bytes. The server
      asks `peer_holder` for whom a connection counts.
    - `allowed_hosts` are host names without a port. If there are none, any single well-formed Host is accepted. At
      `any_host_paths` every Host is accepted, and none.
    - `custom_error` is tried before `json_error`. `too_large(scope)` is the error for a body above the limit.
    - `on_error(error, request_id)` is called with an exception that escaped the application.
    """

    def __init__(
        self,
        app: App,
        json_error: JsonError,
        *,
        max_body_bytes: int,
        allowed_hosts: Iterable[str] = (),
        max_header_bytes: int = 16_384,
        max_headers: int = 100,
        body_seconds: float = 15.0,
        min_body_rate: int = 16_384,
        max_buffered_bytes: int | None = None,
        max_requests: int = 1_024,
        exempt_paths: Iterable[str] = (),
        any_host_paths: Iterable[str] = (),
        too_large: Callable[[Message], PayloadTooLarge] = lambda scope: PayloadTooLarge(),
        is_urgent: Callable[[Message], bool] = lambda scope: False,
        streamed_bytes: Callable[[Message], int] = lambda scope: 0,
        methods: Iterable[str] = METHODS,
        headers: Iterable[Header] = HEADERS,
        holder_of: HolderOf = lambda scope: Holder(client=(scope.get("client") or ("",))[0]),
        peer_holder: PeerHolder = lambda address: None,
        custom_error: CustomError = lambda scope, error: None,
        on_error: Callable[[BaseException, str], None] | None = None,
    ) -> None:
        self.app = app
        self._json_error, self._custom_error, self._on_error = json_error, custom_error, on_error
        self.holder_of, self._is_urgent, self._too_large = holder_of, is_urgent, too_large
        self.peer_holder = peer_holder
        self._max_body_bytes, self._streamed_bytes = max_body_bytes, streamed_bytes
        max_buffered_bytes = max_buffered_bytes or max(MIN_BUFFERED_BYTES, MIN_BUFFERED_BODIES * max_body_bytes)
        self._budget = BodyBudget(body_seconds, min_body_rate, max_buffered_bytes)
        self.headers = list(headers)
        self.header_names = frozenset(name for name, _ in self.headers)
        self._allow = ", ".join(methods).encode()
        self._methods = frozenset(methods)
        self._hosts = _host_names(allowed_hosts)
        self._max_header_bytes, self._max_headers = max_header_bytes, max_headers
        self.requests, self._exempt_paths = Shares(max_requests), frozenset(exempt_paths)
        self._any_host_paths = frozenset(any_host_paths)

    @property
    def in_flight(self) -> int:
        return self.requests.in_use

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        response = ResponseWriter(self, scope, send)
        try:
            unique = self._check_head(scope)
            streamed_bytes = self._streamed_bytes(scope)
            max_bytes = streamed_bytes or self._max_body_bytes
            length = _body_length(unique, max_bytes)
            if length != 0 and unique.get(b"content-encoding", b"identity").lower() != b"identity":
                raise UnsupportedMediaType("A body with a Content-Encoding is not accepted: send it uncompressed")
        except SecLinkError as error:
            await response.send_error(error)
            return
        # The server's parser stops where another protocol would begin: the connection cannot be used again.
        response.must_close = b"upgrade" in unique
        holder = self.holder_of(scope)
        if not self.requests.fits(holder, is_urgent=self._is_urgent(scope)) and not self._is_exempt(scope):
            await response.send_error(Busy())
            return
        if length != 0:
            receive = response.body = LimitedBody(
                receive, length, max_bytes, self._budget, None if streamed_bytes else holder
            )
        await self._run(scope, receive, response, holder)

    def error_response(self, error: SecLinkError, request_id: str, scope: Message) -> ErrorResponse:
        """Return the whole response for an error; it closes the connection."""
        if isinstance(error, PayloadTooLarge):
            error = self._too_large(scope)
        custom = self._custom_error(scope, error)
        status, error_headers, body = custom or self._json_error(error, request_id)
        headers = {
            **dict(self.headers),
            # Scripts of other sites may read why they were rejected; these responses contain nothing else.
            **({} if custom else {b"access-control-allow-origin": b"*"}),
            **({b"allow": self._allow} if isinstance(error, MethodNotAllowed) else {}),
            **({b"retry-after": b"1"} if isinstance(error, Busy) else {}),
            **({b"accept-encoding": b"identity"} if isinstance(error, UnsupportedMediaType) else {}),
            **dict(error_headers),
            b"x-request-id": request_id.encode(),
            b"content-length": b"%d" % len(body),
            b"connection": b"close",
        }
        return status, list(headers.items()), body

    def render_http11(self, error: SecLinkError, target: bytes = b"", headers: Iterable[Header] = ()) -> bytes:
        """Return an error as a whole HTTP/1.1 response, for input that never became a request.

        `target` and `headers` are the parts of it that arrived.
        """
        path = unquote(target.partition(b"?")[0].decode("latin-1"))
        scope: Message = {"type": "http", "method": "", "path": path, "query_string": b"", "headers": list(headers)}
        status, response_headers, body = self.error_response(error, token_hex(8), scope)
        status_line = b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())
        return b"\r\n".join((status_line, *map(b": ".join, response_headers), b"", body))

    def _check_head(self, scope: Message) -> dict[bytes, bytes]:
        """Check everything but the body; return the headers of UNIQUE_HEADERS that are present."""
        if scope["method"] not in self._methods:
            raise MethodNotAllowed
        unique = self._check_headers(scope)
        if scope["path"] not in self._any_host_paths:
            host = host_name(unique.get(b"host", b"").decode("latin-1"))
            if not host or (self._hosts and host not in self._hosts):
                raise UnknownHost
        return unique

    def _check_headers(self, scope: Message) -> dict[bytes, bytes]:
        headers = scope["headers"]
        size = len(scope["raw_path"]) + len(scope["query_string"])
        unique: dict[bytes, bytes] = {}
        for name, value in headers:
            size += len(name) + len(value)
            if name in UNIQUE_HEADERS:
                if name in unique:
                    raise (UnknownHost if name == b"host" else BadRequest("A header was sent twice"))
                unique[name] = value
        # Four more bytes per header: ": " and the end of the line.
        if size + 4 * len(headers) > self._max_header_bytes or len(headers) > self._max_headers:
            raise HeadersTooLarge
        return unique

    def _is_exempt(self, scope: Message) -> bool:
        return scope["path"] in self._exempt_paths

    async def _run(self, scope: Message, receive: Receive, response: ResponseWriter, holder: Holder) -> None:
        self.requests.add(holder, 1)
        try:
            await self.app(scope, receive, response)
        except asyncio.CancelledError:
            await response.send_error(Internal("The server stopped before the request was finished"))
            raise
        except Exception as error:
            await self._handle_escaped(response, error)
        finally:
            self.requests.add(holder, -1)
            if response.body is not None:
                response.body.release()
        if not response.started:
            await response.send_error(response.body_error or Internal())

    async def _handle_escaped(self, response: ResponseWriter, error: Exception) -> None:
        body = response.body
        if not (body and (body.disconnected or body.error)) and self._on_error is not None:
            self._on_error(error, response.request_id)
        if response.started and not response.is_error:
            raise error  # half of the response is out: the server closes the connection
        await response.send_error(response.body_error or (Busy() if isinstance(error, MemoryError) else Internal()))


def _body_length(unique: dict[bytes, bytes], max_bytes: int) -> int:
    """Return the body's length in bytes: 0 for no body, -1 for a chunked one."""
    length = unique.get(b"content-length")
    if b"transfer-encoding" in unique:
        if length is not None or unique[b"transfer-encoding"].lower() != b"chunked":
            raise BadRequest("The request's length is ambiguous")
        return -1
    if length is None:
        return 0
    if not length.isdigit():
        raise BadRequest("The request's length is not a number")
    if len(length) > 18 or int(length) > max_bytes:
        raise PayloadTooLarge
    return int(length)


def _host_names(hosts: Iterable[str]) -> frozenset[str]:
    names = frozenset(map(host_name, hosts))
    if "" in names:
        raise ValueError("an allowed host is not a host name")
    return names


def host_name(host: str) -> str:
    """Return the name in a Host header without port and final dot, or "" if it is malformed."""
    match = HOST.fullmatch(host.lower())
    return match[1] if match else ""

"""One HTTP/1.1 connection: uvicorn's httptools protocol with the limits it lacks.

Added here: deadlines for heads, for idle connections and for clients that do not read; limits on a head's size and on
the raw bytes of a message (endless chunk extensions and trailers never reach the application); error responses for
malformed requests. `registry` checks the deadlines and limits the number of connections.
"""

import asyncio
import sys
from math import inf

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from seclink.domain.shares import Holder
from seclink.errors import BadRequest, Busy, HeadersTooLarge, MethodNotAllowed, PayloadTooLarge, SecLinkError
from seclink.server.registry import ConnectionRegistry
from seclink.server.transport import Transport

MAX_DISCARDED_BYTES = 16 * 1024 * 1024  # so that a client busy sending gets to read its error response
SLOW_BYTES = 65_536  # unsent bytes from which on a connection counts as slow
NOBODY = Holder(client="")
MAX_PIPELINED = 32  # requests sent ahead of their responses; one read of 256 KiB could hold ten thousand


class Connection(HttpToolsProtocol):
    """A connection with two deadlines on the loop's clock, `inf` for none.

    At `deadline` a head, the next request or a close is overdue. At `write_deadline` the client must have read enough
    of the response; it is set while bytes of one are unsent, and takes precedence.

    A connection ends in up to three steps:

    1. `_is_ending`: input is discarded, and the response in flight is the last one.
    2. `lingering`: our side has ended, and input is discarded until the client ends its side.
    3. `transport.is_closing()`: asyncio sends what is buffered. Over TLS it then waits for the client's goodbye.

    `expire` ends the second and the third, neither of which a client can prolong.
    """

    transport: Transport  # type: ignore[assignment]

    def __init__(self, registry: ConnectionRegistry, socket_transport: asyncio.WriteTransport | None = None) -> None:
        """`socket_transport` is the transport below TLS."""
        super().__init__(registry.config, registry.state, registry.app_state, registry.loop)
        self.registry, self._socket_transport = registry, socket_transport
        self.limits = registry.settings.limits
        self.deadline = inf
        self.write_deadline = inf
        self.lingering = False
        self._is_ending = False
        self._delivered = 0  # when `write_deadline` was set
        self._received = 0  # bytes of this message in earlier reads: one read may hold many messages
        self._in_head = True
        self._holder, self._held = NOBODY, 0  # bytes that count as unsent for a client
        self._error: SecLinkError | None = None
        self.url, self.headers = b"", []
        self._current: RequestResponseCycle | None = None  # `cycle` is the newest, which may be queued behind this one

    # Called by asyncio

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Transport(transport, self, self._socket_transport))  # type: ignore[arg-type]
        self.deadline = self.loop.time() + self.limits.header_seconds
        self.registry.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.registry.remove(self)
        self._charge(0)
        self.deadline = self.write_deadline = inf
        super().connection_lost(exc)
        self.transport.release()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self.lingering or self._is_ending:
            if self._received > MAX_DISCARDED_BYTES:
                self.transport.abort()
            return
        super().data_received(data)
        if self._in_head:
            if self._received > self.limits.header_bytes:
                self.reject(HeadersTooLarge())
        elif self._received > self.limits.message_bytes:
            self.reject(PayloadTooLarge())

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_write_deadline()
        self.count_unsent()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._clear_write_deadline()
        self.count_unsent()

    # Called by the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.limits = self.registry.settings.limits
        self._received = 0
        self.deadline = self.loop.time() + self.limits.header_seconds
        self._clear_write_deadline()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers of a chunked body would be added to headers that have been checked
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            self._error = MethodNotAllowed()
        elif not self.url.startswith((b"/", b"*")) or self.parser.get_http_version() not in ("1.1", "1.0"):
            self._error = BadRequest("The request line is not one that this server accepts")
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._error = BadRequest("Too many requests were sent ahead of their responses")
        if self._error is not None:
            raise self._error
        self._in_head = False
        self.deadline = inf
        self.url = self.registry.settings.strip_root(self.url)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._received = 0
        super().on_message_complete()
        self.url, self.headers = b"", []  # an error from here on belongs to another request

    # Called by uvicorn

    def send_400_response(self, msg: str) -> None:
        """Respond to input that the parser rejects; replaces uvicorn's plain text."""
        error = sys.exception()
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            self._error = MethodNotAllowed()
        elif error is not None and isinstance(error.__context__, MemoryError):  # memory ran out in a callback
            self._error = Busy()
        self.reject(self._error or BadRequest("The request is not valid HTTP"))

    def on_response_complete(self) -> None:
        """Start the next request or wait for one.

        uvicorn would set a keep-alive timer here, which any byte stops; `deadline` replaces it.
        """
        self.transport.flush()
        self._set_write_deadline()
        if self.write_deadline < inf:
            self.count_unsent()
        if self.lingering or self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self.deadline = self.loop.time() + self.limits.idle_seconds

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    # Called by the transport

    def has_unread(self) -> bool:
        return self._is_ending or (self.cycle is not None and self.cycle.more_body)

    def start_lingering(self) -> None:
        self.lingering = True
        self._received = 0
        self.deadline = self.loop.time() + self.limits.linger_seconds
        self.flow.resume_reading()

    def start_closing(self) -> None:
        """Set a deadline for the close: TLS waits for the client's goodbye, which may never come."""
        self.deadline = self.loop.time() + self.limits.linger_seconds

    # Called by the registry

    def reject(self, error: SecLinkError) -> None:
        """Send an error response without the application, and end the connection."""
        if self.lingering or self._is_ending or self.transport.is_closing():
            return
        self.pipeline.clear()
        current = self._current
        if current is not None and not current.response_complete:
            if current.response_started or not current.more_body:
                # That request arrived whole, so it keeps its response, and the connection ends with it.
                self._is_ending = True
                current.keep_alive = False
                return
            current.disconnected = True
            current.message_event.set()
        self.transport.write(self.registry.settings.render_error(error, self.url, self.headers))
        self.transport.linger()

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed. Called again if the close it started does not finish."""
        self._clear_write_deadline()
        if now > self.write_deadline:
            if not self._extend_write_deadline(now):
                self.transport.reset()
        elif self.write_deadline == inf and now > self.deadline:  # otherwise the client is still reading
            self._close_overdue()

    def count_unsent(self) -> None:
        """Charge the client of the request in flight for a large part of a response that it has not read yet."""
        unsent = self.transport.unsent()
        self._charge(unsent if unsent > SLOW_BYTES else 0)

    def _charge(self, size: int) -> None:
        settings = self.registry.settings
        if size and not self._held:
            self._holder = settings.holder_of(self._current.scope if self._current is not None else self.scope)
            self.registry.slow.add(self)
        elif not size:
            self.registry.slow.discard(self)
        if size != self._held:
            settings.unsent.add(self._holder, size - self._held)
            self._held = size

    def _close_overdue(self) -> None:
        if self.lingering:
            self.transport.reset()
        elif self.transport.is_closing():
            self.transport.abort()  # the kernel still delivers what it has accepted
        else:
            self.transport.close()

    def _set_write_deadline(self) -> None:
        """Give the client time to read, if bytes are unsent. TLS buffers without limit and never pauses the writer."""
        if self.write_deadline == inf and self.transport.unsent():
            self._delivered = self.transport.delivered()
            self.write_deadline = self.loop.time() + self.limits.write_seconds

    def _clear_write_deadline(self) -> None:
        if self.write_deadline < inf and not self.transport.unsent():
            self.write_deadline = inf

    def _extend_write_deadline(self, now: float) -> bool:
        """Give a client that read fast enough more time; return False for one that did not."""
        delivered = self.transport.delivered()
        if delivered - self._delivered < self.limits.write_rate * self.limits.write_seconds:
            return False
        self._delivered = delivered
        self.write_deadline = now + self.limits.write_seconds
        return True

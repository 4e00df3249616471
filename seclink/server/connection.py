"""One HTTP/1.1 connection: uvicorn's httptools protocol with the limits it lacks.

Added here: a time limit for heads and for idling, one for answers nobody reads, caps on a head's size and on the raw
bytes of a message (endless chunk extensions and trailers never reach the application), a cap on connections that gives
up the one waiting longest, and problem documents for malformed requests. One task looks at all clocks, so a request
pays for none.
"""

import asyncio
import sys
from collections.abc import Awaitable
from email.utils import formatdate
from math import inf
from typing import Any, Protocol

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from seclink.errors import BadRequest, Busy, HeadersTooLarge, MethodNotAllowed, PayloadTooLarge, SecLinkError
from seclink.server.settings import ServerSettings
from seclink.server.transport import Transport

LINGER_BYTES = 16 * 1024 * 1024  # read and dropped at most, so that a client busy sending gets to read its refusal
PIPELINED = 32  # requests sent ahead of their answers; without a cap, one read of 256 KiB can hold ten thousand


class ConnectionLike(Protocol):
    """Whoever takes the place of a connection: one, or what is to become one."""

    due: float
    write_due: float
    wire: Transport

    def expire(self, now: float) -> None: ...

    def reject(self, error: SecLinkError) -> None: ...

    def shutdown(self) -> None: ...


class ConnectionRegistry:
    """What the connections share. A request gets the `settings` there was when its head had come."""

    def __init__(self, served: ServerSettings, app_state: dict[str, Any]) -> None:
        # Forwarded headers are the limiter's business: uvicorn would believe them from 127.0.0.1. Its logger is silent:
        # it would print paths, and what escapes the application is reported by the gate.
        self.config = Config(
            self._handle,
            interface="asgi3",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,
        )
        self.config.load()
        self.loop = asyncio.get_running_loop()
        self.state = ServerState()
        self.app_state = app_state
        self.settings = served
        self.stopping = False
        self.connections: set[ConnectionLike] = set()
        self.date()

    def _handle(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        handled: Awaitable[None] = self.settings.app(scope, receive, send)
        return handled

    def date(self) -> None:
        self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    async def watch(self) -> None:
        """Ends what is overdue; never returns."""
        limits = self.settings.limits
        pause = min(4.0, limits.header_seconds, limits.idle_seconds, limits.write_seconds, limits.linger_seconds) / 4
        while True:
            self.date()
            now = self.loop.time()
            for each in [each for each in self.connections if now > each.due or now > each.write_due]:
                each.expire(now)
            await asyncio.sleep(pause)

    def add(self, newcomer: ConnectionLike) -> None:
        """A further connection, as long as there is room and no stop."""
        self.connections.add(newcomer)
        if self.stopping:
            newcomer.wire.abort()
        elif len(self.connections) > self.settings.limits.connections:
            self.evict_idle(newcomer)

    def evict_idle(self, newcomer: ConnectionLike) -> None:
        """Like nginx under pressure: whoever has waited longest without a request in flight goes."""
        waiting = [each for each in self.connections if each.due < inf and each is not newcomer]
        if waiting:
            oldest = min(waiting, key=lambda each: each.due)
            self.connections.discard(oldest)
            oldest.wire.reset()
        else:
            newcomer.reject(Busy())

    async def finish(self) -> None:
        """Closes what idles, waits for what is in flight, then cuts the rest."""
        self.stopping = True
        end = self.loop.time() + self.settings.grace_seconds
        for each in list(self.connections):
            each.shutdown()
        while (self.connections or self.state.tasks) and self.loop.time() < end:  # noqa: ASYNC110 - two sets, once
            await asyncio.sleep(0.02)
        if late := [task for task in self.state.tasks if task.cancel()]:
            await asyncio.wait(late, timeout=1)
        for each in list(self.connections):
            each.wire.abort()


class Connection(HttpToolsProtocol):
    """`due` is when a head, or the next request, must have come; `write_due` when some of an answer must have been
    read. Both are on the loop's clock, `inf` for no limit."""

    def __init__(self, hub: ConnectionRegistry, below: asyncio.WriteTransport | None = None) -> None:
        super().__init__(hub.config, hub.state, hub.app_state, hub.loop)
        self.hub, self._below = hub, below
        self.limits = hub.settings.limits
        self.wire: Transport
        self.due = inf
        self.write_due = inf
        self.lingering = False
        self._sent = 0  # when `write_due` was set
        self._received = 0  # bytes of this message in earlier reads: one read may hold many messages
        self._in_head = True
        self._refusal: SecLinkError | None = None
        self.url, self.headers = b"", []
        self._running: RequestResponseCycle | None = None  # `cycle` is the newest, which may be queued behind this one
        self._discarding = False

    def has_unread(self) -> bool:
        return self._discarding or (self.cycle is not None and self.cycle.more_body)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.wire = Transport(transport, self, self._below)
        super().connection_made(self.wire)  # type: ignore[arg-type]
        self.due = self.loop.time() + self.limits.header_seconds
        self.hub.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.hub.connections.discard(self)
        self.due = self.write_due = inf
        super().connection_lost(exc)
        self.wire.release()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self.lingering or self._discarding:
            if self._received > LINGER_BYTES:
                self.wire.abort()
            return
        super().data_received(data)
        if self._in_head:
            if self._received > self.limits.header_bytes:
                self.reject(HeadersTooLarge())
        elif self._received > self.limits.message_bytes:
            self.reject(PayloadTooLarge())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.limits = self.hub.settings.limits
        self._received = 0
        self.due = self.loop.time() + self.limits.header_seconds
        self._look_for_reader()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what follows a chunked body would be added to headers that have been checked
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_method() == b"CONNECT":
            self._refusal = MethodNotAllowed()
        elif not self.url.startswith((b"/", b"*")) or self.parser.get_http_version() not in ("1.1", "1.0"):
            self._refusal = BadRequest("The request is not addressed as this server takes it")
        elif len(self.pipeline) >= PIPELINED:
            self._refusal = BadRequest("Too many requests were sent ahead of their answers")
        if self._refusal is not None:
            raise self._refusal
        self._in_head = False
        self.due = inf
        self.url = self.hub.settings.below(self.url)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._received = 0
        super().on_message_complete()
        self.url, self.headers = b"", []  # what is refused from here on is another request

    def send_400_response(self, msg: str) -> None:
        """uvicorn's answer to what its parser refuses."""
        error = sys.exception()
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            self._refusal = MethodNotAllowed()
        elif error is not None and isinstance(error.__context__, MemoryError):  # no room for what it had read
            self._refusal = Busy()
        self.reject(self._refusal or BadRequest("The request is not valid HTTP"))

    def reject(self, error: SecLinkError) -> None:
        """Answers without the application, and closes."""
        if self.lingering or self._discarding or self.wire.is_closing():
            return
        self.pipeline.clear()
        running = self._running
        if running is not None and not running.response_complete:
            if running.response_started or not running.more_body:
                # That request was whole: it keeps its answer, and this connection ends with it.
                self._discarding = True
                running.keep_alive = False
                return
            running.disconnected = True
            running.message_event.set()
        self.transport.write(self.hub.settings.refuse(error, self.url, self.headers))
        self.wire.linger()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def start_lingering(self) -> None:
        self.lingering = True
        self._received = 0
        self.due = self.loop.time() + self.limits.linger_seconds
        self.flow.resume_reading()

    def start_closing(self) -> None:
        """TLS closes once all is sent and the other side has said goodbye, too: which may never come."""
        self.due = self.loop.time() + self.limits.linger_seconds

    def on_response_complete(self) -> None:
        """Instead of uvicorn's: the pause before the next request is `due`, not a timer that any byte would stop."""
        self.wire.flush()
        self._watch_reader()
        if self.lingering or self.wire.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        else:
            self.due = self.loop.time() + self.limits.idle_seconds

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look_for_reader()

    def _watch_reader(self) -> None:
        """From now on, until all is sent. TLS does not pause those who write to it for what has been encrypted."""
        if self.write_due == inf and self.wire.unsent():
            self._sent = self.wire.sent()
            self.write_due = self.loop.time() + self.limits.write_seconds

    def _look_for_reader(self) -> None:
        if self.write_due < inf and not self.wire.unsent():
            self.write_due = inf

    def expire(self, now: float) -> None:
        """Called when a limit has passed; again when the close it led to does not come to an end."""
        self._look_for_reader()
        if now > self.write_due:
            sent = self.wire.sent()
            if sent - self._sent >= self.limits.write_rate * self.limits.write_seconds:
                self._sent = sent
                self.write_due = now + self.limits.write_seconds
                return
        elif self.write_due < inf or now <= self.due:
            return  # idle because the client still reads
        elif not self.lingering:
            if self.wire.is_closing():
                self.wire.abort()  # what the kernel has taken, it still delivers
            else:
                self.wire.close()
            return
        self.wire.reset()

"""The HTTP server: uvicorn's connection in our own event loop, with the limits it lacks and a graceful stop.

Chosen by measuring this application on two cores, wrk beside the server: the range of three interleaved rounds relative
to the first line. Differences under a fifth are noise.

                                   GET /healthz   create, 32 conns   create, 128 conns   processor per create   memory
    uvicorn, as extended here      1              1                  1                   1                      1
    uvicorn 0.54 alone             1.0-1.2        0.9-1.1            0.8-1.0             0.9-1.2                1.05
    Granian 2.8 embedded           1.2-1.5        0.7-1.0            0.7-1.0             1.1-1.6                1.4
    uvicorn, as extended, uvloop   0.7-1.6        0.7-1.2            0.9-1.1             0.8-1.1                1.15
    Granian embedded, uvloop       1.1-1.6        0.7-1.0            0.8-1.0             1.0-1.6                1.5

Granian is faster where there is no body. A body costs it two more hand-overs between threads, and it competes with
SQLite's thread for them. Control decided. Under Granian, a client that never reads its response or sends half of its
body holds its connection forever, and a stop waits for it; its socket has SO_REUSEPORT, so a second server on the same
port starts without an error; a malformed chunk becomes a 500; embedding is called experimental. uvicorn has as few
limits by itself, but its connection is a Python object in our loop, and `connection.py` beside this file adds the
missing ones. Both reject Content-Length beside Transfer-Encoding, differing duplicate lengths, `xchunked` and folded
headers; httptools also rejects bare line feeds. uvloop is not worth another compiled dependency: it gains a tenth at
best, and with 128 connections on a route that stores nothing its slowest hundredth waited up to 0.8 s.
"""

import asyncio
import contextlib
import errno
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

from seclink.server.certificate import Certificate
from seclink.server.connection import Connection
from seclink.server.handshake import Handshake
from seclink.server.registry import ConnectionRegistry
from seclink.server.settings import ServerSettings

__all__ = [
    "CannotListen",
    "Reload",
    "bind",
    "serve",
    "stop_on_signals",
]

Reload = Callable[[], Awaitable[ServerSettings | None]]
"""Returns the settings for the next requests, or None to keep the present ones. Must not raise."""

SAME_SIGNAL_SECONDS = 0.25
BACKLOG = 1024
ACCEPTED_AT_ONCE = 32  # asyncio calls this backlog, too; more are accepted before one over the limit is closed
SPARE_FILES = 64  # for the database and its log, the standard streams, the loop itself


class CannotListen(Exception):
    """The address is not available; the message is for the operator. `is_host`: because of the host, not the port."""

    def __init__(self, message: str, is_host: bool = False) -> None:
        super().__init__(message)
        self.is_host = is_host


async def serve(
    settings: ServerSettings,
    *,
    listener: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    hangup: asyncio.Event | None = None,
    reload: Reload | None = None,
    certificate: Certificate | None = None,
) -> None:
    """Serve until `stop` is set, then finish the requests in flight and shut the application down.

    `listener` comes from `bind` and is closed at the end. `ready(url)` is called once requests are served. Each time
    `hangup` is set, `reload` returns the settings for the next requests; open connections and requests in flight are
    not disturbed. The lifespan is that of the first application. With a `certificate`, all connections use TLS. Raises
    CannotListen, or the error of the application's start.
    """
    loop = asyncio.get_running_loop()
    with contextlib.closing(listener):
        _listen(listener)
        async with _lifespan(settings.app) as state:
            registry = ConnectionRegistry(_within_file_limit(settings), state)
            deadlines = loop.create_task(registry.run_deadlines())
            protocol = _protocol_factory(registry, certificate)
            server = await loop.create_server(protocol, sock=listener, backlog=ACCEPTED_AT_ONCE)
            _listen(listener)
            ready(_url(listener, "http" if certificate is None else "https"))
            reloading = loop.create_task(_reload(registry, hangup, reload)) if hangup and reload else None
            await _wait_for_stop(stop, deadlines)
            if reloading:
                reloading.cancel()
            server.close()
            await registry.drain()
            if not deadlines.cancel():
                deadlines.result()


async def _wait_for_stop(stop: asyncio.Event, deadlines: asyncio.Task[None]) -> None:
    """Wait until `stop` is set or the deadlines end.

    They end only by a bug. Serving on without time limits would be worse than stopping.
    """
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((stopping, deadlines), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


def _protocol_factory(registry: ConnectionRegistry, certificate: Certificate | None) -> Callable[[], asyncio.Protocol]:
    if certificate is None:
        return lambda: Connection(registry)
    return lambda: Handshake(registry, certificate.context)


async def _reload(registry: ConnectionRegistry, hangup: asyncio.Event, reload: Reload) -> None:
    while True:
        await hangup.wait()
        hangup.clear()  # a signal from here on asks for another reload
        settings = await reload()
        if settings is not None:
            registry.settings = _within_file_limit(settings)


def stop_on_signals(stop: asyncio.Event, hangup: asyncio.Event | None = None) -> None:
    """Set `stop` on SIGTERM, SIGINT and SIGHUP; a second signal ends the process at once.

    With `hangup`, SIGHUP sets that event instead, unless it has its original meaning: that the terminal is gone.

    Wrappers pass on a terminal's Ctrl-C although it has already reached this process, so a signal that follows within
    SAME_SIGNAL_SECONDS is the same one. These are plain handlers, because the loop removes its own before the
    interpreter exits.
    """
    loop = asyncio.get_running_loop()
    first: list[float] = []
    has_terminal = os.isatty(0)

    def on_hangup(number: int, frame: object) -> None:
        if hangup is None or (has_terminal and not os.isatty(0)):
            on_signal(number, frame)
        else:
            loop.call_soon_threadsafe(hangup.set)

    def on_signal(number: int, frame: object) -> None:
        now = time.monotonic()
        if first and now - first[0] > SAME_SIGNAL_SECONDS:
            os.write(2, b"stopping at once\n")
            os._exit(1)
        if not first:
            first.append(now)
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    signal.signal(signal.SIGHUP, on_hangup)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to the address, not listening yet; `::` includes IPv4. Raises CannotListen."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = addresses[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"{host} is not an address of this machine", is_host=True) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
        listener.bind(address)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise CannotListen(f"{host} is not an address of this machine", is_host=True) from error
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "needs more rights; choose a port above 1023"}
        reason = reasons.get(error.errno or 0, "cannot be listened on")
        raise CannotListen(f"{_host_port(host, port)} {reason}") from error
    return listener


def _listen(listener: socket.socket) -> None:
    """Take the address: of two bound sockets, the first to listen gets it. Raises CannotListen."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise CannotListen(f"{_host_port(*listener.getsockname()[:2])} is in use") from error


def _within_file_limit(settings: ServerSettings) -> ServerSettings:
    """Return settings with as many connections as the process may open files for."""
    limits = settings.limits
    return replace(settings, limits=replace(limits, connections=_available_connections(limits.connections)))


def _available_connections(connections: int) -> int:
    """Raise the limit of open files where that is allowed; return the number of connections that fit into it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES))


def _url(listener: socket.socket, scheme: str) -> str:
    return f"{scheme}://{_host_port(*listener.getsockname()[:2])}"


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Run the application's startup and shutdown; a failure of either is raised to the caller of `serve`."""
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": state}
    running = asyncio.ensure_future(app(scope, inbox.get, outbox.put))

    async def enter(phase: str) -> None:
        inbox.put_nowait({"type": f"lifespan.{phase}"})
        reply = asyncio.ensure_future(outbox.get())
        await asyncio.wait((reply, running), return_when=asyncio.FIRST_COMPLETED)
        if not reply.done() or reply.result()["type"] != f"lifespan.{phase}.complete":
            reply.cancel()
            await running  # raises the application's own error
            raise RuntimeError(f"the application did not complete its {phase}")

    await enter("startup")
    try:
        yield state
    finally:
        await enter("shutdown")
        await running

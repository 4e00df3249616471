"""The HTTP server: uvicorn's connection in our own loop, with the limits it lacks and a stop that keeps its word.

Chosen by measuring this application on two cores, wrk beside the server: the range of three interleaved rounds relative
to the first line. Differences under a fifth are noise.

                                   GET /healthz   create, 32 conns   create, 128 conns   processor per create   memory
    uvicorn, as extended here      1              1                  1                   1                      1
    uvicorn 0.54 alone             1.0-1.2        0.9-1.1            0.8-1.0             0.9-1.2                1.05
    Granian 2.8 embedded           1.2-1.5        0.7-1.0            0.7-1.0             1.1-1.6                1.4
    uvicorn, as extended, uvloop   0.7-1.6        0.7-1.2            0.9-1.1             0.8-1.1                1.15
    Granian embedded, uvloop       1.1-1.6        0.7-1.0            0.8-1.0             1.0-1.6                1.5

Granian is faster where there is no body; a body costs it two more hand-overs between threads, and SQLite's thread
has more of them to compete with. What decided is control. Under Granian, a client that never reads its answer or
leaves its body half sent holds its connection for ever, and a stop waits for it; its socket has SO_REUSEPORT, so a
second server on the same port starts without a word; a malformed chunk becomes a 500; embedding is called
experimental. uvicorn limits as little by itself, but there a connection is a Python object in our loop, and
`connection.py` beside this file adds what is missing. Both refuse Content-Length beside Transfer-Encoding, doubled
lengths that differ, `xchunked` and folded headers; httptools also refuses bare line feeds. uvloop is not worth
another compiled dependency: a tenth more at best, and with 128 connections of a route that stores nothing its
slowest hundredth waited up to 0.8 s.
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
from seclink.server.connection import Connection, ConnectionRegistry
from seclink.server.handshake import Handshake
from seclink.server.settings import ServerSettings

__all__ = [
    "CannotListen",
    "Reload",
    "bind",
    "serve",
    "stop_on_signals",
]

Reload = Callable[[], Awaitable[ServerSettings | None]]
"""What is to be served from now on; None: go on as before. It may not raise."""

SAME_SIGNAL_SECONDS = 0.25
BACKLOG = 1024
ACCEPTED_AT_ONCE = 32  # asyncio's word for it is backlog, too; more come before a connection too many is given up
SPARE_FILES = 64  # the database and its log, standard streams, the loop's own


class CannotListen(Exception):
    """The address cannot be had; the message is for the person who started the server. `is_host`: whatever the port."""

    def __init__(self, message: str, is_host: bool = False) -> None:
        super().__init__(message)
        self.is_host = is_host


async def serve(
    served: ServerSettings,
    *,
    listener: socket.socket,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    hangup: asyncio.Event | None = None,
    reload: Reload | None = None,
    certificate: Certificate | None = None,
) -> None:
    """Serves until `stop` is set, then finishes what is in flight and lets the application shut down.

    `listener` is of `bind`, and closed at the end. `ready` is told the URL once requests are answered. Each `hangup`
    lets `reload` say what the next requests get; no connection and no request notices. The first application's lifespan
    is that of them all. With a `certificate`, all that is over TLS. Raises CannotListen, or what its start raised.
    """
    loop = asyncio.get_running_loop()
    with contextlib.closing(listener):
        _listen(listener)
        async with _lifespan(served.app) as state:
            hub = ConnectionRegistry(_affordable(served), state)
            clock = loop.create_task(hub.watch())
            server = await loop.create_server(_accepting(hub, certificate), sock=listener, backlog=ACCEPTED_AT_ONCE)
            _listen(listener)
            ready(_url(listener, "http" if certificate is None else "https"))
            waiting = loop.create_task(stop.wait())
            reloading = loop.create_task(_reload(hub, hangup, reload)) if hangup and reload else None
            # The clock ends only by a bug. Serving on without time limits would be worse than stopping.
            await asyncio.wait((waiting, clock), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if reloading:
                reloading.cancel()
            server.close()
            await hub.finish()
            if not clock.cancel():
                clock.result()


def _accepting(hub: ConnectionRegistry, certificate: Certificate | None) -> Callable[[], asyncio.Protocol]:
    if certificate is None:
        return lambda: Connection(hub)
    return lambda: Handshake(hub, certificate.context)


async def _reload(hub: ConnectionRegistry, hangup: asyncio.Event, reload: Reload) -> None:
    while True:
        await hangup.wait()
        hangup.clear()  # one that comes from here on is another
        served = await reload()
        if served is not None:
            hub.settings = _affordable(served)


def stop_on_signals(stop: asyncio.Event, hangup: asyncio.Event | None = None) -> None:
    """SIGTERM, SIGINT and SIGHUP set `stop`; a second one ends the process at once. With `hangup`, SIGHUP sets that,
    unless it says what it was made for: that the terminal is gone.

    Wrappers pass a terminal's Ctrl-C on although it has reached us already: what follows on the heels is the same one.
    Plain handlers, because the loop's own are gone before the interpreter is.
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

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, on_signal)
    signal.signal(signal.SIGHUP, on_hangup)


def bind(host: str, port: int) -> socket.socket:
    """A socket that has the address and does not hear yet; `::` takes IPv4 as well. Raises CannotListen."""
    place = _place(host, port)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
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
        raise CannotListen(f"{place} {reasons.get(error.errno or 0, 'cannot be listened on')}") from error
    return listener


def _listen(listener: socket.socket) -> None:
    """From here on the address is ours alone: of two that are bound, the first to listen has it."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        raise CannotListen(f"{_place(*listener.getsockname()[:2])} is in use") from error


def _affordable(served: ServerSettings) -> ServerSettings:
    limits = served.limits
    return replace(served, limits=replace(limits, connections=_connections(limits.connections)))


def _connections(connections: int) -> int:
    """Raises the limit of open files where that is allowed; otherwise takes fewer connections than asked for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES))


def _url(listener: socket.socket, scheme: str) -> str:
    return f"{scheme}://{_place(*listener.getsockname()[:2])}"


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextlib.asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Drives the application's start and shutdown, so that a failure of either is raised to whoever called `serve`."""
    state: dict[str, Any] = {}
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.3"}, "state": state}
    life = asyncio.ensure_future(app(scope, inbox.get, outbox.put))

    async def enter(phase: str) -> None:
        inbox.put_nowait({"type": f"lifespan.{phase}"})
        answer = asyncio.ensure_future(outbox.get())
        await asyncio.wait((answer, life), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() or answer.result()["type"] != f"lifespan.{phase}.complete":
            answer.cancel()
            await life  # raises what went wrong
            raise RuntimeError(f"the application did not complete its {phase}")

    await enter("startup")
    try:
        yield state
    finally:
        await enter("shutdown")
        await life

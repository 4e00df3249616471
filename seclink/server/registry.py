"""The registry of open connections: their number, their deadlines, their settings, their end.

At the limit of connections, the one that has waited longest without a request is closed. One task checks all deadlines,
so a request pays for no timer.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from email.utils import formatdate
from math import inf
from typing import Any, Protocol

from uvicorn.config import Config
from uvicorn.server import ServerState

from seclink.domain.shares import Holder, Shares
from seclink.errors import Busy, SecLinkError
from seclink.server.settings import ServerSettings
from seclink.server.transport import Transport


class ConnectionLike(Protocol):
    """A connection, or the handshake that becomes one."""

    deadline: float
    write_deadline: float
    transport: Transport

    def expire(self, now: float) -> None: ...

    def count_unsent(self) -> None: ...

    def reject(self, error: SecLinkError) -> None: ...

    def shutdown(self) -> None: ...


class ConnectionRegistry:
    """The connections and the state they share.

    A request gets the `settings` that are in force when its head is complete.
    """

    def __init__(self, settings: ServerSettings, app_state: dict[str, Any]) -> None:
        # The rate limiter reads forwarded headers itself: uvicorn would trust them from 127.0.0.1. uvicorn's logger is
        # silent: it would print paths, and the middleware reports what escapes the application.
        self.config = Config(
            self._call_app,
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
        self.settings = settings
        self.stopping = False
        self.connections: set[ConnectionLike] = set()
        self.slow: set[ConnectionLike] = set()  # their clients have not read a large part of a response
        self._shares = Shares(settings.limits.connections)
        self._holders: dict[ConnectionLike, Holder] = {}
        self._update_date()

    async def run_deadlines(self) -> None:
        """Expire connections whose deadlines have passed; never returns."""
        limits = self.settings.limits
        shortest = min(4.0, limits.header_seconds, limits.idle_seconds, limits.write_seconds, limits.linger_seconds)
        while True:
            self._update_date()
            now = self.loop.time()
            for overdue in [one for one in self.connections if now > one.deadline or now > one.write_deadline]:
                overdue.expire(now)
            for connection in list(self.slow):
                connection.count_unsent()
            await asyncio.sleep(shortest / 4)

    def add(self, connection: ConnectionLike) -> None:
        """Register a new connection. Over a limit, make room for it or reject it; during a stop, drop it."""
        holder = self.settings.peer_holder(_peer(connection))
        is_over_share = holder is not None and not self._shares.fits(holder, is_urgent=True)
        self.connections.add(connection)
        if holder is not None:
            self._holders[connection] = holder
            self._shares.add(holder, 1)
        if self.stopping:
            connection.transport.abort()
        elif is_over_share:
            self._make_room(connection, self._neighbours(connection))
        elif len(self.connections) > self.settings.limits.connections:
            self._make_room(connection, self.connections)

    def remove(self, connection: ConnectionLike) -> None:
        """Forget a connection that is gone."""
        self.connections.discard(connection)
        self.slow.discard(connection)
        if holder := self._holders.pop(connection, None):
            self._shares.add(holder, -1)

    async def drain(self) -> None:
        """Close idle connections, wait for the requests in flight, then close the rest."""
        self.stopping = True
        end = self.loop.time() + self.settings.grace_seconds
        for connection in list(self.connections):
            connection.shutdown()
        while (self.connections or self.state.tasks) and self.loop.time() < end:  # noqa: ASYNC110 - two sets, once
            await asyncio.sleep(0.02)
        if late := [task for task in self.state.tasks if task.cancel()]:
            await asyncio.wait(late, timeout=1)
        for connection in list(self.connections):
            connection.transport.abort()

    def _neighbours(self, connection: ConnectionLike) -> Iterable[ConnectionLike]:
        """Return the connections of the same client or, if that has few, of the same subnet."""
        holder = self._holders[connection]
        return [
            one
            for one, other in self._holders.items()
            if other.client == holder.client or (holder.subnet is not None and other.subnet == holder.subnet)
        ]

    def _make_room(self, newcomer: ConnectionLike, connections: Iterable[ConnectionLike]) -> None:
        """Close the connection that has waited longest without a request in flight, as nginx does under pressure."""
        waiting = [one for one in connections if one.deadline < inf and one is not newcomer]
        if waiting:
            oldest = min(waiting, key=lambda one: one.deadline)
            self.remove(oldest)
            oldest.transport.reset()
        else:
            newcomer.reject(Busy())

    def _call_app(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        response: Awaitable[None] = self.settings.app(scope, receive, send)
        return response

    def _update_date(self) -> None:
        self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]


def _peer(connection: ConnectionLike) -> str:
    """Return the address of the other end, "" for one that is already gone."""
    address = connection.transport.get_extra_info("peername")
    return str(address[0]) if address else ""

"""A connection over TLS, until it is one: the handshake, under the limits that connections have.

It counts as a connection from its first byte, so that silence keeps nobody out, and it holds no request. What fails is
closed without a word: there is nobody to tell, and a log of it would be written by strangers.
"""

import asyncio
import ssl
from math import inf

from seclink.errors import SecLinkError
from seclink.server.connection import Connection, ConnectionRegistry
from seclink.server.transport import Transport

DAY = 86_400.0


class Handshake(asyncio.Protocol):
    """Becomes a Connection. What comes before that in the handshake's last segment is kept for it.

    One of these a connection, with the certificate of this moment: a context that serves already is never changed.
    """

    lingering = True  # nothing is written here but by TLS itself

    def __init__(self, hub: ConnectionRegistry, context: ssl.SSLContext) -> None:
        self.hub, self.context = hub, context
        self.due = self.write_due = inf
        self.wire: Transport
        self._early = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.wire = Transport(transport, self)
        self.due = self.hub.loop.time() + self.hub.settings.limits.header_seconds
        self._task = self.hub.loop.create_task(self._shake(transport))
        self.hub.add(self)

    async def _shake(self, transport: asyncio.Transport) -> None:
        limits = self.hub.settings.limits
        try:
            tls = await self.hub.loop.start_tls(
                transport,
                self,
                self.context,
                server_side=True,
                ssl_handshake_timeout=2 * limits.header_seconds,  # the hub's clock is first, and resets
                ssl_shutdown_timeout=DAY,  # it would count from the close on, and cut what is still being read
            )
        except OSError:  # of which what TLS refuses is one
            tls = None
        finally:
            self.hub.connections.discard(self)
        if tls is None or tls.is_closing():
            return
        connection = Connection(self.hub, transport)
        tls.set_protocol(connection)
        connection.connection_made(tls)
        if self._early:
            connection.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def expire(self, now: float) -> None:
        self.wire.reset()

    def reject(self, error: SecLinkError) -> None:
        self.wire.reset()

    def shutdown(self) -> None:
        self.wire.abort()

    def has_unread(self) -> bool:
        return False

    def start_lingering(self) -> None:
        return None

    def start_closing(self) -> None:
        return None

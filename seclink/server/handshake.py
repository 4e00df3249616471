"""A connection over TLS until its handshake is finished, under the limits of connections.

It counts as a connection from its first byte, so that silent clients cannot keep others out, and it holds no request.
A failed handshake is closed without a response or a log line: there is no client to respond to, and strangers could
fill the log.
"""

import asyncio
import ssl
from math import inf

from seclink.errors import SecLinkError
from seclink.server.connection import Connection
from seclink.server.registry import ConnectionRegistry
from seclink.server.transport import Transport

DAY_SECONDS = 86_400.0


class Handshake(asyncio.Protocol):
    """Becomes a Connection. Bytes that follow the handshake in its last segment are kept for it.

    There is one of these for each connection, with the certificate of that moment: a context in use is never changed.
    """

    lingering = True  # only TLS itself writes here

    def __init__(self, registry: ConnectionRegistry, context: ssl.SSLContext) -> None:
        self.registry, self.context = registry, context
        self.deadline = self.write_deadline = inf
        self.transport: Transport
        self._early = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = Transport(transport, self)
        self.deadline = self.registry.loop.time() + self.registry.settings.limits.header_seconds
        self._task = self.registry.loop.create_task(self._negotiate(transport))
        self.registry.add(self)

    async def _negotiate(self, transport: asyncio.Transport) -> None:
        limits = self.registry.settings.limits
        try:
            tls = await self.registry.loop.start_tls(
                transport,
                self,
                self.context,
                server_side=True,
                ssl_handshake_timeout=2 * limits.header_seconds,  # the registry's deadline comes first, and resets
                ssl_shutdown_timeout=DAY_SECONDS,  # it starts at the close and would cut off a client that still reads
            )
        except OSError:  # includes ssl.SSLError
            tls = None
        finally:
            self.registry.remove(self)
        if tls is None or tls.is_closing():
            return
        connection = Connection(self.registry, transport)
        tls.set_protocol(connection)
        connection.connection_made(tls)
        if self._early:
            connection.data_received(self._early)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def expire(self, now: float) -> None:
        self.transport.reset()

    def count_unsent(self) -> None:
        return None

    def reject(self, error: SecLinkError) -> None:
        self.transport.reset()

    def shutdown(self) -> None:
        self.transport.abort()

    def has_unread(self) -> bool:
        return False

    def start_lingering(self) -> None:
        return None

    def start_closing(self) -> None:
        return None

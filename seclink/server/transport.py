"""A wrapper of asyncio's transport: one write per response instead of two, and a close that loses no response."""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from typing import Protocol

SMALL_BYTES = 65_536  # copying more costs more than the write it saves


class TransportOwner(Protocol):
    """The connection, as its transport sees it."""

    lingering: bool

    def has_unread(self) -> bool: ...

    def start_lingering(self) -> None: ...

    def start_closing(self) -> None: ...


class _ReleasedOwner:
    """Stands in for a connection that is gone, so that late writes and closes do nothing."""

    lingering = True

    def has_unread(self) -> bool:
        return False

    def start_lingering(self) -> None:
        return None

    def start_closing(self) -> None:
        return None


class Transport:
    """The transport that uvicorn's connection gets."""

    def __init__(
        self,
        transport: asyncio.Transport,
        owner: TransportOwner,
        socket_transport: asyncio.WriteTransport | None = None,
    ) -> None:
        """`socket_transport` is the transport below TLS, which takes everything at once however much is buffered."""
        self._transport, self._socket_transport = transport, socket_transport
        self._written = 0
        self._owner: TransportOwner = owner
        self._head = b""
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        """Write; hold back a response's head until its body follows, the response ends or the connection closes."""
        if self._owner.lingering:
            return
        if self._head and len(data) > SMALL_BYTES:
            self.flush()
        elif self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        self._send(data)

    def unsent(self) -> int:
        """Return the number of bytes that the kernel has not accepted yet."""
        below_tls = self._socket_transport.get_write_buffer_size() if self._socket_transport is not None else 0
        return self._transport.get_write_buffer_size() + below_tls

    def delivered(self) -> int:
        """Return the number of bytes that the client has acknowledged.

        The kernel can buffer megabytes that it has not delivered. Counting what it accepts would show no progress for
        minutes while a client reads slowly and steadily.
        """
        return self._written - self.unsent() - _unacknowledged(self.get_extra_info("socket"))

    def flush(self) -> None:
        if self._head:
            self._send(self._head)
            self._head = b""

    def close(self) -> None:
        if self._owner.lingering:
            return
        self.flush()
        if self._owner.has_unread():
            self.linger()
        else:
            self._owner.start_closing()
            self._transport.close()

    def linger(self) -> None:
        """End our side and keep reading for a while.

        To close over unread bytes would reset the connection, and the client would lose the response.
        """
        if self._owner.lingering or self.is_closing():
            return
        self.flush()
        self._owner.start_lingering()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def reset(self) -> None:
        """Close at once and drop what the kernel has buffered, which it would keep for minutes for an idle client."""
        sock = self.get_extra_info("socket")
        if sock is not None:  # over TLS the socket is gone before its owner learns of it
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def release(self) -> None:
        """Drop the references to the connection, so that it is freed without waiting for the garbage collector."""
        self._owner = _ReleasedOwner()
        self._head = b""

    def _send(self, data: bytes) -> None:
        self._written += len(data)
        self._transport.write(data)


def _unacknowledged(sock: socket.socket | None) -> int:
    """Return the number of bytes that the kernel has accepted and the client has not acknowledged."""
    count = bytearray(4)
    if sock is not None:
        with contextlib.suppress(OSError, ValueError):  # closed in the meantime
            fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    return int.from_bytes(count, sys.byteorder)

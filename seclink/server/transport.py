"""What stands between a connection and its socket."""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from typing import Protocol

SMALL = 65_536  # more is not worth copying to save a write


class Owner(Protocol):
    """The connection, as far as it matters here."""

    lingering: bool

    def has_unread(self) -> bool: ...

    def start_lingering(self) -> None: ...

    def start_closing(self) -> None: ...


class _NoOwner:
    """The owner of a wire whose connection is gone."""

    lingering = True

    def has_unread(self) -> bool:
        return False

    def start_lingering(self) -> None:
        return None

    def start_closing(self) -> None:
        return None


class Transport:
    """The transport as uvicorn sees it: one write per answer instead of two, and a close that loses no answer."""

    def __init__(self, transport: asyncio.Transport, owner: Owner, below: asyncio.WriteTransport | None = None) -> None:
        """`below` is what TLS hands everything to at once, however much there is already."""
        self._transport, self._below = transport, below
        self._written = 0
        self._owner: Owner = owner
        self._head = b""
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        """Holds back an answer's head until its body follows, the answer ends or the connection closes."""
        if self._owner.lingering:
            return
        if self._head and len(data) > SMALL:
            self.flush()
        elif self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 1"):
            self._head = data
            return
        self._send(data)

    def unsent(self) -> int:
        """What the kernel has not taken yet."""
        below = self._below.get_write_buffer_size() if self._below is not None else 0
        return self._transport.get_write_buffer_size() + below

    def sent(self) -> int:
        """What the other side has so far. The kernel may hold megabytes that it has taken and not delivered: to go by
        what it takes would be to see nothing for minutes of somebody who reads slowly and steadily.
        """
        return self._written - self.unsent() - _undelivered(self.get_extra_info("socket"))

    def _send(self, data: bytes) -> None:
        self._written += len(data)
        self._transport.write(data)

    def release(self) -> None:
        """Lets the connection and its buffers be freed at once rather than by the next search for reference cycles."""
        self._owner = _NoOwner()
        self._head = b""

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

    def reset(self) -> None:
        """Leaves the kernel nothing to deliver, which a client that does not read would make it hold for minutes."""
        found = self.get_extra_info("socket")
        if found is not None:  # over TLS, it is gone before its owner hears of it
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def linger(self) -> None:
        """Says that we are done and reads on for a while: closing over unread bytes would reset the connection, and the
        answer would be lost."""
        if self._owner.lingering or self.is_closing():
            return
        self.flush()
        self._owner.start_lingering()
        if self._transport.can_write_eof():
            self._transport.write_eof()


def _undelivered(found: socket.socket | None) -> int:
    """Bytes that the kernel has taken and nobody has acknowledged."""
    answer = bytearray(4)
    if found is not None:
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, answer)
    return int.from_bytes(answer, sys.byteorder)

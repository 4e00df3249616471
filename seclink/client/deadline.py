"""Bounds the time of a request as a whole.

httpx bounds each wait by itself, so a server that sends a byte now and then could hold its caller for days. asyncio can
end a request at any point; the sync client asks for the time that is left before each wait on its socket.
"""

import ssl
import time
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

MIN_BYTES_PER_SECOND = 8 * 1024
"""A connection slower than this, beyond the timeout, is given up."""


class Deadline:
    """The end of a request: `seconds` from now, and the time that its bytes take at the slowest speed."""

    def __init__(self, seconds: float, sent_bytes: int) -> None:
        self._end = time.monotonic() + seconds
        self.extend(sent_bytes)

    def extend(self, count: int) -> None:
        """Allow the time for some more bytes."""
        self._end += count / MIN_BYTES_PER_SECOND

    def remaining(self) -> float:
        return self._end - time.monotonic()


current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
"""That of the sync request which this thread is sending."""


class DeadlineTransport(httpx.HTTPTransport):
    """The transport of httpx, which keeps to the `current` deadline."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pool._network_backend = _Backend()  # httpx has no parameter for it; a test notices if this has no effect


class _Backend(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        bounded = _bounded(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, bounded, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _bounded(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _bounded(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        bounded = _bounded(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, bounded))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _bounded(timeout: float | None, error: type[Exception]) -> float | None:
    """Return how long to wait at most. Raises `error` if there is no time left."""
    deadline = current.get()
    if deadline is None:
        return timeout
    if (remaining := deadline.remaining()) <= 0:
        raise error("no time left")
    return remaining if timeout is None else min(timeout, remaining)

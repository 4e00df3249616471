"""A proxy between the page and the server, which records the requests. A test can make it answer by itself, change a
response, cut the connection, or send bytes slowly.
"""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from support.waiting import TIMEOUT_SECONDS

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing is a reset, no orderly end


@dataclass
class ProxiedRequest:
    """A request, and the status that was sent back."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None = field(default=None)

    @property
    def whole(self) -> bytes:
        return f"{self.method} {self.path} {self.headers}".encode() + self.body


Responder = Callable[[ProxiedRequest], bytes | None]
"""Returns a complete response to send instead of forwarding the request; None: forward it."""
Splitter = Callable[[ProxiedRequest, bytes], Iterable[bytes]]
"""Yields the parts of the server's response to send; then the connection is reset."""


class Proxy:
    """A test may set `answer` and `pieces` at any time; `requests` are all requests so far."""

    def __init__(self, server_url: str) -> None:
        self.requests: list[ProxiedRequest] = []
        self.answer: Responder = lambda _: None
        self.pieces: Splitter | None = None
        self._changed = threading.Condition()
        self._real = urlsplit(server_url).netloc
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = do_OPTIONS = handle_any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, end: str, method: str | None = None) -> list[ProxiedRequest]:
        """Return the requests whose path ends with `end`."""
        with self._changed:
            return [item for item in self.requests if item.path.endswith(end) and method in (None, item.method)]

    def wait(self, count: int, end: str, method: str | None = None) -> list[ProxiedRequest]:
        """Wait until `count` such requests have a response, from the server or from the proxy."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._answered(end, method)) >= count, TIMEOUT_SECONDS), (
                self.requests
            )
            return self._answered(end, method)

    def _answered(self, end: str, method: str | None) -> list[ProxiedRequest]:
        return [item for item in self.of(end, method) if item.status is not None]

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        request = ProxiedRequest(handler.command, handler.path, dict(handler.headers.items()), body)
        with self._changed:
            self.requests.append(request)
        raw = self.answer(request)
        if raw is None:
            raw = self._forward(request)
        with self._changed:
            request.status = int(raw[9:12] or 0) if raw.startswith(b"HTTP/") else 0
            self._changed.notify_all()
        self._send(handler, raw, self.pieces(request, raw) if self.pieces else None)

    def _forward(self, request: ProxiedRequest) -> bytes:
        connection = http.client.HTTPConnection(self._real, timeout=TIMEOUT_SECONDS)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection")}
        connection.request(request.method, request.path, request.body or None, {**headers, "Connection": "close"})
        real = connection.getresponse()
        content = real.read()
        connection.close()
        head = "".join(f"{name}: {value}\r\n" for name, value in real.getheaders())
        return f"HTTP/1.1 {real.status} {real.reason}\r\n{head}\r\n".encode("latin-1") + content

    def _send(self, handler: BaseHTTPRequestHandler, raw: bytes, pieces: Iterable[bytes] | None) -> None:
        handler.close_connection = True
        try:
            for piece in pieces if pieces is not None else [raw]:
                handler.wfile.write(piece)
                handler.wfile.flush()
        except OSError:
            return  # the page closed the connection
        if pieces is not None:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def http_response(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a complete response; header names are written with underscores."""
    all_headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    all_headers |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
    return f"HTTP/1.1 {status} Status\r\n{head}\r\n".encode() + body

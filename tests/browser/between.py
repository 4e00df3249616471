"""A server between the page and the real one. It hands on what it gets, unless a test tells it otherwise: then it
answers itself, changes an answer, cuts the line, or lets bytes drip. What was really sent is kept to be looked at.
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

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing is a reset, no orderly end


@dataclass
class Asked:
    """One request as it came, and what became of it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int | None = field(default=None)

    @property
    def whole(self) -> bytes:
        return f"{self.method} {self.path} {self.headers}".encode() + self.body


Answer = Callable[[Asked], bytes | None]
"""A whole answer to give instead of asking the real server; None: ask it."""
Pieces = Callable[[Asked, bytes], Iterable[bytes]]
"""What to send of the real server's whole answer, piece by piece; then the line is cut."""


class Between:
    """`answer` and `pieces` may be set by a test at any time; `asked` are all requests so far."""

    def __init__(self, server_url: str) -> None:
        self.asked: list[Asked] = []
        self.answer: Answer = lambda _: None
        self.pieces: Pieces | None = None
        self._changed = threading.Condition()
        self._real = urlsplit(server_url).netloc
        between = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                between._handle(self)

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

    def of(self, end: str, method: str | None = None) -> list[Asked]:
        """The requests whose path ends so."""
        with self._changed:
            return [each for each in self.asked if each.path.endswith(end) and method in (None, each.method)]

    def wait(self, count: int, end: str, method: str | None = None) -> list[Asked]:
        """Wait until `count` requests to such a path were answered, by the real server or instead of it."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._answered(end, method)) >= count, 20), self.asked
            return self._answered(end, method)

    def _answered(self, end: str, method: str | None) -> list[Asked]:
        return [each for each in self.of(end, method) if each.status is not None]

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        asked = Asked(handler.command, handler.path, dict(handler.headers.items()), body)
        with self._changed:
            self.asked.append(asked)
        raw = self.answer(asked)
        if raw is None:
            raw = self._ask(asked)
        with self._changed:
            asked.status = int(raw[9:12] or 0) if raw.startswith(b"HTTP/") else 0
            self._changed.notify_all()
        self._send(handler, raw, self.pieces(asked, raw) if self.pieces else None)

    def _ask(self, asked: Asked) -> bytes:
        connection = http.client.HTTPConnection(self._real, timeout=30)
        kept = {name: value for name, value in asked.headers.items() if name.lower() not in ("host", "connection")}
        connection.request(asked.method, asked.path, asked.body or None, {**kept, "Connection": "close"})
        real = connection.getresponse()
        content = real.read()
        connection.close()
        head = "".join(f"{name}: {value}\r\n" for name, value in real.getheaders())
        return f"HTTP/1.1 {real.status} {real.reason}\r\n{head}\r\n".encode("latin-1") + content

    def _send(self, handler: BaseHTTPRequestHandler, raw: bytes, pieces: Iterable[bytes] | None) -> None:
        handler.close_connection = True
        try:
            for each in pieces if pieces is not None else [raw]:
                handler.wfile.write(each)
                handler.wfile.flush()
        except OSError:
            return  # the page has had enough
        if pieces is not None:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def answered(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; header names are written with underscores."""
    given = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body

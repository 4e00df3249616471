"""A server for the client's tests: it records requests, and answers with scripted responses or as a small SecLink.

Nothing of the client is replaced; httpx's mock transport takes the place of the socket.
"""

import asyncio
import base64
import http.server
import json
import threading
from collections.abc import Callable
from typing import Any, Self

import httpx

from seclink import AsyncClient, Client

SERVER = "https://secret.example"
EXPIRES_AT = 1_800_000_000_123

Scripted = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Peer:
    """A server with one secret. It answers with the responses of `script` first, then by the rules of the API.

    `stored` is the body of the last create, `changes` are members that replace those of every response.
    """

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.script: list[Scripted] = []
        self.stored: dict[str, Any] = {}
        self.changes: dict[str, Any] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.script:
            scripted = self.script.pop(0)
            if isinstance(scripted, Exception):
                raise scripted
            return scripted(request) if callable(scripted) else scripted
        return self.respond(request)

    def respond(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        if path == "/secrets":
            self.stored = json.loads(request.content)
            return httpx.Response(201, json=create_response() | self.changes)
        if path.endswith("/meta"):
            return httpx.Response(200, json=meta_response(self.stored) | self.changes)
        if path.endswith("/reveal"):
            return httpx.Response(200, json=reveal_response(self.stored) | self.changes)
        return problem(404, "not_found")

    @property
    def paths(self) -> list[str]:
        return [f"{r.method} {r.url.path.removeprefix('/api/v1')}" for r in self.requests]

    def received(self) -> str:
        """Return everything that was ever sent to this server as one text."""
        return "\n".join(f"{r.url}{dict(r.headers)}{r.content.decode()}" for r in self.requests)


def create_response() -> dict[str, Any]:
    return {
        "linkId": "AbCdEf123456",
        "shareUrl": f"{SERVER}/AbCdEf123456",
        "expiresAt": EXPIRES_AT,
        "receiptId": "0" * 20,
        "manageToken": "m" * 32,
        "expiryType": "custom",
        "maxViews": 1,
    }


def meta_response(stored: dict[str, Any]) -> dict[str, Any]:
    return {
        "linkId": "AbCdEf123456",
        "format": stored.get("format", "raw"),
        "expiryType": "custom",
        "expiresAt": EXPIRES_AT,
        "viewsLeft": 1,
        "accessRequired": "accessHash" in stored,
        "passcodeRequired": "passcodeHash" in stored,
        "attemptsLeft": 5 if "passcodeHash" in stored else None,
        "publicNote": stored.get("publicNote"),
    }


def reveal_response(stored: dict[str, Any]) -> dict[str, Any]:
    payload = {name: stored[name] for name in ("encryptedBlob", "iv")}
    return payload | {
        "expiryType": "custom",
        "format": stored.get("format", "raw"),
        "viewsLeft": 0,
        "expiresAt": EXPIRES_AT,
    }


def receipt(**members: Any) -> dict[str, Any]:
    return {
        "receiptId": "0" * 20,
        "state": "active",
        "label": "for Bob",
        "publicNote": None,
        "createdAt": EXPIRES_AT - 1000,
        "expiresAt": EXPIRES_AT,
        "maxViews": 1,
        "views": 0,
        "passcodeRequired": False,
    } | members


def problem(status: int, code: str, headers: dict[str, str] | None = None, **members: Any) -> httpx.Response:
    content = {"type": "about:blank", "title": "T", "status": status, "detail": f"about {code}", "code": code}
    return httpx.Response(status, headers=headers, json=content | members)


def raw_secret(key: bytes, body: bytes) -> dict[str, str]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    blob = AESGCM(key).encrypt(bytes(12), body, None)
    return {"encryptedBlob": base64.b64encode(blob).decode(), "iv": base64.b64encode(bytes(12)).decode()}


class Caller:
    """Calls an operation of the sync or the async client, so that every test covers both."""

    def __init__(self, kind: str, peer: Peer) -> None:
        self.kind, self.peer = kind, peer
        self.waited: list[float] = []

    def __call__(self, operation: str, *args: Any, server: str = SERVER, key: str = "", **kwargs: Any) -> Any:
        if self.kind == "sync":
            with Client(server, key, transport=httpx.MockTransport(self.peer), sleep=self.waited.append) as client:
                return getattr(client, operation)(*args, **kwargs)
        return asyncio.run(self._call_async(operation, args, kwargs, server, key))

    async def _call_async(self, operation: str, args: Any, kwargs: Any, server: str, key: str) -> Any:
        transport = httpx.MockTransport(self.peer)
        async with AsyncClient(server, key, transport=transport, sleep=self._wait) as client:
            return await getattr(client, operation)(*args, **kwargs)

    async def _wait(self, seconds: float) -> None:
        self.waited.append(seconds)


class ScriptedProxy:
    """A proxy on this machine that answers every request itself, with `status` and a page. Use it in a `with` block."""

    def __init__(self) -> None:
        self.status, self.headers = 502, {"Content-Type": "text/html"}
        self.requests: list[str] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                proxy.requests.append(f"{self.command} {self.path}")
                self.send_response(proxy.status)
                for name, value in proxy.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"<h1>Proxy</h1>")

            do_GET = do_POST = do_CONNECT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

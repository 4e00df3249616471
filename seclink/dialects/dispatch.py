"""The door: which dialect a request is for, by path or Host, and what is answered before anything is routed.

Plain ASGI between the gate and everything else. A dialect's own host has the system's own paths, so the prefix goes
before them here; the page that opens its links runs at the public address alone, where its script and the API are.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from seclink.dialects.base import Dialect
from seclink.errors import MethodNotAllowed, SecLinkError
from seclink.web.cors import CORS, CORS_HEADERS
from seclink.web.middleware import App, Header, Receive, Send, host_name
from seclink.web.problems import retry_headers
from seclink.web.request import header_values

Show = Callable[[Any, Send], Awaitable[None]]
"""(scope, send): the page that opens a secret."""


class DialectDispatcher:
    def __init__(self, dialects: Iterable[Dialect], public_url: str) -> None:
        self._by_name = {each.name: each for each in dialects}
        self._by_host = {_named(each.section.host): each for each in self._by_name.values() if each.section.host}
        self._public_url = public_url

    def refusal(self, scope: Any, error: SecLinkError) -> tuple[int, list[Header], bytes] | None:
        """An error as the dialect that was asked says it. None: none was."""
        dialect, _, _ = self._find(scope)
        if dialect is None:
            return None
        status, said = dialect.refusal(error)
        body = msgspec.json.encode(said)
        fixed = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        return status, [*fixed, *CORS_HEADERS, *retry_headers(error)], body

    def wrap(self, app: App, api: App, show: Show) -> App:
        """`app`, and what is a dialect's goes to `api` or to the page instead."""

        async def choosing(scope: Any, receive: Receive, send: Send) -> None:
            dialect, path, is_hosted = self._find(scope) if scope["type"] == "http" else (None, "", False)
            if dialect is None:
                await app(scope, receive, send)
            elif scope["method"] == "OPTIONS":
                await _send(send, 204, _preflight(dialect))
            elif not dialect.page.fullmatch(path):
                await api({**scope, "path": dialect.prefix + path} if is_hosted else scope, receive, send)
            elif scope["method"] not in ("GET", "HEAD"):
                status, given, body = self.refusal(scope, MethodNotAllowed()) or (405, [], b"")
                await _send(send, status, [*given, (b"allow", b"GET, HEAD")], body)
            elif is_hosted:
                # Browsers keep the fragment, which holds the key and is never sent.
                await _send(send, 302, [(b"location", f"{self._public_url}{dialect.prefix}{path}".encode())])
            else:
                await show(scope, send)

        return choosing

    def _find(self, scope: Any) -> tuple[Dialect | None, str, bool]:
        """The dialect, the path as that system knows it, and whether its own host was asked."""
        path = scope["path"]
        if self._by_host:
            host = header_values(scope, b"host")
            dialect = self._by_host.get(host_name(host[0].decode("latin-1"))) if len(host) == 1 else None
            if dialect is not None:
                return dialect, path, True
        name, slash, rest = path[1:].partition("/")
        return self._by_name.get(name), slash + rest, False


def _named(host: str) -> str:
    """A host of the TOML as the gate calls it."""
    return host_name(f"[{host.strip('[]')}]" if ":" in host else host)


def _preflight(dialect: Dialect) -> list[Header]:
    allowed = {
        **CORS,
        "access-control-allow-methods": dialect.methods,
        "access-control-allow-headers": dialect.headers,
        "access-control-max-age": "86400",
    }
    return [(name.encode(), value.encode()) for name, value in allowed.items()]


async def _send(send: Send, status: int, given: list[Header], body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})

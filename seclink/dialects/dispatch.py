"""Sends each request to its dialect, by path or Host, and handles preflights and link pages before routing.

Plain ASGI between the middleware and everything else. At a dialect's own host the paths are the foreign system's, so
the prefix is prepended here. The page that opens links is served at the public URL alone, where its script and the
native API are; at a dialect's host it redirects there.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import quote

import msgspec

from seclink.dialects.base import Dialect
from seclink.errors import MethodNotAllowed, NotFound, SecLinkError
from seclink.web import health
from seclink.web.asgi import App, Receive, Send
from seclink.web.cors import CORS, CORS_HEADERS
from seclink.web.middleware import host_name
from seclink.web.origins import Origins
from seclink.web.pages import LINK
from seclink.web.problems import retry_headers
from seclink.web.security_headers import Header

ShowPage = Callable[[Any, Send], Awaitable[None]]
"""(scope, send): sends the page that opens a secret."""
ErrorResponse = tuple[int, list[Header], bytes]


class DialectDispatcher:
    def __init__(self, dialects: Iterable[Dialect], origins: Origins) -> None:
        self._by_name = {dialect.name: dialect for dialect in dialects}
        self._by_host = {dialect.host: dialect for dialect in self._by_name.values() if dialect.host}
        self._origins = origins

    def render_error(self, scope: Any, error: SecLinkError) -> ErrorResponse | None:
        """Render an error in the envelope of the requested dialect; return None if the request is for none.

        A client of a dialect that was given this server's address without the prefix gets a hint in its own envelope.
        """
        dialect, _, _ = self._find(scope)
        if dialect is not None:
            return _render_error(dialect, error)
        astray = next((dialect for dialect in self._by_name.values() if dialect.is_astray(scope, error)), None)
        if astray is None:
            return None
        hint = f"This is SecLink's own API; for this client set the address {astray.client_address}"
        return _render_error(astray, NotFound(hint))

    def wrap(self, app: App, api: App, show_page: ShowPage) -> App:
        """Return an ASGI application that sends a dialect's requests to `api` or `show_page`, all others to `app`."""

        async def dispatch(scope: Any, receive: Receive, send: Send) -> None:
            dialect, path, at_host = self._find(scope) if scope["type"] == "http" else (None, "", False)
            if dialect is None:
                await app(scope, receive, send)
            elif scope["method"] == "OPTIONS":
                await _send(send, 204, _preflight(dialect))
            elif not (dialect.is_page(path) or (at_host and LINK.fullmatch(path))):
                await api({**scope, "path": dialect.prefix + path} if at_host else scope, receive, send)
            elif scope["method"] not in ("GET", "HEAD"):
                status, fields, body = _render_error(dialect, MethodNotAllowed())
                await _send(send, status, [*fields, (b"allow", b"GET, HEAD")], body)
            elif at_host:
                # Browsers keep the fragment, which holds the key and is never sent, unless its # was escaped.
                prefix = dialect.prefix if dialect.is_page(path) else ""
                location = f"{self._origins.public_url}{prefix}{quote(path)}"
                await _send(send, 302, [(b"location", location.encode())])
            else:
                await show_page(scope, send)

        return dispatch

    def _find(self, scope: Any) -> tuple[Dialect | None, str, bool]:
        """Return the dialect, the path in that system's terms, and whether the request names the dialect's host."""
        path = scope["path"]
        if self._by_host and path not in health.PATHS:
            dialect = self._by_host.get(host_name(self._origins.host(scope)))
            if dialect is not None:
                return dialect, path, True
        name, slash, rest = path[1:].partition("/")
        return self._by_name.get(name), slash + rest, False


def _render_error(dialect: Dialect, error: SecLinkError) -> ErrorResponse:
    status, document = dialect.render_error(error)
    body = msgspec.json.encode(document)
    content = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return status, [*content, *CORS_HEADERS, *retry_headers(error)], body


def _preflight(dialect: Dialect) -> list[Header]:
    allowed = {
        **CORS,
        "access-control-allow-methods": dialect.allowed_methods,
        "access-control-allow-headers": dialect.allowed_headers,
        "access-control-max-age": "86400",
    }
    return [(name.encode(), value.encode()) for name, value in allowed.items()]


async def _send(send: Send, status: int, fields: list[Header], body: bytes = b"") -> None:
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})

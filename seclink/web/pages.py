"""The pages and their files, from memory: a request looks up bytes that were made at the start.

Plain ASGI around the API, which gets what lies below `/api/` and the health checks. Nothing here knows vault or store,
so whatever loads a page, link previews and scanners included, cannot touch a secret; the page of a secret is the same
bytes whether there is one or not. Nothing of a request reaches a path of the file system. Page loads count against
no rate: they cost less than counting them would.
"""

import gzip
import html
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct

from seclink.domain import tokens
from seclink.errors import MethodNotAllowed, NotFound, SecLinkError, UnknownHost
from seclink.telemetry.log import Log
from seclink.web.asgi import App, Receive, Send
from seclink.web.assets import ICON, MEDIA_TYPES, Assets
from seclink.web.cors import CORS_HEADERS
from seclink.web.negotiation import accepts_gzip, language, wants_page
from seclink.web.problems import render
from seclink.web.security_headers import PAGE_HEADERS, Header

API = "/api/"
CLIENT_MODULE = "/api/v1/client-module"
HTML = "text/html; charset=utf-8"
OPEN = (b"access-control-allow-origin", b"*")  # modules are loaded with CORS, also from other sites' pages
FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")


class Resource(Struct, frozen=True):
    """An answer made beforehand, as it is and packed."""

    status: int
    body: bytes
    packed: bytes
    headers: list[Header]
    packed_headers: list[Header]


def resource(body: bytes, media_type: str, *headers: Header, status: int = 200, vary: bytes = b"") -> Resource:
    """Packed only where that saves something."""
    packed = gzip.compress(body, 9, mtime=0)
    packs = len(packed) < len(body)
    vary = b", ".join(filter(None, (b"Accept-Encoding" if packs else b"", vary)))
    shared = [(b"content-type", media_type.encode()), *headers, *([(b"vary", vary)] if vary else [])]
    plain = [*shared, (b"content-length", b"%d" % len(body))]
    if not packs:
        return Resource(status, body, body, plain, plain)
    small = [*shared, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(packed))]
    return Resource(status, body, packed, plain, small)


class Pages:
    """`api` answers what is not a page: everything below /api/, and the paths in `others`. `refused` is told of every
    refusal.
    """

    def __init__(
        self, assets: Assets, api: App, others: Iterable[str], log: Log, refused: Callable[[SecLinkError], None]
    ) -> None:
        self._api, self._others, self._log, self._refused = api, frozenset(others), log, refused
        self._languages = assets.languages
        self._pages, self._files = pages(assets), files(assets)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or (path.startswith(API) and path != CLIENT_MODULE) or path in self._others:
            await self._api(scope, receive, send)
            return
        found = self._files.get(path) or self._page(_page_of(path), scope)
        if found is None:
            await self._refuse(scope, send, NotFound())
        elif scope["method"] not in ("GET", "HEAD"):
            await self._refuse(scope, send, MethodNotAllowed())
        else:
            await _send(scope, send, found)

    async def show(self, name: str, scope: Any, send: Send) -> None:
        """A page, whatever the address; it was decided elsewhere that it is one."""
        await _send(scope, send, self._pages[name, language(scope, self._languages)])

    def _page(self, name: str | None, scope: Any) -> Resource | None:
        return self._pages.get((name, language(scope, self._languages))) if name is not None else None

    async def _refuse(self, scope: Any, send: Send, error: SecLinkError) -> None:
        request_id = scope["state"]["request_id"]
        self._log.debug("refused", code=error.code, status=error.status, request=request_id)
        self._refused(error)
        missing = self._page("missing", scope) if isinstance(error, NotFound) and wants_page(scope) else None
        if missing is not None:
            await _send(scope, send, missing)
            return
        status, headers, body = notice(scope, error) or render(error, request_id)
        if not wants_page(scope):
            headers = [*headers, *CORS_HEADERS]
        if isinstance(error, MethodNotAllowed):
            headers = [*headers, (b"allow", b"GET, HEAD")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def notice(scope: Any, error: SecLinkError) -> tuple[int, list[Header], bytes] | None:
    """A refusal for a person whose browser asked for a page: a sentence that needs no file to be shown. None for
    programs. Nothing of the request is repeated."""
    if not wants_page(scope):
        return None
    said = f"<h1>{html.escape(error.title)}</h1>"
    if error.message != error.title:
        said += f"<p>{html.escape(error.message)}</p>"
    if isinstance(error, UnknownHost):
        said += (
            "<p>If this is your server: set <code>server.public_url</code> in its TOML file to the https address which "
            "people use, or add the name to <code>server.allowed_hosts</code>. For https set "
            "<code>server.tls_cert</code>, or put a proxy in front.</p>"
        )
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{html.escape(error.title)}</title></head>'
        f"<body><main>{said}</main></body></html>\n"
    ).encode()
    headers = [(b"content-type", HTML.encode()), *PAGE_HEADERS, (b"content-length", b"%d" % len(body))]
    return error.status, headers, body


def _page_of(path: str) -> str | None:
    """Which page a path is, by its shape alone."""
    if path == "/":
        return "create"
    if tokens.DRAWN_ID.fullmatch(path[1:]):
        return "reveal"
    if path.startswith("/receipt/") and tokens.RECEIPT_ID.fullmatch(path[9:]):
        return "receipt"
    return None


def pages(assets: Assets) -> dict[tuple[str, str], Resource]:
    """By name and language."""
    return {
        key: resource(body, HTML, *PAGE_HEADERS, status=404 if key[0] == "missing" else 200, vary=b"Accept-Language")
        for key, body in assets.pages.items()
    }


def files(assets: Assets) -> dict[str, Resource]:
    """Everything that is the same for everybody, by its whole path below the root."""
    below = f"/static/{assets.version}/"
    made = {
        below + name: resource(content, _media_type(name), *PAGE_HEADERS, OPEN, FOREVER)
        for name, content in assets.files.items()
    }
    made["/robots.txt"] = resource(b"User-agent: *\nDisallow: /\n", _media_type("robots.txt"), *PAGE_HEADERS)
    made["/favicon.ico"] = resource(assets.files[ICON], _media_type(ICON), *PAGE_HEADERS)
    module = f'export {{ scrtLink, seclink }} from "{assets.root}{below}js/client.js";\n'.encode()
    made[CLIENT_MODULE] = resource(module, _media_type("client.js"), OPEN, (b"cache-control", b"no-cache"))
    return made


def _media_type(name: str) -> str:
    return MEDIA_TYPES[PurePosixPath(name).suffix]


async def _send(scope: Any, send: Send, found: Resource) -> None:
    packed = found.packed is not found.body and accepts_gzip(scope)
    headers = found.packed_headers if packed else found.headers
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    body = found.packed if packed else found.body
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

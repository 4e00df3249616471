"""The pages and their files, served from memory: a request looks up bytes that were made at the start.

Plain ASGI around the API, which gets `/api/` and the health checks. This module knows neither vault nor store, so
loading a page cannot touch a secret, whoever loads it: a person, a link preview or a scanner. The page of a secret has
the same bytes whether the secret exists or not. Nothing of a request reaches a path of the file system. Page loads are
not rate limited: they cost less than counting them would.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from seclink.domain import tokens
from seclink.errors import MethodNotAllowed, NotFound, SecLinkError
from seclink.telemetry.log import Log
from seclink.web.asgi import App, Receive, Send
from seclink.web.assets import MEDIA_TYPES, Assets
from seclink.web.cors import CORS_HEADERS
from seclink.web.documents import PREFIX as DOCS
from seclink.web.documents import Documents
from seclink.web.middleware import CustomError
from seclink.web.negotiation import language, wants_page
from seclink.web.problems import render
from seclink.web.resource import HTML, Resource, prepare, send_resource
from seclink.web.security_headers import PAGE_HEADERS

API = "/api/"
CLIENT_MODULE = "/api/v1/client-module"
MODULE = """\
export {{ Refusal, SecretType, scrtLink, scrtLink as default, seclink }} from "{script}";
"""
CORS_OPEN = (b"access-control-allow-origin", b"*")  # browsers load modules with CORS, also for pages of other sites
LINK = re.compile(rf"/(?:{tokens.DRAWN_ID.pattern}|(?P<receipt>receipt/{tokens.RECEIPT_ID.pattern})){tokens.LINK_END}")
DOWNLOADS = "/dl/"
DOWNLOAD_WORKER = "js/download-worker.js"
CACHE_FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")

# What a page downloads through its worker; asked without one, a browser stays on the page.
NO_DOWNLOAD = prepare(b"", MEDIA_TYPES[".txt"], *PAGE_HEADERS, status=204)


class Pages:
    """Serves pages and files; requests below /api/ and for `api_paths` go to `api`.

    `custom_error` is called with every error that is returned here, and may render it.
    """

    def __init__(
        self,
        assets: Assets,
        documents: Documents,
        api: App,
        api_paths: Iterable[str],
        log: Log,
        custom_error: CustomError,
        error_page: CustomError,
    ) -> None:
        self._api, self._api_paths, self._log, self._custom_error = api, frozenset(api_paths), log, custom_error
        self._documents, self._error_page = documents, error_page
        self._languages = assets.languages
        self._pages, self._files = pages(assets), files(assets)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or (path.startswith(API) and path != CLIENT_MODULE) or path in self._api_paths:
            await self._api(scope, receive, send)
            return
        resource = (
            NO_DOWNLOAD if path.startswith(DOWNLOADS) else self._files.get(path) or self._page(_page_of(path), scope)
        )
        if resource is None and path.startswith(DOCS):
            resource = await self._documents.resource(path)
        if resource is None:
            await self._send_error(scope, send, NotFound())
        elif scope["method"] not in ("GET", "HEAD"):
            await self._send_error(scope, send, MethodNotAllowed())
        else:
            await send_resource(scope, send, resource)

    async def show(self, name: str, scope: Any, send: Send) -> None:
        """Send a page, whatever the path of the request."""
        await send_resource(scope, send, self._pages[name, language(scope, self._languages)])

    def _page(self, name: str | None, scope: Any) -> Resource | None:
        return self._pages.get((name, language(scope, self._languages))) if name is not None else None

    async def _send_error(self, scope: Any, send: Send, error: SecLinkError) -> None:
        request_id = scope["state"]["request_id"]
        self._log.debug("refused", code=error.code, status=error.status, request=request_id)
        custom = self._custom_error(scope, error)
        missing = self._page("missing", scope) if isinstance(error, NotFound) and wants_page(scope) else None
        if missing is not None:
            await send_resource(scope, send, missing)
            return
        status, headers, body = custom or self._error_page(scope, error) or render(error, request_id)
        if not wants_page(scope):
            headers = [*headers, *CORS_HEADERS]
        if isinstance(error, MethodNotAllowed):
            headers = [*headers, (b"allow", b"GET, HEAD")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _page_of(path: str) -> str | None:
    """Return the name of the page at a path, judged by the form of the path alone."""
    if path == "/":
        return "create"
    match = LINK.fullmatch(path)
    if match is None:
        return None
    return "receipt" if match["receipt"] else "reveal"


def pages(assets: Assets) -> dict[tuple[str, str], Resource]:
    """Return the pages by name and language."""
    return {
        key: prepare(body, HTML, *PAGE_HEADERS, status=404 if key[0] == "missing" else 200, vary=b"Accept-Language")
        for key, body in assets.pages.items()
    }


def files(assets: Assets) -> dict[str, Resource]:
    """Return the files, which are the same for all clients, by their path below the root."""
    prefix = f"/static/{assets.version}/"
    resources = {
        prefix + name: prepare(content, _media_type(name), *PAGE_HEADERS, CORS_OPEN, CACHE_FOREVER)
        for name, content in assets.files.items()
    }
    worker = prefix + DOWNLOAD_WORKER
    if worker in resources:
        allowed = (b"service-worker-allowed", (assets.root + DOWNLOADS).encode())
        resources[worker] = prepare(
            assets.files[DOWNLOAD_WORKER], _media_type(worker), *PAGE_HEADERS, CORS_OPEN, CACHE_FOREVER, allowed
        )
    resources["/robots.txt"] = prepare(b"User-agent: *\nDisallow: /\n", _media_type("robots.txt"), *PAGE_HEADERS)
    resources["/favicon.ico"] = prepare(assets.files[assets.logo], _media_type(assets.logo), *PAGE_HEADERS)
    module = MODULE.format(script=f"{assets.root}{prefix}js/client.js").encode()
    resources[CLIENT_MODULE] = prepare(module, _media_type("client.js"), CORS_OPEN, (b"cache-control", b"no-cache"))
    return resources


def _media_type(name: str) -> str:
    return MEDIA_TYPES[PurePosixPath(name).suffix]

"""Errors as a page, for browsers.

It looks like the other pages but loads none of their files: under a foreign name for this server, or while it is busy,
they cannot be reached. Its style sheet is inside it, and its policy allows that one by its SHA-256. It repeats nothing
of the request.
"""

import base64
import hashlib
import html
from typing import Any

from seclink.errors import SecLinkError, UnknownHost
from seclink.web.assets import ERROR, Assets
from seclink.web.middleware import ErrorResponse
from seclink.web.negotiation import wants_page
from seclink.web.problems import retry_headers
from seclink.web.resource import HTML
from seclink.web.security_headers import PAGE_HEADERS, Header

OPERATOR_HINT = (
    "<p>If this is your server: set <code>server.public_url</code> in its TOML file to the https address that "
    "people use, or add the name to <code>server.allowed_hosts</code>. For https set "
    "<code>server.tls_cert</code>, or put a proxy in front.</p>"
)


class ErrorPage:
    def __init__(self, assets: Assets) -> None:
        style = assets.files.get("css/style.css", b"").decode()
        self._template = assets.templates[ERROR].decode().replace("<!--style-->", f"<style>{style}</style>")
        self._home = f'<div class="actions"><a class="secondary" href="{assets.root}/">Go to the start page</a></div>'
        self._headers: tuple[Header, ...] = ((b"content-type", HTML.encode()), *_headers_with(style))

    def __call__(self, scope: Any, error: SecLinkError) -> ErrorResponse | None:
        """Return the page if a browser requested one, None for programs."""
        if not wants_page(scope):
            return None
        message = f"<p>{html.escape(error.message)}</p>" if error.message != error.title else ""
        message += OPERATOR_HINT if isinstance(error, UnknownHost) else self._home
        page = self._template.replace("<!--title-->", html.escape(error.title))
        body = page.replace("<!--error-->", message).encode()
        return error.status, [*self._headers, *retry_headers(error), (b"content-length", b"%d" % len(body))], body


def _headers_with(style: str) -> tuple[Header, ...]:
    """Return the headers of the pages with a policy that allows this style sheet inside the page, and no other."""
    source = b"style-src 'sha256-%b'" % base64.b64encode(hashlib.sha256(style.encode()).digest())
    return tuple((name, value.replace(b"style-src 'self'", source)) for name, value in PAGE_HEADERS)

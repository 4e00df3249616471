"""Fetch Metadata checks: tell a program that calls the API from a browser, scanner or preview that follows a URL.

Browsers state the purpose of a request in Sec-Fetch headers, which no page can change. A page can make a browser send
requests without `fetch` and CORS: links, forms, images, beacons. The browser sends these without a preflight, and the
page cannot read the response, so they could only destroy. Programs outside of browsers send no such headers, and
documented ones accept anything (`*/*`) or JSON. A request that prefers a document, an image or an event stream is a
visit, not an API call.

Markup alone can also send a GET with CORS (`<link rel=preload as=fetch crossorigin>`), which looks like a script's
request. So a GET that spends a view and comes from another origin needs a header that causes a preflight: only a script
can set one.
"""

import re
from typing import Any

from seclink.errors import BadRequest, NavigationRefused

API_MODES = ("cors", "same-origin")
SPECULATIVE = re.compile("prefetch|preview|prerender")
PAGE_TYPES = re.compile(r"\s*(text/(html|css|xml|event-stream)|application/(xhtml\+xml|xml)|(image|audio|video|font)/)")
HTML = re.compile("text/html|application/xhtml")
SAME_ORIGIN = (b"none", b"same-origin")
PREFLIGHTED_HEADERS = frozenset(
    (
        *(b"authorization", b"content-digest", b"idempotency-key", b"seclink-access", b"seclink-passcode"),
        *(b"seclink-files", b"seclink-grant", b"seclink-upload"),
    )
)
PARTIAL_HEADERS = frozenset(
    (b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range")
)


def reject_navigation(scope: Any) -> None:
    """Raise NavigationRefused for a request that is not meant as a call of the API."""
    headers = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
    purposes = " ".join(headers.get(name, "") for name in (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"))
    accept = headers.get(b"accept", "")
    if (
        headers.get(b"sec-fetch-mode", "cors") not in API_MODES
        or headers.get(b"sec-fetch-dest", "empty") != "empty"
        or SPECULATIVE.search(purposes)
        or PAGE_TYPES.match(accept)
        or (HTML.search(accept) and not accept.lstrip().startswith("application/json"))
    ):
        raise NavigationRefused()


def reject_cross_origin_get(scope: Any) -> None:
    """Raise NavigationRefused, for a GET that spends a view also if another origin's markup could have sent it.

    Browsers that send no Sec-Fetch-Site send an Origin: old ones, and all of them if the server has no TLS.
    """
    reject_navigation(scope)
    headers = dict(scope["headers"])
    if is_cross_origin(headers) and PREFLIGHTED_HEADERS.isdisjoint(headers):
        raise NavigationRefused("A page of another origin must reveal by POST, or send an Idempotency-Key")


def is_cross_origin(headers: dict[bytes, bytes]) -> bool:
    """Return whether a browser says that another origin's page caused the request.

    Browsers that send no Sec-Fetch-Site send an Origin where it matters; one that names the requested host is ours.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site.lower() not in SAME_ORIGIN
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"//")[2].lower() != headers.get(b"host", b"").lower()


def needs_preflight(headers: dict[bytes, bytes]) -> bool:
    """Return whether a browser asks this server before it sends such a request for another origin's page."""
    content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return content_type == b"application/json" or not PREFLIGHTED_HEADERS.isdisjoint(headers)


def reject_partial(scope: Any) -> None:
    """Raise BadRequest for a range or conditional request: it would spend a view and return less than the secret."""
    if not PARTIAL_HEADERS.isdisjoint(name for name, _ in scope["headers"]):
        raise BadRequest("A secret is revealed as a whole; send no Range or If-... headers")

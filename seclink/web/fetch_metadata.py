"""Telling a program that means it from a browser, scanner or preview that came across an address.

Browsers say in Sec-Fetch headers what a request is for; no page can change them. What a page can make a browser send
without `fetch` and CORS, links, forms, images, beacons, is sent without asking this server and without being able to
read the answer, so it could only destroy. Programs outside of browsers send no such headers, and documented ones want
anything (`*/*`) or JSON; what wants a document, a picture or a stream of events first is looking, not asking.

Mere markup can send a GET with CORS as well (`<link rel=preload as=fetch crossorigin>`), and that looks like a
script's. So a GET that spends and comes from another origin needs one of the headers that make a browser ask this
server for leave first: those only a script can send.
"""

import re
from typing import Any

from seclink.errors import BadRequest, NavigationRefused

MEANT = ("cors", "same-origin")
EARLY = re.compile("prefetch|preview|prerender")
LOOKS = re.compile(r"\s*(text/(html|css|xml|event-stream)|application/(xhtml\+xml|xml)|(image|audio|video|font)/)")
HTML = re.compile("text/html|application/xhtml")
OWN = (b"none", b"same-origin")
ASKED_FIRST = frozenset((b"authorization", b"idempotency-key", b"seclink-access", b"seclink-passcode"))
PARTIAL = frozenset(
    (b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range")
)


def reject_navigation(scope: Any) -> None:
    """Raise NotANavigation for what nobody meant as a call of the API."""
    said = {name: value.decode("latin-1").lower() for name, value in scope["headers"]}
    purposes = " ".join(said.get(name, "") for name in (b"sec-purpose", b"purpose", b"x-purpose", b"x-moz"))
    accept = said.get(b"accept", "")
    if (
        said.get(b"sec-fetch-mode", "cors") not in MEANT
        or said.get(b"sec-fetch-dest", "empty") != "empty"
        or EARLY.search(purposes)
        or LOOKS.match(accept)
        or (HTML.search(accept) and not accept.lstrip().startswith("application/json"))
    ):
        raise NavigationRefused()


def reject_cross_origin_get(scope: Any) -> None:
    """The same for a GET that spends: also what another origin's page may have sent without a script.

    Browsers that tell no Sec-Fetch-Site, old ones and all of them where the server has no TLS, tell an Origin.
    """
    reject_navigation(scope)
    said = dict(scope["headers"])
    site = said.get(b"sec-fetch-site")
    is_foreign = b"origin" in said if site is None else site.lower() not in OWN
    if is_foreign and ASKED_FIRST.isdisjoint(said):
        raise NavigationRefused("A page of another origin reveals by POST, or sends an Idempotency-Key")


def reject_partial(scope: Any) -> None:
    """Raise BadRequest for what asks for less than the whole: it would be spent all the same."""
    if not PARTIAL.isdisjoint(name for name, _ in scope["headers"]):
        raise BadRequest("A secret is revealed whole or not at all: ask without Range or If-... headers")

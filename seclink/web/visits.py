"""Telling a program that means it from a browser, scanner or preview that came across an address.

Browsers say in Sec-Fetch headers what a request is for; no page can change them. What a script may do on purpose is
`fetch` with CORS: whatever else a page can make a browser send, links, forms, images, beacons and `no-cors` fetches,
is sent without asking this server, and without being able to read the answer, so it could only destroy. Programs
outside of browsers send no such headers, and documented ones want anything (`*/*`) or JSON; what wants a document or a
picture first is looking, not asking.
"""

import re
from typing import Any

from seclink.errors import NotANavigation

MEANT = ("cors", "same-origin")
EARLY = re.compile("prefetch|preview|prerender")
LOOKS = re.compile(r"\s*(text/(html|css|xml)|application/(xhtml\+xml|xml)|(image|audio|video|font)/)")
HTML = re.compile("text/html|application/xhtml")


def refuse_visit(scope: Any) -> None:
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
        raise NotANavigation()

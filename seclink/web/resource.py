"""Responses that are made in advance: pages, files and documents, plain and gzipped."""

import gzip
from functools import lru_cache
from typing import Any

from msgspec import Struct

from seclink.web.asgi import Send
from seclink.web.negotiation import accepts_gzip
from seclink.web.security_headers import Header

HTML = "text/html; charset=utf-8"


class Resource(Struct, frozen=True):
    """A response made in advance, plain and gzipped."""

    status: int
    body: bytes
    gzipped: bytes
    headers: list[Header]
    gzipped_headers: list[Header]


def prepare(body: bytes, media_type: str, *headers: Header, status: int = 200, vary: bytes = b"") -> Resource:
    """Return the response; it is gzipped only if that saves bytes."""
    gzipped = _gzip(body)
    is_smaller = len(gzipped) < len(body)
    vary = b", ".join(filter(None, (b"Accept-Encoding" if is_smaller else b"", vary)))
    shared = [(b"content-type", media_type.encode()), *headers, *([(b"vary", vary)] if vary else [])]
    plain = [*shared, (b"content-length", b"%d" % len(body))]
    if not is_smaller:
        return Resource(status, body, body, plain, plain)
    small = [*shared, (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(gzipped))]
    return Resource(status, body, gzipped, plain, small)


@lru_cache(256)  # a reload compresses the same files again
def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, 9, mtime=0)


async def send_resource(scope: Any, send: Send, resource: Resource) -> None:
    """Send a resource, gzipped if the request allows it and without its body for HEAD."""
    is_gzipped = resource.gzipped is not resource.body and accepts_gzip(scope)
    headers = resource.gzipped_headers if is_gzipped else resource.headers
    await send({"type": "http.response.start", "status": resource.status, "headers": headers})
    body = resource.gzipped if is_gzipped else resource.body
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

"""A response as bytes, sent as it is."""

from typing import Any

import msgspec
from msgspec import Struct

from seclink.web.asgi import Message, Receive, Send
from seclink.web.cors import CORS_HEADERS
from seclink.web.security_headers import Header

_encode = msgspec.json.Encoder().encode
_JSON_HEADERS = [(b"content-type", b"application/json"), *CORS_HEADERS]


class Response:
    """A status, a body and headers: an ASGI application. Litestar's own response rebuilds its headers every time."""

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, status: int, body: bytes, headers: list[Header]) -> None:
        self._status, self._body, self._headers = status, body, headers

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        start: Message = {"type": "http.response.start", "status": self._status, "headers": list(self._headers)}
        await send(start)
        await send({"type": "http.response.body", "body": self._body})


def json_response(content: Struct | dict[str, Any], status: int = 200) -> Response:
    body = _encode(content)
    return Response(status, body, [*_JSON_HEADERS, (b"content-length", b"%d" % len(body))])


def no_content() -> Response:
    return Response(204, b"", CORS_HEADERS)

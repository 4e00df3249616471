"""A response as bytes, sent as it is."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec
from msgspec import Struct

from seclink.errors import SecLinkError
from seclink.web.asgi import Message, Receive, Send
from seclink.web.cors import CORS_HEADERS
from seclink.web.security_headers import Header

_encode = msgspec.json.Encoder().encode
_BYTES_HEADERS = [(b"content-type", b"application/octet-stream"), *CORS_HEADERS]
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


class StreamedResponse(Response):
    """A response of `length` bytes in pieces, whose first one may still become an error response.

    If the pieces end early, so does the connection: the client must not take a part for the whole.
    """

    __slots__ = ("_pieces", "_unsent")

    def __init__(self, length: int, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(200, b"", [*_BYTES_HEADERS, (b"content-length", b"%d" % length)])
        self._unsent, self._pieces = length, pieces

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces):  # also when the server ends the request: the file must not stay open
            piece = await anext(self._pieces)
            await send({"type": "http.response.start", "status": self._status, "headers": self._headers})
            while True:
                self._unsent -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": self._unsent > 0})
                if not self._unsent:
                    break
                try:
                    piece = await anext(self._pieces)
                except SecLinkError:
                    return

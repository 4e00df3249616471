"""Requests and responses of `steps` as those of httpx."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx

from seclink import __version__
from seclink.client.steps import MAX_BYTES, ConnectionLost, HttpRequest, HttpResponse

PIECE_BYTES = 256 * 1024

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


def request_arguments(request: HttpRequest, split: Callable[[bytes], Any]) -> tuple[dict[str, Any], int]:
    """Return the arguments of httpx's `stream`, and the size of the body. That of a chunk is `split` into pieces: httpx
    keeps a body until the garbage collector comes, but drops pieces that are sent.
    """
    headers = {"User-Agent": f"seclink/{__version__}", "Accept": "application/json", **request.headers}
    headers["Accept-Encoding"] = "identity"  # a few compressed bytes may expand to gigabytes
    content = request.content()
    size = len(content or b"")
    if isinstance(request.body, bytes):
        headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        content = split(request.body)
    elif content is not None:
        headers["Content-Type"] = "application/json"
    return {"method": request.method, "url": request.url, "headers": headers, "content": content}, size


def pieces(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


async def async_pieces(content: bytes) -> AsyncIterator[bytes]:
    for piece in pieces(content):
        yield piece


def empty_body(response: httpx.Response) -> bytearray:
    """Return a buffer for the body. Reject a compressed response: its size is unknown until it has filled the
    memory, and the request did not accept one.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.ReadError("the response is compressed, although the request did not accept that")
    return bytearray()


def append(body: bytearray, part: bytes, request: HttpRequest, response: httpx.Response) -> None:
    """Append to the body, up to a limit: links lead to servers of strangers, and no response may fill the memory."""
    limit = request.max_bytes if response.is_success else MAX_BYTES
    if len(body) + len(part) > limit:
        raise httpx.ReadError(f"the response is larger than {limit:,} bytes, and so not SecLink's")
    body += part


def http_response(response: httpx.Response, body: bytearray) -> HttpResponse:
    return HttpResponse(response.status_code, dict(response.headers), body)


def connection_lost(error: Exception, proxy_variable: str | None) -> ConnectionLost:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        reason = "no response in time"
    else:
        reason = _ERRNO.sub("", str(error)) or type(error).__name__
    return ConnectionLost(reason + (f", through the proxy in {proxy_variable}" if proxy_variable else ""))

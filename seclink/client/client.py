"""The Python client: `Client` for scripts, `AsyncClient` for event loops, with the same methods.

    with Client() as client:                                  # $SECLINK_SERVER, $SECLINK_API_KEY
        created = client.create("s3cr3t", hours=2, password="told by phone")
        print(created.link)

    secret = client.reveal(link, passcode="told by phone")
    print(secret.text, secret.views_left)

Secrets are sealed and opened here. Every operation is written once, without I/O, in `secrets` and `receipts`; the two
classes below differ only in how they send and how they wait. An error response raises the exception of
`seclink.errors` with its code; no response, or one that is not SecLink's, raises `Unreachable`.
"""

import asyncio
import functools
import os
import re
import secrets as randomness
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from seclink import __version__
from seclink.client import receipts, secrets
from seclink.client.deadline import Deadline, DeadlineTransport, current
from seclink.client.protocol import MAX_BYTES, ConnectionLost, Flow, HttpRequest, HttpResponse, Outcome
from seclink.client.proxies import Connections
from seclink.client.session import DEFAULT_SERVER, Session, server_address
from seclink.errors import KeyInvalid

__all__ = ["AsyncClient", "Client"]

DEFAULT_TIMEOUT = 30.0

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(
    call: Callable[Concatenate[Session, P], Flow[T]],
) -> Callable[Concatenate["Client", P], T]:
    @functools.wraps(call)
    def method(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client._drive(call(client._session, *args, **kwargs))

    return method


def _awaitable(
    call: Callable[Concatenate[Session, P], Flow[T]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    @functools.wraps(call)
    async def method(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client._drive(call(client._session, *args, **kwargs))

    return method


class Client:
    """One server, one API key, one pool of connections. Use it in a `with` block, or call `close()`.

    `server` is the server's URL; default: $SECLINK_SERVER, else http://127.0.0.1:8080. `key` is an API key; default:
    $SECLINK_API_KEY; "" sends none. `timeout` is in seconds, for each wait on the network, and for a whole request
    beyond what its bytes take at 8 KiB/s. `transport` and `sleep` replace the network and the clock, for tests. Raises
    BadRequest, KeyInvalid or Unreachable for settings that cannot be used.
    """

    def __init__(
        self,
        server: str | None = None,
        key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = _session(server, key)
        self._timeout = timeout
        self._connections = Connections(
            lambda **options: httpx.Client(
                timeout=timeout, transport=transport or DeadlineTransport(**options), trust_env=False
            ),
            is_direct=bool(transport),
        )
        self._connections.to(self._session.server)
        self._sleep = sleep

    create = _blocking(secrets.create)
    reveal = _blocking(secrets.reveal)
    meta = _blocking(secrets.meta)
    report = _blocking(secrets.report)
    list_secrets = _blocking(receipts.list_secrets)
    get_details = _blocking(receipts.get_details)
    update = _blocking(receipts.update)
    unlock = _blocking(receipts.unlock)
    delete = _blocking(receipts.delete)
    get_stats = _blocking(receipts.get_stats)
    get_account = _blocking(receipts.get_account)

    def close(self) -> None:
        for http in self._connections.opened():
            http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drive(self, flow: Flow[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            outcome = self._send(step) if isinstance(step, HttpRequest) else self._sleep(step)

    def _send(self, request: HttpRequest) -> Outcome:
        http, variable = self._connections.to(request.url)
        arguments = _request_arguments(request)
        deadline = Deadline(self._timeout, len(arguments["content"] or b""))
        token = current.set(deadline)
        try:
            with http.stream(**arguments) as response:
                body = _empty_body(response)
                for part in response.iter_bytes():
                    _append(body, part, request, response)
                    deadline.extend(len(part))
                return _http_response(response, body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _connection_lost(error, variable)
        finally:
            current.reset(token)


class AsyncClient:
    """`Client` for asyncio: the same arguments, and every method is awaited. Use it in an `async with` block, or call
    `aclose()`.

    Deriving keys from a passcode runs on the caller's thread and blocks the event loop for a good tenth of a second.
    """

    def __init__(
        self,
        server: str | None = None,
        key: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = _session(server, key)
        self._timeout = timeout
        self._connections = Connections(
            lambda **options: httpx.AsyncClient(timeout=timeout, transport=transport, **options),
            is_direct=bool(transport),
        )
        self._connections.to(self._session.server)
        self._sleep = sleep

    create = _awaitable(secrets.create)
    reveal = _awaitable(secrets.reveal)
    meta = _awaitable(secrets.meta)
    report = _awaitable(secrets.report)
    list_secrets = _awaitable(receipts.list_secrets)
    get_details = _awaitable(receipts.get_details)
    update = _awaitable(receipts.update)
    unlock = _awaitable(receipts.unlock)
    delete = _awaitable(receipts.delete)
    get_stats = _awaitable(receipts.get_stats)
    get_account = _awaitable(receipts.get_account)

    async def aclose(self) -> None:
        for http in self._connections.opened():
            await http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _drive(self, flow: Flow[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            outcome = await (self._send(step) if isinstance(step, HttpRequest) else self._sleep(step))

    async def _send(self, request: HttpRequest) -> Outcome:
        http, variable = self._connections.to(request.url)
        arguments, now = _request_arguments(request), asyncio.get_running_loop().time
        deadline = Deadline(self._timeout, len(arguments["content"] or b""))
        try:
            async with asyncio.timeout(deadline.remaining()) as limit, http.stream(**arguments) as response:
                body = _empty_body(response)
                async for part in response.aiter_bytes():
                    _append(body, part, request, response)
                    deadline.extend(len(part))
                    limit.reschedule(now() + deadline.remaining())
                return _http_response(response, body)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return _connection_lost(error, variable)


def _session(server: str | None, key: str | None) -> Session:
    address = (server or os.environ.get("SECLINK_SERVER") or DEFAULT_SERVER).strip()
    api_key = (os.environ.get("SECLINK_API_KEY", "") if key is None else key).strip()
    if not api_key.isascii() or not api_key.isprintable():
        raise KeyInvalid
    return Session(server_address(address), api_key, randomness.token_bytes)


def _request_arguments(request: HttpRequest) -> dict[str, Any]:
    headers = {"User-Agent": f"seclink/{__version__}", "Accept": "application/json", **request.headers}
    headers["Accept-Encoding"] = "identity"  # a few compressed bytes may expand to gigabytes
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return {"method": request.method, "url": request.url, "headers": headers, "content": request.content()}


def _empty_body(response: httpx.Response) -> bytearray:
    """Return a buffer for the body. Reject a compressed response: its size is unknown until it has filled the
    memory, and the request did not accept one.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.ReadError("the response is compressed, although the request did not accept that")
    return bytearray()


def _append(body: bytearray, part: bytes, request: HttpRequest, response: httpx.Response) -> None:
    """Append to the body, up to a limit: links lead to servers of strangers, and no response may fill the memory."""
    limit = request.max_bytes if response.is_success else MAX_BYTES
    if len(body) + len(part) > limit:
        raise httpx.ReadError(f"the response is larger than {limit:,} bytes, and so not SecLink's")
    body += part


def _http_response(response: httpx.Response, body: bytearray) -> HttpResponse:
    return HttpResponse(response.status_code, dict(response.headers), body)


def _connection_lost(error: Exception, proxy_variable: str | None) -> ConnectionLost:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        reason = "no response in time"
    else:
        reason = _ERRNO.sub("", str(error)) or type(error).__name__
    return ConnectionLost(reason + (f", through the proxy in {proxy_variable}" if proxy_variable else ""))

"""The Python client: `Client` for scripts, `AsyncClient` for event loops, the same calls on both.

    with Client() as client:                                  # $SECLINK_SERVER, $SECLINK_API_KEY
        created = client.create("s3cr3t", hours=2, password="told by phone")
        print(created.link)

    secret = client.reveal(link, passcode="told by phone")
    print(secret.text, secret.views_left)

Sealing and opening happen here. Every operation is written once, in `secrets` and `receipts`, without I/O;
the two classes below differ in the line that sends and the line that waits. Refusals are the exceptions of
`seclink.errors`, one per code; no answer, or an answer that is not SecLink's, is `Unreachable`.
"""

import asyncio
import functools
import os
import re
import secrets as randomness
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from seclink import __version__
from seclink.client import receipts, secrets
from seclink.client.protocol import ConnectionLost, Flow, HttpRequest, HttpResponse, Outcome
from seclink.client.session import DEFAULT_SERVER, Session, server_address
from seclink.errors import KeyInvalid, Unreachable

__all__ = ["AsyncClient", "Client"]

DEFAULT_TIMEOUT = 30.0
MOST_BYTES = 96 * 2**20
"""Of one answer; the largest payload a server can be configured to take is 64 MiB, 86 in base64."""

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")

P = ParamSpec("P")
T = TypeVar("T")


def _now(
    call: Callable[Concatenate[Session, P], Flow[T]],
) -> Callable[Concatenate["Client", P], T]:
    @functools.wraps(call)
    def method(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client._drive(call(client._session, *args, **kwargs))

    return method


def _soon(
    call: Callable[Concatenate[Session, P], Flow[T]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    @functools.wraps(call)
    async def method(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client._drive(call(client._session, *args, **kwargs))

    return method


class Client:
    """One server, one key, one pool of connections. Use it in a `with`, or `close()` it.

    `server` is the appliance's address, else $SECLINK_SERVER, else http://127.0.0.1:8080; `key` an API key,
    else $SECLINK_API_KEY, and "" for nobody; `timeout` seconds for each wait on the network. `transport` and
    `sleep` are for tests and for those who bring their own network.
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
        with _usable_environment():
            self._http = httpx.Client(timeout=timeout, transport=transport)
        self._sleep = sleep

    create = _now(secrets.create)
    reveal = _now(secrets.reveal)
    meta = _now(secrets.meta)
    report = _now(secrets.report)
    list_secrets = _now(receipts.list_secrets)
    get_details = _now(receipts.get_details)
    update = _now(receipts.update)
    delete = _now(receipts.delete)
    get_stats = _now(receipts.get_stats)
    get_account = _now(receipts.get_account)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drive(self, flow: Flow[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            outcome = self._send(step) if isinstance(step, HttpRequest) else self._sleep(step)

    def _send(self, request: HttpRequest) -> Outcome:
        try:
            with self._http.stream(**_wire(request)) as response:
                body = _begin(response)
                for part in response.iter_bytes():
                    _grow(body, part)
                return _answer(response, body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _lost(error)


class AsyncClient:
    """`Client` for asyncio: the same arguments, every call awaited. Use it in an `async with`, or `aclose()`
    it.

    A passcode is stretched on the caller's thread and holds the loop for a good tenth of a second.
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
        with _usable_environment():
            self._http = httpx.AsyncClient(timeout=timeout, transport=transport)
        self._sleep = sleep

    create = _soon(secrets.create)
    reveal = _soon(secrets.reveal)
    meta = _soon(secrets.meta)
    report = _soon(secrets.report)
    list_secrets = _soon(receipts.list_secrets)
    get_details = _soon(receipts.get_details)
    update = _soon(receipts.update)
    delete = _soon(receipts.delete)
    get_stats = _soon(receipts.get_stats)
    get_account = _soon(receipts.get_account)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _drive(self, flow: Flow[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = flow.send(outcome)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            outcome = await (self._send(step) if isinstance(step, HttpRequest) else self._sleep(step))

    async def _send(self, request: HttpRequest) -> Outcome:
        try:
            async with self._http.stream(**_wire(request)) as response:
                body = _begin(response)
                async for part in response.aiter_bytes():
                    _grow(body, part)
                return _answer(response, body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _lost(error)


def _session(server: str | None, key: str | None) -> Session:
    address = (server or os.environ.get("SECLINK_SERVER") or DEFAULT_SERVER).strip()
    chosen = os.environ.get("SECLINK_API_KEY", "") if key is None else key
    if not (chosen := chosen.strip()).isascii() or not chosen.isprintable():
        raise KeyInvalid
    return Session(server_address(address), chosen, randomness.token_bytes)


@contextmanager
def _usable_environment() -> Iterator[None]:
    """httpx reads proxies and certificates from the environment, and has its own ways of disliking them."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        raise Unreachable(f"The proxy or certificate settings of the environment cannot be used: {error}") from None


def _wire(request: HttpRequest) -> dict[str, Any]:
    headers = {"User-Agent": f"seclink/{__version__}", "Accept": "application/json", **request.headers}
    headers["Accept-Encoding"] = "identity"  # a few bytes may unpack to gigabytes
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return {"method": request.method, "url": request.url, "headers": headers, "content": request.content()}


def _begin(response: httpx.Response) -> bytearray:
    """What packed answers unpack to cannot be known before it has filled the memory; none was asked for."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.ReadError("the answer is packed, which was not asked for")
    return bytearray()


def _grow(body: bytearray, part: bytes) -> None:
    """Links lead to anybody's server: one that answers without end must not fill the memory."""
    if len(body) + len(part) > MOST_BYTES:
        raise httpx.ReadError("the answer is larger than any secret")
    body += part


def _answer(response: httpx.Response, body: bytearray) -> HttpResponse:
    return HttpResponse(response.status_code, dict(response.headers), bytes(body))


def _lost(error: Exception) -> ConnectionLost:
    if isinstance(error, httpx.TimeoutException):
        return ConnectionLost("no answer in time")
    return ConnectionLost(_ERRNO.sub("", str(error)) or type(error).__name__)

"""The Python client: `Client` for scripts, `AsyncClient` for event loops, with the same methods.

    with Client() as client:                                  # $SECLINK_SERVER, $SECLINK_API_KEY
        created = client.create("s3cr3t", hours=2, password="told by phone")
        print(created.link)

    secret = client.reveal(link, passcode="told by phone")
    print(secret.text, secret.views_left)
    secret.files.save("downloads")

Secrets are sealed and opened here. Every operation is written once, in `secrets`, `uploads`, `reveals`, `downloads` and
`receipts`; the two classes below differ only in how they send and how they wait. An error response raises the exception
of `seclink.errors` with its code; no response, or one that is not SecLink's, raises `Unreachable`.
"""

import asyncio
import contextlib
import functools
import os
import secrets as randomness
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from seclink.client import receipts, reveals, secrets, uploads
from seclink.client.deadline import Deadline, DeadlineTransport, current
from seclink.client.http_messages import (
    append,
    async_pieces,
    connection_lost,
    empty_body,
    http_response,
    pieces,
    request_arguments,
)
from seclink.client.models import RevealedSecret
from seclink.client.proxies import Connections
from seclink.client.received_files import AsyncReceivedFiles, ReceivedFiles
from seclink.client.reveals import Revealed
from seclink.client.session import DEFAULT_SERVER, Session, server_address
from seclink.client.steps import Flow, HttpRequest, Outcome, Step, Work
from seclink.errors import KeyInvalid

__all__ = ["AsyncClient", "Client"]

DEFAULT_TIMEOUT = 30.0

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


def _opening(
    call: Callable[Concatenate[Session, P], Flow[Revealed]],
) -> Callable[Concatenate["Client", P], RevealedSecret[ReceivedFiles]]:
    @functools.wraps(call)
    def method(client: "Client", /, *args: P.args, **kwargs: P.kwargs) -> RevealedSecret[ReceivedFiles]:
        secret = client._drive(call(client._session, *args, **kwargs))
        return secret.with_files(ReceivedFiles(secret.files, client._drive))

    return method


def _opening_awaitable(
    call: Callable[Concatenate[Session, P], Flow[Revealed]],
) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, RevealedSecret[AsyncReceivedFiles]]]:
    @functools.wraps(call)
    async def method(client: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> RevealedSecret[AsyncReceivedFiles]:
        secret = await client._drive(call(client._session, *args, **kwargs))
        return secret.with_files(AsyncReceivedFiles(secret.files, client._drive))

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
    upload = _blocking(uploads.upload)
    cancel_upload = _blocking(uploads.cancel_upload)
    reveal = _opening(reveals.reveal)
    reopen = _opening(reveals.reopen)
    meta = _blocking(reveals.meta)
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
        with contextlib.closing(flow):
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
                outcome = self._do(step)

    def _do(self, step: Step) -> Outcome:
        if isinstance(step, HttpRequest):
            return self._send(step)
        step.run() if isinstance(step, Work) else self._sleep(step)
        return None

    def _send(self, request: HttpRequest) -> Outcome:
        http, variable = self._connections.to(request.url)
        arguments, size = request_arguments(request, pieces)
        deadline = Deadline(self._timeout, size)
        token = current.set(deadline)
        try:
            with http.stream(**arguments) as response:
                body = empty_body(response)
                for part in response.iter_bytes():
                    append(body, part, request, response)
                    deadline.extend(len(part))
                return http_response(response, body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return connection_lost(error, variable)
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
    upload = _awaitable(uploads.upload)
    cancel_upload = _awaitable(uploads.cancel_upload)
    reveal = _opening_awaitable(reveals.reveal)
    reopen = _opening_awaitable(reveals.reopen)
    meta = _awaitable(reveals.meta)
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
        with contextlib.closing(flow):
            while True:
                try:
                    step = flow.send(outcome)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
                outcome = await self._do(step)

    async def _do(self, step: Step) -> Outcome:
        if isinstance(step, HttpRequest):
            return await self._send(step)
        await (_in_thread(step) if isinstance(step, Work) else self._sleep(step))
        return None

    async def _send(self, request: HttpRequest) -> Outcome:
        http, variable = self._connections.to(request.url)
        (arguments, size), now = request_arguments(request, async_pieces), asyncio.get_running_loop().time
        deadline = Deadline(self._timeout, size)
        try:
            async with asyncio.timeout(deadline.remaining()) as limit, http.stream(**arguments) as response:
                body = empty_body(response)
                async for part in response.aiter_bytes():
                    append(body, part, request, response)
                    deadline.extend(len(part))
                    limit.reschedule(now() + deadline.remaining())
                return http_response(response, body)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return connection_lost(error, variable)


async def _in_thread(work: Work[Any]) -> None:
    """Do the work to its end, also if the caller is cancelled: what it uses is closed afterwards."""
    task = asyncio.ensure_future(asyncio.to_thread(work.run))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _session(server: str | None, key: str | None) -> Session:
    address = (server or os.environ.get("SECLINK_SERVER") or DEFAULT_SERVER).strip()
    api_key = (os.environ.get("SECLINK_API_KEY", "") if key is None else key).strip()
    if not api_key.isascii() or not api_key.isprintable():
        raise KeyInvalid
    return Session(server_address(address), api_key, randomness.token_bytes)

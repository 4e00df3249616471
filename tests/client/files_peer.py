"""A small SecLink for files: it keeps the chunks of one upload, and gives them to whoever has revealed the secret."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from peer import SERVER, Caller, Peer, problem

from seclink import AsyncClient, Client

MAX_BYTES = 2**30
GRANT = "g" * 43


class FilesPeer(Peer):
    """`chunks` are those that it has. `on_chunk` is called with the number of each that was stored."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: dict[str, Any] = {"allowed": True, "maxBytes": MAX_BYTES}
        self.size, self.chunks = 0, dict[int, bytes]()
        self.on_chunk: Callable[[int], None] = lambda number: None

    def respond(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        number = int(path.rpartition("/")[2]) if path.rpartition("/")[2].isdigit() else -1
        match request.method, path.split("/")[1], number:
            case "GET", "uploads", _:
                received = [[number, number] for number in self.chunks]
                return httpx.Response(200, json=self.limits | {"received": received})
            case "POST", "uploads", _:
                self.size = json.loads(request.content)["size"]
                count = -(-self.size // 4_194_332)
                return httpx.Response(201, json={"uploadId": "u" * 20, "uploadToken": "t" * 43, "chunks": count})
            case "PUT", "uploads", _:
                self.chunks[number] = request.content
                self.on_chunk(number)
                return httpx.Response(204)
            case "GET", "files", _:
                return httpx.Response(200, content=self.chunks[number])
            case "DELETE", _, _:
                self.chunks = {}
                return httpx.Response(204)
        response = super().respond(request)
        if path.endswith("/reveal") and "upload" in self.stored:
            files = {"size": self.size, "chunks": len(self.chunks), "grant": GRANT, "grantExpiresAt": 1}
            return httpx.Response(200, json=response.json() | {"files": files} | self.changes)
        return response


class FilesCaller(Caller):
    """Runs a test's calls with a client that stays open between them."""

    def run(self, work: Callable[["Calls"], Awaitable[Any]]) -> Any:
        return asyncio.run(self._run(work))

    async def _run(self, work: Callable[["Calls"], Awaitable[Any]]) -> Any:
        transport = httpx.MockTransport(self.peer)
        if self.kind == "async":
            async with AsyncClient(SERVER, "", transport=transport, sleep=self._wait) as client:
                return await work(Calls(client))
        with Client(SERVER, "", transport=transport, sleep=self.waited.append) as blocking_client:
            return await work(Calls(blocking_client))


class Calls:
    """The methods of either client, all awaited."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self._client = client

    async def __call__(self, operation: str, *arguments: Any, **options: Any) -> Any:
        return await _awaited(getattr(self._client, operation)(*arguments, **options))

    async def save(self, files: Any, folder: Any, **options: Any) -> Any:
        return await _awaited(files.save(folder, **options))


async def _awaited(result: Any) -> Any:
    return await result if asyncio.iscoroutine(result) else result


__all__ = ["GRANT", "Calls", "FilesCaller", "FilesPeer", "problem"]

"""The turns of the requests that send the same chunk: one writes at a time, and a newer one breaks the older off.

A client sends a chunk again because it has given the first request up, which the server may not have noticed. The newer
request writes only once the older one has let go of the file.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from seclink.errors import Superseded

T = TypeVar("T")
Key = tuple[str, int]


class Turn:
    """One request's turn."""

    def __init__(self) -> None:
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_superseded(self) -> bool:
        return self._end.done()

    def supersede(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    async def wait_for(self, receive: Callable[[], Awaitable[T]]) -> T:
        """Return the next piece that the client sends. Raises Superseded if a newer request comes meanwhile."""
        task = asyncio.ensure_future(receive())
        try:
            waiting: set[asyncio.Future[Any]] = {task, self._end}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if self.is_superseded:
                raise Superseded()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


class _Queue:
    """The requests for one chunk: the newest of them, how many there are, and the lock of the one that writes."""

    def __init__(self) -> None:
        self.newest: Turn | None = None
        self.count = 0
        self.lock = asyncio.Lock()


class ChunkTurns:
    """The turns of all chunks that are being written."""

    def __init__(self) -> None:
        self._queues: dict[Key, _Queue] = {}

    @contextlib.asynccontextmanager
    async def take(self, key: Key) -> AsyncIterator[Turn]:
        """Wait for the turn at a chunk. Raises Superseded if a newer request comes before it begins."""
        queue = self._queues.setdefault(key, _Queue())
        if queue.newest is not None:
            queue.newest.supersede()
        turn = queue.newest = Turn()
        queue.count += 1
        try:
            async with queue.lock:
                if turn.is_superseded:
                    raise Superseded()
                yield turn
        finally:
            queue.count -= 1
            if not queue.count:
                del self._queues[key]

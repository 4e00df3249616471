"""Things done beside a request: it does not wait for them, and their failure is not its own."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from seclink.errors import StorageFailed


class BackgroundTasks:
    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin it. What the store refuses is dropped."""
        task = asyncio.create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def join(self) -> None:
        """Wait for all that was begun."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(StorageFailed):
        await work

"""Tasks beside a request: it does not wait for them, and they cannot make it fail."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from seclink.errors import StorageFailed


class BackgroundTasks:
    """The tasks in progress."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task. StorageFailed is ignored."""
        task = asyncio.create_task(_ignoring_storage_failures(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def join(self) -> None:
        """Wait until no task is in progress."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def _ignoring_storage_failures(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(StorageFailed):
        await work

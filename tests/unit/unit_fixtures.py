"""Fixtures of the unit tests."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from database import OpenStore

from seclink.store.sqlite import SqliteStore


@pytest.fixture
async def open_store(anyio_backend: str) -> AsyncIterator[OpenStore]:
    """Open stores with `await open_store(path, **options)`; all of them are closed at the end of the test."""
    opened: list[SqliteStore] = []

    async def open_it(path: Path, **options: Any) -> SqliteStore:
        opened.append(await SqliteStore.open(path, keep_seconds=30 * 86400, max_bytes=2**30, **options))
        return opened[-1]

    yield open_it
    for store in opened:
        await store.close()

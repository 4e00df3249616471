"""Fixtures of the unit tests."""

from collections.abc import AsyncIterator

import pytest
from stores import OPENED


@pytest.fixture
async def tidy(anyio_backend: str) -> AsyncIterator[None]:
    """What a failed test left open would keep its threads, and all tests with them."""
    yield
    while OPENED:
        await OPENED.pop().close()

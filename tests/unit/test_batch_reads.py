"""Reads that arrive together are one statement, and no result is older than its caller."""

import asyncio
import sqlite3
from typing import Any

import pytest
from support.waiting import TIMEOUT_SECONDS

from seclink.errors import StorageFailed
from seclink.store.batch_reads import MAX_BATCH, BatchReader

pytestmark = pytest.mark.anyio


class FakeConnection:
    """Reads `rows` when a query arrives, and returns them once `may_return` is set."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.queries: list[list[str]] = []
        self.may_return = asyncio.Event()
        self.error: Exception | None = None

    async def execute_fetchall(self, sql: str, parameters: list[str | None]) -> list[Any]:
        keys = [key for key in parameters if key is not None]
        assert sql == f"in ({', '.join('?' * len(parameters))})"
        self.queries.append(keys)
        rows = [(key, self.rows[key]) for key in keys if key in self.rows]
        await self.may_return.wait()
        if self.error:
            raise self.error
        return rows


@pytest.fixture
def connection(anyio_backend: str) -> FakeConnection:
    return FakeConnection()


@pytest.fixture
def reader(connection: FakeConnection) -> BatchReader:
    return BatchReader(connection, "in ({})")  # type: ignore[arg-type]


def start_read(reader: BatchReader, key: str) -> "asyncio.Task[Any]":
    return asyncio.create_task(reader.get(key))


async def wait_for_queries(connection: FakeConnection, count: int) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(connection.queries) < count:  # noqa: ASYNC110  there is no event to wait for
            await asyncio.sleep(0)


async def test_read_after_write_is_fresh(connection: FakeConnection, reader: BatchReader) -> None:
    """AUTH-02: a read that has begun is not shared, or a key that was revoked meanwhile would still be accepted."""
    connection.rows["a"] = 1
    early = start_read(reader, "a")
    await wait_for_queries(connection, 1)
    connection.rows["a"] = 2
    late = start_read(reader, "a")
    await asyncio.sleep(0)
    connection.may_return.set()
    assert (await early, await late) == (("a", 1), ("a", 2))
    assert connection.queries == [["a"], ["a"]]


async def test_waiting_reads_share_a_query(connection: FakeConnection, reader: BatchReader) -> None:
    connection.rows = {"a": 1, "b": 2}
    connection.may_return.set()
    rows = await asyncio.gather(*(reader.get(key) for key in ("a", "b", "a", "unknown")))
    assert rows == [("a", 1), ("b", 2), ("a", 1), None]
    assert connection.queries == [["a", "b", "unknown"]]


async def test_query_has_at_most_the_maximum_of_keys(connection: FakeConnection, reader: BatchReader) -> None:
    keys = [f"n{number}" for number in range(MAX_BATCH + 5)]
    connection.rows = {key: number for number, key in enumerate(keys)}
    connection.may_return.set()
    rows = await asyncio.gather(*map(reader.get, keys))
    assert rows == [(key, number) for number, key in enumerate(keys)]
    assert list(map(len, connection.queries)) == [MAX_BATCH, 5]


async def test_cancelled_read_does_not_disturb_others(connection: FakeConnection, reader: BatchReader) -> None:
    connection.rows["a"] = 1
    cancelled, other = start_read(reader, "a"), start_read(reader, "a")
    await wait_for_queries(connection, 1)
    cancelled.cancel()
    connection.may_return.set()
    assert await other == ("a", 1)
    assert await reader.get("a") == ("a", 1)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), ValueError("no active connection")])
async def test_failed_query_fails_its_reads_and_no_later_one(
    connection: FakeConnection, reader: BatchReader, error: Exception
) -> None:
    connection.error = error
    connection.may_return.set()
    results = await asyncio.gather(reader.get("a"), reader.get("b"), return_exceptions=True)
    assert [type(result) for result in results] == [StorageFailed, StorageFailed]
    connection.error = None
    assert await reader.get("a") is None

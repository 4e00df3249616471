"""Looks that arrive together are one, and none is older than its asker."""

import asyncio
import sqlite3
from typing import Any

import pytest

from seclink.errors import StorageFailed
from seclink.store.batch_reads import MAX_BATCH, BatchReader

pytestmark = pytest.mark.anyio


class Reader:
    """Answers with what `rows` were when it was asked, once it is let."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.asked: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def execute_fetchall(self, sql: str, names: list[str | None]) -> list[Any]:
        wanted = [name for name in names if name is not None]
        assert sql == f"in ({', '.join('?' * len(names))})"
        self.asked.append(wanted)
        found = [(name, self.rows[name]) for name in wanted if name in self.rows]
        await self.may_answer.wait()
        if self.error:
            raise self.error
        return found


@pytest.fixture
def reader(anyio_backend: str) -> Reader:
    return Reader()


@pytest.fixture
def looks(reader: Reader) -> BatchReader:
    return BatchReader(reader, "in ({})")  # type: ignore[arg-type]


def look(looks: BatchReader, name: str) -> "asyncio.Task[Any]":
    return asyncio.create_task(looks.get(name))


async def begun(reader: Reader, count: int) -> None:
    async with asyncio.timeout(10):
        while len(reader.asked) < count:  # noqa: ASYNC110  it has no event
            await asyncio.sleep(0)


async def test_who_asks_after_a_look_has_begun_gets_one_of_his_own(reader: Reader, looks: BatchReader) -> None:
    """AUTH-02: or a key that was revoked meanwhile would still be good."""
    reader.rows["a"] = 1
    early = look(looks, "a")
    await begun(reader, 1)
    reader.rows["a"] = 2
    late = look(looks, "a")
    await asyncio.sleep(0)
    reader.may_answer.set()
    assert (await early, await late) == (("a", 1), ("a", 2))
    assert reader.asked == [["a"], ["a"]]


async def test_those_that_wait_together_are_asked_for_together(reader: Reader, looks: BatchReader) -> None:
    reader.rows = {"a": 1, "b": 2}
    reader.may_answer.set()
    answers = await asyncio.gather(*(looks.get(name) for name in ("a", "b", "a", "nobody")))
    assert answers == [("a", 1), ("b", 2), ("a", 1), None]
    assert reader.asked == [["a", "b", "nobody"]]


async def test_more_than_fit_are_asked_for_in_turn(reader: Reader, looks: BatchReader) -> None:
    names = [f"n{number}" for number in range(MAX_BATCH + 5)]
    reader.rows = {name: number for number, name in enumerate(names)}
    reader.may_answer.set()
    answers = await asyncio.gather(*map(looks.get, names))
    assert answers == [(name, number) for number, name in enumerate(names)]
    assert list(map(len, reader.asked)) == [MAX_BATCH, 5]


async def test_look_that_nobody_waits_for_any_more_troubles_no_other(reader: Reader, looks: BatchReader) -> None:
    reader.rows["a"] = 1
    gone, other = look(looks, "a"), look(looks, "a")
    await begun(reader, 1)
    gone.cancel()
    reader.may_answer.set()
    assert await other == ("a", 1)
    assert await looks.get("a") == ("a", 1)


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), ValueError("no active connection")])
async def test_failure_is_everybodys_and_not_the_next_ones(
    reader: Reader, looks: BatchReader, error: Exception
) -> None:
    reader.error = error
    reader.may_answer.set()
    found = await asyncio.gather(looks.get("a"), looks.get("b"), return_exceptions=True)
    assert [type(each) for each in found] == [StorageFailed, StorageFailed]
    reader.error = None
    assert await looks.get("a") is None

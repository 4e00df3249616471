"""Answers kept for a moment: bounded in time, number and bytes, and only for who asked."""

import asyncio

import pytest

from seclink.domain.idempotency import IdempotencyCache
from seclink.errors import IdempotencyMismatch

pytestmark = pytest.mark.anyio
KB = 1024


class Hand:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def kept(replay: "IdempotencyCache[bytes]", key: str, answer: bytes) -> bytes:
    async def work() -> bytes:
        return answer

    return await replay.once(key, b"", work)


async def test_cache_never_grows_past_its_bytes() -> None:
    """LR-05: ten thousand answers nobody fetched again; the oldest go first."""
    replay: IdempotencyCache[bytes] = IdempotencyCache(60, 100_000, 64 * KB, len, Hand())
    for n in range(10_000):
        await kept(replay, str(n), b"x" * KB)
        assert replay.bytes <= 64 * KB
    assert len(replay) == 64
    assert await kept(replay, "9999", b"other") == b"x" * KB
    assert await kept(replay, "0", b"other") == b"other"


async def test_cache_never_grows_past_its_number() -> None:
    """LR-05, RL-06"""
    replay: IdempotencyCache[bytes] = IdempotencyCache(60, 100, 2**30, len, Hand())
    for n in range(5000):
        await kept(replay, str(n), b"x")
        assert len(replay) <= 101


async def test_answer_larger_than_all_there_is_is_not_kept() -> None:
    """LR-05"""
    replay: IdempotencyCache[bytes] = IdempotencyCache(60, 100, KB, len, Hand())
    assert await kept(replay, "a", b"x" * 2 * KB) == b"x" * 2 * KB
    assert replay.bytes <= KB


async def test_answer_is_forgotten_in_time() -> None:
    """LR-04"""
    clock = Hand()
    replay: IdempotencyCache[bytes] = IdempotencyCache(60, 100, 2**30, len, clock)
    assert await kept(replay, "a", b"first") == b"first"
    clock.seconds = 59.9
    assert await kept(replay, "a", b"second") == b"first"
    clock.seconds = 60
    assert await kept(replay, "a", b"third") == b"third"
    assert replay.bytes == len(b"third")


async def test_other_proof_under_the_same_key_is_refused() -> None:
    """LR-06"""
    replay: IdempotencyCache[int] = IdempotencyCache(60, 100, 2**30, lambda _: 1, Hand())

    async def work() -> int:
        return 1

    await replay.once("a", b"one", work)
    with pytest.raises(IdempotencyMismatch):
        await replay.once("a", b"two", work)


async def test_failure_is_told_to_all_who_wait_and_kept_for_nobody() -> None:
    replay: IdempotencyCache[int] = IdempotencyCache(60, 100, 2**30, lambda _: 1, Hand())
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        if runs == 1:
            raise ValueError
        return runs

    asked = await asyncio.gather(*(replay.once("a", b"", work) for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in asked] == [ValueError] * 3
    assert await replay.once("a", b"", work) == 2


async def test_work_outlives_the_caller_who_asked_for_it() -> None:
    """LR-01"""
    replay: IdempotencyCache[int] = IdempotencyCache(60, 100, 2**30, lambda _: 1, Hand())
    gate, runs = asyncio.Event(), 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await gate.wait()
        return runs

    asked = asyncio.ensure_future(replay.once("a", b"", work))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    gate.set()
    assert await replay.once("a", b"", work) == 1


async def test_answer_is_forgotten_in_time_although_nobody_asks_again() -> None:
    """LR-04: what was revealed must not lie in memory until the next caller comes by."""
    replay: IdempotencyCache[bytes] = IdempotencyCache(0.01, 100, 2**30, len, asyncio.get_running_loop().time)
    assert await kept(replay, "a", b"x") == b"x"
    assert len(replay) == 1
    for _ in range(500):
        await asyncio.sleep(0.02 if len(replay) else 0)
    assert len(replay) == 0

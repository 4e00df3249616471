"""Results stored for retries: bounded in time, number and bytes, and only for the same request."""

import asyncio

import pytest

from seclink.domain.idempotency import IdempotencyCache
from seclink.errors import IdempotencyMismatch

pytestmark = pytest.mark.anyio
KB = 1024


class ManualClock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def store_result(cache: "IdempotencyCache[bytes]", key: str, result: bytes, group: str = "") -> bytes:
    async def work() -> bytes:
        return result

    return await cache.once(key, b"", work, group or key)


async def test_cache_never_grows_past_its_bytes() -> None:
    """LR-05: ten thousand results without a retry; the oldest are evicted first."""
    cache: IdempotencyCache[bytes] = IdempotencyCache(60, 100_000, 64 * KB, len, ManualClock())
    for n in range(10_000):
        await store_result(cache, str(n), b"x" * KB)
        assert cache.bytes <= 64 * KB
    assert len(cache) == 64
    assert await store_result(cache, "9999", b"other") == b"x" * KB
    assert await store_result(cache, "0", b"other") == b"other"


async def test_one_group_cannot_push_out_the_results_of_others() -> None:
    """LR-05: it loses its own oldest results instead, in bytes and in number."""
    for size, capacity in ((KB, 100_000), (1, 64)):
        cache: IdempotencyCache[bytes] = IdempotencyCache(60, capacity, 64 * KB, len, ManualClock())
        await store_result(cache, "victim", b"x" * size)
        for n in range(1000):
            await store_result(cache, str(n), b"x" * size, "attacker")
        assert await store_result(cache, "victim", b"other") == b"x" * size
        assert await store_result(cache, "999", b"other", "attacker") == b"x" * size
        assert len(cache) <= 1 + 16 + 1


async def test_result_larger_than_a_group_s_part_is_kept_while_there_is_room() -> None:
    """LR-05"""
    cache: IdempotencyCache[bytes] = IdempotencyCache(60, 100, 4 * KB, len, ManualClock())
    await store_result(cache, "a", b"x" * 2 * KB)
    assert await store_result(cache, "a", b"other") == b"x" * 2 * KB


async def test_cache_never_grows_past_its_capacity() -> None:
    """LR-05, RL-06"""
    cache: IdempotencyCache[bytes] = IdempotencyCache(60, 100, 2**30, len, ManualClock())
    for n in range(5000):
        await store_result(cache, str(n), b"x")
        assert len(cache) <= 101


async def test_result_larger_than_the_cache_is_not_stored() -> None:
    """LR-05"""
    cache: IdempotencyCache[bytes] = IdempotencyCache(60, 100, KB, len, ManualClock())
    assert await store_result(cache, "a", b"x" * 2 * KB) == b"x" * 2 * KB
    assert cache.bytes <= KB


async def test_result_expires() -> None:
    """LR-04"""
    clock = ManualClock()
    cache: IdempotencyCache[bytes] = IdempotencyCache(60, 100, 2**30, len, clock)
    assert await store_result(cache, "a", b"first") == b"first"
    clock.seconds = 59.9
    assert await store_result(cache, "a", b"second") == b"first"
    clock.seconds = 60
    assert await store_result(cache, "a", b"third") == b"third"
    assert cache.bytes == len(b"third")


async def test_other_request_under_the_same_key_is_refused() -> None:
    """LR-06"""
    cache: IdempotencyCache[int] = IdempotencyCache(60, 100, 2**30, lambda _: 1, ManualClock())

    async def work() -> int:
        return 1

    await cache.once("a", b"one", work)
    with pytest.raises(IdempotencyMismatch):
        await cache.once("a", b"two", work)


async def test_failure_reaches_every_waiting_caller_and_is_not_stored() -> None:
    cache: IdempotencyCache[int] = IdempotencyCache(60, 100, 2**30, lambda _: 1, ManualClock())
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        if runs == 1:
            raise ValueError
        return runs

    results = await asyncio.gather(*(cache.once("a", b"", work) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 3
    assert await cache.once("a", b"", work) == 2


async def test_work_continues_after_its_caller_is_cancelled() -> None:
    """LR-01"""
    cache: IdempotencyCache[int] = IdempotencyCache(60, 100, 2**30, lambda _: 1, ManualClock())
    gate, runs = asyncio.Event(), 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await gate.wait()
        return runs

    caller = asyncio.ensure_future(cache.once("a", b"", work))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    gate.set()
    assert await cache.once("a", b"", work) == 1


async def test_result_expires_without_another_request() -> None:
    """LR-04: a revealed payload must not stay in memory until the next request."""
    cache: IdempotencyCache[bytes] = IdempotencyCache(0.01, 100, 2**30, len, asyncio.get_running_loop().time)
    assert await store_result(cache, "a", b"x") == b"x"
    assert len(cache) == 1
    for _ in range(500):
        await asyncio.sleep(0.02 if len(cache) else 0)
    assert len(cache) == 0

"""The limiter by itself: exact counts, bounded memory, nobody's budget renewed by somebody else's flood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.domain.rate_limiter import RateLimiter
from seclink.model import Rate
from seclink.web.admission import client_and_subnet

HOUR = Rate(20, 3600)


@given(count=st.integers(1, 2000), seconds=st.sampled_from([1, 60, 3600, 86_400]), start=st.floats(0, 1e7))
def test_exactly_as_many_as_the_rate_says_at_once(count: int, seconds: int, start: float) -> None:
    """RL-01"""
    limiter, rate = RateLimiter(), Rate(count, seconds)
    decisions = [limiter.take("create a", rate, start) for _ in range(count + 2)]
    assert [each.is_allowed for each in decisions] == [True] * count + [False] * 2
    assert [each.remaining for each in decisions[:count]] == list(reversed(range(count)))
    assert limiter.take("create a", rate, start + decisions[-1].retry_after + 1e-3).is_allowed


@given(gaps=st.lists(st.floats(0, 600), min_size=1, max_size=200))
def test_never_more_in_any_window_than_twice_the_rate(gaps: list[float]) -> None:
    """RL-01: a full burst and what has leaked meanwhile; on average the rate."""
    limiter, now, allowed = RateLimiter(), 1000.0, []
    for gap in gaps:
        now += gap
        if limiter.take("create a", HOUR, now).is_allowed:
            allowed.append(now)
    assert len(allowed) <= HOUR.count + (now - 1000) * HOUR.count / HOUR.seconds + 1


def test_refused_request_costs_nothing() -> None:
    limiter = RateLimiter()
    for _ in range(20):
        limiter.take("create a", HOUR, 0)
    for _ in range(1000):
        assert not limiter.take("create a", HOUR, 0).is_allowed
    assert limiter.take("create a", HOUR, 180).is_allowed


def test_memory_stays_in_its_bound_and_the_overflow_is_shared() -> None:
    """RL-06, scaled: ten times as many clients as there is room for."""
    limiter = RateLimiter(capacity=5000)
    allowed = sum(limiter.take(f"create {n:x}/64", HOUR, 0).is_allowed for n in range(50_000))
    assert len(limiter) <= 5000 + 1
    assert allowed == 5000 + HOUR.count


def test_busy_bucket_is_never_evicted() -> None:
    """RL-06: a flood does not give a locked client a fresh budget."""
    limiter = RateLimiter(capacity=1000)
    for _ in range(20):
        limiter.take("create locked", HOUR, 0)
    for n in range(20_000):
        limiter.take(f"create {n}", HOUR, n / 1000)
    assert not limiter.take("create locked", HOUR, 20).is_allowed


def test_idle_buckets_make_room() -> None:
    """RL-06: once the flood is over, new clients get their own buckets again."""
    limiter = RateLimiter(capacity=1000)
    for n in range(5000):
        limiter.take(f"create {n}", HOUR, 0)
    assert all(limiter.take(f"create late {n}", HOUR, 7200).is_allowed for n in range(900))
    assert len(limiter) <= 1001


def test_classes_overflow_apart() -> None:
    """RL-06: who floods creates does not lock readers out."""
    limiter = RateLimiter(capacity=100)
    for n in range(1000):
        limiter.take(f"create {n}", HOUR, 0)
    assert limiter.take("reveal new", HOUR, 0).is_allowed


def test_addresses_fall_into_the_ranges_that_are_counted() -> None:
    """RL-04, RL-05"""
    assert client_and_subnet("192.0.2.7") == ("192.0.2.7", None)
    assert client_and_subnet("::ffff:192.0.2.7") == client_and_subnet("192.0.2.7")
    one, same, neighbour, elsewhere = map(
        client_and_subnet, ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1", "2001:db8:2::1")
    )
    assert one == same
    assert one[0] != neighbour[0]
    assert one[1] == neighbour[1]
    assert one[1] != elsewhere[1]
    assert client_and_subnet("fe80::1%eth0") == client_and_subnet("fe80::2%eth1")
    assert client_and_subnet("") == ("unknown", None)


def test_ten_thousand_addresses_of_one_network_are_one_client() -> None:
    """RL-04"""
    assert len({client_and_subnet(f"2001:db8::{n:x}") for n in range(10_000)}) == 1
    assert len({client_and_subnet(f"2001:db8:0:{n:x}::1")[1] for n in range(10_000)}) == 1


def test_clock_that_stands_still_or_goes_back_frees_nobody() -> None:
    limiter = RateLimiter()
    for _ in range(20):
        limiter.take("create a", HOUR, 1000)
    assert not limiter.take("create a", HOUR, 1000).is_allowed
    assert not limiter.take("create a", HOUR, 0).is_allowed


def test_changed_rate_lets_nobody_wait_by_the_old_one() -> None:
    """A reload may turn an hour into a second; what was counted still counts, one new window at most."""
    limiter = RateLimiter()
    for _ in range(20):
        limiter.take("create a", Rate(20, 3600), 0)
    assert limiter.take("create a", Rate(2, 1), 0).retry_after == pytest.approx(0.5)
    assert limiter.take("create a", Rate(2, 1), 0.5).is_allowed
    assert not limiter.take("create a", Rate(2, 1), 0.5).is_allowed

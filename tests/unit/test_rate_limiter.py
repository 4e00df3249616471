"""The rate limiter alone: exact counts, bounded memory, and a flood that renews no other client's budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.domain.rate_limiter import RateLimiter
from seclink.model import Rate
from seclink.web.admission import client_and_subnet

HOUR = Rate(20, 3600)


@given(count=st.integers(1, 2000), seconds=st.sampled_from([1, 60, 3600, 86_400]), start=st.floats(0, 1e7))
def test_burst_is_allowed_up_to_the_rate_exactly(count: int, seconds: int, start: float) -> None:
    """RL-01"""
    limiter, rate = RateLimiter(), Rate(count, seconds)
    decisions = [limiter.take("create a", rate, start) for _ in range(count + 2)]
    assert [decision.is_allowed for decision in decisions] == [True] * count + [False] * 2
    assert [decision.remaining for decision in decisions[:count]] == list(reversed(range(count)))
    assert limiter.take("create a", rate, start + decisions[-1].retry_after + 1e-3).is_allowed


@given(gaps=st.lists(st.floats(0, 600), min_size=1, max_size=200))
def test_no_window_allows_more_than_twice_the_rate(gaps: list[float]) -> None:
    """RL-01: a full burst plus the requests that the rate allows meanwhile."""
    limiter, now, allowed = RateLimiter(), 1000.0, []
    for gap in gaps:
        now += gap
        if limiter.take("create a", HOUR, now).is_allowed:
            allowed.append(now)
    assert len(allowed) <= HOUR.count + (now - 1000) * HOUR.count / HOUR.seconds + 1


def test_refused_request_is_not_counted() -> None:
    limiter = RateLimiter()
    for _ in range(20):
        limiter.take("create a", HOUR, 0)
    for _ in range(1000):
        assert not limiter.take("create a", HOUR, 0).is_allowed
    assert limiter.take("create a", HOUR, 180).is_allowed


def test_memory_is_bounded_and_new_keys_share_the_overflow_bucket() -> None:
    """RL-06, scaled: ten times as many clients as the capacity."""
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


def test_idle_buckets_are_evicted() -> None:
    """RL-06: once the flood is over, new clients get their own buckets again."""
    limiter = RateLimiter(capacity=1000)
    for n in range(5000):
        limiter.take(f"create {n}", HOUR, 0)
    assert all(limiter.take(f"create late {n}", HOUR, 7200).is_allowed for n in range(900))
    assert len(limiter) <= 1001


def test_each_class_has_its_own_overflow_bucket() -> None:
    """RL-06: a flood of creates does not lock readers out."""
    limiter = RateLimiter(capacity=100)
    for n in range(1000):
        limiter.take(f"create {n}", HOUR, 0)
    assert limiter.take("reveal new", HOUR, 0).is_allowed


def test_addresses_map_to_client_and_subnet() -> None:
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


def test_addresses_of_one_network_are_one_client() -> None:
    """RL-04"""
    assert len({client_and_subnet(f"2001:db8::{n:x}") for n in range(10_000)}) == 1
    assert len({client_and_subnet(f"2001:db8:0:{n:x}::1")[1] for n in range(10_000)}) == 1


def test_stopped_or_backward_clock_frees_no_budget() -> None:
    limiter = RateLimiter()
    for _ in range(20):
        limiter.take("create a", HOUR, 1000)
    assert not limiter.take("create a", HOUR, 1000).is_allowed
    assert not limiter.take("create a", HOUR, 0).is_allowed


def test_changed_rate_applies_to_waiting_clients() -> None:
    """A reload may turn an hour into a second; earlier requests count for one new window at most."""
    limiter = RateLimiter()
    for _ in range(20):
        limiter.take("create a", Rate(20, 3600), 0)
    assert limiter.take("create a", Rate(2, 1), 0).retry_after == pytest.approx(0.5)
    assert limiter.take("create a", Rate(2, 1), 0.5).is_allowed
    assert not limiter.take("create a", Rate(2, 1), 0.5).is_allowed

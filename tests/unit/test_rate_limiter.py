"""The rate limiter alone: exact counts, bounded memory, and a flood that renews no other client's budget."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.domain.rate_limiter import RUNS, Place, RateLimiter
from seclink.model import Rate
from seclink.web.admission import client_and_subnet

HOUR = Rate(20, 3600)


TIMINGS = st.lists(
    st.one_of(st.just(0.0), st.floats(0, 2), st.floats(0, 1800), st.just(3599.999), st.just(3600.0)),
    min_size=1,
    max_size=400,
)


@given(count=st.integers(1, 2000), seconds=st.sampled_from([1, 60, 3600, 86_400]), start=st.floats(0, 1e7))
def test_burst_is_allowed_up_to_the_rate_exactly(count: int, seconds: int, start: float) -> None:
    """RL-01"""
    limiter, rate = RateLimiter(), Rate(count, seconds)
    decisions = [limiter.take("create a", rate, start) for _ in range(count + 2)]
    assert [decision.is_allowed for decision in decisions] == [True] * count + [False] * 2
    assert [decision.remaining for decision in decisions[:count]] == list(reversed(range(count)))
    assert decisions[-1].retry_after == seconds
    assert not limiter.take("create a", rate, start + seconds - 1e-3).is_allowed
    again = [limiter.take("create a", rate, start + seconds + 1e-5).is_allowed for _ in range(count + 1)]
    assert again == [True] * count + [False]


@given(count=st.integers(1, 100), gaps=TIMINGS, cost=st.integers(1, 3))
def test_no_window_of_any_kind_has_more_than_the_rate(count: int, gaps: list[float], cost: int) -> None:
    """RL-01: whatever the timing; a refusal names the instant from which on the request is allowed, within a window."""
    limiter, now, allowed, rate = RateLimiter(), 1000.0, [], Rate(count, 3600)
    cost = min(cost, count)
    for gap in gaps:
        now += gap
        decision = limiter.take("create a", rate, now, cost)
        if not decision.is_allowed:
            assert 0 < decision.retry_after <= rate.seconds
            waited = now + decision.retry_after
            assert not limiter.look("create a", rate, waited - 1e-3, cost).is_allowed or decision.retry_after < 1e-3
            assert limiter.look("create a", rate, waited + 1e-5, cost).is_allowed
        else:
            allowed.append(now)
    for end in allowed:
        assert cost * sum(end - rate.seconds + 1e-5 < at <= end for at in allowed) <= count


@pytest.mark.parametrize(("count", "seconds"), [(20, 3600), (20, 900), (120, 3600), (10_000, 3600), (10, 1)])
def test_client_that_keeps_to_its_rate_is_never_refused(count: int, seconds: int) -> None:
    """RL-01: evenly spread, a 32nd of the window is lost above 32 requests, and nothing below."""
    limiter, rate, now = RateLimiter(), Rate(count, seconds), 5000.0
    pause = seconds / count * (1 if count <= 32 else 1 + 1 / 32 + 1e-6)
    for _ in range(min(3 * count, 3000)):
        now += pause
        assert limiter.take("create a", rate, now).is_allowed


def test_log_of_a_client_is_short_whatever_its_rate() -> None:
    """RL-06"""
    limiter, rate = RateLimiter(), Rate(10_000, 3600)
    for n in range(20_000):
        limiter.take("key a", rate, n * 0.37)
    assert len(limiter._logs["key a"].runs) <= 2 * (RUNS + 1)


def test_refused_request_is_not_counted() -> None:
    limiter = RateLimiter()
    for _ in range(20):
        limiter.take("create a", HOUR, 0)
    for _ in range(1000):
        assert not limiter.take("create a", HOUR, 0).is_allowed
    assert limiter.take("create a", HOUR, 3600).is_allowed


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


SITE, NETWORK = Place("2001:db8:1/48", 256), Place("2001:db8/32", 16)


def test_place_holds_a_share_of_the_logs_and_then_shares_one() -> None:
    """RL-06: 20,000 clients of one range leave the logs of others alone, and get one rate more among them."""
    limiter = RateLimiter(capacity=5120)
    allowed = sum(limiter.take(f"create {n:x}/64", HOUR, 0, 1, (SITE, NETWORK)).is_allowed for n in range(20_000))
    assert len(limiter) == 20 + 1
    assert allowed == 20 + HOUR.count
    other = (Place("2001:db8:2/48", 256), NETWORK)
    assert all(limiter.take("create other/64", HOUR, 0, 1, other).is_allowed for _ in range(HOUR.count))
    assert not limiter.take("create ffff/64", HOUR, 0, 1, (SITE, NETWORK)).is_allowed


def test_many_places_of_a_network_leave_the_rest_to_others() -> None:
    """RL-06: a /34 has 16,384 /48s, each with 65,536 networks of a /64."""
    limiter = RateLimiter(capacity=5120)
    for n in range(16_384):
        site = Place(f"{n:x}/48", 256)
        limiter.take(f"create {n:x}/48", HOUR, 0, 1, (NETWORK,))
        for m in range(2):
            limiter.take(f"create {n:x}{m:x}/64", HOUR, 0, 1, (site, NETWORK))
    assert len(limiter) <= 5120 // 16 + 1
    assert all(limiter.take(f"create 192.0.2.{n}", HOUR, 0).is_allowed for n in range(200))
    locked = [limiter.take("create 198.51.100.1", HOUR, 0).is_allowed for _ in range(HOUR.count + 1)]
    assert locked == [True] * HOUR.count + [False]


def test_place_gets_its_share_back_when_its_logs_count_no_longer() -> None:
    """RL-06"""
    limiter = RateLimiter(capacity=2560)
    for n in range(1000):
        limiter.take(f"create {n}", HOUR, 0, 1, (SITE,))
    for n in range(100):
        limiter.take(f"create late {n}", HOUR, 3600, 1, (SITE,))
    assert limiter._held == {SITE.name: 10}
    assert len(limiter) <= 11


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
    assert limiter.take("create a", Rate(2, 1), 0).retry_after == 1
    assert [limiter.take("create a", Rate(2, 1), 1).is_allowed for _ in range(3)] == [True, True, False]

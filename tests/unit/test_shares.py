"""Shares of something scarce: what one client, one /48 and all anonymous clients may hold."""

import pytest

from seclink.domain.shares import Holder, Shares


def v4(n: int) -> Holder:
    return Holder(client=f"192.0.2.{n}")


def v6(n: int) -> Holder:
    return Holder(client=f"2001:db8:0:{n}/64", subnet="2001:db8/48")


def account(n: int) -> Holder:
    return Holder(client=f"account {n}", is_anonymous=False)


def taken(shares: Shares, *holders: Holder) -> int:
    """Return how many units the holders get, each asking a thousand times in turn."""
    return sum(shares.take(holder) for _ in range(1000) for holder in holders)


@pytest.mark.parametrize(
    ("holders", "share"),
    [
        ([v4(1)], 100),
        ([v4(1), v4(2)], 200),
        ([v6(1)], 100),
        ([v6(n) for n in range(50)], 200),
        ([v4(n) for n in range(50)], 600),
        ([account(1)], 100),
        ([account(n) for n in range(50)], 800),
    ],
)
def test_share(holders: list[Holder], share: int) -> None:
    """RL-11: an eighth for a client, a quarter for a /48, three quarters for all anonymous clients."""
    shares = Shares(800)
    assert taken(shares, *holders) == share == shares.in_use


def test_others_get_theirs_and_returned_units_can_be_taken_again() -> None:
    """RL-11"""
    shares = Shares(800)
    assert taken(shares, *(v6(n) for n in range(50)), *(v4(n) for n in range(50))) == 600
    assert not shares.fits(v4(99))
    assert taken(shares, account(1)) == 100
    for _ in range(10):
        shares.add(v4(1), -1)
    assert taken(shares, v4(99)) == 10


def test_urgent_request_is_bounded_by_its_own_share_alone() -> None:
    """RL-11"""
    shares = Shares(800)
    taken(shares, *(account(n) for n in range(50)))
    assert not shares.fits(v4(1))
    assert sum(shares.take(v4(1), is_urgent=True) for _ in range(1000)) == 100


def test_piece_larger_than_a_share_is_accepted_while_its_client_holds_nothing() -> None:
    shares = Shares(800)
    assert shares.take(v4(1), 500)
    assert not shares.take(v4(1), 1)
    assert not shares.take(v4(2), 500)


def test_nothing_is_kept_for_holders_that_are_gone() -> None:
    """RL-06"""
    shares = Shares(800)
    for n in range(10_000):
        shares.take(v6(n))
        shares.add(v6(n), -1)
    assert not shares._held

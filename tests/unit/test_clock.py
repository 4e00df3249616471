"""The clock that secrets live by: no jump of the wall clock brings one back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.domain.clock import NEW_STORE, Clock

START = 1_800_000_000.0


class Machine:
    """A machine's two clocks, set by hand."""

    def __init__(self) -> None:
        self.wall, self.boot, self.is_synchronized = START, 5000.0, False

    def clock(self, last_seen_at: int = 0) -> Clock:
        return Clock(last_seen_at, lambda: self.wall, lambda: self.boot, lambda: self.is_synchronized)

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


@given(steps=st.lists(st.tuples(st.floats(0, 1e6), st.floats(-2e9, 2e9)), max_size=30))
def test_time_is_even_whatever_the_wall_clock_does(steps: list[tuple[float, float]]) -> None:
    """CR-09"""
    machine = Machine()
    clock = machine.clock()
    last, passed = clock.now(), 0.0
    for seconds, jump in steps:
        machine.wall += jump
        machine.advance(seconds)
        passed += seconds
        assert clock.now() >= last
        assert abs(clock.now() - (START + passed) * 1000) <= 2
        last = clock.now()


@given(wall=st.floats(0, 4e9), last_seen_at=st.integers(0, 4_000_000_000_000))
def test_start_is_never_before_the_latest_instant_seen(wall: float, last_seen_at: int) -> None:
    """CR-09: a board without a battery starts in 1970 and continues from the latest instant seen."""
    machine = Machine()
    machine.wall = wall
    clock = machine.clock(last_seen_at)
    assert clock.now() == max(int(wall * 1000), last_seen_at)
    assert clock.behind_ms == max(0, last_seen_at - int(wall * 1000))
    machine.advance(10)
    assert clock.now() - max(int(wall * 1000), last_seen_at) in (9999, 10_000)


def test_restart_after_a_step_back_revives_no_secret() -> None:
    """CR-09: expired before, expired after."""
    machine = Machine()
    before = machine.clock()
    expires_at = before.now() + 60_000
    machine.advance(61)
    last_seen_at = before.now()
    machine.wall -= 86_400
    assert machine.clock(last_seen_at).now() >= expires_at


def test_monotonic_time_ignores_the_wall_clock() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += 1e6
    assert clock.monotonic() == machine.boot


SEEN = int(START * 1000)
HOUR, DAY, YEAR = 3600.0, 86_400.0, 365 * 86_400.0


@pytest.mark.parametrize("seconds", [0, 60, HOUR, DAY, DAY + HOUR - 1])
def test_usual_pause_is_not_in_doubt(seconds: float) -> None:
    machine = Machine()
    machine.advance(seconds)
    clock = machine.clock(SEEN)
    assert not clock.is_doubtful
    assert clock.mark() == clock.now()


def test_new_store_has_no_time_to_compare_with() -> None:
    assert not Machine().clock(NEW_STORE).is_doubtful


@pytest.mark.parametrize("seconds", [DAY + HOUR + 1, 21 * DAY, YEAR, 13 * YEAR])
def test_jump_is_not_remembered_until_it_is_confirmed(seconds: float) -> None:
    """CR-09: expired secrets are refused by the clock of the machine, but its time is not kept."""
    machine = Machine()
    machine.wall += seconds
    clock = machine.clock(SEEN)
    assert clock.is_doubtful
    machine.advance(10)
    assert clock.now() == SEEN + int((seconds + 10) * 1000)
    assert abs(clock.mark() - SEEN - 10_000) <= 1
    assert not clock.review(clock.mark())
    assert clock.is_doubtful


@pytest.mark.parametrize(("seconds", "ends"), [(21 * DAY, True), (YEAR, True), (2 * YEAR, False), (13 * YEAR, False)])
@pytest.mark.parametrize("way", ["synchronized", "a day later"])
def test_holiday_ends_without_a_human_and_a_wrong_year_does_not(way: str, seconds: float, ends: bool) -> None:
    """CR-09, EXP-01"""
    machine = Machine()
    machine.wall += seconds
    clock = machine.clock(SEEN)
    if way == "synchronized":
        machine.is_synchronized = True
    else:
        machine.advance(DAY - 1)
        assert not clock.review(clock.mark())
        machine.advance(1)
    assert clock.review(clock.mark()) is ends
    assert clock.is_doubtful is not ends
    assert clock.mark() == (clock.now() if ends else clock.now() - int(seconds * 1000))


def test_doubt_outlives_a_day_if_the_clock_jumps_again() -> None:
    machine = Machine()
    machine.wall += 21 * DAY
    clock = machine.clock(SEEN)
    machine.advance(DAY)
    machine.wall += 3 * DAY
    assert not clock.review(clock.mark())


def test_operator_ends_any_doubt() -> None:
    machine = Machine()
    machine.wall += 13 * YEAR
    clock = machine.clock(SEEN)
    assert clock.review(int(machine.wall * 1000))
    assert not clock.is_doubtful
    assert clock.mark() == clock.now() == int(machine.wall * 1000)


def test_clock_that_was_set_right_is_followed_back() -> None:
    """CR-09: a wrong battery clock, then a time server."""
    machine = Machine()
    machine.wall += 13 * YEAR
    clock = machine.clock(SEEN)
    machine.advance(60)
    machine.wall -= 13 * YEAR
    assert clock.review(clock.mark())
    assert abs(clock.now() - SEEN - 60_000) <= 1
    assert clock.mark() == clock.now()

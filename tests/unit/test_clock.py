"""The clock that secrets live by: no jump of the wall clock brings one back."""

from hypothesis import given
from hypothesis import strategies as st

from seclink.domain.clock import Clock

START = 1_800_000_000.0


class Machine:
    """A machine's two clocks, set by hand."""

    def __init__(self) -> None:
        self.wall, self.boot = START, 5000.0

    def clock(self, last_seen_at: int = 0) -> Clock:
        return Clock(last_seen_at, lambda: self.wall, lambda: self.boot)

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

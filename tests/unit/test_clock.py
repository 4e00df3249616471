"""The clock secrets live by: no jump of the wall clock brings one back."""

from hypothesis import given
from hypothesis import strategies as st

from seclink.domain.clock import Clock

START = 1_800_000_000.0


class Wall:
    """A machine's two clocks, set by hand."""

    def __init__(self) -> None:
        self.wall, self.boot = START, 5000.0

    def clock(self, mark: int = 0) -> Clock:
        return Clock(mark, lambda: self.wall, lambda: self.boot)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


@given(steps=st.lists(st.tuples(st.floats(0, 1e6), st.floats(-2e9, 2e9)), max_size=30))
def test_time_goes_on_evenly_whatever_the_wall_clock_does(steps: list[tuple[float, float]]) -> None:
    """CR-09"""
    machine = Wall()
    clock = machine.clock()
    last, passed = clock.now(), 0.0
    for seconds, jump in steps:
        machine.wall += jump
        machine.pass_(seconds)
        passed += seconds
        assert clock.now() >= last
        assert abs(clock.now() - (START + passed) * 1000) <= 2
        last = clock.now()


@given(wall=st.floats(0, 4e9), mark=st.integers(0, 4_000_000_000_000))
def test_start_is_never_before_what_was_already_seen(wall: float, mark: int) -> None:
    """CR-09: a board without a battery starts in 1970 and goes on from the mark."""
    machine = Wall()
    machine.wall = wall
    clock = machine.clock(mark)
    assert clock.now() == max(int(wall * 1000), mark)
    assert clock.behind_ms == max(0, mark - int(wall * 1000))
    machine.pass_(10)
    assert clock.now() - max(int(wall * 1000), mark) in (9999, 10_000)


def test_restart_after_a_step_back_revives_nothing() -> None:
    """CR-09: expired before, expired after."""
    machine = Wall()
    before = machine.clock()
    expires_at = before.now() + 60_000
    machine.pass_(61)
    mark = before.now()
    machine.wall -= 86_400
    assert machine.clock(mark).now() >= expires_at


def test_limiter_time_is_the_machines_own() -> None:
    machine = Wall()
    clock = machine.clock()
    machine.wall += 1e6
    assert clock.monotonic() == machine.boot

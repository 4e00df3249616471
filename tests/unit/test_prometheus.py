"""Metrics: the text format, what `seclink status` computes from readings of it, and the counting of secrets."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from seclink.cli.metrics_snapshot import Reading, Span, facts
from seclink.cli.status_view import screen
from seclink.errors import BadRequest, RateLimited, StorageFailed
from seclink.store.statistics import STEP, SecretCounter
from seclink.telemetry.counters import BATCHES, Counters, Histogram
from seclink.telemetry.prometheus import Sample, family, histograms, parse, render, single

pytestmark = pytest.mark.anyio
LABELS = st.dictionaries(st.from_regex("[a-z_][a-z0-9_]{0,8}", fullmatch=True), st.text(max_size=20), max_size=3)


# The text format


@given(labels=LABELS, value=st.floats(allow_nan=False))
def test_any_label_and_value_reads_back(labels: dict[str, str], value: float) -> None:
    text = render([family("x_total", "counter", "Help.", [(labels, value)])]).decode()
    assert list(parse(text)) == [Sample("x_total", labels, value)]


@pytest.mark.parametrize("value", ['a"b', "a\\b", "a\nb", "\\n", '\\"', "a,b=c}", "ü", ""])
def test_prometheus_client_reads_escaped_text(value: str) -> None:
    text = render([family("x", "gauge", "A \\ and\na line.", [({"a": value, "b": "2"}, 1.5)])]).decode()
    (metric,) = text_string_to_metric_families(text)
    assert (metric.samples[0].labels, metric.samples[0].value) == ({"a": value, "b": "2"}, 1.5)
    assert metric.documentation == "A \\ and\na line."
    assert next(parse(text)).labels == {"a": value, "b": "2"}


def test_histogram_is_cumulative_with_inclusive_bounds() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 7.0):
        histogram.observe(value)
    samples = {(s.name, s.labels.get("le")): s.value for s in histograms("x", "Help.", [({}, histogram)]).samples}
    assert samples == {
        ("x_bucket", "1"): 2, ("x_bucket", "2"): 4, ("x_bucket", "+Inf"): 5, ("x_sum", None): 12, ("x_count", None): 5,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["<html>", "a b c", "{}", 'x{a="b} 1', "x one"])
def test_other_text_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"text format|float|SecLink"):
        Reading(parse(text), 0)


def test_metrics_of_another_program_are_rejected() -> None:
    with pytest.raises(ValueError, match="SecLink"):
        Reading(parse("up 1"), 0)


# Readings


def reading(at: float = 1000.0, started_at: float = 900.0, **values: float) -> Reading:
    families = [
        family("seclink_build_info", "gauge", "Help.", [({"version": "1.2.3"}, 1)]),
        family("seclink_ready", "gauge", "Help.", [({"part": "store"}, 1), ({"part": "reaper"}, values.pop("ok", 1))]),
        single("process_start_time_seconds", "gauge", "Help.", started_at),
        *(family(name, "counter", "Help.", [({"format": "raw"}, value)]) for name, value in values.items()),
    ]
    return Reading(parse(render(families).decode()), at)


def test_rates_are_since_the_first_reading_or_the_start() -> None:
    first, last = reading(seclink_secrets_created_total=50), reading(1030, seclink_secrets_created_total=80)
    assert Span(first).per_minute("created") == 30
    assert Span(last, first).per_minute("created") == 60
    assert Span(last, first).per_minute("revealed") == 0


def test_quantiles_are_of_the_span_only() -> None:
    slow, both = Histogram(BATCHES), Histogram(BATCHES)
    for value in [100.0] * 50:
        slow.observe(value)
        both.observe(value)
    for value in [3.0] * 100:
        both.observe(value)

    def read(histogram: Histogram) -> Reading:
        build = family("seclink_build_info", "gauge", "Help.", [({}, 1)])
        text = render([build, histograms("x", "Help.", [({"a": "b"}, histogram)])])
        return Reading(parse(text.decode()), 0)

    assert Span(read(both)).quantiles("x", "a")["b",].median == pytest.approx(3.5)
    assert Span(read(both), read(slow)).quantiles("x", "a")["b",].p99 == pytest.approx(3.98)
    assert Span(read(both), read(both)).quantiles("x", "a") == {}


def test_quantile_above_the_last_bound_is_shown_as_greater() -> None:
    histogram = Histogram()
    histogram.observe(99.0)
    build = family("seclink_build_info", "gauge", "Help.", [({}, 1)])
    span = Span(
        Reading(parse(render([build, histograms("seclink_commit_seconds", "H.", [({}, histogram)])]).decode()), 0)
    )
    assert facts(span)["commit"] == {"medianMs": None, "p99Ms": None, "times": 1}
    assert any("> 10 s" in line for line in screen(span, "here"))


def test_failing_parts_are_named() -> None:
    span = Span(reading(ok=0))
    assert facts(span)["ready"] is False
    assert facts(span)["failing"] == ["reaper"]
    assert "not ready: reaper" in screen(span, "here")[0]


def test_control_characters_of_a_server_do_not_reach_the_terminal() -> None:
    build = family("seclink_build_info", "gauge", "Help.", [({"version": "\x1b[2J1"}, 1)])
    codes = family("seclink_refusals_total", "counter", "Help.", [({"code": "\x9b31m\u202e"}, 3)])
    lines = screen(Span(Reading(parse(render([build, codes]).decode()), 0)), "here")
    assert not any(character in line for line in lines for character in "\x1b\x9b\u202e\n")


# Counting


def test_refusals_are_counted_by_code_and_rates_by_name() -> None:
    counters = Counters()
    for error in (BadRequest(), RateLimited(rate="create"), RateLimited()):
        counters.count_error(error)
    assert (counters.errors, counters.limited) == ({"bad_request": 1, "rate_limited": 2}, {"create": 1})


class Rows:
    """A table of secrets that counts how often it is read."""

    def __init__(self, path: Path, count: int) -> None:
        self.db = sqlite3.connect(path)
        self.looks, self.now = 0, 0.0
        self.seconds = 0.0
        self.db.execute("CREATE TABLE secrets (id INTEGER PRIMARY KEY, format, state, expires_at)")
        rows = ((n * 7 + 1, "raw" if n % 3 else "x", "active" if n % 2 else "burned", n) for n in range(count))
        self.db.executemany("INSERT INTO secrets VALUES (?, ?, ?, ?)", rows)

    async def look(self, sql: str, parameters: Any) -> Any:
        self.looks += 1
        self.now += self.seconds
        return self.db.execute(sql, parameters).fetchall()


@pytest.fixture
def rows(tmp_path: Path) -> Callable[[int], Rows]:
    return lambda count: Rows(tmp_path / "rows.db", count)


@pytest.mark.parametrize("count", [0, 1, STEP, 2 * STEP + 5])
async def test_counting_in_steps_counts_every_row(rows: Callable[[int], Rows], count: int) -> None:
    table = rows(count)
    counts = await SecretCounter(table.look).counts(count // 2)
    expected: dict[tuple[str, str], int] = {}
    for n in range(count):
        state = ("expired" if n <= count // 2 else "active") if n % 2 else "burned"
        key = ("raw" if n % 3 else "x", state)
        expected[key] = expected.get(key, 0) + 1
    assert counts == expected
    assert table.looks == -(-count // STEP) + 1


async def test_counting_pauses_fifty_times_its_duration_and_at_least_ten_seconds(
    rows: Callable[[int], Rows],
) -> None:
    table = rows(10)
    counter = SecretCounter(table.look, lambda: table.now)
    await counter.counts(0)
    table.now += 9.9
    await asyncio.gather(*(counter.counts(0) for _ in range(20)))
    assert table.looks == 2
    table.now, table.seconds = table.now + 0.2, 1.0
    await asyncio.gather(*(counter.counts(0) for _ in range(20)))
    assert table.looks == 4
    table.now += 99
    await counter.counts(0)
    assert table.looks == 4
    table.now += 2
    await counter.counts(0)
    assert table.looks == 6


async def test_slow_count_is_left_out_until_it_is_done(rows: Callable[[int], Rows]) -> None:
    """A scraper gives up after seconds, so a count that takes longer appears in the next scrape."""
    table, go_on = rows(3), asyncio.Event()

    async def slow(sql: str, parameters: Any) -> Any:
        await go_on.wait()
        return await table.look(sql, parameters)

    counter = SecretCounter(slow)
    assert await counter.counts(0) is None
    go_on.set()
    assert sum((await counter.counts(0) or {}).values()) == 3


async def test_failed_count_keeps_the_last_one(rows: Callable[[int], Rows]) -> None:
    table, failing = rows(3), False

    async def look(sql: str, parameters: Any) -> Any:
        if failing:
            raise StorageFailed()
        return await table.look(sql, parameters)

    counter = SecretCounter(look, lambda: table.now)
    first = await counter.counts(0)
    table.now, failing = 11.0, True
    assert await counter.counts(0) == first

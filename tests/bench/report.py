"""The figures as text: median (least-most) of the rounds, each durable slice beside the ceiling's of the same round."""

import statistics
from collections.abc import Iterator
from typing import Any

from tests.bench import pages
from tests.bench.servers import CEILING, DURABLE

Record = dict[str, Any]
EACH = ("p50 ms", "p99 ms", "cpu us")
HEADS = ("", "conn", "durable/s", *EACH, "ceiling/s", *EACH, "ratio", "load cpu")


def summary(records: list[Record]) -> list[Record]:
    """One entry for each phase, request and number of connections, with the ratios round by round."""
    groups: dict[tuple[str, str, int], list[Record]] = {}
    for each in records:
        groups.setdefault((each["phase"], each["what"], each["connections"]), []).append(each)
    return [_entry(*name, group) for name, group in groups.items()]


def _entry(phase: str, what: str, connections: int, group: list[Record]) -> Record:
    durable = [each for each in group if each["server"] == DURABLE]
    ceiling = [each for each in group if each["server"] == CEILING]
    rates = {each["round"]: each["rate"] for each in ceiling}
    ratios = [each["rate"] / rates[each["round"]] for each in durable if each.get("round") in rates]
    return {
        "phase": phase, "what": what, "connections": connections,
        "durable": _spread(durable), "ceiling": _spread(ceiling), "ratio": _three(ratios), "ratios": ratios,
        "bad": sum(sum(each["bad"].values()) for each in group),
        "client_cpu": max(each["client_cpu"] for each in group),
    }  # fmt: skip


def _spread(group: list[Record]) -> Record:
    names = ("rate", "p50", "p99", "max", "cpu_us")
    return {name: _three([each[name] for each in group if each.get(name) is not None]) for name in names}


def _three(values: list[float]) -> list[float] | None:
    """Median, least, most."""
    return [statistics.median(values), min(values), max(values)] if values else None


def text(facts: Record, records: list[Record]) -> str:
    lines = [*_table(summary(records)), "", *_facts(facts)]
    answers = sum(each["answers"] for each in records)
    bad = sum(sum(each["bad"].values()) for each in records)
    return "\n".join([*lines, f"{answers:,} answers checked, {bad} of them bad"])


def _table(entries: list[Record]) -> Iterator[str]:
    table = [HEADS, *(_row(each) for each in entries)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *rest in table:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])


def _row(entry: Record) -> tuple[str, ...]:
    cells = [f"{entry['phase']}: {entry['what']}", str(entry["connections"])]
    for kind in ("durable", "ceiling"):
        spread = entry[kind]
        cells += [_cell(spread["rate"], "{:,.0f}"), _cell(spread["p50"], "{:.1f}"), _cell(spread["p99"], "{:.1f}")]
        cells.append(_cell(spread["cpu_us"], "{:.0f}", spread=False))
    return (*cells, _cell(entry["ratio"], "{:.2f}"), f"{entry['client_cpu']:.0%}")


def _cell(values: list[float] | None, form: str, *, spread: bool = True) -> str:
    if values is None:
        return ""
    middle, least, most = (form.format(each) for each in values)
    return f"{middle} ({least}-{most})" if spread else middle


def _facts(facts: Record) -> Iterator[str]:
    generator, reap = facts["generator"], facts.get("reap")
    full = f"with {facts['rows']:,} rows {facts['start_seconds_with_rows']:.2f} s"
    yield f"cold start to the first 200    {facts['start_seconds']:.2f} s; {full}"
    yield f"seclink --help                 {facts['help_seconds']:.2f} s"
    for name, label in (
        ("memory_idle_empty", "memory, idle"),
        ("memory_loaded_empty", "memory, after load"),
        ("memory_idle_rows", "memory, idle, with rows"),
        ("memory_loaded_rows", "memory, after load, with rows"),
        ("memory_reaped", "memory, after reaping"),
    ):
        if name in facts:
            yield f"{label:30} {facts[name]['rss']:.0f} MiB RSS, {facts[name]['pss']:.0f} MiB PSS"
    if reap:
        yield (
            f"reaping under load             {reap['reaped']:,} of {reap['expired']:,} in {reap['seconds']:.0f} s;"
            f" log at most {reap['log_mib']:.0f} MiB, RSS {reap['rss_begin_mib']:.0f} to {reap['rss_mib']:.0f} MiB"
        )
    yield f"fdatasync of this disk         {facts['sync_ms']:.2f} ms"
    yield from pages.text(facts["pages"])
    yield f"the load generator by itself   {generator['rate']:,.0f}/s at {generator['client_cpu']:.0%} of a core"

"""The figures as text: median (least-most) of the rounds, each durable slice beside the other server's of its round.

`ratio` is SecLink's rate by the other's, `cpu ratio` the other's processor time for an answer by SecLink's: above 1
SecLink is the quicker and the thriftier.
"""

import statistics
from collections.abc import Iterator
from typing import Any

from . import pages
from .servers import CEILING, DURABLE

Record = dict[str, Any]
EACH = ("p50 ms", "p99 ms", "cpu us")


def heads(ours: str, beside: str) -> tuple[str, ...]:
    return ("", "conn", f"{ours}/s", *EACH, f"{beside}/s", *EACH, "ratio", "cpu ratio", "load cpu")


def summary(records: list[Record], beside: str = CEILING) -> list[Record]:
    """One entry for each phase, request and number of connections, with the ratios round by round."""
    groups: dict[tuple[str, str, int], list[Record]] = {}
    for each in records:
        groups.setdefault((each["phase"], each["what"], each["connections"]), []).append(each)
    return [_entry(*name, group, beside) for name, group in groups.items()]


def _entry(phase: str, what: str, connections: int, group: list[Record], beside: str) -> Record:
    durable = [each for each in group if each["server"] == DURABLE]
    others = {each["round"]: each for each in group if each["server"] == beside}
    pairs = [(each, others[each["round"]]) for each in durable if each.get("round") in others]
    ratios = [ours["rate"] / other["rate"] for ours, other in pairs]
    return {
        "phase": phase, "what": what, "connections": connections,
        "durable": _spread(durable), "beside": _spread(list(others.values())), "ratio": three(ratios), "ratios": ratios,
        "cpu_ratio": three([other["cpu_us"] / ours["cpu_us"] for ours, other in pairs]),
        "bad": sum(sum(each["bad"].values()) for each in group),
        "client_cpu": max(each["client_cpu"] for each in group),
    }  # fmt: skip


def _spread(group: list[Record]) -> Record:
    names = ("rate", "p50", "p99", "max", "cpu_us")
    return {name: three([each[name] for each in group if each.get(name) is not None]) for name in names}


def three(values: list[float]) -> list[float] | None:
    """Median, least, most."""
    return [statistics.median(values), min(values), max(values)] if values else None


def text(facts: Record, records: list[Record]) -> str:
    return "\n".join([*table(summary(records), heads("durable", "ceiling")), "", *_facts(facts), checked(records)])


def checked(records: list[Record]) -> str:
    answers = sum(each["answers"] for each in records)
    bad = sum(sum(each["bad"].values()) for each in records)
    return f"{answers:,} answers checked, {bad} of them bad"


def table(entries: list[Record], heads: tuple[str, ...]) -> Iterator[str]:
    table = [heads, *(_row(each) for each in entries)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for first, *rest in table:
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])


def _row(entry: Record) -> tuple[str, ...]:
    cells = [f"{entry['phase']}: {entry['what']}", str(entry["connections"])]
    for kind in ("durable", "beside"):
        spread = entry[kind]
        cells += [cell(spread["rate"], "{:,.0f}"), cell(spread["p50"], "{:.1f}"), cell(spread["p99"], "{:.1f}")]
        cells.append(cell(spread["cpu_us"], "{:.0f}", spread=False))
    cells += [cell(entry[name], "{:.2f}") for name in ("ratio", "cpu_ratio")]
    return (*cells, f"{entry['client_cpu']:.0%}")


def cell(values: list[float] | None, form: str, *, spread: bool = True) -> str:
    if values is None:
        return ""
    middle, least, most = (form.format(each) for each in values)
    return f"{middle} ({least}-{most})" if spread else middle


def _facts(facts: Record) -> Iterator[str]:
    generator, reap = facts["generator"], facts.get("reap")
    full = f"with {facts['rows']:,} rows {facts['start_seconds_with_rows']:.2f} s"
    yield f"cold start to the first 200    {facts['start_seconds']:.2f} s; {full}"
    for name in ("--help", "doctor", "verify"):
        if taken := facts[f"{name.strip('-')}_seconds"]:
            yield f"{f'seclink {name}':30} {taken:.2f} s"
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

"""A reading as lines of text, calm enough to look at for hours: the same line always says the same thing. They fit a
terminal of 80 by 24.
"""

import math
from collections.abc import Iterator, Mapping

from seclink.cli.metrics_snapshot import EVENTS, Quantiles, Span
from seclink.cli.terminal import printable

LABEL, NAME = 12, 28


def screen(span: Span, name: str, trouble: str = "") -> list[str]:
    """What `seclink status` shows; `trouble` is why there is nothing newer."""
    return [printable(line) for line in _lines(span, name, trouble)]


def _lines(span: Span, name: str, trouble: str) -> Iterator[str]:
    last = span.last
    state = trouble or (f"not ready: {', '.join(last.failing)}" if last.failing else "ready")
    yield f"SecLink {last.build.get('version', '?')}  {state}"
    yield f"{name}, up {_time(last.at - last.started_at)}"
    yield ""
    yield from _events(span)
    yield from _times(span)
    yield ""
    yield _line("waiting", _listed(last.waiting) or "nothing")
    yield _line("refused", _listed(span.refusals()) or "nobody")
    running, waiting = _count(span, "passcodes_running"), _count(span, "passcodes_waiting")
    yield _line("passcodes", f"{running} running, {waiting} waiting")
    yield _line("reaper", f"{_time(last.value('seclink_reaper_lag_seconds'))} behind")
    used, limit = (last.value(f"seclink_database_{each}_bytes") for each in ("used", "limit"))
    full = f"{100 * used / limit:.1f} % of {_bytes(limit)}" if limit else "size not known"
    yield _line("database", f"{_bytes(used)} used, {full}; log {_bytes(last.value('seclink_wal_bytes'))}")
    memory, files = _bytes(last.value("process_resident_memory_bytes")), last.value("process_open_fds")
    yield _line("process", f"{memory}, {files:.0f} files, {_count(span, 'requests_in_flight')} requests in flight")


def _events(span: Span) -> Iterator[str]:
    yield f"{'secrets':{NAME}}{'a minute':>10}{'in all':>12}"
    for event in EVENTS:
        total = span.last.value(f"seclink_secrets_{event}_total")
        yield f"  {event:{NAME - 2}}{span.per_minute(event):>10,.1f}{total:>12,.0f}"


def _times(span: Span) -> Iterator[str]:
    yield f"{'answers':{NAME}}{'median':>10}{'99 %':>12}{'times':>10}"
    rows: dict[str, Quantiles] = {}
    for (api, operation), each in span.busiest().items():
        rows[f"{operation.replace('_', ' ')}{'' if api == 'v1' else f' ({api})'}"] = each
    for name in ("passcode", "commit"):
        if found := span.quantiles(f"seclink_{name}_seconds"):
            rows[name] = found[()]
    for name, each in rows.items():
        yield f"  {name:{NAME - 2}}{_milliseconds(each.median):>10}{_milliseconds(each.slowest):>12}{each.times:>10,}"


def _line(label: str, said: str) -> str:
    return f"{label:{LABEL}}{said}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _count(span: Span, name: str) -> str:
    return f"{span.last.value(f'seclink_{name}'):.0f}"


def _milliseconds(seconds: float) -> str:
    if math.isinf(seconds):
        return "> 10 s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def _time(seconds: float) -> str:
    """The two largest units."""
    whole = max(0, round(seconds))
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    parts = [f"{count} {unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if count]
    return " ".join(parts[:2]) if parts and whole >= 600 else f"{whole} s" if whole < 120 else f"{whole // 60} min"


def _bytes(count: float) -> str:
    size, units = count, ["B", "KB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "B" or size >= 100 else f"{size:.1f} {units[0]}"

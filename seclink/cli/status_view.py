"""The figures of a server as lines of text for a terminal of 80 by 24.

Every figure keeps its line, so that the screen can be watched for hours.
"""

import math
from collections.abc import Iterator, Mapping

from seclink.cli import display
from seclink.cli.metrics_snapshot import EVENTS, Quantiles, Span
from seclink.cli.terminal import printable

LABEL_WIDTH, NAME_WIDTH, MAX_LINE_CHARS = 12, 28, 500


def screen(span: Span, name: str, problem: str = "") -> list[str]:
    """Return the lines that `seclink status` shows; `problem` is the reason why there is no newer reading."""
    return [printable(line)[:MAX_LINE_CHARS] for line in _lines(span, name, problem)]


def _lines(span: Span, name: str, problem: str) -> Iterator[str]:
    last = span.last
    state = problem or (f"not ready: {', '.join(last.failing)}" if last.failing else "ready")
    if last.value("seclink_clock_doubtful"):
        state += "; the clock is in doubt, nothing is erased: see `seclink clock`"
    yield f"SecLink {last.build.get('version', '?')}  {state}"
    yield f"{name}, up {display.duration(last.at - last.started_at)}"
    yield ""
    yield from _event_table(span)
    yield from _response_table(span)
    yield ""
    yield _line("active", _counts(last.active) or "none")
    yield _line("refused", _counts(span.errors()) or "none")
    running, waiting = _number(span, "passcodes_running"), _number(span, "passcodes_waiting")
    yield _line("passcodes", f"{running} being checked, {waiting} waiting")
    yield _line("reaper", f"{display.duration(last.value('seclink_reaper_lag_seconds'))} behind")
    used, limit = (last.value(f"seclink_database_{name}_bytes") for name in ("used", "limit"))
    share = f"{100 * used / limit:.1f} % of {display.file_size(limit)}" if limit else "limit unknown"
    log = display.file_size(last.value("seclink_wal_bytes"))
    yield _line("database", f"{display.file_size(used)} used, {share}; WAL {log}")
    yield from _files(span)
    memory, files = display.file_size(last.value("process_resident_memory_bytes")), last.value("process_open_fds")
    requests = _number(span, "requests_in_flight")
    yield _line("process", f"{memory}, {files:.0f} files, {requests} requests in flight")


def _files(span: Span) -> Iterator[str]:
    reserved, limit = (span.last.value(f"seclink_files_{name}_bytes") for name in ("reserved", "limit"))
    share = f"{100 * reserved / limit:.1f} % of {display.file_size(limit)}" if limit else "limit unknown"
    unfinished, grants = _number(span, "uploads_unfinished"), _number(span, "grants")
    yield _line("files", f"{display.file_size(reserved)}, {share}; {unfinished} uploads unfinished, {grants} grants")
    written, read = (
        display.file_size(60 * sum(span.growth(f"seclink_files_{name}_bytes_total").values()) / span.seconds)
        for name in ("written", "read")
    )
    yield _line("", f"{written} in and {read} out a minute")


def _event_table(span: Span) -> Iterator[str]:
    yield f"{'secrets':{NAME_WIDTH}}{'per minute':>10}{'total':>12}"
    for event in EVENTS:
        total = span.last.value(f"seclink_secrets_{event}_total")
        yield f"  {event:{NAME_WIDTH - 2}}{span.per_minute(event):>10,.1f}{total:>12,.0f}"


def _response_table(span: Span) -> Iterator[str]:
    yield f"{'responses':{NAME_WIDTH}}{'median':>10}{'99 %':>12}{'count':>10}"
    rows: dict[str, Quantiles] = {}
    for (api, operation), quantiles in span.busiest().items():
        rows[f"{operation.replace('_', ' ')}{'' if api == 'v1' else f' ({api})'}"] = quantiles
    for name in ("passcode", "commit"):
        if by_labels := span.quantiles(f"seclink_{name}_seconds"):
            rows[name] = by_labels[()]
    for name, row in rows.items():
        median, p99 = _response_time(row.median), _response_time(row.p99)
        yield f"  {name:{NAME_WIDTH - 2}}{median:>10}{p99:>12}{row.observations:>10,}"


def _line(label: str, text: str) -> str:
    return f"{label:{LABEL_WIDTH}}{text}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _number(span: Span, name: str) -> str:
    return f"{span.last.value(f'seclink_{name}'):.0f}"


def _response_time(seconds: float) -> str:
    return "> 10 s" if math.isinf(seconds) else display.milliseconds(seconds)

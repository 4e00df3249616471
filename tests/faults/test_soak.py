"""OPS-04: hours of mixed load leave the server as it was. `pytest --soak MINUTES` says for how long; without it, the
load runs for a few seconds and shows that every answer is the right one.
"""

import statistics
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from api_client import NO_STORAGE_QUOTA
from database_files import database_path, is_intact
from mixed_load import LoadThread, resource_usage
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

SHORT = 4.0
KEPT_SECONDS = 30
VISITORS = 4
PAUSE = 0.03
SAMPLES = 400
# From the first third after warming up to the last: the factor, and what is added to it. Memory may settle, and who
# comes and goes holds a few connections more or less.
GROWTH = {"rss": (1.05, 5.0), "files": (1.0, 8.0), "threads": (1.0, 0.0), "log": (1.5, 4.0), "database": (1.2, 2.0)}


def test_mixed_load_leaves_the_server_as_it_was(make_server: MakeServer, request: pytest.FixtureRequest) -> None:
    """OPS-04: memory, files, threads, log and database stay flat, and no answer is wrong."""
    minutes: float = request.config.getoption("--soak")
    forgetful = str(Path(__file__).with_name("short_retention.py"))
    toml = HIGH_RATES + NO_STORAGE_QUOTA + '[reaper]\nevery = "2s"\n[log]\nlevel = "error"\n'
    server = make_server(toml, prefix=(sys.executable, forgetful, str(KEPT_SECONDS))).start()
    stop = threading.Event()
    visitors = [LoadThread(server, seed, PAUSE, stop) for seed in range(VISITORS)]
    for visitor in visitors:
        visitor.start()
    try:
        figures = watch(server, visitors, minutes * 60 or SHORT)
    finally:
        stop.set()
        for visitor in visitors:
            visitor.join(TIMEOUT_SECONDS)
    wrong = sum((visitor.wrong for visitor in visitors), Counter[str]())
    assert not wrong
    assert all(visitor.asked > 20 for visitor in visitors)
    if minutes:
        check_flat(figures)
    assert server.stop() == 0, server.log()
    assert server.log().count("\n") < 20
    assert is_intact(database_path(server.folder))


def watch(server: Server, visitors: list[LoadThread], seconds: float) -> list[dict[str, float]]:
    figures = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(seconds / SAMPLES)
        assert server.process.poll() is None, server.log()
        figures.append(resource_usage(server))
        figures[-1]["asked"] = sum(visitor.asked for visitor in visitors)
    return figures


def check_flat(figures: list[dict[str, float]]) -> None:
    warm = figures[len(figures) // 4 :]
    third = len(warm) // 3
    thirds = [warm[n * third : (n + 1) * third] for n in range(3)]
    print(f"\nOPS-04: {figures[-1]['asked']:.0f} requests; by thirds after warming up (median, most)")
    found = {name: [spread(each, name) for each in thirds] for name in figures[0]}
    for name, spreads in found.items():
        print(f"  {name:10}" + "".join(f"{median:12.1f} {most:9.1f}" for median, most in spreads))
    for name, (factor, more) in GROWTH.items():
        first, *_, last = found[name]
        assert last[0] <= first[0] * factor + more, name
        assert last[1] <= first[1] * factor + more, name


def spread(figures: list[dict[str, float]], name: str) -> tuple[float, float]:
    values = [each[name] for each in figures]
    return statistics.median(values), max(values)

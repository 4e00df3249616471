"""`seclink status`: how a server is doing, once a second on a terminal, once through a pipe.

It reads the server's `/metrics`, from here or from anywhere else. Exit status: 0 ready, 1 not ready, 3 not reachable.
"""

import contextlib
import json
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from seclink.cli.config import config_option
from seclink.cli.connection import RemoteServer, connection
from seclink.cli.metrics_snapshot import Reading, Span, facts
from seclink.cli.metrics_source import MetricsEndpoint, find_source
from seclink.cli.status_view import screen
from seclink.errors import Unreachable

NOT_READY = 1
EVERY_SECONDS, WINDOW_SECONDS = 1.0, 60.0
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # a screen of our own, without a cursor
AGAIN, LINE, REST = "\x1b[H", "\x1b[K\n", "\x1b[J"


@click.command()
@click.option("--once", is_flag=True, help="Show it once, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print it once, as JSON.")
@config_option
@connection
def status(once: bool, as_json: bool, config: Path | None, at: RemoteServer) -> None:
    """Show how a server is doing: live on a terminal until q or Ctrl-C, once through a pipe.

    Looks where metrics.listen of this machine's TOML says. With --server, and where that is unset, at a server itself,
    with a key of the scope metrics: that of $SECLINK_SERVER or of the login, else the one that is configured here. Ends
    with 0 if it is ready, 1 if it is not, 3 if it is not reachable.
    """
    source = find_source(config, at)
    if as_json or once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        reading = source.read()
        shown = json.dumps(facts(Span(reading)), indent=2) if as_json else "\n".join(screen(Span(reading), source.name))
        click.echo(shown)
    else:
        reading = _watch(source)
    if reading.failing:
        sys.exit(NOT_READY)


def _watch(source: MetricsEndpoint) -> Reading:
    """Until q or Ctrl-C. A server that goes away is waited for; one that never was there is not."""
    readings, trouble = deque([source.read()]), ""
    with _own_screen(), contextlib.suppress(KeyboardInterrupt):
        while True:
            first = readings[0] if len(readings) > 1 else None
            _draw(screen(Span(readings[-1], first), source.name, trouble))
            if _ended(EVERY_SECONDS):
                break
            try:
                _follow(readings, source.read())
                trouble = ""
            except Unreachable as error:
                trouble = error.message.partition("\n")[0]
    if trouble:
        raise Unreachable(trouble)
    return readings[-1]


def _follow(readings: deque[Reading], latest: Reading) -> None:
    """What is older than the window, or of an earlier process, is forgotten."""
    if readings[-1].started_at != latest.started_at:
        readings.clear()
    readings.append(latest)
    while len(readings) > 2 and latest.at - readings[1].at >= WINDOW_SECONDS:
        readings.popleft()


def _draw(lines: list[str]) -> None:
    columns, rows = shutil.get_terminal_size()
    sys.stdout.write(AGAIN + "".join(line[:columns] + LINE for line in lines[: rows - 1]) + REST)
    sys.stdout.flush()


def _ended(seconds: float) -> bool:
    """Whether somebody asked for the end within that time."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0] and os.read(sys.stdin.fileno(), 64).lower() in (b"q", b""):
            return True
    return False


@contextlib.contextmanager
def _own_screen() -> Iterator[None]:
    before: list[Any] = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    sys.stdout.write(ENTER)
    try:
        yield
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)

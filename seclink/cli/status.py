"""`seclink status`: the state of a server, every second on a terminal, once through a pipe.

It reads the server's `/metrics`, on this machine or another. Exit status: 0 ready, 1 not ready, 3 not reachable.
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
INTERVAL_SECONDS, WINDOW_SECONDS = 1.0, 60.0
ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the alternate screen, without a cursor
CURSOR_HOME, END_LINE, CLEAR_REST = "\x1b[H", "\x1b[K\n", "\x1b[J"


@click.command()
@click.option("--once", is_flag=True, help="Show it once and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print it once, as JSON.")
@config_option
@connection("see above", is_login_optional=True)
def status(once: bool, as_json: bool, config_path: Path | None, at: RemoteServer) -> None:
    """Show the state of a server: live on a terminal until q or Ctrl-C, once through a pipe.

    Reads from metrics.listen of this machine's TOML. If that is unset, or with --server, it reads from a server itself,
    with a key of the scope metrics: the server of $SECLINK_SERVER or of the login, else the one configured here. Exit
    status: 0 if the server is ready, 1 if not, 3 if it cannot be reached.
    """
    source = find_source(config_path, at)
    if as_json or once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        reading = source.read()
        text = json.dumps(facts(Span(reading)), indent=2) if as_json else "\n".join(screen(Span(reading), source.name))
        click.echo(text)
    else:
        reading = _show_live(source)
    if reading.failing:
        sys.exit(NOT_READY)


def _show_live(source: MetricsEndpoint) -> Reading:
    """Show readings until q or Ctrl-C, and return the last.

    The first must succeed. After that, a server that cannot be reached is tried again. Raises Unreachable if the last
    attempt failed.
    """
    readings, problem = deque([source.read()]), ""
    with _alternate_screen(), contextlib.suppress(KeyboardInterrupt):
        while True:
            first = readings[0] if len(readings) > 1 else None
            _draw(screen(Span(readings[-1], first), source.name, problem))
            if _is_quit_within(INTERVAL_SECONDS):
                break
            try:
                add_reading(readings, source.read())
                problem = ""
            except Unreachable as error:
                problem = error.message.partition("\n")[0]
    if problem:
        raise Unreachable(problem)
    return readings[-1]


def add_reading(readings: deque[Reading], latest: Reading) -> None:
    """Append a reading; drop those older than the window, or of a process that has since been restarted."""
    if readings[-1].started_at != latest.started_at:
        readings.clear()
    readings.append(latest)
    while len(readings) > 2 and latest.at - readings[1].at >= WINDOW_SECONDS:
        readings.popleft()


def _draw(lines: list[str]) -> None:
    columns, rows = shutil.get_terminal_size()
    sys.stdout.write(CURSOR_HOME + "".join(line[:columns] + END_LINE for line in lines[: rows - 1]) + CLEAR_REST)
    sys.stdout.flush()


def _is_quit_within(seconds: float) -> bool:
    """Wait; return True as soon as q is pressed or the input ends."""
    deadline = time.monotonic() + seconds
    while (remaining := deadline - time.monotonic()) > 0:
        is_readable = bool(select.select([sys.stdin], [], [], remaining)[0])
        if is_readable and os.read(sys.stdin.fileno(), 64).lower() in (b"q", b""):
            return True
    return False


@contextlib.contextmanager
def _alternate_screen() -> Iterator[None]:
    before: list[Any] = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    sys.stdout.write(ENTER_SCREEN)
    try:
        yield
    finally:
        sys.stdout.write(LEAVE_SCREEN)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, before)

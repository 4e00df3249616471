"""`seclink status`: how a server is doing, once a second on a terminal, once through a pipe.

It reads the server's `/metrics`, from here or from anywhere else. Exit status: 0 ready, 1 not ready, 3 not reachable.
"""

import contextlib
import http.client
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
from urllib.parse import urlsplit

import click

from seclink.cli.config import config_option, load
from seclink.cli.connection import Connection, connection
from seclink.cli.gauges import screen
from seclink.cli.reading import Reading, Span, facts
from seclink.errors import Forbidden, KeyInvalid, NotFound, SecLinkError, Unreachable
from seclink.exposition import parse

NOT_READY = 1
EVERY_SECONDS, WINDOW_SECONDS, TIMEOUT_SECONDS = 1.0, 60.0, 5.0
MOST_BYTES = 4 * 2**20
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # a screen of our own, without a cursor
AGAIN, LINE, REST = "\x1b[H", "\x1b[K\n", "\x1b[J"


@click.command()
@click.option("--once", is_flag=True, help="Show it once, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print it once, as JSON.")
@config_option
@connection
def status(once: bool, as_json: bool, config: Path | None, at: Connection) -> None:
    """Show how a server is doing: live on a terminal until q or Ctrl-C, once through a pipe.

    Looks where metrics.listen says; with --server, and where that is not set, at the server itself with a key of the
    scope metrics. Ends with 0 if it is ready, 1 if it is not, 3 if it is not reachable.
    """
    is_elsewhere = click.get_current_context().params["server"] is not None
    address = None if is_elsewhere else _listening(config)
    source = Source(address, "") if address else Source(at.server, at.key)
    if as_json or once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        reading = source.read()
        shown = json.dumps(facts(Span(reading)), indent=2) if as_json else "\n".join(screen(Span(reading), source.name))
        click.echo(shown)
    else:
        reading = _watch(source)
    if reading.failing:
        sys.exit(NOT_READY)


def _listening(config: Path | None) -> str | None:
    """Where the server of this machine shows its metrics to anybody."""
    endpoint = load(config).metrics.listen
    if endpoint is None:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host)  # noqa: S104  compared with
    return f"http://[{host}]:{endpoint.port}" if ":" in host else f"http://{host}:{endpoint.port}"


class Source:
    """Where metrics are read, and with which key."""

    def __init__(self, address: str, key: str) -> None:
        self.name, self._key = address, key
        self._parts = urlsplit(address)

    def read(self) -> Reading:
        """Raises Unreachable, NotFound, KeyInvalid, Forbidden."""
        try:
            status, body = self._get(f"{self._parts.path.rstrip('/')}/metrics")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            reason = f"no answer within {TIMEOUT_SECONDS:.0f} s" if isinstance(error, TimeoutError) else reason
            raise Unreachable(f"{self.name} cannot be reached: {reason}") from None
        if status != 200:
            raise self._refusal(status)
        try:
            return Reading(parse(body.decode()), time.time())
        except ValueError:
            raise Unreachable(f"{self.name} answers, but not with SecLink's metrics: is this its address?") from None

    def _get(self, path: str) -> tuple[int, bytes]:
        """A redirect is not followed: the key is for this server alone."""
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        asking = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT_SECONDS)
        try:
            asking.request("GET", path, headers={"Authorization": f"Bearer {self._key}"} if self._key else {})
            answer = asking.getresponse()
            return answer.status, answer.read(MOST_BYTES)
        finally:
            asking.close()

    def _refusal(self, status: int) -> SecLinkError:
        if status == 404:
            wanted = 'metrics.listen = "127.0.0.1:9464", or metrics.enabled = true, in its TOML file'
            return NotFound(f"{self.name} shows no metrics. What it takes: {wanted}")
        if status in (401, 403):
            kind, given = Forbidden if status == 403 else KeyInvalid, "with this key" if self._key else "without a key"
            wanted = "what it takes is one of `seclink key add NAME --scope metrics`"
            return kind(f"{self.name} does not show its metrics {given}; {wanted}")
        return Unreachable(f"{self.name} answers {status}, but not with SecLink's metrics")


def _watch(source: Source) -> Reading:
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
                trouble = error.message
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

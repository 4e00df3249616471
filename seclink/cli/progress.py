"""The progress of a transfer on one line of the terminal, on stderr."""

import sys
import time

import click

from seclink.cli.display import duration, file_size

_CLEAR = "\r\x1b[K"


class ProgressLine:
    """Shows bytes, share, rate and time left. Shows nothing where stderr is no terminal. Use it in a `with` block."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._is_shown = sys.stderr is not None and sys.stderr.isatty()
        self._start: tuple[float, int] | None = None

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._start is not None:
            click.echo(_CLEAR, nl=False, err=True)

    def __call__(self, done: int, total: int) -> None:
        if not self._is_shown:
            return
        now = time.monotonic()
        started_at, first = self._start = self._start or (now, done)
        line = f"{self._verb} {file_size(done)} of {file_size(total)}, {100 * done // max(total, 1)} %"
        if done > first and now > started_at:
            rate = (done - first) / (now - started_at)
            line += f", {file_size(rate)}/s, {duration((total - done) / rate)} left"
        click.echo(f"{_CLEAR}{line}", nl=False, err=True)

"""The log: one line per event, human-readable on a terminal and in systemd's journal, JSON otherwise.

The journal adds the time itself and takes the level from a prefix such as `<4>` (sd-daemon), so a line for it has no
time and no level.

The fields of a line are a closed list, and none of them may hold a linkId, key, passcode, proof, note, token, body or
query. A secret is identified by its receiptId, which opens nothing. Values are escaped and truncated, so that an event
is always one line.
"""

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from seclink.config.schema import LogOptions

LEVELS = ("debug", "info", "warning", "error")
PRIORITIES = ("<7>", "<6>", "<4>", "<3>")  # the numbers of syslog
FIELDS = frozenset(
    (
        "receipt",
        "account",
        "key",
        "state",
        "code",
        "route",
        "method",
        "status",
        "request",
        "count",
        "ms",
        "detail",
        "url",
        "path",
        "mark",
    )
)
MAX_CHARACTERS = 200


class Log:
    """Writes events of at least the configured level to `stream`, which may be the journal."""

    def __init__(
        self, options: LogOptions, stream: TextIO = sys.stderr, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._stream = stream
        self.is_journal = _is_journal(stream, environment)
        self._second, self._second_text = -1, ""
        self.reconfigure(options)

    def reconfigure(self, options: LogOptions) -> None:
        self._min_level = LEVELS.index(options.level)
        is_for_people = self.is_journal or self._stream.isatty()
        self._json = options.format == "json" or (options.format == "auto" and not is_for_people)

    def debug(self, event: str, **fields: str | int | None) -> None:
        self._write(0, event, fields)

    def info(self, event: str, **fields: str | int | None) -> None:
        self._write(1, event, fields)

    def warning(self, event: str, **fields: str | int | None) -> None:
        self._write(2, event, fields)

    def error(self, event: str, **fields: str | int | None) -> None:
        self._write(3, event, fields)

    def _stamp(self, now: float) -> str:
        second = int(now)
        if second != self._second:  # the expensive part is the same for all events of a second
            self._second, self._second_text = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{int(now % 1 * 1000):03}Z"

    def _write(self, level: int, event: str, fields: dict[str, str | int | None]) -> None:
        if level < self._min_level:
            return
        if not fields.keys() <= FIELDS:
            raise ValueError(f"not a log field: {sorted(fields.keys() - FIELDS)}")
        values = {name: _safe(value) for name, value in fields.items() if value is not None}
        line = self._journal_line(level, event, values) if self.is_journal else self._dated_line(level, event, values)
        # One write, so that the lines of several threads or processes do not mix.
        self._stream.write(line.rstrip() + "\n")
        self._stream.flush()

    def _dated_line(self, level: int, event: str, values: dict[str, str | int]) -> str:
        at = self._stamp(time.time())
        if self._json:
            return msgspec.json.encode({"at": at, "level": LEVELS[level], "event": event, **values}).decode()
        return f"{at[11:19]} {LEVELS[level]:7} {event:10} {_pairs(values)}"

    def _journal_line(self, level: int, event: str, values: dict[str, str | int]) -> str:
        text = msgspec.json.encode({"event": event, **values}).decode() if self._json else f"{event} {_pairs(values)}"
        return PRIORITIES[level] + text


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether systemd has connected this stream to the journal, and nothing has redirected it since."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _pairs(values: dict[str, str | int]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _safe(value: str | int) -> str | int:
    """Return a short, printable value: control characters, line separators and lone surrogates are escaped."""
    if isinstance(value, int) or (len(value) <= MAX_CHARACTERS and value.isascii() and value.isprintable()):
        return value
    shortened = value[:MAX_CHARACTERS]
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in shortened)

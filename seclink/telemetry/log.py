"""One line per event, for a person on a terminal or in systemd's journal and as JSON otherwise.

The journal has a time of its own and takes the level from a prefix, `<4>` (sd-daemon): neither is said twice.

What may stand in a line is a closed list of field names, none of which can hold a linkId, key, passcode, proof,
note, token, body or query. A secret is named by its receiptId, which opens nothing. Values are escaped and cut,
so that a line stays one line.
"""

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from seclink.config.schema import LogOptions as Settings

LEVELS = ("debug", "info", "warning", "error")
PRIORITIES = ("<7>", "<6>", "<4>", "<3>")  # as syslog numbers them
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
MOST_CHARACTERS = 200


class Log:
    """Writes to `stream`; `settings` say from which level on and how, and may change while it is in use."""

    def __init__(
        self, settings: Settings, stream: TextIO = sys.stderr, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._stream = stream
        self.is_journal = _is_journal(stream, environment)
        self._second, self._said = -1, ""
        self.reconfigure(settings)

    def reconfigure(self, settings: Settings) -> None:
        self._from = LEVELS.index(settings.level)
        is_read = self.is_journal or self._stream.isatty()
        self._json = settings.format == "json" or (settings.format == "auto" and not is_read)

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
            self._second, self._said = second, datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._said}.{int(now % 1 * 1000):03}Z"

    def _write(self, level: int, event: str, fields: dict[str, str | int | None]) -> None:
        if level < self._from:
            return
        if not fields.keys() <= FIELDS:
            raise ValueError(f"not a log field: {sorted(fields.keys() - FIELDS)}")
        given = {name: _safe(value) for name, value in fields.items() if value is not None}
        line = self._in_journal(level, event, given) if self.is_journal else self._dated(level, event, given)
        # One write, so that lines of several threads or processes do not mix.
        self._stream.write(line.rstrip() + "\n")
        self._stream.flush()

    def _dated(self, level: int, event: str, given: dict[str, str | int]) -> str:
        at = self._stamp(time.time())
        if self._json:
            return msgspec.json.encode({"at": at, "level": LEVELS[level], "event": event, **given}).decode()
        return f"{at[11:19]} {LEVELS[level]:7} {event:10} {_pairs(given)}"

    def _in_journal(self, level: int, event: str, given: dict[str, str | int]) -> str:
        said = msgspec.json.encode({"event": event, **given}).decode() if self._json else f"{event} {_pairs(given)}"
        return PRIORITIES[level] + said


def _is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether it is the very stream that systemd has connected, and not one it was redirected to since."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _pairs(given: dict[str, str | int]) -> str:
    return " ".join(f"{name}={value}" for name, value in given.items())


def _safe(value: str | int) -> str | int:
    """Printable and short: no control character, line separator or escape sequence gets through."""
    if isinstance(value, int) or (len(value) <= MOST_CHARACTERS and value.isascii() and value.isprintable()):
        return value
    cut = value[:MOST_CHARACTERS]
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in cut)

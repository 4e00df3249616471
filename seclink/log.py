"""One line per event, for a person on a terminal and as JSON otherwise.

What may stand in a line is a closed list of field names, none of which can hold a linkId, key, passcode, proof,
note, token, body or query. A secret is named by its receiptId, which opens nothing. Values are escaped and cut,
so that a line stays one line.
"""

import sys
import time
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from seclink.config import Log as Settings

LEVELS = ("debug", "info", "warning", "error")
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
    )
)
MOST_CHARACTERS = 200


class Log:
    """Writes to `stream`; `settings` say from which level on and how."""

    def __init__(self, settings: Settings, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._from = LEVELS.index(settings.level)
        self._second, self._said = -1, ""
        self._json = settings.format == "json" or (settings.format == "auto" and not stream.isatty())

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
        at = self._stamp(time.time())
        given = {name: _safe(value) for name, value in fields.items() if value is not None}
        if self._json:
            line = msgspec.json.encode({"at": at, "level": LEVELS[level], "event": event, **given}).decode()
        else:
            line = f"{at[11:19]} {LEVELS[level]:7} {event:10} " + " ".join(
                f"{name}={value}" for name, value in given.items()
            )
        # One write, so that lines of several threads or processes do not mix.
        self._stream.write(line.rstrip() + "\n")
        self._stream.flush()


def _safe(value: str | int) -> str | int:
    """Printable and short: no control character, line separator or escape sequence gets through."""
    if isinstance(value, int) or (len(value) <= MOST_CHARACTERS and value.isascii() and value.isprintable()):
        return value
    cut = value[:MOST_CHARACTERS]
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in cut)

"""Times, durations, sizes and counts as text, alike in every command."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_UNITS = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}


def local_time(at: datetime) -> str:
    """Return a time in the user's time zone, like `2026-11-22 01:13 UTC`."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M %Z")


def utc_time(at_ms: int) -> str:
    """Return a time to the second, like `2026-11-21 10:02:11Z`; the number itself if no calendar reaches that far."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(at_ms)


def utc_date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, like `3 d 4 h`; below ten minutes in one."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min"
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if number]
    return " ".join(parts[:2])


def exact_duration(seconds: int) -> tuple[int, str]:
    """Return a duration in the largest unit that divides it, like `(90, "minute")`."""
    return next((seconds // size, unit) for unit, size in _UNITS.items() if seconds % size == 0)


def milliseconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def file_size(count: float) -> str:
    """Return a number of bytes with three digits at most, like `1.5 MB`."""
    size, units = count, ["B", "KB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "B" or size >= 100 else f"{size:.1f} {units[0]}"


def files_size(facts: Mapping[str, Any]) -> str:
    """Return the size of a secret's files in a response of the server, "" without any."""
    files = facts.get("files")
    size = files.get("size") if isinstance(files, dict) else None
    return file_size(size) if isinstance(size, int) else ""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, like `1 secret` or `1,200 secrets`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

"""Durations as the TOML file and the command line write them: `90s`, `15m`, `24h`, `7d`, `2w`."""

import re

UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def parse_duration(text: str) -> int:
    """Return the seconds, at least 1; letters may be upper case. Raise ValueError with an example."""
    match = re.fullmatch(r"([0-9]{1,9})([wdhms])", text.strip().lower())
    if match is None or not int(match[1]):
        raise ValueError("write a duration like 90s, 15m, 24h, 7d or 2w")
    return int(match[1]) * UNITS[match[2]]


def format_duration(seconds: int) -> str:
    """Return a duration in the largest unit that divides it, at most days."""
    unit = next(unit for unit in "dhms" if seconds % UNITS[unit] == 0)
    return f"{seconds // UNITS[unit]}{unit}"

"""The line numbers of a TOML text, which tomllib does not report (before Python 3.14, only inside English messages).

A statement is the shortest run of lines that parses below its header, so an array over several lines is one statement.
This second reading happens only when there is a problem to report, and takes 6 ms for the 125 lines of all options.
"""

import tomllib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Any

MAX_ATTEMPTS = 200  # to parse one statement: lines after a syntax error are added to it, and a log file has millions
CLOSINGS = ("]", "}", '"""', "'''")
"""One of these is in the last line of every statement that is longer than a line."""

KeyPath = tuple[str | int, ...]
"""The names, and the numbers in arrays of tables, that lead to a table or a key."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the first line of every table and key of a valid TOML text, and line 1 for the empty path."""
    lines: dict[KeyPath, int] = {(): 1}
    tables: Counter[KeyPath] = Counter()
    for number, document, begins_table in _statements(text):
        for path in _paths(document, tables, begins_table):
            lines.setdefault(path, number)
    return lines


def error_line(text: str) -> int:
    """Return the first line of the statement that makes a TOML text invalid."""
    lines, starts = _lines(text), [number for number, *_ in _statements(text)]
    # A statement may parse alone and still repeat a key, so search for the last start with a valid text before it.
    return starts[bisect_left(starts, True, key=lambda start: _parse("".join(lines[: start - 1])) is None) - 1]


def _statements(text: str) -> Iterator[tuple[int, dict[str, Any], bool]]:
    """Yield the first line and the content of every statement, and whether it is a header like `[[hosts]]`.

    A last statement that does not end has no content.
    """
    header, statement, start, attempts = "", "", 1, 0
    for number, line in enumerate(_lines(text), 1):
        statement += line
        if number > start and not any(closing in line for closing in CLOSINGS):
            continue
        attempts += 1
        is_header = statement.lstrip().startswith("[")
        document = _parse(statement if is_header else header + statement)
        if document is not None:
            yield start, document, statement.lstrip().startswith("[[")
            header, statement, start, attempts = statement if is_header else header, "", number + 1, 0
        elif attempts == MAX_ATTEMPTS:
            break
    if statement:
        yield start, {}, False


def _lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.split("\n")]


def _parse(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


def _paths(table: dict[str, Any], tables: Counter[KeyPath], begins_table: bool) -> Iterator[KeyPath]:
    """Yield the path of every table and key, without recursion: a dotted key can be deeper than the stack.

    `tables` counts the tables of each array so far: a statement alone does not tell to which of them it belongs.
    """
    waiting: list[tuple[KeyPath, dict[str, Any]]] = [((), table)]
    while waiting:
        prefix, current = waiting.pop()
        for name, value in current.items():
            path = (*prefix, name)
            yield path
            if isinstance(value, dict):
                waiting.append((path, value))
            elif isinstance(value, list) and value and isinstance(value[0], dict):
                tables[path] += begins_table
                entries = [((*path, n), item) for n, item in enumerate(value, max(0, tables[path] - 1))]
                yield from (entry for entry, _ in entries)
                waiting += [(entry, item) for entry, item in entries if isinstance(item, dict)]

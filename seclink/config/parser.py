"""From a TOML text to a Config. All problems are reported at once, each as `FILE:LINE: message`."""

import difflib
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

from msgspec import Struct
from msgspec.structs import FieldInfo, fields

from seclink.config.conflicts import Problem, conflicts
from seclink.config.option_types import Declared
from seclink.config.schema import Config, is_array, section_of
from seclink.config.toml_lines import KeyPath, error_line, key_lines
from seclink.errors import ConfigError

S = TypeVar("S", bound=Struct)


def read_file(path: Path | None) -> Config:
    """Return the configuration of a TOML file, all defaults without one. Raise ConfigError with every problem."""
    if path is None:
        return Config()
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {reason}", is_unreadable=True) from None
    return parse(text, str(path), path.parent)


def parse(text: str, name: str, folder: Path = Path()) -> Config:
    """Return the configuration of a TOML text, like `read_file`. Messages name the file `name`, and relative paths
    begin at `folder`.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}:{error_line(text)}: not valid TOML: {error}") from None
    config, problems = _check(document, folder)
    if problems:
        lines = key_lines(text)
        raise ConfigError("\n".join(f"{name}:{_line(lines, path)}: {message}" for path, message in problems))
    return config


def from_document(document: dict[str, Any], name: str, folder: Path = Path()) -> Config:
    """Return the configuration of sections and options that do not come from a TOML text, like `parse`."""
    config, problems = _check(document, folder)
    if problems:
        raise ConfigError("\n".join(f"{name}: {message}" for _, message in problems))
    return config


def _check(document: dict[str, Any], folder: Path) -> tuple[Config, list[Problem]]:
    problems: list[Problem] = []
    config = _section(Config, document, folder, problems)
    return config, problems or list(conflicts(config, document))


def location_prefix(file: Path | None, *path: str) -> str:
    """Return `FILE:LINE: section.option: ` for a message about an option; empty if the file does not set it."""
    try:
        line = key_lines(file.read_text("utf-8-sig")).get(path) if file else None
    except (OSError, UnicodeDecodeError):  # the file has changed since it was read
        line = None
    return f"{file}:{line}: {'.'.join(path)}: " if line else ""


def _line(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """Return the line of the nearest part of the path that has one; after a very long statement, lines are unknown."""
    while path not in lines:
        path = path[:-1]
    return lines[path]


def _section(kind: type[S], values: dict[str, Any], folder: Path, problems: list[Problem], above: KeyPath = ()) -> S:
    """Return the section at the path `above`; an option with a problem keeps its default."""
    known = {field.encode_name: field for field in fields(kind)}
    options: dict[str, Any] = {}
    for key, value in values.items():
        path, field = (*above, key), known.get(key)
        dotted = _dotted(path)
        section = section_of(field.type) if field else None
        if field is None:
            problems.append((path, _unknown(kind, dotted, known)))
        elif section is None:
            declared: Declared = get_args(field.type)[1]
            try:
                options[field.name] = declared.type.parse(value, folder)
            except ValueError as error:
                problems.append((path, f"{dotted}: {error}"))
        elif is_array(field.type) and isinstance(value, list) and all(isinstance(table, dict) for table in value):
            tables = enumerate(value)
            options[field.name] = [_section(section, table, folder, problems, (*path, n)) for n, table in tables]
        elif is_array(field.type):
            problems.append((path, f"{dotted} is an array of tables: write [[{dotted}]] on a line of its own"))
        elif isinstance(value, dict):
            options[field.name] = _section(section, value, folder, problems, path)
        else:
            problems.append((path, f"{dotted} is a section: write [{dotted}] on a line of its own"))
    return kind(**options)


def _dotted(path: KeyPath) -> str:
    """Return the name of an option, which is the same in every table of an array."""
    return ".".join(name for name in path if isinstance(name, str))


def _unknown(kind: type[Struct], dotted: str, known: dict[str, FieldInfo]) -> str:
    """Return the message about an unknown name, with the most similar one, or the option's section if it lacks one."""
    name = dotted.rpartition(".")[2]
    if not all(section_of(field.type) for field in known.values()):
        return f"unknown option {dotted}{_hint(name, known)}"
    option = next(_options_named(name, kind), None)
    return f"unknown section [{dotted}]{f'; did you mean {option}?' if option else _hint(name, known)}"


def _options_named(name: str, kind: type[Struct]) -> Iterator[str]:
    for field in fields(kind):
        if section := section_of(field.type):
            yield from (f"{field.encode_name}.{path}" for path in _options_named(name, section))
        elif field.encode_name == name:
            yield name


def _hint(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"

"""Sections of the TOML: from a document to the structures it fills, and where in the file each thing stands.

Every problem is told, with its line; nothing is guessed.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from seclink.config.conflicts import conflicts
from seclink.config.convert import hint, plain, typed
from seclink.config.schema import Config
from seclink.errors import ConfigError

S = TypeVar("S", bound=Struct)

_NAME = r"(?:\"[^\"]*\"|'[^']*'|[\w-]+)"
_NAMES = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_HEADER, _KEY = re.compile(rf"\s*\[+\s*({_NAMES})\s*\]"), re.compile(rf"\s*({_NAMES})\s*=")


class TomlSource(Struct, frozen=True):
    """The file that is read, and what was found wrong with it so far. Relative paths in it begin at `folder`."""

    text: str
    name: str
    folder: Path
    problems: list[str]

    def tell(self, path: tuple[str, ...], message: str) -> None:
        self.problems.append(f"{self.name}:{line_of(self.text, *path)}: {message}")

    def refuse(self) -> None:
        if self.problems:
            raise ConfigError("\n".join(self.problems))


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
    """Return the configuration of a TOML text, like `read_file`; problems name the file `name`, and relative paths
    begin at `folder`.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        where = line[1] if line else str(text.count("\n") + 1)
        raise ConfigError(f"{name}:{where}: not valid TOML: {str(error).partition(' (at')[0]}") from None
    source = TomlSource(text, name, folder, [])
    config = section(Config, document, source)
    source.refuse()
    for path, message in conflicts(config, document):
        source.tell(path, message)
    source.refuse()
    return config


def is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def section(kind: type[S], values: dict[str, Any], source: TomlSource, above: tuple[str, ...] = ()) -> S:
    """What `values` say of the section at `above`. Every problem is told to `source`; what has one stays as it was."""
    known = {each.encode_name: each for each in msgspec.structs.fields(kind)}
    good: dict[str, Any] = {}
    for key, value in values.items():
        path = (*above, key)
        each = known.get(key)
        if each is None:
            source.tell(path, _unknown(kind, path, known))
        elif not is_section(each.type):
            try:
                good[each.name] = typed(value, each.type, source.folder)
            except (msgspec.ValidationError, ValueError) as error:
                source.tell(path, f"{'.'.join(path)}: {plain(error)}")
        elif isinstance(value, dict):
            good[each.name] = section(each.type, value, source, path)
        else:
            source.tell(path, f"{'.'.join(path)} is a section: write [{'.'.join(path)}] on a line of its own")
    return kind(**good)


def _unknown(kind: type[Struct], path: tuple[str, ...], known: dict[str, Any]) -> str:
    if not all(is_section(each.type) for each in known.values()):
        return f"unknown option {'.'.join(path)}{hint(path[-1], known)}"
    meant = next(_places(kind, path[-1]), None)
    return f"unknown section [{'.'.join(path)}]" + (f"; did you mean {meant}?" if meant else hint(path[-1], known))


def _places(kind: type[Struct], name: str) -> Iterator[str]:
    """Where below `kind` there is an option of that name."""
    for each in msgspec.structs.fields(kind):
        if is_section(each.type):
            yield from (f"{each.encode_name}.{place}" for place in _places(each.type, name))
        elif each.encode_name == name:
            yield name


def place(file: Path | None, *path: str) -> str:
    """What a line about the value of an option begins with, where the file says it: `file:line: section.option: `."""
    try:
        text = file.read_text("utf-8-sig") if file else ""
        at: Any = tomllib.loads(text)
    except (OSError, ValueError):  # not the file any more that was read
        return ""
    for each in path:
        at = at.get(each) if isinstance(at, dict) else None
    return "" if at is None else f"{file}:{line_of(text, *path)}: {'.'.join(path)}: "


def line_of(text: str, *path: str) -> int:
    """Where a section or a key stands: the first line that says the most of its path. tomllib does not say, so look;
    the file is known to be valid TOML.
    """
    section: tuple[str, ...] = ()
    most, found = 0, 1
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            section = _parts(header[1])
        here = section if header else (*section, *_parts(key[1])) if key else ()
        said = next((at for at, pair in enumerate(zip(here, path, strict=False)) if pair[0] != pair[1]), None)
        said = min(len(here), len(path)) if said is None else said
        if said > most:
            most, found = said, number
    return found


def _parts(names: str) -> tuple[str, ...]:
    return tuple(each.strip("\"'") for each in re.findall(_NAME, names))

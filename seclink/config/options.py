"""The options as data: listed, compared, and written as TOML."""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, cast, get_args

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields, replace

from seclink.config.option_types import Declared, OptionType, to_toml
from seclink.config.schema import Config, is_array, section_of

HEAD = """\
# Every option of SecLink at its default. To change one, remove the # from its line and write your value;
# `systemctl reload seclink` or SIGHUP applies it, unless a restart is needed.
"""


class Option(Struct, frozen=True):
    """One option. `example` is its default in TOML, or a possible value where that is None.

    With `is_listed`, its section is an array of tables, and its value is the list of the values in each, or None.
    """

    section: str
    name: str
    type: OptionType
    default: Any
    example: str
    help: str
    at_start: bool
    is_listed: bool

    def __str__(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def comment(self) -> str:
        return f"{self.help} ({self.type.bounds})"

    @property
    def header(self) -> str:
        return f"[[{self.section}]]" if self.is_listed else f"[{self.section}]"

    def get(self, config: Config) -> Any:
        """Return the option's value in a configuration."""
        value: Any = config
        for name in self._attributes():
            value = [getattr(table, name) for table in value] if isinstance(value, list) else getattr(value, name)
        return (value or None) if self.is_listed else value

    def set(self, config: Config, value: Any) -> Config:
        """Return the configuration with another value of the option."""
        return cast(Config, _replaced(config, self._attributes(), value))

    def _attributes(self) -> list[str]:
        return str(self).replace("-", "_").split(".")


def options(kind: type[Struct] = Config, above: str = "", is_listed: bool = False) -> Iterator[Option]:
    """Yield the options of a section and of all sections below it, in the order of their declaration."""
    for field in fields(kind):
        if section := section_of(field.type):
            yield from options(section, f"{above}.{field.encode_name}".lstrip("."), is_array(field.type))
        else:
            yield _option(field, above, is_listed)


def _option(field: FieldInfo, section: str, is_listed: bool) -> Option:
    declared: Declared = get_args(field.type)[1]
    default = field.default_factory() if field.default is NODEFAULT else field.default
    default = None if is_listed else default
    example = to_toml(declared.example) if default is None else declared.type.to_toml(default)
    help = f"{declared.help} Changes need a restart." if declared.at_start else declared.help
    example, help = (text.replace("DIALECT", section.rpartition(".")[2]) for text in (example, help))
    return Option(section, field.name, declared.type, default, example, help, declared.at_start, is_listed)


def changes(old: Config, new: Config) -> list[Option]:
    """Return the options whose values differ."""
    return [option for option in options() if option.get(old) != option.get(new)]


def render(config: Config) -> str:
    """Return the configuration as commented TOML that `parse` reads back to an equal one."""

    def lines(option: Option) -> list[str]:
        value = option.get(config)
        if value is None:
            return [f"# {option.name} = {option.example}"]
        return [f"{option.name} = {option.type.to_toml(item)}" for item in (value if option.is_listed else [value])]

    return _document(lines)


def defaults() -> str:
    """Return every option at its default, commented out: the content of systemd/seclink.toml."""
    return f"{HEAD}\n{_document(lambda option: [f'#{option.name} = {option.example}'])}"


def _document(lines: Callable[[Option], list[str]]) -> str:
    """Return the TOML of all options; `lines` returns one line, or one for every table of an array."""
    blocks: list[str] = []
    for header, group in groupby(options(), lambda option: option.header):
        section = list(group)
        for table in zip(*map(lines, section), strict=True):
            is_absent = section[0].is_listed and table[0].startswith("#")
            blocks.append(f"{'#' * is_absent}{header}\n")
            blocks += [f"# {option.comment}\n{line}\n" for option, line in zip(section, table, strict=True)]
            blocks.append("\n")
    return "".join(blocks[:-1])


def _replaced(section: Struct, names: list[str], value: Any) -> Struct:
    name, *below = names
    return replace(section, **{name: _replaced(getattr(section, name), below, value) if below else value})

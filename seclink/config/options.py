"""The options as data: listed, compared, and written as TOML."""

from collections.abc import Callable, Iterator
from typing import Any, cast, get_args

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields, replace

from seclink.config.option_types import Declared, OptionType, to_toml
from seclink.config.schema import Config, is_section

HEAD = """\
# Every option of SecLink at its default. To change one, remove the # from its line and write your value;
# `systemctl reload seclink` or SIGHUP applies it, unless a restart is needed.
"""


class Option(Struct, frozen=True):
    """One option. `example` is its default in TOML, or a possible value where that is None."""

    section: str
    name: str
    type: OptionType
    default: Any
    example: str
    help: str
    at_start: bool

    def __str__(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def comment(self) -> str:
        return f"{self.help} ({self.type.bounds})"

    def get(self, config: Config) -> Any:
        """Return the option's value in a configuration."""
        value: Any = config
        for name in self._attributes():
            value = getattr(value, name)
        return value

    def set(self, config: Config, value: Any) -> Config:
        """Return the configuration with another value of the option."""
        return cast(Config, _replaced(config, self._attributes(), value))

    def _attributes(self) -> list[str]:
        return str(self).replace("-", "_").split(".")


def options(kind: type[Struct] = Config, above: str = "") -> Iterator[Option]:
    """Yield the options of a section and of all sections below it, in the order of their declaration."""
    for field in fields(kind):
        if is_section(field.type):
            yield from options(field.type, f"{above}.{field.encode_name}".lstrip("."))
        else:
            yield _option(field, above)


def _option(field: FieldInfo, section: str) -> Option:
    declared: Declared = get_args(field.type)[1]
    default = field.default_factory() if field.default is NODEFAULT else field.default
    example = to_toml(declared.example) if default is None else declared.type.to_toml(default)
    help = f"{declared.help} Changes need a restart." if declared.at_start else declared.help
    example, help = (text.replace("DIALECT", section.rpartition(".")[2]) for text in (example, help))
    return Option(section, field.name, declared.type, default, example, help, declared.at_start)


def changes(old: Config, new: Config) -> list[Option]:
    """Return the options whose values differ."""
    return [option for option in options() if option.get(old) != option.get(new)]


def render(config: Config) -> str:
    """Return the configuration as commented TOML that `parse` reads back to an equal one."""

    def line(option: Option) -> str:
        value = option.get(config)
        is_unset = value is None
        return f"{'# ' * is_unset}{option.name} = {option.example if is_unset else option.type.to_toml(value)}"

    return _document(line)


def defaults() -> str:
    """Return every option at its default, commented out: the content of systemd/seclink.toml."""
    return f"{HEAD}\n{_document(lambda option: f'#{option.name} = {option.example}')}"


def _document(line: Callable[[Option], str]) -> str:
    lines: list[str] = []
    section = ""
    for option in options():
        if option.section != section:
            section = option.section
            lines += ["", f"[{section}]"]
        lines += [f"# {option.comment}", line(option)]
    return "\n".join([*lines[1:], ""])


def _replaced(section: Struct, names: list[str], value: Any) -> Struct:
    name, *below = names
    return replace(section, **{name: _replaced(getattr(section, name), below, value) if below else value})

"""The options as data: listed, written out as TOML, compared. What they are stands in `config.py`."""

from collections.abc import Callable, Iterator
from typing import Any, cast, get_args

import msgspec
from msgspec import Struct

from seclink.config.convert import bounds
from seclink.config.parser import is_section
from seclink.config.schema import Config
from seclink.config.types import to_toml

# What a commented option looks like that has no default.
EXAMPLES = {
    "public_url": '"https://secrets.example.org"',
    "accent": '"#1a5fb4"',
    "listen": '"127.0.0.1:9464"',
    "logo": '"logo.svg"',
    "tls_cert": '"fullchain.pem"',
    "tls_key": '"privkey.pem"',
}

HEAD = """\
# Every option of SecLink, at its default. To change one, take the # off its line and write what you want;
# `systemctl reload seclink` or SIGHUP makes it so, except where it says that a restart is needed.
"""


class Option(Struct, frozen=True):
    """One option as data, for documents and listings. `bounds` are written as in the TOML; what is read `at_start`
    stays until a restart.
    """

    section: str
    name: str
    default: Any
    bounds: str
    help: str
    at_start: bool

    def __str__(self) -> str:
        return f"{self.section}.{self.name}"

    def of(self, config: Config) -> Any:
        """Its value there."""
        at: Any = config
        for name in self.section.split("."):
            at = getattr(at, name.replace("-", "_"))
        return getattr(at, self.name)

    def put(self, config: Config, value: Any) -> Config:
        """The same configuration with another value there."""
        names = [each.replace("-", "_") for each in self.section.split(".")]
        return cast(Config, _put(config, [*names, self.name], value))


def options(kind: type[Struct] = Config, above: str = "") -> Iterator[Option]:
    for each in msgspec.structs.fields(kind):
        if is_section(each.type):
            yield from options(each.type, f"{above}.{each.encode_name}".lstrip("."))
            continue
        value, meta = get_args(each.type)[:2]
        default = each.default_factory() if each.default is msgspec.NODEFAULT else each.default
        at_start = bool((meta.extra or {}).get("at_start"))
        said = f"{meta.description} Changes need a restart." if at_start else meta.description
        yield Option(above, each.name, default, bounds(value, meta), said, at_start)


def changes(old: Config, new: Config) -> list[Option]:
    """The options that are not the same."""
    return [each for each in options() if each.of(old) != each.of(new)]


def _put(at: Struct, names: list[str], value: Any) -> Struct:
    first, *rest = names
    return msgspec.structs.replace(at, **{first: _put(getattr(at, first), rest, value) if rest else value})


def render(config: Config) -> str:
    """The configuration as commented TOML that `parse` reads back to the same."""
    return _listed(lambda option: ("# " if option.of(config) is None else "") + _line(option, option.of(config)))


def defaults() -> str:
    """Every option at its default, commented out: systemd/seclink.toml."""
    return f"{HEAD}\n{_listed(lambda option: f'#{_line(option, option.default)}')}"


def _listed(line: Callable[[Option], str]) -> str:
    lines: list[str] = []
    current = ""
    for option in options():
        if option.section != current:
            current = option.section
            lines += ["", f"[{current}]"] if lines else [f"[{current}]"]
        lines += [f"# {option.help} ({option.bounds})", line(option)]
    return "\n".join(lines) + "\n"


def _line(option: Option, value: Any) -> str:
    return f"{option.name} = {_example(option) if value is None else to_toml(value)}"


def _example(option: Option) -> str:
    """A dialect's host is nobody else's."""
    return EXAMPLES.get(option.name) or f'"{option.section.rpartition(".")[2]}.example.org"'

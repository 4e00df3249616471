"""The README documents every option, command and flag, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from seclink.cli.durations import DurationType
from seclink.cli.main import cli
from seclink.config.options import options

FOLDER = Path(__file__).parents[2]
README = (FOLDER / "README.md").read_text()
WITH_CONFIG = ("serve", "check", "config", "key", "backup", "restore", "doctor", "audit-erasure")


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


COMMANDS = dict(commands(cli))
SERVER_SIDE = {
    words: command
    for words, command in COMMANDS.items()
    if words[0] in WITH_CONFIG and not isinstance(command, click.Group)
}


def flags(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def test_contents_link_to_every_section() -> None:
    text = re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE)
    sections = re.findall(r"^(##+) (.+)$", text, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"): level for level, title in sections}
    linked = set(re.findall(r"\]\(#([^)]*)\)", text))
    assert linked <= slugs.keys()
    # These stand above the contents, or only group the sections below them.
    expected = {slug for slug, level in slugs.items() if level == "##"} - {"run-it", "running-it-for-years"}
    assert expected <= linked


def test_table_documents_every_option() -> None:
    rows = [
        f"| `{option}` | {'unset' if option.default is None else f'`{option.example}`'} | {option.comment} |"
        for option in options()
    ]
    assert [row for row in rows if row not in README] == []


def test_every_command_is_documented() -> None:
    assert [words for words in COMMANDS if f"seclink {' '.join(words)}" not in README] == []


def test_every_flag_is_documented() -> None:
    names = {(*words, max(flag.opts, key=len)) for words, command in COMMANDS.items() for flag in flags(command)}
    assert [name for name in sorted(names) if not re.search(rf"{name[-1]}\b", README)] == []


def test_every_duration_on_the_command_line_has_the_same_grammar() -> None:
    types = {(*words, flag.opts[0]): flag.type for words, command in COMMANDS.items() for flag in flags(command)}
    durations = {name for name, type in types.items() if isinstance(type, DurationType)}
    assert durations == {("create", "--expires"), ("key", "add", "--expires"), ("audit", "--since")}


def test_server_side_commands_take_a_config_file() -> None:
    assert len(SERVER_SIDE) >= len(WITH_CONFIG)
    for words, command in SERVER_SIDE.items():
        assert any("--config" in flag.opts for flag in flags(command)), words


def test_server_side_commands_and_their_flags_have_help() -> None:
    for words, command in SERVER_SIDE.items():
        assert command.help, words
        assert [flag.name for flag in flags(command) if not flag.help] == [], words


def test_readme_names_no_unknown_option() -> None:
    known = {str(option) for option in options()}
    sections = {option.section for option in options()}
    named = re.findall(r"`(\w+)\.(\w+)`", README)
    options_named = {
        f"{section}.{name}"
        for section, name in named
        if section in sections and name not in ("db", "py", "toml", "service")
    }
    assert len(options_named) > 20
    assert options_named <= known


def test_proxy_settings_of_the_readme_are_those_of_the_tests() -> None:
    for name in ("nginx.conf", "Caddyfile"):
        assert f"\n{(FOLDER / 'tests/faults/snippets' / name).read_text()}```\n" in README, name

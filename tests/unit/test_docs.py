"""The README cannot rot: every option, command and flag stands in it."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from seclink.cli.main import cli
from seclink.config.options import options
from seclink.config.types import to_toml

README = Path(__file__).parents[2] / "README.md"


def readme() -> str:
    return README.read_text()


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*words, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


COMMANDS = list(commands(cli))


def test_contents_lead_to_sections_and_leave_none_out() -> None:
    text = re.sub(r"^```.*?^```", "", readme(), flags=re.DOTALL | re.MULTILINE)
    sections = re.findall(r"^(##+) (.+)$", text, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"): level for level, title in sections}
    linked = re.findall(r"\]\(#([^)]*)\)", text)
    assert set(linked) <= set(slugs)
    # What stands above the contents, and what is only the roof over its parts, need no link.
    named = {slug for slug, level in slugs.items() if level == "##"} - {"run-it", "running-it-for-years"}
    assert named <= set(linked)


@pytest.mark.parametrize("option", list(options()), ids=lambda option: f"{option.section}.{option.name}")
def test_option_is_documented_as_it_is(option) -> None:
    default = "unset" if option.default is None else f"`{to_toml(option.default)}`"
    assert f"| `{option.section}.{option.name}` | {default} | {option.help} ({option.bounds}) |" in readme()


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS], ids=" ".join)
def test_command_is_documented(words: tuple[str, ...]) -> None:
    assert f"seclink {' '.join(words)}" in readme()


FLAGS = sorted(
    {
        (" ".join(words), max(parameter.opts, key=len))
        for words, command in COMMANDS
        for parameter in command.params
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts
    }
)


@pytest.mark.parametrize(("command", "flag"), FLAGS)
def test_flag_is_documented(command: str, flag: str) -> None:
    assert re.search(rf"{flag}\b", readme()), f"seclink {command} {flag}"


SERVER_SIDE = [
    words
    for words, command in COMMANDS
    if words[0] in ("serve", "check", "config", "key", "backup", "restore", "doctor", "audit-erasure")
    and not isinstance(command, click.Group)
]


@pytest.mark.parametrize("words", SERVER_SIDE, ids=" ".join)
def test_server_side_command_takes_a_config(words: tuple[str, ...]) -> None:
    assert any("--config" in each.opts for each in dict(COMMANDS)[words].params)


def test_no_project_file_names_an_option_that_is_not_there() -> None:
    known = {f"{option.section}.{option.name}" for option in options()}
    sections = {option.section for option in options()}
    for section, name in re.findall(r"`(\w+)\.(\w+)`", readme()):
        if section in sections and name not in ("db", "py", "toml", "service"):
            assert f"{section}.{name}" in known


@pytest.mark.parametrize("words", SERVER_SIDE, ids=" ".join)
def test_server_side_command_and_its_flags_explain_themselves(words: tuple[str, ...]) -> None:
    command = dict(COMMANDS)[words]
    assert command.help
    assert all(each.help for each in command.params if isinstance(each, click.Option))


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_proxy_is_set_up_in_the_readme_as_in_the_tests(name: str) -> None:
    assert f"\n{(README.parent / 'tests/faults/snippets' / name).read_text()}```\n" in readme()

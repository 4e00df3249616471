"""OPS-02: the files in systemd/ say what the code says, and the unit is as closed as it can be."""

import re
from pathlib import Path

import pytest

from seclink.config import Config, parse
from seclink.options import defaults, options

FOLDER = Path(__file__).parents[2] / "systemd"
TOML = FOLDER / "seclink.toml"

COMMENTED = [number for number, line in enumerate(defaults().splitlines()) if re.match(r"#[a-z]", line)]


def test_toml_is_what_the_code_says() -> None:
    """After a change: seclink config --defaults > systemd/seclink.toml"""
    assert TOML.read_bytes() == defaults().encode()


def test_toml_has_every_option_with_its_help_and_says_nothing_else() -> None:
    text = TOML.read_text()
    assert parse(text, "seclink.toml") == Config()
    assert len(COMMENTED) == len(list(options()))
    for option in options():
        assert f"\n# {option.help} ({option.bounds})\n#{option.name} = " in text


@pytest.mark.parametrize("number", COMMENTED, ids=[defaults().splitlines()[each] for each in COMMENTED])
def test_every_line_can_be_uncommented_by_itself(number: int, tmp_path: Path) -> None:
    lines = TOML.read_text().splitlines()
    lines[number] = lines[number][1:]
    found = uncommented(lines, tmp_path)
    changed = [option for option in options() if option.of(found) != option.default]
    assert len(changed) <= 1
    assert all(option.default is None for option in changed)


def test_all_lines_can_be_uncommented_together(tmp_path: Path) -> None:
    lines = [line[1:] if number in COMMENTED else line for number, line in enumerate(TOML.read_text().splitlines())]
    found = uncommented(lines, tmp_path)
    assert all(option.of(found) is not None for option in options())


def uncommented(lines: list[str], folder: Path) -> Config:
    (folder / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    return parse("\n".join(lines), "seclink.toml", folder)

"""OPS-03: the Containerfile, as far as it can be told without building it."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from seclink import __version__
from seclink.cli.main import cli
from seclink.config.locate import STATE
from seclink.config.schema import Config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Containerfile").read_text()
PROGRAM = "/opt/seclink/bin/seclink"


def instructions(text: str) -> list[tuple[str, str]]:
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


ALL = instructions(TEXT)
FINAL = ALL[max(number for number, (name, _) in enumerate(ALL) if name == "FROM") :]


def said(name: str) -> list[str]:
    """What the final stage says with that instruction."""
    return [rest for each, rest in FINAL if each == name]


def test_linter_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run([linter, ROOT / "Containerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_there_are_two_stages_on_one_base_of_glibc() -> None:
    """F13: deep JSON on musl's small thread stacks."""
    assert [rest for name, rest in ALL if name == "ARG"] == ["BASE=docker.io/library/debian:trixie-slim"]
    assert [rest for name, rest in ALL if name == "FROM"] == ["${BASE} AS build", "${BASE}"]


def test_nothing_is_fetched_but_by_the_package_managers() -> None:
    assert not [rest for name, rest in ALL if name == "ADD"]
    assert not re.search(r"\b(curl|wget|git)\b|https?://", TEXT)


def test_what_it_copies_is_there_and_not_ignored() -> None:
    """.dockerignore lets in what is named and nothing else: no history, no environment, no database."""
    first, *rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert first == "*"
    copied = {
        source for name, rest in ALL if name == "COPY" and not rest.startswith("--from") for source in rest.split()[:-1]
    }
    assert copied == let_in
    assert all((ROOT / each).exists() for each in copied)
    assert not any(fnmatch(each, "*.db") or each.startswith(".") for each in let_in)


def test_user_is_a_number_and_not_root_from_the_last_command_on() -> None:
    [user] = said("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    names = [name for name, _ in FINAL]
    assert names.index("USER") > max(number for number, name in enumerate(names) if name in ("RUN", "COPY"))
    assert f"install -d -o {user.split(':')[0]} -g {user.split(':')[1]} -m 0700 {STATE}" in " ".join(said("RUN"))


def test_only_the_state_is_written_and_that_is_one_volume() -> None:
    """With a configuration in /etc/seclink or none at all, the database is there."""
    assert said("VOLUME") == said("WORKDIR") == [str(STATE)]


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD", "HEALTHCHECK"])
def test_no_shell_is_needed(name: str) -> None:
    [rest] = said(name)
    words = json.loads(rest[rest.index("[") :])
    assert isinstance(words, list)
    assert not {"sh", "bash", "-c", "/bin/sh"} & set(words)


def test_what_it_runs_are_commands_there_are() -> None:
    assert json.loads(said("ENTRYPOINT")[0]) == [PROGRAM]
    health = said("HEALTHCHECK")[0]
    program, *check = json.loads(health[health.index("[") :])
    assert program == PROGRAM
    for words in (json.loads(said("CMD")[0]), check):
        command = cli.get_command(cli.make_context("seclink", ["--help"], resilient_parsing=True), words[0])
        assert command is not None
        command.make_context(words[0], words[1:])  # or it exits with a usage error


def test_health_check_outwaits_the_answer_it_waits_for() -> None:
    """`seclink check` gives up by itself, and says why."""
    assert int(re.search(r"--timeout=(\d+)s", said("HEALTHCHECK")[0])[1]) > 5


def test_it_is_reached_at_the_port_that_is_the_default() -> None:
    assert said("EXPOSE") == [str(Config().server.port)]
    assert json.loads(said("CMD")[0]) == ["serve", "--host", "0.0.0.0"]


def test_package_manager_and_caches_stay_behind() -> None:
    assert said("COPY") == ["--from=build /opt/seclink /opt/seclink"]
    assert "pip" not in " ".join(said("RUN"))
    assert "rm -rf /var/lib/apt/lists/*" in said("RUN")[0]
    assert "--without-pip /opt/seclink" in TEXT
    assert "--no-cache-dir" in TEXT


def test_labels_tell_what_it_is() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', said("LABEL")[0]))
    assert labels.keys() == {"title", "description", "licenses", "version"}
    assert labels["version"] == __version__
    assert f'description = "{labels["description"]}"' in (ROOT / "pyproject.toml").read_text()

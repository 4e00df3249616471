"""OPS-03: the Containerfile, checked without building it."""

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.waiting import TIMEOUT_SECONDS

from seclink import __version__
from seclink.cli.main import cli
from seclink.config import locate
from seclink.config.locate import STATE
from seclink.config.schema import Config
from seclink.store.chunk_files import folder_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Containerfile").read_text()
PIN = re.compile(r"^([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.M)
PROGRAM = "/opt/seclink/bin/seclink"


def instructions(text: str) -> list[tuple[str, str]]:
    lines = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ").splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


ALL = instructions(TEXT)
FINAL = ALL[max(number for number, (name, _) in enumerate(ALL) if name == "FROM") :]


def final(name: str) -> list[str]:
    """Return the arguments of an instruction in the final stage."""
    return [rest for instruction, rest in FINAL if instruction == name]


def test_linter_has_no_findings() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    ended = subprocess.run(
        [linter, ROOT / "Containerfile"], capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_both_stages_use_one_glibc_base() -> None:
    """F13: deep JSON on musl's small thread stacks."""
    assert [rest for name, rest in ALL if name == "ARG"] == ["BASE=docker.io/library/debian:trixie-slim"]
    assert [rest for name, rest in ALL if name == "FROM"] == ["${BASE} AS build", "${BASE}"]


def test_only_package_managers_download() -> None:
    assert not [rest for name, rest in ALL if name == "ADD"]
    assert not re.search(r"\b(curl|wget|git)\b|https?://", TEXT)


def test_everything_it_installs_is_pinned_by_digest() -> None:
    """OPS-07: the locks hold what pyproject.toml asks for, in versions that it allows, and nothing without a digest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for lock, wanted in (
        ("requirements.lock", project["project"]["dependencies"]),
        ("build.lock", project["build-system"]["requires"]),
    ):
        text = (ROOT / "tests" / lock).read_text()
        assert "://" not in text
        pins = {name: version for name, version, _ in PIN.findall(text)}
        assert len(pins) == len(re.findall(r"^\w", text, re.M))
        for requirement in map(Requirement, wanted):
            assert requirement.specifier.contains(pins[requirement.name]), requirement
    downloads = [rest for name, rest in ALL if name == "RUN" and "/pip/bin/pip" in rest]
    commands = re.findall(r"pip(?: --python \S+)? (?:install|wheel) ([^&]*)", " ".join(downloads))
    assert len(commands) == 4
    for command in commands:
        assert "--require-hashes" in command or {"--no-index", "--no-deps"} <= set(command.split()), command


def test_copied_files_exist_and_are_not_ignored() -> None:
    """.dockerignore excludes everything that is not listed: history, environment, database."""
    first, *rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    included = {rule[1:] for rule in rules if rule.startswith("!")}
    assert first == "*"
    copied = {
        source for name, rest in ALL if name == "COPY" and not rest.startswith("--from") for source in rest.split()[:-1]
    }
    assert copied == included
    assert all((ROOT / path).exists() for path in copied)
    assert not any(fnmatch(path, "*.db") or path.startswith(".") for path in included)


def test_user_is_numeric_and_not_root_after_the_last_command() -> None:
    [user] = final("USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    names = [name for name, _ in FINAL]
    assert names.index("USER") > max(number for number, name in enumerate(names) if name in ("RUN", "COPY"))
    assert f"install -d -o {user.split(':')[0]} -g {user.split(':')[1]} -m 0700 {STATE}" in " ".join(final("RUN"))


def test_state_is_the_only_volume() -> None:
    """With a configuration in /etc/seclink or with none, the database and the folder of files are in it."""
    assert final("VOLUME") == final("WORKDIR") == [str(STATE)]
    database = locate.database(Config(), locate.INSTALLED)
    assert (database.parent, folder_of(database, Config().files.path).parent) == (STATE, STATE)


@pytest.mark.parametrize("name", ["ENTRYPOINT", "CMD", "HEALTHCHECK"])
def test_no_shell_is_needed(name: str) -> None:
    [rest] = final(name)
    words = json.loads(rest[rest.index("[") :])
    assert isinstance(words, list)
    assert not {"sh", "bash", "-c", "/bin/sh"} & set(words)


def test_its_commands_exist() -> None:
    assert json.loads(final("ENTRYPOINT")[0]) == [PROGRAM]
    health = final("HEALTHCHECK")[0]
    program, *check = json.loads(health[health.index("[") :])
    assert program == PROGRAM
    for words in (json.loads(final("CMD")[0]), check):
        command = cli.get_command(cli.make_context("seclink", ["--help"], resilient_parsing=True), words[0])
        assert command is not None
        command.make_context(words[0], words[1:])  # or it exits with a usage error


def test_health_check_waits_longer_than_the_command() -> None:
    """`seclink check` has a timeout of its own, and reports it."""
    match = re.search(r"--timeout=(\d+)s", final("HEALTHCHECK")[0])
    assert match
    assert int(match[1]) > 5


def test_exposed_port_is_the_default() -> None:
    assert final("EXPOSE") == [str(Config().server.port)]
    assert json.loads(final("CMD")[0]) == ["serve", "--host", "0.0.0.0"]


def test_package_manager_and_caches_are_not_in_the_image() -> None:
    assert final("COPY") == ["--from=build /opt/seclink /opt/seclink"]
    assert "pip" not in " ".join(final("RUN"))
    assert "rm -rf /var/lib/apt/lists/*" in final("RUN")[0]
    assert "--without-pip /opt/seclink" in TEXT
    assert "--no-cache-dir" in TEXT


def test_labels_agree_with_the_project() -> None:
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', final("LABEL")[0]))
    assert labels.keys() == {"title", "description", "licenses", "version"}
    assert labels["version"] == __version__
    assert f'description = "{labels["description"]}"' in (ROOT / "pyproject.toml").read_text()

"""The documents say what the code does: every option, command, flag, route, code and test id, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from seclink import __version__, model
from seclink.cli.main import cli
from seclink.config.options import options
from seclink.errors import BY_CODE, ClientError, SecLinkError, StartRefused
from seclink.format import envelope
from seclink.web import documents
from seclink.web.documents import FOLDER as DOCS
from seclink.web.documents import slug
from seclink.web.files import FilesApi
from seclink.web.receipts import ReceiptsApi
from seclink.web.secrets import SecretsApi

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TEXTS = {path.stem: path.read_text() for path in sorted(DOCS.glob("*.md"))}
WITH_CONFIG = ("serve", "check", "config", "key", "backup", "restore", "doctor", "audit-erasure")
CATALOGUED = re.compile(r"^\| ([A-Z]{2,5}-\d{2}) \|", re.MULTILINE)


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


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", without_code(text), flags=re.MULTILINE)}


# The documents as a whole


def test_every_document_is_served_and_begins_with_a_sentence() -> None:
    assert set(TEXTS) == set(documents.NAMES)
    for name, text in TEXTS.items():
        title, first, *_ = text.split("\n\n")
        assert title.startswith("# "), name
        assert first[0].isupper(), name


@pytest.mark.parametrize("source", ["README", *documents.NAMES, ".github/CONTRIBUTING", ".github/SECURITY"])
def test_links_between_documents_lead_somewhere(source: str) -> None:
    path = DOCS / f"{source}.md" if source in TEXTS else ROOT / f"{source}.md"
    for target in re.findall(r"\]\(([^)]+)\)", without_code(path.read_text())):
        file, _, anchor = target.partition("#")
        if file == "reference.md" or target.startswith("http"):
            continue
        linked = (path.parent / file).resolve() if file else path
        assert linked.is_file(), (source, target)
        assert not anchor or anchor in anchors(linked.read_text()), (source, target)


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 250


def test_changelog_knows_this_version() -> None:
    assert re.search(rf"^## {re.escape(__version__)}$", TEXTS["changelog"], re.MULTILINE)


# using.md and operating.md


def test_table_documents_every_option() -> None:
    rows = [
        f"| `{option}` | {'unset' if option.default is None else f'`{option.example}`'} | {option.comment} |"
        for option in options()
    ]
    assert [row for row in rows if row not in TEXTS["operating"]] == []


def test_every_command_and_flag_is_documented() -> None:
    assert [words for words in COMMANDS if f"seclink {' '.join(words)}" not in TEXTS["using"]] == []
    names = {(*words, max(flag.opts, key=len)) for words, command in COMMANDS.items() for flag in flags(command)}
    assert [name for name in sorted(names) if not re.search(rf"{name[-1]}\b", TEXTS["using"])] == []


def test_server_side_commands_take_a_config_file() -> None:
    assert len(SERVER_SIDE) >= len(WITH_CONFIG)
    for words, command in SERVER_SIDE.items():
        assert any("--config" in flag.opts for flag in flags(command)), words


def test_server_side_commands_and_their_flags_have_help() -> None:
    for words, command in SERVER_SIDE.items():
        assert command.help, words
        assert [flag.name for flag in flags(command) if not flag.help] == [], words


def test_documents_name_no_unknown_option() -> None:
    known = {str(option) for option in options()}
    sections = {option.section for option in options()}
    named = {
        f"{section}.{name}"
        for text in (README, *TEXTS.values())
        for section, name in re.findall(r"`(\w+)\.(\w+)`", text)
        if section in sections and name not in ("db", "py", "toml", "service")
    }
    assert len(named) > 20
    assert named <= known


def test_proxy_settings_are_those_of_the_proxy_tests() -> None:
    for name in ("nginx.conf", "Caddyfile"):
        assert f"\n{(ROOT / 'tests/faults/snippets' / name).read_text()}```\n" in TEXTS["operating"], name


# api.md, format.md, security.md


def test_every_route_is_documented() -> None:
    nothing: list[None] = [None] * 4
    operations = [
        *SecretsApi(*nothing).operations(),  # type: ignore[arg-type]
        *ReceiptsApi(*nothing[:3]).operations(),  # type: ignore[arg-type]
        *FilesApi(*nothing[:3]).operations(),  # type: ignore[arg-type]
    ]
    camel = {"link_id": "linkId", "receipt_id": "receiptId", "upload_id": "uploadId", "n": "n"}
    routes = {
        f"{operation.method} {re.sub(r'{(.*?):str}', lambda match: '{' + camel[match[1]] + '}', operation.path)}"
        for operation in operations
    } | {"GET /client-module"}
    documented = re.findall(r"^\| `([A-Z]+ [^`]+)` \|", TEXTS["api"], flags=re.MULTILINE)
    assert routes == set(documented)


def test_every_error_code_is_documented_with_its_status() -> None:
    on_the_wire = {
        (str(error.status), code)
        for code, error in BY_CODE.items()
        if error is not SecLinkError and not issubclass(error, StartRefused | ClientError)
    }
    assert set(re.findall(r"^\| (\d{3}) \| `(\w+)` \|", TEXTS["api"], flags=re.MULTILINE)) == on_the_wire


def test_format_names_what_the_code_derives() -> None:
    """The strings and numbers of the key schedule; about the bytes the vectors decide."""
    python = "".join((ROOT / f"seclink/format/{name}.py").read_text() for name in ("envelope", "file_stream"))
    script = "".join((ROOT / f"seclink/static/js/{name}.js").read_text() for name in ("envelope", "file-stream"))
    infos = re.findall(r'info="seclink/v1/([\w-]+)"', TEXTS["format"])
    assert set(infos) == {"passcode-salt", "content", "access", "passcode", "file"}
    for info in infos:
        assert info in python, info
        assert info in script, info
    assert f"{envelope.PBKDF2_ROUNDS}, 32 bytes" in TEXTS["format"]


def test_security_states_the_limits_of_the_code() -> None:
    minutes = model.ATTEMPT_WINDOW_MS // 60_000
    assert (
        f"tried {model.ATTEMPTS_PER_CLIENT} times in {minutes} minutes by one client range and "
        f"{model.ATTEMPTS_PER_SECRET} times in all" in " ".join(TEXTS["security"].split())
    )
    assert f"PBKDF2, {envelope.PBKDF2_ROUNDS:,} rounds" in TEXTS["security"]


# architecture.md and tests.md


def test_architecture_names_every_package() -> None:
    tree = TEXTS["architecture"]
    packages = {path.parent.name for path in (ROOT / "seclink").glob("*/__init__.py")} | {"static", "docs"}
    assert [name for name in packages if not re.search(rf"\b{name}/", tree)] == []


def test_paths_exist() -> None:
    """Files and folders of the checkout that a document names, with or without `seclink/` in front."""
    paths = [
        (source, path)
        for source, text in TEXTS.items()
        for path in re.findall(r"`((?:seclink/(?!v\d)|tests/)[\w./-]+|[a-z]+/[\w./-]+\.(?:py|js|md))`", text)
    ]
    assert len(paths) > 20
    assert [path for path in paths if not ((ROOT / path[1]).exists() or (ROOT / "seclink" / path[1]).exists())] == []


def test_catalogue_and_tests_cite_the_same_ids() -> None:
    catalogue = set(CATALOGUED.findall(TEXTS["tests"]))
    sources = (path for path in (ROOT / "tests").rglob("*.py"))
    cited = {name for path in sources for name in re.findall(r"\b[A-Z]{2,5}-\d{2}\b", path.read_text())}
    assert cited - {"UTF-16", "UTF-32"} == catalogue


# README: each claim says what holds it


def test_every_claim_of_the_readme_is_held_by_a_test() -> None:
    catalogue = set(CATALOGUED.findall(TEXTS["tests"]))
    section = README.partition("## What it gives\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| **")]
    assert len(rows) >= 10
    for claim, _, holders in rows:
        names = [name.strip().strip("`") for name in holders.split(",")]
        assert names[0], claim
        assert [name for name in names if name not in catalogue and not (ROOT / name).is_file()] == [], claim

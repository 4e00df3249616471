"""The server's commands as processes: what a shell and a person get to see."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fork_server import run
from support.ports import free_port
from support.server import MakeServer
from support.waiting import TIMEOUT_SECONDS

from seclink.config.parser import parse
from seclink.config.schema import Config
from seclink.store import connection

pytestmark = pytest.mark.slow

SERVER_SIDE = [
    ("serve", "--port", "1"),
    ("config",),
    ("check",),
    ("key", "list"),
    ("key", "add", "a"),
    ("key", "revoke", "sk_live_abcdef"),
]


def seclink(folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    done = run(arguments, input=b"", cwd=folder, env=os.environ | {"SECLINK_CONFIG": ""} | env, timeout=TIMEOUT_SECONDS)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("command", SERVER_SIDE, ids=" ".join)
def test_every_server_command_refuses_an_invalid_configuration(tmp_path: Path, command: tuple[str, ...]) -> None:
    """CFG-01: with file, line and hint, status 1, nothing on stdout and no database created."""
    config = tmp_path / "broken.toml"
    config.write_text("[server]\nprot = 8080\n[rates]\ncreate = 20\n")
    result = seclink(tmp_path, *command, "--config", str(config))
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{config}:2: unknown option server.prot; did you mean port?" in result.stderr
    assert f"{config}:4: rates.create: must be a string in quotes (N/second" in result.stderr
    assert "Traceback" not in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["broken.toml"]


@pytest.mark.parametrize(
    "toml",
    [
        "[server]\nallowed_hosts = ['bad host']",
        "[server]\npublic_url = 'http://x.example'",
        "[log]\nlevel = 'TRUE'",
        "\x00",
    ],
)
def test_server_does_not_start_with_an_invalid_value(tmp_path: Path, toml: str) -> None:
    """CFG-01"""
    (tmp_path / "seclink.toml").write_text(toml)
    result = seclink(tmp_path, "serve")
    assert (result.returncode, result.stdout) == (1, "")
    assert re.search(r"seclink\.toml:[12]: ", result.stderr)
    assert "Traceback" not in result.stderr


@pytest.fixture
def used_port() -> Iterator[int]:
    """A port that another process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[server]\n\nport = {used_port}\n", "3: server.port: 127.0.0.1:{used_port} is in use"),
        ("[server]\nhost = '192.0.2.1'\n", "2: server.host: 192.0.2.1 is not an address of this machine"),
        ("[metrics]\nlisten = '127.0.0.1:{used_port}'\n", "2: metrics.listen: 127.0.0.1:{used_port} is in use"),
        ("[store]\npath = 'none/x.db'\n", "2: store.path: {folder}/none/x.db: cannot be used: No such file"),
        ("[store]\npath = 'file/x.db'\n", "2: store.path: {folder}/file/x.db: cannot be used: Not a directory"),
        (
            "[server]\ntls_cert = 'none.pem'\ntls_key = 'file'\n",
            "2: server.tls_cert: {folder}/none.pem: cannot be read: No such file",
        ),
        (
            "[server]\ntls_cert = 'file'\ntls_key = 'none.pem'\n",
            "3: server.tls_key: {folder}/none.pem: cannot be read: No such file",
        ),
        ("[server]\ntls_cert = 'file'\ntls_key = 'file'\n", "2: server.tls_cert: not a certificate and its key"),
    ],
)
def test_failed_start_names_the_line_and_leaves_no_files(
    tmp_path: Path, used_port: int, toml: str, message: str
) -> None:
    """CFG-01: problems that only the start can detect are reported like those of the TOML's check."""
    (tmp_path / "file").touch()
    config = tmp_path / "seclink.toml"
    config.write_text(toml.format(used_port=used_port))
    result = seclink(tmp_path, "serve", *(() if "\nport" in toml else ("--port", str(free_port()))))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"seclink: seclink.toml:{message.format(used_port=used_port, folder=tmp_path)}")
    assert len(result.stderr.splitlines()) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"file", "seclink.toml"}


def test_failed_start_with_a_port_option_names_no_line(tmp_path: Path, used_port: int) -> None:
    (tmp_path / "seclink.toml").write_text("[server]\nport = 1\n")
    result = seclink(tmp_path, "serve", "--port", str(used_port))
    message = f"seclink: 127.0.0.1:{used_port} is in use; choose another with --host or --port\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", message)
    assert [file.name for file in tmp_path.iterdir()] == ["seclink.toml"]


def test_second_start_names_the_running_server(make_server: MakeServer) -> None:
    server = make_server("").start()
    result = server.seclink("serve", "--port", str(server.port), check=False)
    message = f"in use, and process {server.process.pid} already serves {server.folder}/seclink.db\n"
    assert result.returncode == 1
    assert result.stderr.decode().endswith(message)


def test_missing_configuration_file_is_refused(tmp_path: Path) -> None:
    """CFG-01: never a silent default."""
    for options, env in ((("--config", "none.toml"), {}), ((), {"SECLINK_CONFIG": "none.toml"})):
        result = seclink(tmp_path, "config", *options, **env)
        assert (result.returncode, result.stdout) == (1, "")
        assert "none.toml: cannot be read" in result.stderr


def test_configuration_is_found_in_order(tmp_path: Path) -> None:
    for name, port in (("option", 1), ("environment", 2)):
        (tmp_path / f"{name}.toml").write_text(f"[server]\nport = {port}\n")
    assert "port = 8080" in seclink(tmp_path, "config").stdout
    (tmp_path / "seclink.toml").write_text("[server]\nport = 3\n")
    assert "port = 3\n" in seclink(tmp_path, "config").stdout
    env = {"SECLINK_CONFIG": "environment.toml"}
    assert "port = 2\n" in seclink(tmp_path, "config", **env).stdout
    assert "port = 1\n" in seclink(tmp_path, "config", "--config", "option.toml", **env).stdout


def test_printed_configuration_round_trips(tmp_path: Path) -> None:
    result = seclink(tmp_path, "config")
    assert (result.returncode, result.stderr) == (0, "")
    assert parse(result.stdout, "printed") == Config()
    (tmp_path / "seclink.toml").write_text(result.stdout)
    again = seclink(tmp_path, "config")
    assert parse(again.stdout, "again") == Config()
    assert again.stdout.startswith("# seclink.toml")


def test_key_add_creates_a_private_database_without_a_server(tmp_path: Path) -> None:
    (tmp_path / "seclink.toml").touch()
    added = seclink(tmp_path, "key", "add", "acme")
    assert (added.returncode, added.stderr) == (0, f"created a new database: {tmp_path}/seclink.db\n")
    assert (tmp_path / "seclink.db").stat().st_mode & 0o077 == 0
    assert added.stdout.strip() not in seclink(tmp_path, "key", "list").stdout
    revoked = seclink(tmp_path, "key", "revoke", added.stdout.strip())
    assert (revoked.returncode, revoked.stdout) == (0, "")
    assert added.stdout.strip() not in revoked.stderr
    assert "revoked" in seclink(tmp_path, "key", "list").stdout


def test_key_add_without_a_toml_needs_an_existing_database(tmp_path: Path) -> None:
    """In the wrong folder, it would be of a database that no server opens. Where one has started, it is right."""
    result = seclink(tmp_path, "key", "add", "acme")
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{tmp_path}/seclink.db: there is no such database" in result.stderr
    assert "--config" in result.stderr
    assert not list(tmp_path.iterdir())
    connection.open_or_create(tmp_path / "seclink.db")
    added = seclink(tmp_path, "key", "add", "acme")
    assert (added.returncode, added.stderr) == (0, "")


def test_database_is_beside_the_toml_wherever_the_command_runs(tmp_path: Path) -> None:
    """Or a key would be added to, or looked for in, a database that no server opens."""
    (tmp_path / "server").mkdir()
    (tmp_path / "elsewhere").mkdir()
    config = tmp_path / "server" / "seclink.toml"
    config.write_text('[store]\npath = "data.db"\n')
    added = seclink(tmp_path / "elsewhere", "key", "add", "acme", "--config", str(config))
    assert added.returncode == 0
    assert (tmp_path / "server" / "data.db").exists()
    for command in (("key", "list"), ("key", "revoke", added.stdout.strip()), ("key", "add", "acme")):
        result = seclink(tmp_path / "elsewhere", *command)
        assert (result.returncode, result.stdout) == (1, "")
        assert f"{tmp_path}/elsewhere/seclink.db: there is no such database" in result.stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_help_names_every_command(tmp_path: Path) -> None:
    result = seclink(tmp_path, "--help")
    assert result.returncode == 0
    for word in ("create", "get", "list", "delete", "stats", "serve", "config", "key", "login", "completion"):
        assert re.search(rf"^  {word}\b", result.stdout, re.M)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("creat",), "No such command 'creat'. Did you mean 'create'?"),
        (("dockter",), "No such command 'dockter'. Did you mean 'doctor'?"),
        (("nothing",), "No such command 'nothing'."),
        (("\x1b[2J",), "No such command '\\x1b[2J'."),
    ],
    ids=" ".join,
)
def test_mistyped_command_gets_a_suggestion(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = seclink(tmp_path, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(f"Error: {message}\n")


def test_config_check_prints_nothing(tmp_path: Path) -> None:
    """The unit's reload runs this first: a file with an error must not reach the server."""
    result = seclink(tmp_path, "config", "--check")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (tmp_path / "seclink.toml").write_text("[server]\nprot = 8080\n")
    result = seclink(tmp_path, "config", "--check")
    assert (result.returncode, result.stdout) == (1, "")
    assert "seclink.toml:2: " in result.stderr


def test_config_defaults_ignore_the_toml(tmp_path: Path) -> None:
    (tmp_path / "seclink.toml").write_text("[server]\nport = 3\n")
    result = seclink(tmp_path, "config", "--defaults")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\n#port = 8080\n" in result.stdout
    assert parse(result.stdout, "printed") == Config()


def test_file_that_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "seclink.toml").touch()
    assert seclink(tmp_path, "key", "add", "acme").returncode == 0
    assert seclink(tmp_path, "backup", "good.db").returncode == 0
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text('[store]\npath = "none/seclink.db"\n')
    for command, message in (
        (("backup", "none/b.db"), "none/b.db: cannot be written: No such file or directory"),
        (("backup", "seclink.toml/b.db"), "seclink.toml/b.db: cannot be written: Not a directory"),
        (("restore", "none.db", "--replace"), "none.db: no such file"),
        (("restore", "good.db", "--config", "elsewhere.toml"), f"{tmp_path}/none/seclink.db: cannot be used: No such"),
        (("audit-erasure", "--also", "none"), "'--also': Path 'none' does not exist"),
    ):
        result = seclink(tmp_path, *command)
        assert (result.returncode > 0, result.stdout) == (True, "")
        assert message in result.stderr
        assert "Traceback" not in result.stderr


def test_file_name_that_is_too_long_is_named(tmp_path: Path) -> None:
    name = "x" * 300
    (tmp_path / "seclink.toml").write_text(f'[store]\npath = "{name}"\n')
    for command in (("backup", "b.db"), ("key", "list"), ("audit-erasure",), ("serve",)):
        result = seclink(tmp_path, *command)
        assert (result.returncode, result.stdout) == (1, "")
        assert f"{tmp_path}/{name}" in result.stderr
        assert len(result.stderr.splitlines()) == 1

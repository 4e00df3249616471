"""`seclink audit-erasure` finds what is left of an ended secret and says where. FOR-01."""

import contextlib
import os
import re
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.altered_constants import with_constants
from support.server import Server
from support.waiting import TIMEOUT_SECONDS, until

from seclink.ops.file_search import files_to_search, search
from seclink.store import connection

OFTEN = '[reaper]\nevery = "1s"\n'
CONTROLS = {
    "does not overwrite": {"seclink.store.connection.PRAGMAS.secure_delete": 0},
    "does not cut its log": {"seclink.store.wal_checkpoint.INTERVAL_SECONDS": 600},
}


def audit(server: Server, *options: str) -> "subprocess.CompletedProcess[bytes]":
    done: subprocess.CompletedProcess[bytes] = server.seclink(
        "audit-erasure", "--config", str(server.config), "--server", server.url, *options, check=False
    )
    return done


@pytest.fixture(scope="module", autouse=True)
def controls(serve: Callable[..., Server]) -> Iterator[dict[str, Any]]:
    """Servers that leave something, each with its audit. That looks for ten seconds whether it goes after all: all of
    them begin at once, and before the other tests.
    """
    with contextlib.ExitStack() as stack:
        begun = {}
        for name, constants in CONTROLS.items():
            server = serve(prefix=with_constants(constants))
            begun[name] = (server, stack.enter_context(auditing(server, "--quick")))
        yield begun


def test_report_of_a_server_that_erases(make_server: Callable[..., Server]) -> None:
    server = make_server().start()  # told its port on the command line, of which the TOML says nothing
    done = server.seclink("audit-erasure", "--config", str(server.config), "--quick", check=False)
    said = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b""), said
    assert said.startswith(f"server    {server.url}\n")
    assert re.findall(r"(\w+) +([\d,]+) bytes: (\d+) parts were stored, none remain", said) == [
        ("revealed", "268", "7"),
        ("revealed", "19,968", "7"),
        ("burned", "268", "7"),
        ("burned", "19,968", "7"),
    ]
    for name in ("seclink.db", "seclink.db-wal", "seclink.db-shm", "server.log"):
        assert f"  {server.folder / name}\n" in said, "what the server has open is searched, its log too"
    assert said.endswith("erased: nothing remains of the ended secrets\n")


def test_server_that_does_not_overwrite_deleted_data_is_found(controls: dict[str, Any]) -> None:
    """FOR-01, FOR-03: the negative control."""
    server, process = controls["does not overwrite"]
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    found = re.findall(r"FOUND +the payload of the (\w+) canary of [\d]+ bytes: (\S+), byte (\d+)", said)
    assert {how for how, _, _ in found} == {"revealed", "burned"}
    for _, file, offset in found:
        assert Path(file) == server.folder / "seclink.db"
        assert 0 < int(offset) < Path(file).stat().st_size
    assert said.endswith("not erased\n")


def test_log_that_is_not_truncated_is_found(controls: dict[str, Any]) -> None:
    """FOR-01: another control; what was deleted is overwritten in the database, and still in the log of it."""
    server, process = controls["does not cut its log"]
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert re.search(rf"FOUND .*: {server.folder}/seclink.db-wal, byte \d+", said)


def test_also_option_searches_a_copy_of_the_database(make_server: Callable[..., Server], tmp_path: Path) -> None:
    """Somebody's own backup, made of the raw file while the canaries were in it."""
    server = make_server().start()
    folder = tmp_path / "backups" / "nightly"
    folder.mkdir(parents=True)
    with auditing(server, "--quick", "--also", str(folder.parent)) as process:
        until(lambda: labels(server))
        os.kill(server.process.pid, 19)
        for each in server.folder.glob("seclink.db*"):
            (folder / each.name).write_bytes(each.read_bytes())
        os.kill(server.process.pid, 18)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.search(rf"FOUND .*: {folder}/seclink.db(-wal)?, byte \d+", said)
    assert not re.search(rf"FOUND .*: {server.folder}/", said)


def test_expired_secrets_are_erased_too(make_server: Callable[..., Server]) -> None:
    """Its minute is made shorter here; the reaper does the rest."""
    server = make_server(OFTEN).start()
    with auditing(server) as process:
        until(lambda: waiting(server) == 2)
        expire(server)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert len(re.findall(r"expired +[\d,]+ bytes: 7 parts were stored, none remain", said)) == 2


def test_secret_that_has_not_been_reaped_is_found(make_server: Callable[..., Server]) -> None:
    server = make_server(OFTEN).start()
    constants = {"seclink.ops.erasure_check.MIN_TTL_SECONDS": 60, "seclink.ops.erasure_check.GRACE_SECONDS": -59}
    with auditing(server, prefix=with_constants(constants)) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "FOUND     the payload of the expired canary" in said


def test_search_in_the_files_of_another_server_is_refused(make_server: Callable[..., Server]) -> None:
    """Nothing found in the wrong place would look like a clean one."""
    server, other = make_server().start(), make_server().start()
    done = server.seclink("audit-erasure", "--config", str(other.config), "--server", server.url, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"is this the database of" in done.stderr


def test_key_is_required_if_creating_needs_one(make_server: Callable[..., Server]) -> None:
    server = make_server('[access]\ncreate = "keys"\n').start()
    refused = audit(server, "--quick")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"API key" in refused.stderr
    assert audit(server, "--quick", "--key", server.key("create")).returncode == 0


def test_stopped_server_is_not_reachable(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.stop()
    assert audit(server).returncode == 3


def test_running_server_that_does_not_respond_is_named(make_server: Callable[..., Server]) -> None:
    server = make_server("[server]\nport = 1\n")
    server.key("create")
    held = connection.lock(server.folder / "seclink.db")
    try:
        refused = server.seclink("audit-erasure", "--config", str(server.config), check=False)
    finally:
        os.close(held)
    assert (refused.returncode, refused.stdout) == (3, b"")
    said = refused.stderr.decode()
    assert "http://127.0.0.1:1 cannot be reached: Connection refused\n" in said
    assert f"process {os.getpid()} serves {server.folder}/seclink.db" in said
    assert "--server" in said


def test_deleted_open_file_is_searched(tmp_path: Path, make_server: Callable[..., Server]) -> None:
    """As SQLite's temporary files are: deleted as soon as they are open."""
    server = make_server().start()
    needle = secrets.token_bytes(32)
    database = server.folder / "seclink.db"
    os.kill(server.process.pid, 0)
    assert search(files_to_search(database).files, {"it": needle})[0] == []
    with server.log_path.open("ab") as log:  # the server has it open for writing; its name goes away
        log.write(b"x" * 3_000_000 + needle)
    server.log_path.unlink()
    [trace], size = search(files_to_search(database).files, {"it": needle})
    assert "(deleted)" in trace.file
    assert 3_000_000 <= trace.offset < size
    server.log_path.write_text("")


def test_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a backup would be called clean that nobody has searched."""
    for name in ("open", "closed"):
        (tmp_path / "backups" / name).mkdir(parents=True)
        (tmp_path / "backups" / name / "seclink.db").touch()
    look = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (tmp_path / "data").mkdir()
    found = files_to_search(tmp_path / "data" / "seclink.db", [tmp_path / "backups"])
    assert found.unsearched == (f"{tmp_path}/backups/closed, Permission denied",)
    assert tmp_path / "backups" / "open" / "seclink.db" in found.files


@pytest.mark.parametrize("at", [0, 1, 2**20 - 33, 2**20 - 16, 2**20 - 1, 2**20, 2**21 - 5, 3 * 2**20 - 32])
def test_needle_is_found_at_every_offset(tmp_path: Path, at: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(at) + b"n" * 32 + bytes(3 * 2**20 - at - 32))
    [trace], size = search([path], {"it": b"n" * 32, "not it": b"m" * 64})
    assert (trace.needle, trace.offset, size) == ("it", at, 3 * 2**20)


@contextlib.contextmanager
def auditing(server: Server, *options: str, prefix: tuple[str, ...] = ()) -> Any:
    """The audit as a process that goes on meanwhile."""
    command = [*(prefix or (sys.executable,)), "-m", "seclink", "audit-erasure", "--config", str(server.config)]
    with subprocess.Popen(
        [*command, "--server", server.url, *options], cwd=server.folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def looking(server: Server, sql: str) -> Any:
    path = server.folder / "seclink.db"
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_SECONDS)) as db:
        return db.execute(sql).fetchone()[0]


def labels(server: Server) -> int:
    return int(looking(server, "SELECT count(*) FROM secrets WHERE label LIKE 'canary%'"))


def waiting(server: Server) -> int:
    """The canaries that are left once the others have been ended."""
    ended = looking(server, "SELECT count(*) FROM secrets WHERE state <> 'active'")
    return labels(server) if ended == 4 else 0


def expire(server: Server) -> None:
    path = server.folder / "seclink.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=TIMEOUT_SECONDS)) as db:
        db.execute(
            "UPDATE secrets SET expires_at = created_at + 1, due_at = created_at + 1"
            " WHERE state = 'active' AND label LIKE 'canary%'"
        )

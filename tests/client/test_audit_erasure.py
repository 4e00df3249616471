"""`seclink audit-erasure` finds the remains of ended secrets and their place. FOR-01."""

import contextlib
import os
import re
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.altered_constants import with_constants
from support.server import MakeServer, Serve, Server
from support.waiting import TIMEOUT_SECONDS, until

from seclink.ops.file_search import files_to_search, search
from seclink.store import connection

OFTEN = '[reaper]\nevery = "1s"\n'
ANY_DISK = with_constants({"seclink.domain.uploads.MIN_FREE_BYTES": 0})
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
def controls(serve: Serve) -> Iterator[dict[str, Any]]:
    """Servers that do not erase, each with its audit. An audit waits ten seconds for the remains to disappear, so all
    of them start at once, before the other tests.
    """
    with contextlib.ExitStack() as stack:
        begun = {}
        for name, constants in CONTROLS.items():
            server = serve(prefix=with_constants(constants))
            begun[name] = (server, stack.enter_context(running_audit(server, "--quick")))
        yield begun


def test_report_of_a_server_that_erases(make_server: MakeServer) -> None:
    server = make_server(prefix=ANY_DISK).start()  # its port is set on the command line, not in the TOML
    done = server.seclink("audit-erasure", "--config", str(server.config), "--quick", check=False)
    output = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b""), output
    assert output.startswith(f"server    {server.url}\n")
    assert re.findall(r"(\w+) +([\d,]+) bytes: (\d+) parts were stored, none remain", output) == [
        ("revealed", "268", "10"),
        ("revealed", "19,968", "7"),
        ("burned", "268", "10"),
        ("burned", "19,968", "7"),
    ]
    for name in ("seclink.db", "seclink.db-wal", "seclink.db-shm", "server.log"):
        assert f"  {server.folder / name}\n" in output, "files that the server has open are searched, its log too"
    assert output.endswith("erased: nothing remains of the ended secrets\n")


def test_server_that_does_not_overwrite_deleted_data_is_found(controls: dict[str, Any]) -> None:
    """FOR-01, FOR-03: the negative control."""
    server, process = controls["does not overwrite"]
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1, output
    matches = re.findall(r"FOUND +the payload of the (\w+) canary of [\d]+ bytes: (\S+), byte (\d+)", output)
    assert {ending for ending, _, _ in matches} == {"revealed", "burned"}
    for _, file, offset in matches:
        assert Path(file) == server.folder / "seclink.db"
        assert 0 < int(offset) < Path(file).stat().st_size
    assert output.endswith("not erased\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "CREATE TABLE copies (x); CREATE TRIGGER keep BEFORE DELETE ON payloads"
            " BEGIN INSERT INTO copies VALUES (hex(old.payload)); END",
            {"copies", "keep", "the payload of the revealed canary"},
        ),
        (
            "CREATE TRIGGER keep BEFORE DELETE ON payloads"
            " BEGIN INSERT INTO purged VALUES (~old.payload || random(), 0, 0, 0, 0, 0, 0); END",
            {"keep"},
        ),
        (
            "INSERT INTO secrets (id, link_id, receipt_id, manage_digest, state, format, expiry_type, created_at,"
            " expires_at, ended_at, due_at, passcode_required) VALUES (9, 'l', 'r', x'', 'burned', 'raw', '', 1, 2, 1,"
            " 9999999999999, 0); INSERT INTO payloads VALUES (9, x'', x'00');"
            " INSERT INTO attempts (secret, client, since, tries) VALUES (9, x'', 1, 1)",
            {"1 payloads of ended secrets", "1 counts of wrong passcodes of ended secrets"},
        ),
    ],
    ids=["encoded copy", "trigger", "contents of an ended secret"],
)
def test_contents_in_any_table_are_found(make_server: MakeServer, change: str, expected: set[str]) -> None:
    """FOR-01: in another form, in a table of another program, or of a secret that ended before."""
    server = make_server().start()
    with contextlib.closing(sqlite3.connect(server.folder / "seclink.db", isolation_level=None)) as db:
        db.executescript(change)
    constants = {"seclink.ops.erasure_check.GRACE_SECONDS": 1}
    with running_audit(server, "--quick", prefix=with_constants(constants)) as process:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1, output
    matches = "\n".join(re.findall(r"^FOUND +(.*)$", output, re.M))
    assert {part for part in expected if part in matches} == expected, output
    assert output.endswith("not erased\n")


def test_log_that_is_not_truncated_is_found(controls: dict[str, Any]) -> None:
    """FOR-01: another control; deleted data is overwritten in the database, but still in its log."""
    server, process = controls["does not cut its log"]
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1, output
    assert re.search(rf"FOUND .*: {server.folder}/seclink.db-wal, byte \d+", output)


def test_chunk_that_is_still_there_is_found(make_server: MakeServer, tmp_path: Path) -> None:
    """FOR-01: a hard link to the file, made while the canaries were in it."""
    server = make_server(prefix=ANY_DISK).start()
    folder = tmp_path / "kept"
    folder.mkdir()
    with running_audit(server, "--quick", "--also", str(folder)) as process:
        until(lambda: labels(server))
        os.kill(server.process.pid, 19)
        for each in (server.folder / "seclink.db.files").iterdir():
            os.link(each, folder / "chunks")
            break
        os.kill(server.process.pid, 18)
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1, output
    assert re.findall(r"FOUND +the (.+) of the \w+ canary of 268 bytes: (\S+),", output) == [
        ("chunk", str(folder / "chunks"))
    ]


def test_report_says_if_files_could_not_be_tested(make_server: MakeServer) -> None:
    server = make_server('[files]\ncreate = "nobody"\n').start()
    done = server.seclink("audit-erasure", "--config", str(server.config), "--quick", check=False)
    output = done.stdout.decode()
    assert done.returncode == 0, output
    assert re.search(r"^files +not tested: .+", output, re.M)
    assert output.count(" 7 parts were stored, none remain") == 4


def test_also_option_searches_a_copy_of_the_database(make_server: MakeServer, tmp_path: Path) -> None:
    """A copy of the raw files, made while the canaries were in them."""
    server = make_server().start()
    folder = tmp_path / "backups" / "nightly"
    folder.mkdir(parents=True)
    with running_audit(server, "--quick", "--also", str(folder.parent)) as process:
        until(lambda: labels(server))
        os.kill(server.process.pid, 19)
        for each in filter(Path.is_file, server.folder.glob("seclink.db*")):
            (folder / each.name).write_bytes(each.read_bytes())
        os.kill(server.process.pid, 18)
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1
    assert re.search(rf"FOUND .*: {folder}/seclink.db(-wal)?, byte \d+", output)
    assert not re.search(rf"FOUND .*: {server.folder}/", output)


def test_expired_secrets_are_erased_too(make_server: MakeServer) -> None:
    """The canaries expire early here; the reaper does the rest."""
    server = make_server(OFTEN, prefix=ANY_DISK).start()
    with running_audit(server) as process:
        until(lambda: waiting(server) == 2)
        expire(server)
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, output
    assert re.findall(r"expired +[\d,]+ bytes: (\d+) parts were stored, none remain", output) == ["10", "7"]


def test_secret_that_has_not_been_reaped_is_found(make_server: MakeServer) -> None:
    server = make_server(OFTEN).start()
    constants = {"seclink.ops.erasure_check.MIN_TTL_SECONDS": 60, "seclink.ops.erasure_check.GRACE_SECONDS": -59}
    with running_audit(server, prefix=with_constants(constants)) as process:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 1
    assert "FOUND     the payload of the expired canary" in output


def test_search_in_the_files_of_another_server_is_refused(make_server: MakeServer) -> None:
    """Finding nothing in the wrong files would prove nothing."""
    server, other = make_server().start(), make_server().start()
    done = server.seclink("audit-erasure", "--config", str(other.config), "--server", server.url, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"is this the database of" in done.stderr


def test_key_is_required_if_creating_needs_one(make_server: MakeServer) -> None:
    server = make_server('[access]\ncreate = "keys"\n').start()
    refused = audit(server, "--quick")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"API key" in refused.stderr
    assert audit(server, "--quick", "--key", server.key("create")).returncode == 0


def test_stopped_server_is_not_reachable(make_server: MakeServer) -> None:
    server = make_server().start()
    server.stop()
    assert audit(server).returncode == 3


def test_running_server_that_does_not_respond_is_named(make_server: MakeServer) -> None:
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


def test_deleted_open_file_is_searched(tmp_path: Path, make_server: MakeServer) -> None:
    """Like SQLite's temporary files, which are deleted as soon as they are open."""
    server = make_server().start()
    needle = secrets.token_bytes(32)
    database = server.folder / "seclink.db"
    os.kill(server.process.pid, 0)
    assert search(files_to_search(database).files, {"it": needle})[0] == []
    with server.log_path.open("ab") as log:  # the server has it open; then it is deleted
        log.write(b"x" * 3_000_000 + needle)
    server.log_path.unlink()
    [match], size = search(files_to_search(database).files, {"it": needle})
    assert "(deleted)" in match.file
    assert 3_000_000 <= match.offset < size
    server.log_path.write_text("")


def test_unreadable_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a folder that was not searched would be reported as clean."""
    for name in ("open", "closed"):
        (tmp_path / "backups" / name).mkdir(parents=True)
        (tmp_path / "backups" / name / "seclink.db").touch()
    original = os.scandir

    def scandir(path: str) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (tmp_path / "data").mkdir()
    searched = files_to_search(tmp_path / "data" / "seclink.db", [tmp_path / "backups"])
    assert searched.unsearched == (f"{tmp_path}/backups/closed, Permission denied",)
    assert tmp_path / "backups" / "open" / "seclink.db" in searched.files


@pytest.mark.parametrize("at", [0, 1, 2**20 - 33, 2**20 - 16, 2**20 - 1, 2**20, 2**21 - 5, 3 * 2**20 - 32])
def test_needle_is_found_at_every_offset(tmp_path: Path, at: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(at) + b"n" * 32 + bytes(3 * 2**20 - at - 32))
    [match], size = search([path], {"it": b"n" * 32, "not it": b"m" * 64})
    assert (match.needle, match.offset, size) == ("it", at, 3 * 2**20)


@contextlib.contextmanager
def running_audit(server: Server, *options: str, prefix: tuple[str, ...] = ()) -> Any:
    """Run the audit as a process for the duration of the block."""
    command = [*(prefix or (sys.executable,)), "-m", "seclink", "audit-erasure", "--config", str(server.config)]
    with subprocess.Popen(
        [*command, "--server", server.url, *options], cwd=server.folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def query_value(server: Server, sql: str) -> Any:
    path = server.folder / "seclink.db"
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_SECONDS)) as db:
        return db.execute(sql).fetchone()[0]


def labels(server: Server) -> int:
    return int(query_value(server, "SELECT count(*) FROM secrets WHERE label LIKE 'canary%'"))


def waiting(server: Server) -> int:
    """Return the number of active canaries after the others have ended."""
    ended = query_value(server, "SELECT count(*) FROM secrets WHERE state <> 'active'")
    return labels(server) if ended == 4 else 0


def expire(server: Server) -> None:
    path = server.folder / "seclink.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=TIMEOUT_SECONDS)) as db:
        db.execute(
            "UPDATE secrets SET expires_at = created_at + 1, due_at = created_at + 1"
            " WHERE state = 'active' AND label LIKE 'canary%'"
        )

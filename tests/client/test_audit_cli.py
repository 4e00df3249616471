"""`seclink audit`, beside a running server and without one."""

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.fork_server import COMMAND
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS
from terminal import Shell

from seclink.store import audit_log


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """One with a trail of its own."""
    return make_server().start()


@pytest.fixture
def here(shell: Shell, server: Server) -> Shell:
    """A shell that finds the running server and its TOML."""
    shell.env |= {"SECLINK_SERVER": server.url, "SECLINK_CONFIG": str(server.folder / "seclink.toml")}
    return shell


def entries(here: Shell, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in here.out("audit", "--json", *arguments).splitlines()]


UNPROVED = "without --mark: entries cut off at the end would not be noticed\n"


def mark(here: Shell) -> str:
    done = here.run("audit")
    found = re.search(r"mark (\d+:[0-9a-f]{32})\n$", done.stderr.decode())
    assert found, done.stderr
    return found[1]


def database(here: Shell) -> Path:
    return Path(here.env["SECLINK_CONFIG"]).parent / "seclink.db"


def tamper(here: Shell, *changes: str) -> None:
    with contextlib.closing(sqlite3.connect(database(here), timeout=TIMEOUT_SECONDS)) as db, db:
        db.execute("DROP TRIGGER audit_stays")
        for each in changes:
            db.execute(each)


def test_trail_shows_every_event(here: Shell, server: Server) -> None:
    key = here.out("key", "add", "alice", "--scope", "create", "--scope", "manage")
    admin = here.out("key", "add", "root", "--scope", "admin")
    link = here.out("create", "--json", "--passcode", "right", "hello", SECLINK_API_KEY=key)
    made = json.loads(link)
    other = json.loads(here.out("create", "--json", "there"))
    assert here.run("get", made["link"], "--passcode", "wrong").returncode == 1
    assert here.run("get", made["link"], "--passcode", "right").returncode == 0
    assert here.run("get", made["link"], "--passcode", "right").returncode == 4
    answer = httpx.delete(
        f"{server.url}/api/v1/receipts/{other['receiptId']}", headers={"Authorization": f"Bearer {admin}"}
    )
    assert answer.status_code == 204
    deadline = time.monotonic() + 30
    while len(entries(here)) < 8:  # what came too late is told beside its answer
        assert time.monotonic() < deadline
    done = here.run("audit")
    heading, *lines = [re.split(r" {2,}", line) for line in done.stdout.decode().splitlines()]
    assert heading == ["TIME", "EVENT", "ACCOUNT", "RECEIPT", "DETAIL"]
    assert [line[1:] for line in lines if line[2] != "-"] == [
        ["key_added", "alice", "-", f"{key[:14]}... create,manage"],
        ["key_added", "root", "-", f"{admin[:14]}... admin"],
        ["created", "alice", made["receiptId"], "seclink/v1"],
        ["failed", "alice", made["receiptId"], "passcode_wrong"],
        ["revealed", "alice", made["receiptId"], "view 1 of 1"],
        ["failed", "alice", made["receiptId"], "gone"],
    ]
    assert [line[1:] for line in lines if line[2] == "-"] == [
        ["created", "-", other["receiptId"], "seclink/v1"],
        ["burned", "-", other["receiptId"], "by root"],
    ]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ", line[0]) for line in lines)
    assert re.fullmatch(rf"{UNPROVED}intact: entries 1 to 8, mark 8:[0-9a-f]{{32}}\n", done.stderr.decode())
    assert [each["event"] for each in entries(here, "--account", "root")] == ["key_added", "burned"]


def test_json_has_one_entry_per_line(here: Shell) -> None:
    before = time.time() * 1000 - 2000
    made = json.loads(here.out("create", "--json", "hello"))
    [entry] = entries(here)
    assert entry.keys() == {"seq", "at", "event", "receipt", "detail", "digest"}
    assert (entry["seq"], entry["event"], entry["receipt"]) == (1, "created", made["receiptId"])
    assert before < entry["at"] < time.time() * 1000 + 2000
    assert re.fullmatch("[0-9a-f]{64}", entry["digest"])


def test_empty_trail(here: Shell) -> None:
    done = here.run("audit")
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode().startswith(f"{UNPROVED}the audit trail is empty: no entries yet, mark 0:")


def test_since_filters_entries_but_all_are_verified(here: Shell) -> None:
    here.out("create", "hello")
    tamper(here, "UPDATE audit SET digest = upper(digest)")
    done = here.run("audit", "--since", "1s")
    assert done.returncode == 1
    assert b"NOT INTACT" in done.stderr
    assert here.run("audit", "--since", "2w").returncode == 1
    assert here.run("audit", "--since", "yesterday").returncode == 2


def test_entries_after_a_changed_one_are_still_shown(here: Shell) -> None:
    """After an incident one wants to read on, and to know from where it is no longer proved."""
    for _ in range(4):
        here.out("create", "hello")
    tamper(here, "UPDATE audit SET entry = replace(entry, 'seclink/v1', 'raw') WHERE seq = 2")
    done = here.run("audit", "--json")
    assert done.returncode == 1
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [1, 3, 4]
    assert done.stderr == b"NOT INTACT: entry 2 or the one before it was changed\n"


def test_mark_of_a_pruned_entry_cannot_tell(here: Shell, server: Server) -> None:
    """And is not called a fault of the trail."""
    here.out("create", "hello")
    old = mark(here)
    here.out("create", "hello")
    server.stop()
    server.config.write_text(server.config.read_text() + "[audit]\nkeep_days = 0\n")
    server.start()
    deadline = time.monotonic() + 30
    while len(entries(here)) != 1:
        assert time.monotonic() < deadline
    done = here.run("audit", "--mark", old)
    assert done.returncode == 1
    said = "CANNOT TELL: the mark's entry 1 was pruned with all up to 2; the rest is intact\n"
    assert done.stderr.decode() == said
    assert [each["event"] for each in entries(here)] == ["forgotten"]


def test_mark_detects_a_truncated_trail(here: Shell) -> None:
    here.out("create", "hello")
    early = mark(here)
    here.out("create", "hello")
    late = mark(here)
    for each in (early, late):
        assert here.run("audit", "--mark", each).returncode == 0
    tamper(here, "DELETE FROM audit WHERE seq = 2")
    assert here.run("audit", "--mark", early).returncode == 0
    done = here.run("audit")  # what is left is whole: without the mark the cut is not seen, and that is said
    assert (done.returncode, done.stderr.decode().startswith(UNPROVED)) == (0, True)
    assert UNPROVED.encode() not in here.run("audit", "--mark", early).stderr
    done = here.run("audit", "--mark", late)
    assert done.returncode == 1
    assert done.stderr == b"NOT INTACT: the mark names entry 2, but the trail ends with 1: its end was cut off\n"
    assert here.run("audit", "--mark", "2:short").returncode == 2


def test_server_logs_the_mark(here: Shell, server: Server) -> None:
    """Where the server cannot change it any more."""
    here.out("create", "hello")
    here.out("create", "hello")
    said = mark(here)
    server.stop()
    assert said in server.log()
    assert here.run("audit", "--mark", said).returncode == 0


def test_last_logged_mark_is_the_end_of_the_trail(here: Shell, server: Server) -> None:
    """Also where something was still being told beside an answer when it stopped."""
    made = json.loads(here.out("create", "--json", "hello"))
    assert here.run("get", made["link"]).returncode == 0
    for _ in range(5):
        assert httpx.get(f"{server.url}/api/v1/secrets/{made['linkId']}/meta").status_code == 410
    server.stop()
    marks = re.findall(r"\d+:[0-9a-f]{32}", server.log())
    assert marks[-1] == mark(here)
    assert marks[-1].startswith("7:")


@contextlib.contextmanager
def following(here: Shell, *arguments: str) -> Iterator[Any]:
    """A process, and the lines it prints."""
    command = [*COMMAND, "audit", "--follow", *arguments]
    with subprocess.Popen(command, env=here.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_follow_prints_new_entries_until_interrupted(here: Shell) -> None:
    here.out("create", "hello")
    with following(here, "--json") as process:
        assert json.loads(process.stdout.readline())["seq"] == 1
        here.out("create", "hello")
        assert json.loads(process.stdout.readline())["seq"] == 2
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=TIMEOUT_SECONDS)
        assert (rest, process.returncode) == (b"", 0)
        assert said.decode().splitlines()[-1].startswith("intact: entries 1 to 2, mark 2:")


def test_follow_ends_at_a_changed_entry(here: Shell) -> None:
    here.out("create", "hello")
    with following(here) as process:
        assert process.stdout.readline()
        tamper(here, "UPDATE audit SET digest = 'other' WHERE seq = 1")
        _, said = process.communicate(timeout=TIMEOUT_SECONDS)
        assert process.returncode == 1
        assert said.splitlines()[-1].startswith(b"NOT INTACT: ")


def test_forged_entry_cannot_control_the_terminal(here: Shell) -> None:
    """An entry that somebody has put there, in a chain of its own."""
    here.out("create", "hello")
    tamper(here, "DELETE FROM audit WHERE seq > 0")
    with contextlib.closing(sqlite3.connect(database(here), timeout=TIMEOUT_SECONDS)) as db, db:
        audit_log.append(
            db, audit_log.head(db), [audit_log.AuditEntry(10**18, "\x1b[2J", "a\x1b]0;x\x07", None, "\u202e", "\n")]
        )
    done = here.run("audit")
    assert done.returncode == 0
    assert not set(done.stdout) & {0x1B, 0x07}
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_forged_digest_cannot_control_the_terminal(here: Shell, options: tuple[str, ...]) -> None:
    """What the trail begins with is chained to nothing; ends of lines and C1 controls are as good as ESC."""
    hostile = "\x1b]0;owned\x07\n\x9b2J\u202e"
    with contextlib.closing(sqlite3.connect(database(here), timeout=TIMEOUT_SECONDS)) as db, db:
        db.execute("DROP TRIGGER audit_stays")
        db.execute("UPDATE audit SET digest = ? WHERE seq = 0", (hostile,))
        audit_log.append(
            db, audit_log.head(db), [audit_log.AuditEntry(10**12, "x\x9b2J", "\u202ea", None, "\x7f", "\u2028")]
        )
        db.execute("UPDATE audit SET seq = 5 WHERE seq = 1")
    for _ in range(2):
        done = here.run("audit", *options)
        assert not set(done.stderr + done.stdout) & {0x1B, 0x07}
        assert not set((done.stderr + done.stdout).decode()) & set("\x9b\u202e\u2028")
        assert len(done.stderr.decode().removeprefix(UNPROVED).splitlines()) == 1
        with contextlib.closing(sqlite3.connect(database(here), timeout=TIMEOUT_SECONDS)) as db, db:
            db.execute("DELETE FROM audit WHERE seq = 5")


def test_missing_database_is_named(shell: Shell, tmp_path: Path) -> None:
    done = shell.run("audit", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    (tmp_path / "some.toml").touch()
    done = shell.run("audit", "--config", str(tmp_path / "some.toml"))
    assert done.returncode == 1
    assert done.stderr.decode() == (
        f"seclink: {tmp_path}/seclink.db: there is no such database; name the server's TOML with --config\n"
    )

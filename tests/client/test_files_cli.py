"""Files on the command line: sent, saved, and resumed after a break."""

import json
import os
import random
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.altered_constants import with_constants
from support.fork_server import COMMAND
from support.server import HIGH_RATES, MakeServer, Serve, Server
from support.waiting import TIMEOUT_SECONDS
from terminal import Shell

from seclink import Client
from seclink.cli.profile import Profile
from seclink.cli.transfer_state import TransferState
from seclink.format.pasted_link import parse

DATA = random.Random(3).randbytes(20_000_000)
LIMITS = "[files]\nclient_bytes = 10_000_000_000\nmax_bytes = 10_000_000_000\n"
ANY_DISK = with_constants({"seclink.domain.uploads.MIN_FREE_BYTES": 0})
KILLED = -signal.SIGKILL
LONG = bool(os.environ.get("SECLINK_LONG"))


@pytest.fixture(scope="module")
def files_server(serve: Serve) -> Server:
    return serve(HIGH_RATES + LIMITS, prefix=ANY_DISK)


@pytest.fixture
def here(shell: Shell, files_server: Server) -> Shell:
    shell.env["SECLINK_SERVER"] = files_server.url
    return shell


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def states(here: Shell) -> list[Path]:
    return [*(here.profile.parent / "transfers").glob("*.json")]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_for(here: Shell, seconds: float, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command, and kill it after so many seconds if it has not ended. Any moment is right."""
    process = subprocess.Popen([*COMMAND, *arguments], env=here.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    timer.cancel()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_files_folders_and_text_arrive(here: Shell, tmp_path: Path, source: Path, output: Path) -> None:
    folder = tmp_path / "report"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "é.txt").write_text("inner")
    (folder / "empty").touch()
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "links").symlink_to("/etc")
    done = here.run("create", "see the files", "--file", str(source), "--folder", str(folder))
    assert f"left out 2 links or special files in {folder}".encode() in done.stderr
    link = done.stdout.decode().strip()
    got = here.run("get", link, "--output", str(output))
    assert (got.returncode, got.stdout) == (0, b"see the files")
    assert contents(output) == {"big.bin": DATA, "report/inner/é.txt": b"inner", "report/empty": b""}
    assert {stat.S_IMODE(path.stat().st_mode) for path in output.rglob("*") if path.is_file()} == {0o600}
    assert states(here) == []
    assert here.run("get", link, "--output", str(output)).returncode == 4


def test_file_from_a_pipe(here: Shell, output: Path) -> None:
    link = here.out("create", "--file", "-", "--name", "notes/from a pipe", input=DATA)
    here.out("get", link, "--output", str(output))
    assert contents(output) == {"notes/from a pipe": DATA}


def test_secret_with_files_needs_a_folder_and_spends_nothing(here: Shell, source: Path, output: Path) -> None:
    link = here.out("create", "--file", str(source))
    refused = here.run("get", link)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"Run again with --output DIR to save them; no view was spent" in refused.stderr
    assert re.search(r"files +2\d\.\d MB", here.out("get", link, "--details-only"))
    here.out("get", link, "--output", str(output))


def test_small_file_inside_the_secret_is_saved_too(here: Shell, output: Path, files_server: Server) -> None:
    with Client(files_server.url, "") as client:
        link = client.create(b"body", type="file", name="a.txt").link
    assert here.out("get", link, "--output", str(output)) == ""
    assert contents(output) == {"a.txt": b"body"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--file", "-"), "--file - needs --name"),
        (("--file", "a", "--file", "a", "--name", "b"), "--name is the name of one --file"),
        (("-", "--file", "-", "--name", "x"), "stdin cannot be both"),
        (("--file", "a", "--type", "neogram"), "cannot have files"),
        (("x", "--resume"), "--resume needs the --file"),
        (("x", "--restart"), "--restart needs the --file"),
        (("--file", "a", "--resume", "--restart"), "cannot be combined"),
        (("--file", "none"), "none is a folder; use --folder"),
        (("--folder", "none"), "none has no files"),
    ],
)
def test_wrong_usage_is_told(here: Shell, tmp_path: Path, arguments: Sequence[str], reason: str) -> None:
    (tmp_path / "none").mkdir()
    named = [str(tmp_path / "none") if argument == "none" else argument for argument in arguments]
    done = here.run("create", *named, input=b"x")
    assert done.returncode == 2
    assert reason in done.stderr.decode()


def test_unreadable_files_and_too_many_are_told(here: Shell, tmp_path: Path) -> None:
    missing = here.run("create", "--file", str(tmp_path / "missing"))
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert f"{tmp_path / 'missing'}: No such file or directory" in missing.stderr.decode()
    for number in range(101):
        (tmp_path / f"{number}.txt").touch()
    assert "at most 100 files" in here.run("create", "--folder", str(tmp_path)).stderr.decode()
    assert states(here) == []


def test_resuming_nothing_is_told(here: Shell, source: Path, output: Path) -> None:
    link = here.out("create", "--file", str(source))
    assert b"no upload of these files" in here.run("create", "--file", str(source), "--resume").stderr
    assert b"no download of this link" in here.run("get", link, "--output", str(output), "--resume").stderr
    here.out("get", link, "--output", str(output))


def test_progress_is_shown_on_a_terminal_alone(here: Shell, source: Path, output: Path) -> None:
    terminal = here.on_terminal("create", "--file", str(source))
    terminal.wait_for("sending 4.2 MB of ")
    assert terminal.end() == 0
    [link] = re.findall(r"http://\S+#\S+", terminal.shown)
    terminal = here.on_terminal("get", link, "--output", str(output))
    terminal.wait_for("saving 4.2 MB of 20.0 MB, 20 %")
    assert terminal.end() == 0
    assert "the server keeps the files until they are saved, at most until 20" in terminal.shown
    assert here.run("create", "--file", str(source)).stderr == b""


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.0, 1.2] + [0.3 + n / 16 for n in range(16)] * LONG)
def test_killed_upload_is_resumed(here: Shell, source: Path, output: Path, seconds: float) -> None:
    """FILE-01"""
    done = run_for(here, seconds, "create", "--file", str(source))
    assert done.returncode in (0, KILLED)
    if done.returncode == KILLED:
        done = here.run("create", "--file", str(source), *(["--resume"] if states(here) else []))
    if done.returncode:  # killed between the secret's creation and its link: nobody can open it
        assert b"if its link was not printed" in done.stderr
        return
    assert states(here) == []
    link = done.stdout.decode().strip()
    here.out("get", link, "--output", str(output))
    assert contents(output) == {"big.bin": DATA}
    assert here.run("get", link, "--output", str(output)).returncode == 4


@pytest.mark.parametrize("seconds", [0.4, 0.7, 0.8, 1.0] + [0.3 + n / 16 for n in range(16)] * LONG)
def test_killed_download_is_resumed(here: Shell, source: Path, output: Path, seconds: float) -> None:
    """FILE-01"""
    link = here.out("create", "text", "--file", str(source), "--passcode", "told by phone")
    arguments = ("get", link, "--output", str(output), "--passcode", "told by phone")
    done = run_for(here, seconds, *arguments)
    assert done.returncode in (0, KILLED)
    saved = contents(output) if output.exists() else {}
    assert saved.get("big.bin") in (None, DATA)
    assert DATA.startswith(saved.get("big.bin.part", b""))
    has_ended = not states(here) and saved == {"big.bin": DATA}  # killed on its way out: nothing is left to resume
    if done.returncode == KILLED and not has_ended:
        resumed = here.run(*arguments, *(["--resume"] if states(here) else []))
        assert (resumed.returncode, resumed.stdout) == (0, b"text"), resumed.stderr
    assert contents(output) == {"big.bin": DATA}
    assert states(here) == []
    assert here.run(*arguments).returncode == 4


def test_state_is_private_and_has_no_key_of_a_download(
    here: Shell, source: Path, output: Path, make_server: MakeServer
) -> None:
    """FILE-01: and a file that changed is not resumed."""
    server = make_server(HIGH_RATES + LIMITS, prefix=ANY_DISK).start()
    here.env["SECLINK_SERVER"] = server.url
    link = here.out("create", "--file", str(source))
    terminal = here.on_terminal("get", link, "--output", str(output))
    terminal.wait_for("saving 4.2 MB")
    assert terminal.interrupt() in (0, 130)
    for state in states(here):
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
        assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
        members = json.loads(state.read_bytes())
        assert {*members["response"]} == {"encryptedBlob", "iv", "viewsLeft", "expiresAt", "files"}
        assert link.partition("#")[2] not in state.read_text()
        here.out("get", link, "--output", str(output), "--resume")
    assert contents(output) == {"big.bin": DATA}


def test_interrupted_upload_says_how_to_go_on(here: Shell, source: Path) -> None:
    with source.open("ab") as file:
        file.truncate(300_000_000)
    terminal = here.on_terminal("create", "--file", str(source))
    terminal.wait_for("sending 4.2 MB")
    assert terminal.interrupt() == 130
    assert "the same command with --resume goes on" in terminal.shown
    source.touch()
    refused = here.run("create", "--file", str(source), "--resume")
    assert refused.returncode == 1
    assert b"were changed since it began" in refused.stderr
    assert states(here) == []


def test_refused_options_cost_no_second_upload(here: Shell, source: Path, output: Path) -> None:
    """The message of an option that the server refuses comes after the upload, which `--resume` uses again."""
    refused = here.run("create", "--file", str(source), "--expires", "900d")
    assert refused.returncode == 1
    assert b"--expires" in refused.stderr
    assert refused.stderr.index(b"--expires") < refused.stderr.index(b"with --resume goes on")
    again = here.run("create", "--file", str(source))
    assert (again.returncode, again.stdout) == (1, b"")
    assert b"--resume goes on with it, --restart sends them anew" in again.stderr
    link = here.out("create", "--file", str(source), "--resume")
    here.out("get", link, "--output", str(output))
    assert contents(output) == {"big.bin": DATA}
    here.run("create", "--file", str(source), "--expires", "900d")
    assert here.out("create", "--file", str(source), "--restart").startswith("http")
    assert states(here) == []


def test_full_disk_is_told_before_the_view_is_spent(here: Shell, source: Path, output: Path) -> None:
    link = here.out("create", "--file", str(source))
    code = (
        "import os, types, runpy, sys; os.statvfs = lambda path: types.SimpleNamespace(f_bavail=1, f_frsize=4096);"
        "sys.argv[0] = 'seclink'; runpy.run_module('seclink', run_name='__main__', alter_sys=True)"
    )
    refused = here.run("get", link, "--output", str(output), command=[sys.executable, "-c", code])
    assert refused.returncode == 1
    assert b"too little room" in refused.stderr
    here.out("get", link, "--output", str(output))


def test_memory_does_not_grow_with_the_files(here: Shell, tmp_path: Path, output: Path) -> None:
    """FILE-02"""
    size = 2_000_000_000 if LONG else 64_000_000
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(size)
    link, sender = measured(here, "create", "--file", str(tmp_path / "sparse"))
    _, reader = measured(here, "get", link, "--output", str(output))
    assert (output / "sparse").stat().st_size == size
    assert max(sender, reader) < 100_000


def measured(here: Shell, *arguments: str) -> tuple[str, int]:
    """Run a command; return its output and the most memory that it had, in KB.

    A small process runs it: that of the tests would count, as memory is counted from before a program is replaced.
    """
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 'seclink', *sys.argv[1:]], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = here.run(*arguments, command=[sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr
    *out, peak = done.stdout.decode().split()
    return " ".join(out), int(peak)


@pytest.mark.parametrize(
    "damage",
    [{"output": 1}, {"parts": [1]}, {"saved": {"x": "a"}}, {"parts": {"0": "a"}}, {"saved": {"0": 1}}, [], None],
)
def test_damaged_state_of_a_download_is_told(here: Shell, source: Path, output: Path, damage: object) -> None:
    link = here.out("create", "--file", str(source))
    target = parse(link)
    state = TransferState(Profile(here.profile), "download", (target.base, target.link_id))
    members = {"output": str(output), "idempotencyKey": "x" * 32}
    state.write(members | damage if isinstance(damage, dict) else damage)  # type: ignore[arg-type]
    assert stat.S_IMODE(here.profile.parent.stat().st_mode) == 0o700
    refused = here.run("get", link, "--output", str(output), "--resume")
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"is damaged; remove it to begin anew" in refused.stderr
    state.remove()
    here.out("get", link, "--output", str(output))

"""Root follows no links: a command of root's does nothing in a folder that its owner could not do. OPS-06.

The folder's owner is `nobody` here. That needs root, as CI has it; without, the same commands must refuse the links.
"""

import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from seclink.store import connection

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
LINKED = ("seclink.db", "seclink.db.lock", "seclink.db-wal", "seclink.db-shm", "seclink.db-journal")
COMMANDS = {
    "key add": ("key", "add", "acme"),
    "key list": ("key", "list"),
    "key revoke": ("key", "revoke", "sk_live_abcd"),
    "backup": ("backup", "{out}/backup.db"),
    "restore": ("restore", "{out}/saved.db"),
    "restore --replace": ("restore", "{out}/saved.db", "--replace"),
    "doctor": ("doctor", "--offline"),
    "audit": ("audit",),
    "clock": ("clock", "--accept"),
    "check": ("check",),
    "status": ("status",),
    "audit-erasure": ("audit-erasure", "--quick", "--server", "http://127.0.0.1:9"),
}


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that every user can enter, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp(prefix="seclink-root-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def theirs(base: Path) -> Path:
    """A folder of `nobody` with a database, and beside it `out`, root's own, with a backup."""
    folder, out = base / "theirs", base / "out"
    folder.mkdir(mode=0o700)
    out.mkdir(mode=0o700)
    connection.open_or_create(folder / "seclink.db")
    shutil.copyfile(folder / "seclink.db", out / "saved.db")
    (base / "seclink.toml").write_text(f'[store]\npath = "{folder}/seclink.db"\n')
    give(folder)
    return folder


def give(folder: Path) -> None:
    for path in (folder, *folder.iterdir()):
        if IS_ROOT:
            os.lchown(path, NOBODY, NOBODY)


def seclink(base: Path, *arguments: str, cwd: Path | None = None, **env: str) -> "subprocess.CompletedProcess[str]":
    config = () if cwd else ("--config", str(base / "seclink.toml"))
    command = [sys.executable, "-m", "seclink", *(part.format(out=base / "out") for part in arguments), *config]
    environment = {**os.environ, **env}
    environment.pop("SECLINK_CONFIG", None)
    return subprocess.run(
        command, cwd=cwd or base, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def state(path: Path) -> tuple[int, int, int, bytes]:
    status = path.lstat()
    return status.st_mode, status.st_uid, status.st_ino, path.read_bytes()


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "symbolic") for name in LINKED), *((name, "hard") for name in LINKED[:2])]
)
@pytest.mark.parametrize("command", COMMANDS)
def test_root_touches_no_file_behind_a_link(base: Path, theirs: Path, command: str, name: str, kind: str) -> None:
    """OPS-06: neither its content, mode or owner, nor its name; and no file appears beside it."""
    secret = base / "out" / "private"
    secret.write_bytes(b"of root alone")
    secret.chmod(0o640)
    link = theirs / name
    link.unlink(missing_ok=True)
    if kind == "hard":
        os.link(secret, link)
    else:
        link.symlink_to(secret)
    if IS_ROOT:
        os.lchown(theirs, NOBODY, NOBODY)
    before = state(secret)
    done = seclink(base, *COMMANDS[command])
    assert "Traceback" not in done.stderr, done.stderr
    assert state(secret) == before
    assert {path.name for path in (base / "out").iterdir()} <= {"private", "saved.db", "backup.db"}
    if IS_ROOT:
        roots = [path for path in theirs.iterdir() if path.lstat().st_uid == 0]
        assert [path for path in roots if not path.is_symlink() and not path.samefile(secret)] == []


@pytest.mark.parametrize("command", ["key add", "key list", "backup", "restore --replace", "audit", "clock", "doctor"])
def test_root_can_run_each_command_on_the_database_of_another_user(base: Path, theirs: Path, command: str) -> None:
    """OPS-06: all files stay their owner's, and a backup is root's."""
    done = seclink(base, *COMMANDS[command])
    assert (done.returncode, "Traceback" in done.stderr) == (0 if command != "doctor" else done.returncode, False), done
    for path in theirs.iterdir():
        assert path.stat().st_uid == theirs.stat().st_uid, path
    if command == "backup":
        saved = base / "out" / "backup.db"
        assert (saved.stat().st_uid, stat.S_IMODE(saved.stat().st_mode)) == (os.geteuid(), 0o600)
        connection.check(saved)


def test_root_reaches_a_folder_whose_owner_cannot(base: Path, theirs: Path) -> None:
    """OPS-06: the state of a systemd service with a dynamic user lies below /var/lib/private."""
    private = base / "private"
    private.mkdir(mode=0o700)
    theirs.rename(private / "seclink")
    (base / "state").symlink_to(private / "seclink")
    (base / "seclink.toml").write_text(f'[store]\npath = "{base}/state/seclink.db"\n')
    added = seclink(base, "key", "add", "acme")
    assert (added.returncode, added.stdout[:8]) == (0, "sk_live_"), added.stderr
    assert "acme" in seclink(base, "key", "list").stdout
    assert seclink(base, "backup", "{out}/backup.db").returncode == 0
    assert seclink(base, "restore", "{out}/backup.db", "--replace").returncode == 0
    assert {path.stat().st_uid for path in (private / "seclink").iterdir()} == {(private / "seclink").stat().st_uid}


def test_backup_in_a_folder_of_another_user_becomes_theirs(base: Path, theirs: Path) -> None:
    """OPS-06: `sudo seclink backup ~/x.db`; an existing file stays, and a link is not written through."""
    home = base / "home"
    home.mkdir(mode=0o755)
    (home / "link.db").symlink_to(base / "out" / "new")
    give(home)
    done = seclink(base, "backup", str(home / "x.db"))
    assert done.returncode == 0, done.stderr
    assert ((home / "x.db").stat().st_uid, (home / "x.db").stat().st_mode & 0o777) == (home.stat().st_uid, 0o600)
    connection.check(home / "x.db")
    assert seclink(base, "backup", str(home / "x.db")).returncode == 1
    assert seclink(base, "backup", str(home / "link.db")).returncode == 1
    assert not (base / "out" / "new").exists()
    assert sorted(path.name for path in home.iterdir()) == ["link.db", "x.db"]


def test_root_uses_no_folder_that_others_can_replace(base: Path) -> None:
    """OPS-06: root's own folder below one of another user, or open to a group."""
    for name, mode, parent_owner in (("below", 0o755, NOBODY), ("shared", 0o775, 0)):
        folder = base / name / "data"
        folder.mkdir(parents=True)
        (base / name).chmod(mode)
        if IS_ROOT:
            os.chown(base / name, parent_owner, NOBODY)
        (base / "seclink.toml").write_text(f'[store]\npath = "{folder}/seclink.db"\n')
        done = seclink(base, "key", "add", "acme")
        if IS_ROOT:
            assert (done.returncode, "who could replace it" in done.stderr) == (1, True), done
            assert list(folder.iterdir()) == []


@pytest.mark.parametrize("kind", ["foreign file", "foreign folder", "shared file", "shared folder"])
def test_toml_of_another_user_in_the_working_directory_is_not_believed(base: Path, theirs: Path, kind: str) -> None:
    """OPS-06: it could name any database, and the address to which the API key is sent."""
    here = base / "here"
    here.mkdir(mode=0o777 if kind == "shared folder" else 0o755)
    here.chmod(0o777 if kind == "shared folder" else 0o755)
    toml = here / "seclink.toml"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        toml.write_text(f'[store]\npath = "{base}/out/new.db"\n[server]\nport = {listener.getsockname()[1]}\n')
        toml.chmod(0o666 if kind == "shared file" else 0o644)
        if kind.startswith("foreign") and IS_ROOT:
            os.chown(toml if kind == "foreign file" else here, NOBODY, NOBODY)
        for arguments in (("key", "add", "acme"), ("status", "--once"), ("config",), ("doctor", "--offline")):
            done = seclink(base, *arguments, cwd=here, SECLINK_API_KEY="sk_live_" + "a" * 38)
            if IS_ROOT or kind.startswith("shared"):
                assert done.returncode == 1, done
                assert str(here) in done.stderr + done.stdout
                assert not (base / "out" / "new.db").exists()
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert seclink(base, "config", "--config", str(toml), cwd=here).returncode == 0


def test_command_that_became_another_user_loads_no_further_code(base: Path, theirs: Path) -> None:
    """OPS-06: that user may not be able to read it."""
    script = (
        "import os, sys\n"
        "became, setresuid = [], os.setresuid\n"
        "os.setresuid = lambda *ids: (setresuid(*ids), became.append(set(sys.modules)))\n"
        "from seclink.cli.main import cli\n"
        "try:\n    cli(sys.argv[1:])\n"
        "finally:\n    print(sorted(set(sys.modules) - became[0]) if became else [], file=sys.stderr)\n"
    )
    for name in ("key add", "key list", "restore --replace", "audit"):
        command = [sys.executable, "-c", script, *(part.format(out=base / "out") for part in COMMANDS[name])]
        done = subprocess.run(
            [*command, "--config", str(base / "seclink.toml")], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.stderr.splitlines()[-1] == "[]", (name, done.stderr)


def test_damaged_database_of_another_user_is_named(base: Path, theirs: Path) -> None:
    """OPS-06: an error in the process that became the owner is told as any other."""
    (theirs / "seclink.db").write_bytes(b"x" * 8192)
    done = seclink(base, "backup", "{out}/backup.db")
    assert (done.returncode, "is not a SecLink database" in done.stderr) == (1, True), done.stderr
    with sqlite3.connect(base / "out" / "saved.db") as db:
        db.execute("DROP TRIGGER secrets_erase")
    db.close()
    done = seclink(base, "restore", "{out}/saved.db", "--replace")
    assert f"{base}/out/saved.db: its tables were changed" in done.stderr
    assert list(theirs.glob(".*")) == []

"""SIGKILL at every step of an upgrade, a backup, a restore leaves the old file or the new one, intact. OPS-01."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import schema_snapshots
from schema_snapshots import DAY, ENDED, NOW, WAITING, link, traces
from support.waiting import TIMEOUT_SECONDS

from seclink.store import backup, connection, migrate

CALLS = "pwrite64,ftruncate,fsync,fdatasync,rename,link,unlink"  # every call that changes the disk
LONG = bool(os.environ.get("SECLINK_LONG"))
MAX_KILLS = 1000 if LONG else 24  # per case, spread evenly
SAVED = NOW + 5000

UPGRADE = "from seclink.store import connection; connection.open_or_create(path)"
SAVE = f"from seclink.store import backup; backup.save(path, file, {SAVED})"
RESTORE = f"from seclink.store import backup; backup.restore(file, path, {SAVED}, {30 * DAY}, replace=True)"

pytestmark = pytest.mark.slow


def run(script: str, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run the script under strace, with `path` and `file` in the folder. Python itself writes nothing."""
    code = f"from pathlib import Path; path, file = Path('seclink.db'), Path('backup.db'); {script}"
    command = ["strace", "-f", "-y", "-e", f"trace={CALLS}", *options, sys.executable, "-B", "-c", code]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )


def kill_at_every_step(script: str, folder: Path, reset: Callable[[], None]) -> Iterator[str]:
    """Run the script once for each call that changes the disk, or for MAX_KILLS of them, killed at that call."""
    reset()
    whole = run(script, folder)
    assert whole.returncode == 0, whole.stderr
    seen: Counter[str] = Counter()
    steps = []
    for call in re.findall(rf"^({CALLS.replace(',', '|')})\(", whole.stderr, re.M):
        seen[call] += 1
        steps.append((call, seen[call]))  # strace counts the calls by name
    assert len(steps) > 10, whole.stderr
    most = min(len(steps), MAX_KILLS)
    for call, number in (steps[n * (len(steps) - 1) // (most - 1)] for n in range(most)):
        reset()
        ended = run(script, folder, "-e", f"inject={call}:signal=SIGKILL:when={number}")
        assert ended.returncode in (-9, 137), (call, number, ended.stderr)
        yield f"{call} {number}"


def is_whole(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return bool(db.execute("PRAGMA integrity_check").fetchone() == ("ok",))


def rows(path: Path) -> list[object]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT link_id, state, views, expires_at FROM secrets ORDER BY id").fetchall()


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return migrate.version(db)


def waiting(path: Path) -> set[str]:
    """Return the link ids of the secrets whose contents are still in the database."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT link_id FROM secrets JOIN payloads USING (id) WHERE state = 'active'")
        return {link_id for (link_id,) in found}


def clear(folder: Path) -> None:
    for each in folder.iterdir():
        each.unlink()


def found(path: Path) -> list[tuple[str, bytes]]:
    data = path.read_bytes()
    return [(name, trace) for name in (*WAITING, *ENDED) for trace in traces(name) if trace in data]


@pytest.mark.parametrize("name", ["1a", "1e", "1g"])
def test_killed_upgrade_leaves_the_old_database_or_the_new(name: str, tmp_path: Path) -> None:
    """OPS-01: and the next start completes it, with an intact copy without contents."""
    path = tmp_path / "seclink.db"

    def reset() -> None:
        clear(tmp_path)
        schema_snapshots.load(name, path)

    reset()
    before = rows(path)
    versions = set()
    for number in kill_at_every_step(UPGRADE, tmp_path, reset):
        versions.add(version(path))
        assert version(path) in (1, migrate.NEWEST), number
        assert rows(path) == before, number
        assert is_whole(path), number
        assert waiting(path) == {link(name) for name in WAITING}
        copy = path.with_name(f"seclink.db.before-v{migrate.NEWEST}")
        for each in tmp_path.iterdir():
            assert each.stat().st_mode & 0o777 == 0o600, (number, each.name)
            if "before" in each.name:
                assert found(each) == []
        connection.open_or_create(path)
        assert version(path) == migrate.NEWEST
        assert is_whole(copy)
        assert version(copy) == 1
    assert versions == {1, migrate.NEWEST}


def test_killed_backup_leaves_a_complete_file_or_none(tmp_path: Path) -> None:
    path, file = tmp_path / "seclink.db", tmp_path / "backup.db"

    def reset() -> None:
        clear(tmp_path)
        schema_snapshots.load("1g", path)
        connection.open_or_create(path)

    reset()
    before, seen = rows(path), set()
    for number in kill_at_every_step(SAVE, tmp_path, reset):
        seen.add(file.exists())
        assert rows(path) == before
        assert not file.exists() or is_whole(file), number
        for each in tmp_path.glob("*backup*"):
            assert found(each) == [], number
            assert each.stat().st_mode & 0o777 == 0o600
    assert seen == {True, False}


def test_killed_restore_leaves_the_old_database_or_the_new(tmp_path: Path) -> None:
    """BK-01: never half of one, and no secret in any other file."""
    path, file = tmp_path / "seclink.db", tmp_path / "backup.db"

    def reset() -> None:
        clear(tmp_path)
        schema_snapshots.load("1g", path)
        connection.open_or_create(path)
        backup.save(path, file, SAVED)

    states = set()
    for number in kill_at_every_step(RESTORE, tmp_path, reset):
        assert is_whole(path), number
        states.add(len(waiting(path)))
        assert waiting(path) in (set(), {link(name) for name in WAITING}), number
        for each in tmp_path.iterdir():
            if not each.name.startswith("seclink.db-") and each != path:
                assert found(each) == [], (number, each.name)
        backup.restore(file, path, SAVED, 30 * DAY, replace=True)
        assert waiting(path) == set()
        assert found(path) == []
        assert is_whole(path)
    assert states == {0, len(WAITING)}


def test_backup_is_durable_before_it_has_its_name(tmp_path: Path) -> None:
    """CR-02: file, name, folder, in this order."""
    schema_snapshots.load("1g", tmp_path / "seclink.db")
    connection.open_or_create(tmp_path / "seclink.db")
    said = run(SAVE, tmp_path).stderr
    steps = re.findall(r"^(fsync|link|pwrite64)\((.*)", said, re.M)
    at = next(n for n, (call, _) in enumerate(steps) if call == "link")
    assert steps[at - 1][0] == "fsync"
    assert ".part>" in steps[at - 1][1]
    assert steps[at + 1][0] == "fsync"
    assert f"{tmp_path}>" in steps[at + 1][1]
    assert not any(call == "pwrite64" for call, _ in steps[at:])

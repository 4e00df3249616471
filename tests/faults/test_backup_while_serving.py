"""`seclink backup` beside a server under load, and `seclink restore` in its place. BK-01, BK-03, FOR-02, LOG-01."""

import contextlib
import hashlib
import itertools
import os
import resource
import secrets
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_client import ApiClient
from database_files import database_path, find_bytes, is_intact, query_value, wait_until_erased
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS, BackgroundLoad

from seclink.store.schema import MIGRATIONS

BACKUPS = 8
CLIENTS = 3


class Traffic(BackgroundLoad):
    """Clients that create, reveal and burn without a pause; `born` lists the acknowledged secrets in order."""

    def __init__(self, server: Server) -> None:
        super().__init__(CLIENTS)
        self.server, self.marker = server, secrets.token_bytes(24)
        self.born: list[dict[str, Any]] = []
        self.ended: dict[str, str] = {}

    def work(self, number: int) -> None:
        with ApiClient(self.server) as api:
            for turn in itertools.takewhile(lambda _: not self.over.is_set(), itertools.count()):
                receipt = api.create(self.marker * (20 if turn % 7 else 400))
                self.born.append(receipt)
                if (turn + number) % 3 == 0:
                    assert api.reveal(receipt["linkId"]).status_code == 200
                    self.ended[receipt["linkId"]] = "revealed"
                elif (turn + number) % 3 == 1:
                    assert api.burn(receipt).status_code == 204
                    self.ended[receipt["linkId"]] = "burned"


@pytest.fixture
def server(make_server: MakeServer) -> Iterator[Server]:
    running = make_server(HIGH_RATES + '[log]\nlevel = "warning"\n').start()
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0, running.log()


def states(path: Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT link_id, state FROM secrets"))


def give_a_long_history(server: Server) -> None:
    """Make a backup take long enough for other writes to happen during it."""
    with ApiClient(server) as api:
        api.create()
    with contextlib.closing(sqlite3.connect(database_path(server.folder), timeout=TIMEOUT_SECONDS)) as db, db:
        db.execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 200000)"
            " INSERT INTO events SELECT (SELECT max(id) FROM secrets), n, 'peeked', NULL FROM n"
        )


def test_backup_under_load_is_intact_consistent_and_without_payloads(server: Server, tmp_path: Path) -> None:
    """BK-03: everything acknowledged before its start is in it; the server responds as usual."""
    key = server.key(account="acme")
    give_a_long_history(server)
    with Traffic(server) as traffic:
        for number in range(BACKUPS):
            before, ended = list(traffic.born), dict(traffic.ended)
            file = tmp_path / f"{number}.db"
            saved = server.seclink("backup", str(file), "--config", str(server.config))
            assert saved.stderr == b""
            assert file.stat().st_mode & 0o777 == 0o600
            assert is_intact(file)
            assert query_value(file, "PRAGMA foreign_key_check") is None
            kept = states(file)
            assert {each["linkId"] for each in before} <= kept.keys()
            assert {link_id: kept[link_id] for link_id in ended} == ended
            assert "active" not in kept.values()
            assert query_value(file, "SELECT count(*) FROM payloads") == 0
            assert query_value(
                file, "SELECT count(*) FROM api_keys WHERE digest = ?", hashlib.sha256(key.encode()).digest()
            )
    assert traffic.failed == []
    assert len(traffic.born) > 10 * BACKUPS
    assert find_bytes(database_path(server.folder).parent, traffic.marker)
    assert [path for path in tmp_path.glob("*.db*") if traffic.marker in path.read_bytes()] == []
    assert {path.name for path in tmp_path.glob("*.db*")} == {f"{n}.db" for n in range(BACKUPS)}
    assert is_intact(database_path(server.folder))


def test_secret_revealed_during_a_backup_is_erased_right_after_it(server: Server, tmp_path: Path) -> None:
    """FOR-02: a backup is a reader, and the log can only be truncated after it."""
    with ApiClient(server) as api:
        marker = secrets.token_bytes(24)
        receipts = [api.create(marker * 50) for _ in range(50)]
        backup = subprocess.Popen(
            [sys.executable, "-m", "seclink", "backup", str(tmp_path / "b.db"), "--config", str(server.config)],
            stdout=subprocess.DEVNULL,
        )
        for receipt in receipts:
            assert api.reveal(receipt["linkId"]).status_code == 200
        assert backup.wait(TIMEOUT_SECONDS) == 0
        wait_until_erased(server.folder, marker, seconds=5)
        assert marker not in (tmp_path / "b.db").read_bytes()


def test_restored_server_reveals_nothing_and_reports_the_reason(server: Server, tmp_path: Path) -> None:
    """BK-01: links from before and after the backup, revealed, burned or active."""
    file = tmp_path / "b.db"
    key = server.key("create", "manage", account="acme")
    with ApiClient(server) as api:
        made = {
            how: api.create(publicNote="note") for how in ("revealed before", "revealed after", "burned", "waiting")
        }
        assert api.reveal(made["revealed before"]["linkId"]).status_code == 200
        server.seclink("backup", str(file), "--config", str(server.config))
        assert api.reveal(made["revealed after"]["linkId"]).status_code == 200
        assert api.burn(made["burned"]).status_code == 204
        since = api.create()
    running = server.seclink("restore", str(file), "--replace", "--config", str(server.config), check=False)
    assert (running.returncode, running.stdout) == (1, b"")
    assert b"another SecLink server is using this database" in running.stderr
    assert server.stop() == 0
    refused = server.seclink("restore", str(file), "--config", str(server.config), check=False)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"there is a database already (active secrets in it: 2); --replace ends those" in refused.stderr
    told = server.seclink("restore", str(file), "--replace", "--config", str(server.config)).stdout.decode()
    assert "1 active secret ended" in told
    server.start()
    with ApiClient(server) as api:
        for how, each in made.items():
            response = api.reveal(each["linkId"])
            state = how.split()[0] if how != "waiting" else "burned"
            assert (response.status_code, response.json()["state"]) == (410, state), how
            receipt = api.receipt(each)
            assert (receipt["state"], receipt["publicNote"]) == (state, None)
            types = [event["type"] for event in receipt["events"]]
            assert ("restored" in types) is (how == "waiting")
            assert receipt["views"] == (1 if state == "revealed" else 0)
        assert api.reveal(since["linkId"]).status_code == 404
        account = api.http.get("/account", headers={"Authorization": f"Bearer {key}"})
        assert account.json()["name"] == "acme"
        assert api.reveal(api.create(b"life goes on")["linkId"]).status_code == 200


def test_backup_reports_what_it_contains_and_omits(server: Server, tmp_path: Path) -> None:
    server.key(account="acme")
    with ApiClient(server) as api:
        receipts = [api.create() for _ in range(3)]
        api.burn(receipts[0])
    said = server.seclink("backup", str(tmp_path / "b.db"), "--config", str(server.config)).stdout.decode()
    assert f"saved {tmp_path}/b.db: " in said
    for line in (
        "  3 receipts\n",
        "  1 live API key of 1 account\n",
        "not included\n",
        "a restore of this file ends 2 active secrets",
    ):
        assert line in said
    again = server.seclink("backup", str(tmp_path / "b.db"), "--config", str(server.config), check=False)
    assert (again.returncode, again.stdout) == (1, b"")
    assert again.stderr.decode() == f"seclink: {tmp_path}/b.db: exists already; a backup never overwrites a file\n"


def test_backup_of_a_missing_database_creates_no_file(make_server: MakeServer) -> None:
    server = make_server()
    ended = server.seclink("backup", "b.db", "--config", str(server.config), check=False)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"there is no such database; name the server's TOML with --config" in ended.stderr
    assert {path.name for path in server.folder.iterdir()} == {"seclink.toml"}


def test_backup_on_a_full_disk_leaves_no_file_and_the_server_unharmed(server: Server, tmp_path: Path) -> None:
    """CR-04"""

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    with ApiClient(server) as api:
        receipt = api.create()
        file = tmp_path / "backups" / "b.db"
        file.parent.mkdir()
        command = [sys.executable, "-m", "seclink", "backup", str(file), "--config", str(server.config)]
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            preexec_fn=small,
            env=os.environ,
        )
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.startswith(f"seclink: {file}: cannot be ")
        assert list(file.parent.iterdir()) == []
        assert api.reveal(receipt["linkId"]).status_code == 200


def make_older(path: Path) -> None:
    """Return a database of the first schema version with the same secrets."""
    older = path.with_name("older.db")
    with contextlib.closing(sqlite3.connect(older, isolation_level=None)) as db:
        db.executescript(MIGRATIONS[0])
        db.execute("ATTACH ? AS newer", (str(path),))
        for table in ("secrets", "payloads", "events"):
            columns = ", ".join(name for _, name, *_ in db.execute(f"PRAGMA main.table_info({table})"))
            db.execute(f"INSERT INTO {table} SELECT {columns} FROM newer.{table}")
        (kind,) = db.execute("PRAGMA newer.application_id").fetchone()
        db.execute(f"PRAGMA application_id = {kind}")
        db.execute("PRAGMA user_version = 1")
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    older.replace(path)


def test_older_database_is_upgraded_and_that_is_logged(make_server: MakeServer) -> None:
    """OPS-01: the other commands do not upgrade it."""
    server = make_server(HIGH_RATES).start()
    with ApiClient(server) as api:
        receipt = api.create(b"from before")
    assert server.stop() == 0
    make_older(database_path(server.folder))
    beside = server.seclink("key", "list", "--config", str(server.config), check=False)
    assert b"was written by an older SecLink; start the server once to upgrade it" in beside.stderr
    server.start()
    assert '"event":"upgraded"' in server.log()
    assert f"{database_path(server.folder)}.before-v{len(MIGRATIONS)}" in server.log()
    with ApiClient(server) as api:
        assert api.reveal(receipt["linkId"]).status_code == 200
    assert query_value(Path(f"{database_path(server.folder)}.before-v{len(MIGRATIONS)}"), "PRAGMA user_version") == 1

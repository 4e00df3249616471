"""A database that is not whole, not ours or not as it must be is refused plainly and not touched. CR-06, FOR-03."""

import contextlib
import os
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from api_client import ApiClient, payload_of
from database_files import database_path, is_intact, query_value
from support.server import MakeServer
from support.waiting import TIMEOUT_SECONDS

from seclink.errors import StoreUnusable
from seclink.store import connection
from seclink.store.schema import MIGRATIONS
from seclink.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio
PAGE = 4096


DRIFTED: dict[str, int | str] = {
    "journal_mode": "delete",
    "synchronous": 1,
    "secure_delete": "fast",  # which leaves overflow pages
    "foreign_keys": 0,
    "trusted_schema": 1,
    "cell_size_check": 0,
    "mmap_size": 2**20,
    "temp_store": 1,
    "busy_timeout": 1,
    "journal_size_limit": -1,
    "wal_autocheckpoint": 1000,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a few hundred secrets."""
    path = tmp_path / "data" / "seclink.db"
    path.parent.mkdir()
    connection.open_or_create(path)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(
            """
            WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 300)
            INSERT INTO secrets (id, link_id, receipt_id, manage_digest, format, expiry_type, created_at, expires_at,
                                 due_at, max_views, passcode_required)
            SELECT n, printf('%012d', n), printf('%020d', n), zeroblob(32), 'raw', 'view_once', 1, 1 << 50, 1 << 50,
                   1, 0
            FROM n
            """
        )
        db.execute("INSERT INTO payloads SELECT id, zeroblob(12), zeroblob(1000) FROM secrets")
    assert path.stat().st_size > 50 * PAGE
    return path


async def open_store(path: Path) -> SqliteStore:
    return await SqliteStore.open(path, keep_seconds=1, max_bytes=2**30)


async def check_refusal(path: Path, *words: str) -> None:
    """Refuses, and again with the same words; every file stays as it was, and none is added that holds anything."""
    before = contents(path)
    for _ in range(2):
        with pytest.raises(StoreUnusable) as refused:
            await open_store(path)
        assert str(refused.value).startswith(f"{path}")
        for word in words:
            assert word in str(refused.value)
        after = contents(path)
        assert {name: after.get(name) for name in before} == before
        assert {name for name in after.keys() - before.keys() if after[name]} <= {"seclink.db-shm"}


def contents(path: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}


def damage(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize(
    ("offset", "data"),
    [(0, b"garbage!"), (0, bytes(100)), (16, b"\xff\xff"), (18, b"\x09\x09"), (100, b"\xff" * 200)],
    ids=["magic", "zeros", "page size", "format", "schema page"],
)
async def test_damaged_header_is_refused(path: Path, offset: int, data: bytes) -> None:
    """CR-06"""
    damage(path, offset, data)
    await check_refusal(path, "damaged")


@pytest.mark.parametrize("page", [2, 3, 4, 7, 20, 50])
async def test_damaged_page_is_refused(path: Path, page: int) -> None:
    """CR-06: wherever in the file it is."""
    damage(path, (page - 1) * PAGE, os.urandom(PAGE))
    await check_refusal(path, "damaged", "backup")


@pytest.mark.parametrize("size", [1, 99, 100, 511, 512, 1000, PAGE, 2 * PAGE, 10 * PAGE, 30 * PAGE + 17])
async def test_truncated_file_is_refused(path: Path, size: int) -> None:
    """CR-06"""
    os.truncate(path, size)
    await check_refusal(path, "damaged")


@pytest.mark.parametrize("text", [b"hello\n", b"#!/bin/sh\n" * 500, b"\0" * 8192], ids=["short", "long", "zeros"])
async def test_file_that_is_not_a_database_is_refused(tmp_path: Path, text: bytes) -> None:
    """CR-06"""
    path = tmp_path / "seclink.db"
    path.write_bytes(text)
    await check_refusal(path, "is not a SecLink database")


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_database_of_another_program_is_refused(tmp_path: Path, mode: str) -> None:
    """CR-06: and its journal mode is not changed."""
    path = tmp_path / "seclink.db"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute("CREATE TABLE moz_places (url)")
    db.close()
    await check_refusal(path, "another program", "store.path")


async def test_newer_schema_is_refused(path: Path) -> None:
    """CR-06"""
    newer = len(MIGRATIONS) + 1
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {newer}")
    await check_refusal(path, "newer SecLink", f"schema {newer}")


async def test_directory_is_refused(tmp_path: Path) -> None:
    """CR-06"""
    path = tmp_path / "seclink.db"
    path.mkdir()
    await check_refusal(path, "directory")
    assert list(path.iterdir()) == []


@pytest.mark.parametrize(
    ("offset", "data", "said"),
    [
        (0, b"garbage!", "is not a SecLink database, or its header is damaged"),
        (5 * PAGE, bytes(range(256)) * 16, "is damaged; restore a backup, or move it away to start with an empty one"),
        (60, (99).to_bytes(4), f"was written by a newer SecLink (schema 99, this one knows {len(MIGRATIONS)})"),
    ],
    ids=["header", "page", "newer"],
)
def test_server_exits_with_1_and_one_line(
    make_server: MakeServer, path: Path, offset: int, data: bytes, said: str
) -> None:
    """CR-06"""
    damage(path, offset, data)
    before = contents(path)
    server = make_server(f'[store]\npath = "{path}"\n')
    server.start(wait=False)
    assert server.process.wait(TIMEOUT_SECONDS) == 1, server.log()
    assert server.log() == f"seclink: {server.config}:2: store.path: {path}: {said}\n"
    assert contents(path)["seclink.db"] == before["seclink.db"]


def test_missing_folder_is_refused_and_not_created(make_server: MakeServer) -> None:
    """CR-06"""
    server = make_server('[store]\npath = "missing/seclink.db"\n')
    server.start(wait=False)
    assert server.process.wait(TIMEOUT_SECONDS) == 1
    [said] = server.log().splitlines()
    refused = f"{server.folder}/missing/seclink.db: cannot be used: No such file or directory"
    assert said == f"seclink: {server.config}:2: store.path: {refused}"
    assert not (server.folder / "missing").exists()


@pytest.fixture
def with_log(path: Path) -> Path:
    """The log a crash left behind, with a hundred burned secrets in it."""
    script = """
import os, sqlite3, sys
from pathlib import Path
from seclink.store import connection
db = connection.connect(Path(sys.argv[1]), sqlite3.Connection)
for id in range(1, 101):
    db.execute("DELETE FROM payloads WHERE id = ?", (id,))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=TIMEOUT_SECONDS)
    log = Path(f"{path}-wal")
    assert log.stat().st_size > 100 * PAGE
    return log


@pytest.mark.parametrize(
    "header",
    [b"garbage!", bytes(32), struct.pack(">I", 0x377F0682) + b"\xff" * 28],
    ids=["magic", "zeros", "checksum"],
)
async def test_log_with_a_damaged_header_is_refused(path: Path, with_log: Path, header: bytes) -> None:
    """CR-06: SQLite would take it for an old one and bring a hundred burned secrets back."""
    damage(with_log, 0, header)
    await check_refusal(path, "-wal", "damaged")


async def test_log_of_garbage_is_refused(path: Path, with_log: Path) -> None:
    """CR-06"""
    damage(with_log, 0, os.urandom(50_000))
    await check_refusal(path, "-wal", "damaged")


@pytest.mark.parametrize("index", ["kept", "lost"])
async def test_log_left_by_a_crash_is_recovered(path: Path, with_log: Path, index: str) -> None:
    """CR-08: whole, even where its index is gone."""
    if index == "lost":
        os.unlink(f"{path}-shm")  # noqa: PTH108
    store = await open_store(path)
    assert query_value(path, "SELECT count(*) FROM payloads") == 200
    await store.close()
    assert with_log.name not in contents(path)
    assert is_intact(path)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 32 + 24, 5000, 50_000])
async def test_truncated_log_leaves_an_intact_database(path: Path, with_log: Path, size: int) -> None:
    """CR-06: a torn end is what a power cut leaves of a commit nobody was told of; it is dropped."""
    os.truncate(with_log, size)
    store = await open_store(path)
    await store.close()
    assert is_intact(path)


async def test_log_of_a_newer_release_is_not_checkpointed(path: Path, with_log: Path) -> None:
    """CR-06: the file is looked at without a pen in the hand."""
    script = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA user_version = 99")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=TIMEOUT_SECONDS)  # noqa: ASYNC221
    assert with_log.name in contents(path)
    for name in ("seclink.db", "seclink.db-wal"):
        assert contents(path)[name]
    before = {name: data for name, data in contents(path).items() if not name.endswith("-shm")}
    with pytest.raises(StoreUnusable, match="newer SecLink"):
        await open_store(path)
    assert {name: contents(path).get(name) for name in before} == before


def test_interrupted_first_start_does_not_damage_the_database(make_server: MakeServer) -> None:
    """CR-01: killed before there was a log, with a journal that must be rolled back first."""
    server = make_server()
    connection.open_or_create(database_path(server.folder))
    script = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = DELETE")
db.execute("PRAGMA cache_size = 5")
db.execute("BEGIN")
db.execute("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)"
           " INSERT INTO purged SELECT printf('%0100d', n), 0, 0, 0, 0, 0, 0 FROM n")
os._exit(0)
"""
    subprocess.run(
        [sys.executable, "-c", script, str(database_path(server.folder))], check=True, timeout=TIMEOUT_SECONDS
    )
    assert Path(f"{database_path(server.folder)}-journal").stat().st_size > 0
    server.start()
    with ApiClient(server) as api:
        assert api.reveal(api.create()["linkId"]).status_code == 200
    assert server.stop() == 0
    with sqlite3.connect(database_path(server.folder)) as db:
        assert db.execute("SELECT count(*) FROM purged").fetchone() == (0,)
    db.close()
    assert is_intact(database_path(server.folder))


def test_files_are_private_to_their_owner(make_server: MakeServer) -> None:
    server = make_server().start()
    with ApiClient(server) as api:
        api.create()
    modes = {path.name: path.stat().st_mode & 0o777 for path in server.folder.glob("seclink.db*")}
    assert set(modes) >= {"seclink.db", "seclink.db-wal", "seclink.db-shm", "seclink.db.lock"}
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("name", connection.PRAGMAS)
def test_sqlite_that_ignores_a_pragma_is_refused(tmp_path: Path, name: str) -> None:
    """FOR-03"""

    class Stubborn(sqlite3.Connection):
        """A build that goes its own way, as some do about `temp_store` and `secure_delete`."""

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith(f"PRAGMA {name} = "):
                sql = f"PRAGMA {name} = {DRIFTED[name]}"
            return super().execute(sql, *parameters)

    with pytest.raises(StoreUnusable, match=f"does not keep {name} = {connection.PRAGMAS[name]} "):
        connection.connect(tmp_path / "fresh.db", Stubborn)


def test_running_store_has_the_pragmas_that_erasure_needs(tmp_path: Path) -> None:
    """FOR-03"""
    db = connection.connect(tmp_path / "fresh.db", sqlite3.Connection)
    held = {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("secure_delete", "synchronous", "mmap_size")}
    assert held == {"secure_delete": 1, "synchronous": 2, "mmap_size": 0}
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_upgrade_keeps_the_rows(make_server: MakeServer) -> None:
    server = make_server().start()
    with ApiClient(server) as api:
        receipt = api.create(b"from before")
    assert server.stop() == 0
    server.start()
    with ApiClient(server) as api:
        assert payload_of(api.reveal(receipt["linkId"]).json()) == b"from before"


def test_readable_database_is_made_private(make_server: MakeServer) -> None:
    """A restored copy, say; its log takes its mode."""
    server = make_server().start()
    server.stop()
    (server.folder / "seclink.db").chmod(0o644)
    server.start()
    server.key()
    assert {path.stat().st_mode & 0o777 for path in server.folder.glob("seclink.db*")} == {0o600}

"""Databases of every earlier schema are upgraded, all or nothing. OPS-01."""

import contextlib
import hashlib
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import schema_snapshots
from database import FOREIGN_LAYOUTS, FOREIGN_SCHEMAS, OpenStore, change_schema, query
from schema_snapshots import DAY, ENDED, NOW, WAITING, iv, link, payload, receipt, traces
from support.waiting import TIMEOUT_SECONDS

from seclink.errors import StoreUnusable
from seclink.model import Filter, Rate, State
from seclink.store import backup, connection, migrate
from seclink.store.db_pages import OVERFLOW, PAGE_FILL
from seclink.store.schema import MIGRATIONS
from seclink.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

KEPT = sorted(path.stem for path in schema_snapshots.FOLDER.glob("*.sql"))
NEWEST = len(MIGRATIONS)
LATER = NOW + 4000  # after every expiry in the snapshots


@pytest.fixture(params=KEPT)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "seclink.db"
    schema_snapshots.load(request.param, path)
    return path


@pytest.fixture
async def store(path: Path, anyio_backend: str, open_store: OpenStore) -> AsyncIterator[SqliteStore]:
    store = await open_store(path)
    yield store
    await store.close()


def version(path: Path) -> int:
    return int(query(path, "PRAGMA user_version")[0][0])


def copy_of(path: Path) -> Path:
    return path.with_name(f"seclink.db.before-v{NEWEST}")


def raw(path: Path) -> bytes:
    """Return the bytes of the file and its log."""
    files = [each for each in (path, path.with_name(f"{path.name}-wal")) if each.exists()]
    return b"".join(each.read_bytes() for each in files)


def test_every_schema_before_the_newest_has_a_snapshot() -> None:
    """OPS-01: a new migration needs a snapshot of the schema before it; see schema_snapshots."""
    assert {int(name[0]) for name in KEPT} == set(range(1, NEWEST))
    assert set(KEPT) == set(schema_snapshots.COMMITS)


async def test_active_secrets_can_be_revealed_after_the_upgrade(store: SqliteStore) -> None:
    """OPS-01: byte for byte, with their remaining views and attempts."""
    for name in WAITING.keys() - {"overdue"}:
        proof: dict[str, Any] = {"access_hash": f"access of {name}", "passcode": f"argon of {name}"}
        assert await store.claim(link(name), LATER, access_hash="another", passcode=f"argon of {name}") is None
        assert await store.attempts_left(link(name), "192.0.2.1", LATER) == (4 if name == "locked" else 5)
        claimed = await store.claim(link(name), LATER, **proof)
        assert claimed is not None, name
        assert (claimed.payload, claimed.iv) == (payload(name), iv(name))
        assert claimed.views_left == {"locked": None, "thrice": 1}.get(name, 0)
    assert (
        await store.claim(link("overdue"), LATER, access_hash="access of overdue", passcode="argon of overdue") is None
    )


async def test_receipts_are_the_same_after_the_upgrade(store: SqliteStore) -> None:
    told = {name: await store.receipt(receipt(name), LATER) for name in (*WAITING, *ENDED)}
    assert {name: each and str(each.state) for name, each in told.items()} == {
        **dict.fromkeys(WAITING, "active"),
        "overdue": "expired",
        **ENDED,
    }
    histories = {name: [(e.at - NOW, e.type) for e in each.events] for name, each in told.items() if each}
    assert histories["locked"] == [(0, "created"), (1, "peeked"), (2, "passcode_wrong"), (3, "revealed")]
    assert histories["read"] == [(0, "created"), (3, "revealed")]
    assert histories["burned"] == [(0, "created"), (6, "burned")]
    assert histories["late"] == [(0, "created"), (2000, "expired")]
    locked, read = told["locked"], told["read"]
    assert locked is not None
    assert read is not None
    assert (locked.public_note, locked.label, locked.views) == ("note of locked", "label of locked", 1)
    assert (read.public_note, read.label, read.views) == (None, None, 1)
    assert locked.manage_digest == hashlib.sha256(b"locked").digest()
    [reported] = [e for e in told["waiting"].events if e.type == "reported"]  # type: ignore[union-attr]
    assert reported.reason == "looks like phishing"


async def test_keys_stats_and_clock_are_the_same_after_the_upgrade(store: SqliteStore) -> None:
    keys = {key.prefix: key for key in await store.keys()}
    assert {prefix: key.is_live(LATER) for prefix, key in keys.items()} == {
        "sk_live_live00": True, "sk_live_over00": False, "sk_live_gone00": False,
    }  # fmt: skip
    assert keys["sk_live_live00"].rate == Rate(5, 60)
    assert keys["sk_live_gone00"].revoked_at == NOW + 7
    stats = await store.stats("acme", LATER, (NOW, NOW, NOW))
    assert (stats.total_secrets, stats.burned_secrets, stats.active_secrets) == (8, 2, 3)
    assert await store.last_seen_at() == NOW + 3000
    page = await store.receipts(Filter(account="acme", state=State.ACTIVE), LATER)
    assert [each.receipt_id for each in page.receipts] == [receipt(n) for n in ("neighbour", "locked", "waiting")]


async def test_upgraded_schema_equals_a_new_one(path: Path, store: SqliteStore, tmp_path: Path) -> None:
    """OPS-01: the same tables, and no two payloads share a page."""
    connection.open_or_create(tmp_path / "new.db")
    objects = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1, 2"
    assert query(path, objects) == query(tmp_path / "new.db", objects)
    assert version(path) == NEWEST
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    for size, padded, bytes in query(
        path, "SELECT length(iv) + length(payload), length(payload), bytes FROM payloads JOIN secrets USING (id)"
    ):
        assert size == PAGE_FILL or (size - PAGE_FILL) % OVERFLOW == 0
        assert padded >= bytes > 0
    assert store.upgraded
    assert store.upgraded.before < NEWEST
    assert store.upgraded.copy == copy_of(path)


@pytest.mark.parametrize("path", ["1a"], indirect=True)
async def test_secrets_ended_after_an_upgrade_leave_no_trace(path: Path, store: SqliteStore) -> None:
    """FOR-01: not even in gaps of the old tables' pages."""
    assert all(trace in raw(path) for trace in traces("locked"))
    for name in WAITING:
        await store.burn(receipt(name), LATER)
    await store.reap(LATER, 10)
    await store.close()
    assert [(name, trace) for name in WAITING for trace in traces(name) if trace in raw(path)] == []


async def test_copy_of_the_old_database_is_private_and_without_contents(path: Path, open_store: OpenStore) -> None:
    """OPS-01: and the release of its time can read it."""
    objects = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
    before, before_version = query(path, objects), version(path)
    store = await open_store(path)
    await store.close()
    copy = copy_of(path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [(name, trace) for name in (*WAITING, *ENDED) for trace in traces(name) if trace in copy.read_bytes()] == []
    assert set(query(copy, objects)) == set(before)
    assert version(copy) == before_version
    assert query(copy, "SELECT count(*) FROM secrets WHERE state = 'active'") == [(0,)]


async def test_copy_of_the_old_database_has_the_retention_of_receipts(path: Path, open_store: OpenStore) -> None:
    store = await open_store(path)
    await store.close()
    stray = path.with_name(".seclink.db.before-v2.x1y2z3.part")
    own = [path.with_name(name) for name in ("seclink.db.before-version", "seclink.db.replaced", "seclink.db.bak")]
    for each in (stray, *own):
        each.touch()
    born = int(copy_of(path).stat().st_mtime * 1000)
    for seen, is_there in ((born + 29 * DAY, True), (born + 31 * DAY, False)):
        store = await open_store(path)
        assert store.upgraded is None
        await store.ping(seen)
        await store.close()
        await (await open_store(path, exclusive=False)).close()
        assert copy_of(path).exists()  # a command that runs beside the server removes nothing
        await (await open_store(path)).close()
        assert copy_of(path).exists() is is_there
    assert not stray.exists()
    assert all(each.exists() for each in own)


@pytest.mark.parametrize("path", ["1g"], indirect=True)
async def test_upgrade_needs_the_lock(path: Path, open_store: OpenStore) -> None:
    """A server of the older release may be running."""
    before = raw(path)
    with pytest.raises(StoreUnusable, match=r"was written by an older SecLink; start the server once"):
        await open_store(path, exclusive=False)
    assert raw(path) == before
    assert not copy_of(path).exists()


def test_upgrade_reads_the_version_inside_its_transaction(tmp_path: Path) -> None:
    """Another process may have created the tables just before."""
    path = tmp_path / "seclink.db"

    class Late(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith("BEGIN"):
                connection.open_or_create(path)
            return super().execute(sql, *parameters)

    with contextlib.closing(connection.connect(path, Late)) as db:
        migrate.upgrade(db)
    assert version(path) == NEWEST


@pytest.mark.slow
def test_concurrent_processes_can_create_the_same_database(tmp_path: Path) -> None:
    """For example a server and `seclink key create`: neither takes a half-made file for a foreign database."""
    script = (
        "import sys; from pathlib import Path; from seclink.store import connection; print('here', flush=True);"
        " sys.stdin.readline(); connection.open_or_create(Path(sys.argv[1]), is_alone=False)"
    )
    for round in range(4):
        command = [sys.executable, "-c", script, str(tmp_path / f"{round}.db")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with contextlib.ExitStack() as stack:
            racers = [stack.enter_context(subprocess.Popen(command, bufsize=0, **pipes)) for _ in range(4)]
            assert [each.stdout and each.stdout.readline() for each in racers] == [b"here\n"] * 4
            assert [each.communicate(b"go\n", timeout=TIMEOUT_SECONDS) for each in racers] == [(b"", b"")] * 4
        assert version(tmp_path / f"{round}.db") == NEWEST


class Failing(sqlite3.Connection):
    """A connection that fails after `remaining` statements."""

    remaining = 10**9

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        type(self).remaining -= 1
        if self.remaining < 0 and "ROLLBACK" not in sql:
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *parameters)


@pytest.mark.parametrize("path", ["1a", "1g"], indirect=True)
def test_upgrade_failing_at_any_step_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-01: at each statement in turn."""
    rows = "SELECT id, link_id, state, access_hash, due_at, views FROM secrets"
    before = (query(path, "SELECT type, name, sql FROM sqlite_schema"), query(path, rows), version(path))
    steps = 0
    while True:
        with contextlib.closing(connection.connect(path, Failing)) as db:
            monkeypatch.setattr(Failing, "remaining", steps)
            try:
                migrate.upgrade(db)
                break
            except sqlite3.OperationalError:
                assert not db.in_transaction
            finally:
                monkeypatch.setattr(Failing, "remaining", 10**9)
        assert (query(path, "SELECT type, name, sql FROM sqlite_schema"), query(path, rows), version(path)) == before
        assert steps < 200
        steps += 1
    assert version(path) == NEWEST
    assert steps > (40 if "arrivals" not in str(before) else 5)


@pytest.mark.parametrize("path", ["1g"], indirect=True)
async def test_upgrade_does_not_begin_without_its_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch, open_store: OpenStore
) -> None:
    copy_of(path).mkdir()
    with pytest.raises(StoreUnusable, match="cannot be copied before its upgrade"):
        await open_store(path)
    assert version(path) == 1


@pytest.mark.parametrize("path", ["1g"], indirect=True)
async def test_database_of_a_newer_release_is_refused_unchanged(path: Path, open_store: OpenStore) -> None:
    """OPS-01"""
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {NEWEST + 1}")
    db.close()
    before = raw(path)
    with pytest.raises(StoreUnusable, match=f"newer SecLink \\(schema {NEWEST + 1}, this one knows {NEWEST}\\)"):
        await open_store(path)
    assert raw(path) == before
    assert not copy_of(path).exists()


@pytest.mark.parametrize("change", FOREIGN_SCHEMAS.values(), ids=FOREIGN_SCHEMAS)
async def test_tables_changed_by_another_program_are_refused(
    tmp_path: Path, change: str, open_store: OpenStore
) -> None:
    """FOR-03: without its trigger, or with another one, a revealed secret would not be erased."""
    path = tmp_path / "seclink.db"
    connection.open_or_create(path)
    change_schema(path, change)
    with pytest.raises(StoreUnusable, match="its tables were changed by another program"):
        await open_store(path)


@pytest.mark.parametrize("change", FOREIGN_LAYOUTS.values(), ids=FOREIGN_LAYOUTS)
async def test_pages_changed_by_another_program_are_refused(tmp_path: Path, change: str, open_store: OpenStore) -> None:
    """FOR-03: a restore of the file moves its data to pages like ours."""
    path, other = tmp_path / "seclink.db", tmp_path / "other.db"
    connection.open_or_create(path)
    change_schema(path, change)
    with pytest.raises(StoreUnusable, match="its pages were changed by another program"):
        await open_store(path)
    backup.restore(path, other, NOW, DAY, replace=False)
    await open_store(other)


@pytest.mark.parametrize("path", KEPT, indirect=True)
@pytest.mark.parametrize("change", ["table and trigger", "view", "index with contents", "generated column"])
async def test_upgrade_of_tables_changed_by_another_program_is_refused(
    path: Path, change: str, open_store: OpenStore
) -> None:
    """FOR-03: as it is, and before any statement of the file is run."""
    change_schema(path, FOREIGN_SCHEMAS[change])
    before = raw(path)
    with pytest.raises(StoreUnusable, match="its tables were changed by another program"):
        await open_store(path)
    assert raw(path) == before


async def test_tables_of_analyze_are_accepted(tmp_path: Path, open_store: OpenStore) -> None:
    path = tmp_path / "seclink.db"
    connection.open_or_create(path)
    with sqlite3.connect(path) as db:
        db.execute("ANALYZE")
    db.close()
    assert query(path, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'sqlite_stat%'") != [(0,)]
    store = await open_store(path)
    assert store.upgraded is None
    assert await store.peek(link("unknown"), NOW) is None


def test_existing_migrations_are_never_changed() -> None:
    """Version 1 was: it has seven variants."""
    digests = [hashlib.sha256(re.sub(r"\s+", " ", each).encode()).hexdigest()[:16] for each in MIGRATIONS]
    assert digests == [
        "067702adf80405c8",
        hashlib.sha256(b"").hexdigest()[:16],
        "f055da9a21a656d5",
        "030652fd74b31831",
        "061ee5c3fe60db28",
    ]

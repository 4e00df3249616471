"""Databases of every schema there ever was are brought up to date, whole or not at all. OPS-01."""

import contextlib
import hashlib
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import keeping
import pytest
from keeping import DAY, ENDED, NOW, WAITING, iv, link, payload, receipt, traces
from stores import asked, open_store

from seclink.errors import StoreUnusable
from seclink.model import Filter, Rate, State
from seclink.store import connection, migrate
from seclink.store.db_pages import OVERFLOW, PAGE_FILL
from seclink.store.schema import MIGRATIONS
from seclink.store.sqlite import SqliteStore

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("tidy")]

KEPT = sorted(path.stem for path in keeping.KEPT.glob("*.sql"))
NEWEST = len(MIGRATIONS)
LATER = NOW + 4000  # all that expired within the story has by then


@pytest.fixture(params=KEPT)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "seclink.db"
    keeping.loaded(request.param, path)
    return path


@pytest.fixture
async def store(path: Path, anyio_backend: str) -> AsyncIterator[SqliteStore]:
    store = await open_store(path)
    yield store
    await store.close()


def version(path: Path) -> int:
    return int(asked(path, "PRAGMA user_version")[0][0])


def copy_of(path: Path) -> Path:
    return path.with_name(f"seclink.db.before-v{NEWEST}")


def raw(path: Path) -> bytes:
    """The file and its log."""
    files = [each for each in (path, path.with_name(f"{path.name}-wal")) if each.exists()]
    return b"".join(each.read_bytes() for each in files)


def test_every_schema_before_the_newest_is_kept() -> None:
    """OPS-01: whoever adds a migration keeps a database of the one before."""
    assert {int(name[0]) for name in KEPT} == set(range(1, NEWEST))
    assert set(KEPT) == set(keeping.COMMITS)


async def test_secrets_that_waited_can_be_revealed(store: SqliteStore) -> None:
    """OPS-01: byte for byte, with what is left of their views and tries."""
    for name in WAITING.keys() - {"overdue"}:
        proof = {"access_hash": f"access of {name}", "passcode": f"argon of {name}"}
        assert await store.claim(link(name), LATER, access_hash="another", passcode=f"argon of {name}") is None
        assert await store.attempts_left(link(name), "192.0.2.1", LATER) == (4 if name == "locked" else 5)
        claimed = await store.claim(link(name), LATER, **proof)
        assert claimed is not None, name
        assert (claimed.payload, claimed.iv) == (payload(name), iv(name))
        assert claimed.views_left == {"locked": None, "thrice": 1}.get(name, 0)
    assert (
        await store.claim(link("overdue"), LATER, access_hash="access of overdue", passcode="argon of overdue") is None
    )


async def test_receipts_tell_what_they_told(store: SqliteStore) -> None:
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


async def test_keys_counts_and_clock_stay(store: SqliteStore) -> None:
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


async def test_upgraded_file_is_like_a_new_one(path: Path, store: SqliteStore, tmp_path: Path) -> None:
    """OPS-01: table for table, and no two payloads share a page."""
    connection.open_or_create(tmp_path / "new.db")
    objects = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1, 2"
    assert asked(path, objects) == asked(tmp_path / "new.db", objects)
    assert version(path) == NEWEST
    assert asked(path, "PRAGMA integrity_check") == [("ok",)]
    assert asked(path, "PRAGMA foreign_key_check") == []
    for size, padded, bytes in asked(
        path, "SELECT length(iv) + length(payload), length(payload), bytes FROM payloads JOIN secrets USING (id)"
    ):
        assert size == PAGE_FILL or (size - PAGE_FILL) % OVERFLOW == 0
        assert padded >= bytes > 0
    assert store.upgraded
    assert store.upgraded.before < NEWEST
    assert store.upgraded.copy == copy_of(path)


@pytest.mark.parametrize("path", ["1a"], indirect=True)
async def test_nothing_stays_in_the_file_of_what_ends_after_an_upgrade(path: Path, store: SqliteStore) -> None:
    """FOR-01: gaps that the old tables' pages had do not live on."""
    assert all(trace in raw(path) for trace in traces("locked"))
    for name in WAITING:
        await store.burn(receipt(name), LATER)
    await store.reap(LATER, 10)
    await store.close()
    assert [(name, trace) for name in WAITING for trace in traces(name) if trace in raw(path)] == []


async def test_copy_of_what_it_was_is_private_and_without_contents(path: Path) -> None:
    """OPS-01: and such that the SecLink of its time can read it."""
    objects = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid"
    before, before_version = asked(path, objects), version(path)
    store = await open_store(path)
    await store.close()
    copy = copy_of(path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [(name, trace) for name in (*WAITING, *ENDED) for trace in traces(name) if trace in copy.read_bytes()] == []
    assert set(asked(copy, objects)) == set(before)
    assert version(copy) == before_version
    assert asked(copy, "SELECT count(*) FROM secrets WHERE state = 'active'") == [(0,)]


async def test_copy_is_kept_as_long_as_receipts_and_no_longer(path: Path) -> None:
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
        assert copy_of(path).exists()  # a command beside the server tidies nothing up
        await (await open_store(path)).close()
        assert copy_of(path).exists() is is_there
    assert not stray.exists()
    assert all(each.exists() for each in own)


@pytest.mark.parametrize("path", ["1g"], indirect=True)
async def test_who_does_not_hold_the_lock_changes_no_tables(path: Path) -> None:
    """A server of the older SecLink may be running."""
    before = raw(path)
    with pytest.raises(StoreUnusable, match=r"was written by an older SecLink; start the server once"):
        await open_store(path, exclusive=False)
    assert raw(path) == before
    assert not copy_of(path).exists()


def test_two_that_make_the_same_new_file_agree(tmp_path: Path) -> None:
    """The version is read again where nobody else can write."""
    path = tmp_path / "seclink.db"

    class Late(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith("BEGIN"):
                connection.open_or_create(path)
            return super().execute(sql, *parameters)

    with contextlib.closing(connection.connect(path, Late)) as db:
        migrate.upgrade(db)
    assert version(path) == NEWEST


def test_processes_that_make_the_same_new_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    """A key is added while the server starts: neither takes the other's half for somebody else's database."""
    script = (
        "import sys; from pathlib import Path; from seclink.store import connection; print('here', flush=True);"
        " sys.stdin.readline(); connection.open_or_create(Path(sys.argv[1]), is_alone=False)"
    )
    for round in range(4):
        command = [sys.executable, "-c", script, str(tmp_path / f"{round}.db")]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with contextlib.ExitStack() as stack:
            racers = [stack.enter_context(subprocess.Popen(command, bufsize=0, **pipes)) for _ in range(4)]
            assert [each.stdout.readline() for each in racers] == [b"here\n"] * 4
            for each in racers:
                each.stdin.write(b"go\n")
            assert [each.communicate(timeout=30) for each in racers] == [(b"", b"")] * 4
        assert version(tmp_path / f"{round}.db") == NEWEST


class Failing(sqlite3.Connection):
    """Fails at the statement of that number."""

    left = 10**9

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        type(self).left -= 1
        if self.left < 0 and "ROLLBACK" not in sql:
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *parameters)


@pytest.mark.parametrize("path", ["1a", "1g"], indirect=True)
def test_failure_at_any_step_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-01: each statement of the upgrade in turn."""
    rows = "SELECT id, link_id, state, access_hash, due_at, views FROM secrets"
    before = (asked(path, "SELECT type, name, sql FROM sqlite_schema"), asked(path, rows), version(path))
    steps = 0
    while True:
        with contextlib.closing(connection.connect(path, Failing)) as db:
            monkeypatch.setattr(Failing, "left", steps)
            try:
                migrate.upgrade(db)
                break
            except sqlite3.OperationalError:
                assert not db.in_transaction
            finally:
                monkeypatch.setattr(Failing, "left", 10**9)
        assert (asked(path, "SELECT type, name, sql FROM sqlite_schema"), asked(path, rows), version(path)) == before
        assert steps < 200
        steps += 1
    assert version(path) == NEWEST
    assert steps > (40 if "arrivals" not in str(before) else 5)


@pytest.mark.parametrize("path", ["1g"], indirect=True)
async def test_upgrade_without_room_for_its_copy_does_not_begin(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_of(path).mkdir()
    with pytest.raises(StoreUnusable, match="cannot be copied before its upgrade"):
        await open_store(path)
    assert version(path) == 1


@pytest.mark.parametrize("path", ["1g"], indirect=True)
async def test_file_of_a_newer_seclink_is_refused_and_stays_as_it_is(path: Path) -> None:
    """OPS-01"""
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {NEWEST + 1}")
    db.close()
    before = raw(path)
    with pytest.raises(StoreUnusable, match=f"newer SecLink \\(schema {NEWEST + 1}, this one knows {NEWEST}\\)"):
        await open_store(path)
    assert raw(path) == before
    assert not copy_of(path).exists()


@pytest.mark.parametrize(
    "change",
    [
        "DROP TRIGGER secrets_erase",
        "DROP INDEX secrets_by_due_at",
        "ALTER TABLE secrets DROP COLUMN peeked_at",
        "DROP TRIGGER secrets_erase; CREATE TRIGGER secrets_erase AFTER DELETE ON purged BEGIN SELECT 1; END",
    ],
)
async def test_tables_that_something_else_has_changed_are_refused(tmp_path: Path, change: str) -> None:
    """Without its trigger a revealed secret would not be erased."""
    path = tmp_path / "seclink.db"
    connection.open_or_create(path)
    with sqlite3.connect(path) as db:
        db.executescript(change)
    db.close()
    with pytest.raises(StoreUnusable, match="its tables were changed by another program"):
        await open_store(path)


async def test_statistics_of_sqlite_are_no_change(tmp_path: Path) -> None:
    path = tmp_path / "seclink.db"
    connection.open_or_create(path)
    with sqlite3.connect(path) as db:
        db.execute("ANALYZE")
    db.close()
    await (await open_store(path)).close()


def test_migrations_are_only_ever_added_to() -> None:
    """Version 1 was not: seven files go by that name."""
    digests = [hashlib.sha256(re.sub(r"\s+", " ", each).encode()).hexdigest()[:16] for each in MIGRATIONS]
    assert digests == ["067702adf80405c8", hashlib.sha256(b"").hexdigest()[:16], "f055da9a21a656d5"]

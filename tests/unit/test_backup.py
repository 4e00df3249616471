"""Backups contain no secret, and no restore brings one back. BK-01 to BK-04."""

# ruff: noqa: ASYNC240  these tests inspect files between awaits
import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import schema_snapshots
from database import FOREIGN_SCHEMAS, OpenStore, change_schema, query
from schema_snapshots import DAY, ENDED, NOW, WAITING, link, payload, receipt, traces

from seclink.errors import StoreUnusable
from seclink.model import Receipt
from seclink.store import atomic_file, backup, connection, snapshot
from seclink.store.schema import MIGRATIONS
from seclink.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

KEEP_MS = 30 * DAY
SAVED, RESTORED = NOW + 5000, NOW + 2 * DAY
ALIVE = WAITING.keys() - {"overdue"}


@pytest.fixture
async def store(tmp_path: Path, anyio_backend: str, open_store: OpenStore) -> AsyncIterator[SqliteStore]:
    """An open store, as a server has it, with secrets of every kind."""
    path = tmp_path / "seclink.db"
    await schema_snapshots.fill(path)
    store = await open_store(path)
    yield store
    await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "seclink.db"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "monday.db"


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def restore(file: Path, path: Path, now: int = RESTORED, replace: bool = False) -> backup.Restored:
    return backup.restore(file, path, now, KEEP_MS, replace=replace)


def found(path: Path, *secrets: str) -> list[tuple[str, bytes]]:
    """Return the traces of secrets that are in the raw bytes of a file, as (name, trace)."""
    data = path.read_bytes()
    return [(name, trace) for name in secrets for trace in traces(name) if trace in data]


async def told(store: SqliteStore, name: str, now: int) -> Receipt:
    told = await store.receipt(receipt(name), now)
    assert told is not None
    return told


async def check_no_secret_is_revived(store: SqliteStore, now: int) -> None:
    for name in (*WAITING, *ENDED):
        proof: dict[str, Any] = {"access_hash": f"access of {name}", "passcode": f"argon of {name}"}
        assert await store.claim(link(name), now, **proof) is None, name
        assert await store.claim(link(name), now) is None, name
        peek = await store.peek(link(name), now)
        assert peek is not None
        assert peek.state != "active", name
        assert peek.ended_at is not None


# Contents of a backup


def test_every_column_is_either_copied_or_omitted() -> None:
    """BK-03: a new column must be added to one of the two lists."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        for each in MIGRATIONS:
            db.executescript(each)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        columns = {
            table: {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))}
            for table in tables
        }
    decided = {
        table: set(snapshot.COPIED_COLUMNS.get(table, ())) | snapshot.OMITTED_COLUMNS.get(table, frozenset())
        for table in snapshot.COPIED_COLUMNS.keys() | snapshot.OMITTED_COLUMNS.keys()
    }
    assert decided == columns
    assert not any(
        snapshot.COPIED_COLUMNS.get(table, {}).keys() & out for table, out in snapshot.OMITTED_COLUMNS.items()
    )


async def test_backup_has_no_trace_of_any_secret(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-03: neither of active nor of ended ones."""
    assert {name for name, _ in found(path, *WAITING)} == set(WAITING)
    backup.save(path, file, SAVED)
    assert found(file, *WAITING, *ENDED, schema_snapshots.PURGED) == []
    for table in snapshot.OMITTED_COLUMNS.keys() - {"secrets"}:
        assert query(file, f"SELECT count(*) FROM {table}") == [(0,)]
    nothing = " IS NULL AND ".join(snapshot.OMITTED_COLUMNS["secrets"] - {"passcode_tries", "paused_at"})
    assert query(file, f"SELECT count(*) FROM secrets WHERE {nothing} IS NULL AND bytes = 0") == [(8,)]
    [(salt,)] = query(path, "SELECT salt FROM meta")
    assert salt not in file.read_bytes()


async def test_backup_has_no_remnant_of_free_pages(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-03: even if another program has deleted rows without erasing them."""
    await store.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("DELETE FROM payloads")
        db.execute("UPDATE secrets SET public_note = NULL, label = NULL")
    db.close()
    assert found(path, "thrice"), "the deleted payload is gone already: this test shows nothing"
    backup.save(path, file, SAVED)
    assert found(file, *WAITING) == []


async def test_backup_delays_erasure_only_while_it_reads(
    store: SqliteStore, path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FOR-01: indexes, the check and the sync take most of the time, and none of them needs the source."""
    finish = snapshot._finish
    busy = []

    def checkpoint(*arguments: Any) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE meta SET clock_mark = clock_mark + 1")
            busy.append(other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        finish(*arguments)

    monkeypatch.setattr(snapshot, "_finish", checkpoint)
    snapshot.write(path, file, SAVED)
    assert busy == [0]


async def test_backup_is_a_complete_database(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-03: one file without a log, readable on a read-only disk."""
    inventory = backup.save(path, file, SAVED)
    assert names(file.parent) == {"monday.db"}
    assert query(file, "PRAGMA integrity_check") == [("ok",)]
    assert query(file, "PRAGMA foreign_key_check") == []
    assert query(file, "PRAGMA journal_mode") == [("delete",)]
    assert query(file, "SELECT count(*) FROM secrets WHERE state = 'active'") == [(0,)]
    assert (inventory.receipts, inventory.active, inventory.keys, inventory.accounts) == (8, 4, 2, 1)
    assert (inventory.bytes, inventory.at) == (file.stat().st_size, SAVED)


async def test_backup_does_not_change_the_database(store: SqliteStore, path: Path, file: Path) -> None:
    before = [path.with_name(f"seclink.db{end}").read_bytes() for end in ("", "-wal")]
    backup.save(path, file, SAVED)
    assert [path.with_name(f"seclink.db{end}").read_bytes() for end in ("", "-wal")] == before
    for name in ALIVE:
        claimed = await store.claim(link(name), SAVED, access_hash=f"access of {name}", passcode=f"argon of {name}")
        assert claimed is not None
        assert claimed.payload == payload(name)


@contextlib.contextmanager
def no_mask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def test_temp_file_is_private_from_the_first_byte(file: Path) -> None:
    """BK-03"""
    with no_mask(), atomic_file.temp_file(file) as part:
        assert part.parent == file.parent
        assert (part.stat().st_size, part.stat().st_mode & 0o777) == (0, 0o600)
        part.write_bytes(b"whole")
        assert not file.exists()
        atomic_file.commit(part, file)
    assert names(file.parent) == {"monday.db"}
    assert file.stat().st_mode & 0o777 == 0o600


async def test_backup_is_private(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-03"""
    with no_mask():
        backup.save(path, file, SAVED)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["file", "empty file", "folder", "link", "link to nothing", "the database"])
async def test_backup_does_not_overwrite_a_file(store: SqliteStore, path: Path, file: Path, kind: str) -> None:
    other = file.with_name("other")
    match kind:
        case "file" | "empty file":
            file.write_bytes(b"mine" if kind == "file" else b"")
        case "folder":
            file.mkdir()
        case "link" | "link to nothing":
            file.symlink_to(other)
            if kind == "link":
                other.write_bytes(b"mine")
        case _:
            file = path
    before = {each: each.read_bytes() for each in (file, other) if each.is_file()}
    with pytest.raises(StoreUnusable, match="exists already; a backup never overwrites a file"):
        backup.save(path, file, SAVED)
    assert {each: each.read_bytes() for each in (file, other) if each.is_file()} == before


def test_commit_does_not_overwrite_a_file_created_meanwhile(file: Path) -> None:
    with atomic_file.temp_file(file) as part:
        part.write_bytes(b"ours")
        file.write_bytes(b"mine")
        with pytest.raises(FileExistsError):
            atomic_file.commit(part, file)
    assert file.read_bytes() == b"mine"
    assert names(file.parent) == {"monday.db"}


def test_commit_works_without_hard_links(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    for again in (False, True):
        with atomic_file.temp_file(file) as part, pytest.raises(FileExistsError) if again else contextlib.nullcontext():
            part.write_bytes(b"again" if again else b"ours")
            atomic_file.commit(part, file)
    assert file.read_bytes() == b"ours"
    assert names(file.parent) == {"monday.db"}


async def test_failed_backup_leaves_no_file(store: SqliteStore, path: Path, file: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        backup.save(path, file.parent / "nowhere" / "x.db", SAVED)
    await store.close()
    with path.open("r+b") as database:
        database.seek(2 * 4096)
        database.write(os.urandom(4096))
    with pytest.raises(StoreUnusable, match="is damaged"):
        backup.save(path, file, SAVED)
    assert names(file.parent) == set()


# Results of a restore


async def test_restore_brings_back_all_but_contents(
    store: SqliteStore, path: Path, file: Path, open_store: OpenStore
) -> None:
    """BK-01: active secrets have ended for good, and their receipts say why."""
    backup.save(path, file, SAVED)
    other = path.with_name("other.db")
    restored = restore(file, other)
    assert (restored.ended, restored.inventory.last_seen_at, restored.previous) == (4, SAVED, None)
    assert other.stat().st_mode & 0o777 == 0o600
    new = await open_store(other)
    await check_no_secret_is_revived(new, RESTORED)
    for name in ALIVE:
        receipt = await told(new, name, RESTORED)
        assert [(each.at, each.type) for each in receipt.events][-2:] == [(RESTORED, "restored"), (RESTORED, "burned")]
        assert receipt.state == "burned"
        assert (receipt.label, receipt.public_note) == (None, None)
    overdue = await told(new, "overdue", RESTORED)
    assert (overdue.state, overdue.events[-1].at) == ("expired", NOW + 2000)
    for name, state in ENDED.items():
        assert (await told(new, name, RESTORED)) == (await told(store, name, RESTORED))
        assert (await told(new, name, RESTORED)).state == state
    assert {key.prefix: key.is_live(SAVED) for key in await new.keys()} == {
        "sk_live_live00": True, "sk_live_gone00": False, "sk_live_over00": False,
    }  # fmt: skip
    assert (await new.stats("acme", RESTORED, (0, 0, 0))).total_secrets == 8
    await new.close()
    assert found(other, *WAITING, *ENDED) == []


async def test_retention_of_secrets_ended_by_a_restore_begins_then(
    store: SqliteStore, path: Path, file: Path, open_store: OpenStore
) -> None:
    backup.save(path, file, SAVED)
    other = path.with_name("other.db")
    restore(file, other, SAVED + 300 * DAY)
    new = await open_store(other)
    while await new.reap(SAVED + 329 * DAY, 100):
        pass
    assert await new.peek(link("waiting"), SAVED + 329 * DAY) is not None
    while await new.reap(SAVED + 331 * DAY, 100):
        pass
    assert await new.peek(link("waiting"), SAVED + 331 * DAY) is None
    await new.close()


async def test_secrets_ended_after_the_backup_stay_ended(
    store: SqliteStore, path: Path, file: Path, open_store: OpenStore
) -> None:
    """BK-01: ten revealed, burned, expired, untouched, and created since: none can be revealed."""
    kinds = ("revealed", "burned", "expired", "untouched", "since")
    secrets = {kind: [f"{kind}{n}" for n in range(10)] for kind in kinds}

    async def add(names: list[str], ttl: int) -> None:
        for name in names:
            await store.add(
                make_secret(name, created_at=SAVED - 1, expires_at=SAVED + ttl),
            )

    for kind in kinds[:-1]:
        await add(secrets[kind], 10 if kind == "expired" else 10 * DAY)
    backup.save(path, file, SAVED)
    for name in secrets["revealed"]:
        assert await store.claim(link(name), SAVED + 1) is not None
    for name in secrets["burned"]:
        await store.burn(receipt(name), SAVED + 1)
    await store.reap(SAVED + 11, 100)
    await add(secrets["since"], 10 * DAY)
    await store.close()
    restored = restore(file, path, SAVED + 20, replace=True)
    assert (restored.ended, restored.lost) == (4 + 10, 4 + 20)
    new = await open_store(path)
    for kind in kinds[:-1]:
        for name in secrets[kind]:
            assert await new.claim(link(name), SAVED + 30) is None
            peek = await new.peek(link(name), SAVED + 30)
            assert peek is not None
            ended = {"revealed": SAVED + 1, "burned": SAVED + 1, "expired": SAVED + 10, "untouched": SAVED + 20}
            assert (peek.state, peek.ended_at) == ("burned" if kind == "untouched" else kind, ended[kind])
            types = [event.type for event in (await told(new, name, SAVED + 30)).events]
            assert ("restored" in types) is (kind == "untouched")
            assert peek.views == (1 if kind == "revealed" else 0)
    for name in secrets["since"]:
        assert await new.claim(link(name), SAVED + 30) is None
    await new.close()


def make_secret(name: str, **more: Any) -> Any:
    from seclink.model import Secret

    usual: dict[str, Any] = {
        "link_id": link(name), "receipt_id": receipt(name), "manage_digest": b"m" * 32, "account": None,
        "format": "raw", "expiry_type": "view_once", "payload": payload(name), "iv": b"i", "max_views": 1,
    }  # fmt: skip
    return Secret(**{**usual, **more})


@pytest.mark.parametrize("with_log", [False, True])
async def test_restore_of_a_copied_database_revives_no_secret(
    store: SqliteStore, path: Path, file: Path, with_log: bool, open_store: OpenStore
) -> None:
    """BK-02: a copy with all contents, with or without its log."""
    if with_log:
        await store.ping(SAVED)
    else:
        await store.close()
    for end in ("", "-wal") if with_log else ("",):
        Path(f"{file}{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    assert found(file, "thrice") or found(Path(f"{file}-wal"), "thrice")
    other = path.with_name("other.db")
    assert restore(file, other, SAVED).ended == 4
    new = await open_store(other)
    await check_no_secret_is_revived(new, SAVED)
    assert (await told(new, "waiting", SAVED)).events[-2].type == "restored"
    await new.close()
    assert found(other, *WAITING) == []


async def test_backup_copied_into_place_revives_no_secret(
    store: SqliteStore, path: Path, file: Path, open_store: OpenStore
) -> None:
    """BK-02: `cp` instead of `seclink restore`; its secrets have ended already."""
    backup.save(path, file, SAVED)
    new = await open_store(file)
    await check_no_secret_is_revived(new, SAVED)
    assert (await told(new, "waiting", SAVED)).state == "burned"
    assert await new.last_seen_at() == SAVED
    await new.close()


@pytest.mark.parametrize("name", sorted(schema_snapshots.COMMITS))
async def test_databases_of_all_earlier_schemas_can_be_saved_and_restored(
    name: str, tmp_path: Path, anyio_backend: str, open_store: OpenStore
) -> None:
    """OPS-01, BK-01: a backup of the old schema, or the old database itself."""
    path, file = tmp_path / "old.db", tmp_path / "backup.db"
    schema_snapshots.load(name, path)
    backup.save(path, file, SAVED)
    assert query(file, "PRAGMA user_version") == [(int(name[0]),)]
    assert found(file, *WAITING, *ENDED) == []
    for source in (file, path):
        other = tmp_path / f"from {source.name}"
        assert restore(source, other, SAVED).ended == 4
        new = await open_store(other)
        assert new.upgraded is None
        await check_no_secret_is_revived(new, SAVED)
        assert (await told(new, "locked", SAVED)).views == 1
        assert len(await new.keys()) == 3
        await new.close()
        assert found(other, *WAITING) == []


@pytest.mark.parametrize("wall", [1, NOW - DAY])
async def test_last_seen_instant_never_goes_back(
    store: SqliteStore, path: Path, file: Path, wall: int, open_store: OpenStore
) -> None:
    """CR-09: neither by an old backup nor by a machine whose clock is wrong."""
    inventory = backup.save(path, file, wall)
    assert inventory.at == NOW + 3000
    await store.ping(NOW + DAY)
    await store.close()
    restore(file, path, wall, replace=True)
    new = await open_store(path)
    assert await new.last_seen_at() == NOW + DAY
    await check_no_secret_is_revived(new, NOW + DAY)
    assert (await told(new, "waiting", NOW + DAY)).events[-1].at == NOW + DAY
    await new.close()


# Refusals


async def test_restore_is_refused_while_a_server_runs(store: SqliteStore, path: Path, file: Path) -> None:
    backup.save(path, file, SAVED)
    before = path.read_bytes()
    for replace in (False, True):
        with pytest.raises(StoreUnusable, match="another SecLink server is using this database"):
            restore(file, path, replace=replace)
    assert path.read_bytes() == before
    assert await store.claim(link("waiting"), SAVED, access_hash="access of waiting", passcode="argon of waiting")


async def test_restore_overwrites_a_database_only_with_replace(store: SqliteStore, path: Path, file: Path) -> None:
    backup.save(path, file, SAVED)
    await store.close()
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=r"already \(active secrets in it: 4\); --replace ends"):
        restore(file, path, SAVED)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file"),
        ("folder", "no such file"),
        ("empty", "is empty"),
        ("text", "is not a SecLink database"),
        ("foreign", "is the database of another program"),
        ("newer", "was written by a newer SecLink"),
        ("damaged", "is damaged"),
        ("cut", "is damaged"),
        ("tables", "its tables were changed by another program"),
        ("itself", "is the database itself"),
    ],
)
async def test_refused_restore_changes_nothing(
    store: SqliteStore, path: Path, file: Path, kind: str, said: str
) -> None:
    backup.save(path, file, SAVED)
    await store.close()
    match kind:
        case "missing":
            file.unlink()
        case "folder":
            file.unlink()
            file.mkdir()
        case "empty" | "text":
            file.write_bytes(b"" if kind == "empty" else b"hello\n" * 1000)
        case "foreign" | "newer" | "tables":
            change = {"foreign": "PRAGMA application_id = 1", "newer": "PRAGMA user_version = 99"}
            with sqlite3.connect(file) as db:
                db.execute(change.get(kind, "DROP TRIGGER secrets_erase"))
            db.close()
        case "damaged":
            with file.open("r+b") as damaged:
                damaged.seek(3 * 4096)
                damaged.write(os.urandom(4096))
        case "cut":
            os.truncate(file, file.stat().st_size - 4096)
        case "itself":
            file = path
    before = path.read_bytes()
    with pytest.raises(StoreUnusable, match=said):
        restore(file, path, replace=True)
    assert path.read_bytes() == before
    assert {each for each in names(path.parent) if "." in each[1:]} <= {
        "seclink.db", "seclink.db.lock", "seclink.db-wal", "seclink.db-shm",
    }  # fmt: skip


@pytest.mark.parametrize("change", FOREIGN_SCHEMAS.values(), ids=FOREIGN_SCHEMAS)
async def test_backup_with_changed_tables_is_refused(store: SqliteStore, path: Path, file: Path, change: str) -> None:
    """FOR-03: one trigger in it could keep every ciphertext that is erased."""
    backup.save(path, file, SAVED)
    await store.close()
    change_schema(file, change)
    with pytest.raises(StoreUnusable, match="its tables were changed by another program"):
        restore(file, path.with_name("other.db"))


@pytest.mark.parametrize("change", ["table and trigger", "trigger that ignores", "index with contents", "view"])
async def test_copy_takes_data_and_no_schema(store: SqliteStore, path: Path, tmp_path: Path, change: str) -> None:
    """FOR-03: the tables of a copy are made by our own migrations, whatever the source has."""
    await store.close()
    change_schema(path, FOREIGN_SCHEMAS[change])
    copy = tmp_path / "copy.db"
    snapshot.write(path, copy, SAVED)
    connection.check(copy)
    assert query(copy, "SELECT count(*) FROM secrets") == [(8,)]


@pytest.mark.parametrize("table", ["secrets", "meta", "api_keys", "purged"])
async def test_copy_takes_no_data_from_a_view(store: SqliteStore, path: Path, tmp_path: Path, table: str) -> None:
    """FOR-03: reading one runs the file's own statement."""
    await store.close()
    change_schema(path, f"ALTER TABLE {table} RENAME TO t; CREATE VIEW {table} AS SELECT * FROM t")
    with pytest.raises(sqlite3.DatabaseError, match="a table is missing"):
        snapshot.write(path, tmp_path / "copy.db", SAVED)


# The replaced database


async def test_replaced_database_is_erased_and_copied_without_contents(
    store: SqliteStore, path: Path, file: Path
) -> None:
    """FOR-01: contents of ended secrets would otherwise live on in a file that is never erased."""
    backup.save(path, file, SAVED)
    await store.add(make_secret("since", created_at=SAVED, expires_at=SAVED + DAY))
    await store.close()
    with path.open("rb") as before:
        restored = restore(file, path, SAVED + 1, replace=True)
        assert restored.lost == 5
        assert set(before.read()) == {0}
    assert restored.previous == path.with_name("seclink.db.replaced-20270115-080005")
    assert not restored.is_raw
    assert restored.previous.stat().st_mode & 0o777 == 0o600
    assert query(restored.previous, "SELECT count(*) FROM secrets") == [(9,)]
    left = [each for each in path.parent.iterdir() if each.is_file()]
    assert [hit for each in left for hit in found(each, *WAITING, "since")] == []
    assert {each.name for each in left} <= {
        "seclink.db", "seclink.db.lock", "seclink.db-wal", "seclink.db-shm", restored.previous.name,
    }  # fmt: skip


async def test_replaced_database_can_be_restored(
    store: SqliteStore, path: Path, file: Path, open_store: OpenStore
) -> None:
    """After a restore of the wrong backup, the copy of the replaced database is a way back."""
    backup.save(path, file, SAVED)
    await store.add_key(make_key("later"))
    await store.close()
    kept = restore(file, path, SAVED + 1000, replace=True).previous
    assert kept is not None
    restore(kept, path, SAVED + 2000, replace=True)
    new = await open_store(path)
    assert "sk_live_later" in {key.prefix for key in await new.keys()}
    await new.close()


def make_key(name: str) -> Any:
    from seclink.model import ApiKey, Scope

    return ApiKey(
        digest=name.encode().ljust(32), prefix=f"sk_live_{name}", account="acme", scopes=frozenset({Scope.CREATE}),
        created_at=NOW,
    )  # fmt: skip


async def test_key_revoked_since_the_backup_stays_revoked(
    store: SqliteStore, path: Path, file: Path, open_store: OpenStore
) -> None:
    backup.save(path, file, SAVED)
    await store.revoke_keys("sk_live_live00", SAVED + 1)
    await store.close()
    restore(file, path, replace=True)
    new = await open_store(path)
    assert [key.prefix for key in await new.keys() if key.is_live(SAVED)] == []
    await new.close()


@pytest.mark.parametrize("kind", ["header", "page", "log alone"])
async def test_unreadable_database_is_moved_aside_unchanged(
    store: SqliteStore, path: Path, file: Path, kind: str, open_store: OpenStore
) -> None:
    """With its log, from which data may be recovered, and which must not be applied to the new file."""
    backup.save(path, file, SAVED)
    await store.ping(SAVED)
    copied = {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal")}
    assert len(copied["-wal"]) > 0
    await store.close()
    for end, data in copied.items():
        Path(f"{path}{end}").write_bytes(data)
    if kind == "log alone":
        path.unlink()
    else:
        with path.open("r+b") as damaged:
            damaged.seek(0 if kind == "header" else 2 * 4096)
            damaged.write(os.urandom(4096))
    wanted = {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal") if Path(f"{path}{end}").exists()}
    with pytest.raises(StoreUnusable, match="exists already, but cannot be read; --replace moves it aside"):
        restore(file, path)
    restored = restore(file, path, replace=True)
    assert restored.is_raw
    assert restored.previous is not None
    assert restored.previous.name.startswith("seclink.db.damaged-")
    assert {end: Path(f"{restored.previous}{end}").read_bytes() for end in wanted} == wanted
    new = await open_store(path)
    await check_no_secret_is_revived(new, RESTORED)
    await new.ping(RESTORED + 400 * DAY)
    await new.close()
    await (await open_store(path)).close()
    assert Path(f"{restored.previous}-wal").exists()  # only the operator deletes it


async def test_database_open_in_another_program_is_not_replaced(store: SqliteStore, path: Path, file: Path) -> None:
    """Its log could not be removed, and would be applied to the new file."""
    backup.save(path, file, SAVED)
    await store.close()
    script = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('SELECT * FROM meta').fetchall();"
        " print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreUnusable, match="is open in another program; stop that first"):
            restore(file, path, replace=True)
        assert not list(path.parent.glob("seclink.db.*-*"))
        other.communicate()
    assert restore(file, path, replace=True).previous is not None


async def test_lock_is_released_after_success_and_failure(store: SqliteStore, path: Path, file: Path) -> None:
    backup.save(path, file, SAVED)
    await store.close()
    with pytest.raises(StoreUnusable, match="--replace"):
        restore(file, path)
    restore(file, path, replace=True)
    with contextlib.closing(sqlite3.connect(path)):
        descriptor = connection.lock(path)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

"""Backups hold no secret, and nothing that is restored brings one back. BK-01 to BK-04."""

# ruff: noqa: ASYNC240  between one await and the next, files are looked at
import contextlib
import fcntl
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import keeping
import pytest
from keeping import DAY, ENDED, NOW, WAITING, link, payload, receipt, traces
from stores import asked, open_store

from seclink.errors import StoreUnusable
from seclink.model import Receipt
from seclink.store import atomic_file, backup, connection, snapshot
from seclink.store.schema import MIGRATIONS
from seclink.store.sqlite import SqliteStore

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("tidy")]

KEEP_MS = 30 * DAY
SAVED, RESTORED = NOW + 5000, NOW + 2 * DAY
ALIVE = WAITING.keys() - {"overdue"}


@pytest.fixture
async def store(tmp_path: Path, anyio_backend: str) -> AsyncIterator[SqliteStore]:
    """A server's store, open, with a secret of every kind in it."""
    path = tmp_path / "seclink.db"
    await keeping.fill(path)
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
    """Which traces of which secrets stand in the raw bytes of a file."""
    data = path.read_bytes()
    return [(name, trace) for name in secrets for trace in traces(name) if trace in data]


async def told(store: SqliteStore, name: str, now: int) -> Receipt:
    told = await store.receipt(receipt(name), now)
    assert told is not None
    return told


async def check_nothing_comes_back(store: SqliteStore, now: int) -> None:
    for name in (*WAITING, *ENDED):
        proof = {"access_hash": f"access of {name}", "passcode": f"argon of {name}"}
        assert await store.claim(link(name), now, **proof) is None, name
        assert await store.claim(link(name), now) is None, name
        peek = await store.peek(link(name), now)
        assert peek is not None
        assert peek.state != "active", name
        assert peek.ended_at is not None


# What is in a backup


def test_every_column_is_either_kept_or_left_out() -> None:
    """BK-03: whoever adds one decides."""
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


async def test_backup_holds_no_trace_of_any_secret(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-03: not of those that wait, nor of those that have ended."""
    assert {name for name, _ in found(path, *WAITING)} == set(WAITING)
    backup.save(path, file, SAVED)
    assert found(file, *WAITING, *ENDED, keeping.PURGED) == []
    for table in snapshot.OMITTED_COLUMNS.keys() - {"secrets"}:
        assert asked(file, f"SELECT count(*) FROM {table}") == [(0,)]
    nothing = " IS NULL AND ".join(snapshot.OMITTED_COLUMNS["secrets"] - {"passcode_tries"})
    assert asked(file, f"SELECT count(*) FROM secrets WHERE {nothing} IS NULL AND bytes = 0") == [(8,)]
    [(salt,)] = asked(path, "SELECT salt FROM meta")
    assert salt not in file.read_bytes()


async def test_backup_holds_no_remnant_of_the_files_free_pages(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-03: even where something else has deleted without erasing."""
    await store.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("DELETE FROM payloads")
        db.execute("UPDATE secrets SET public_note = NULL, label = NULL")
    db.close()
    assert found(path, "thrice"), "nothing was left behind: this shows nothing"
    backup.save(path, file, SAVED)
    assert found(file, *WAITING) == []


async def test_backup_is_a_whole_database_of_its_own(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-03: one file, which can be read where nothing can be written, with no log to lose."""
    inventory = backup.save(path, file, SAVED)
    assert names(file.parent) == {"monday.db"}
    assert asked(file, "PRAGMA integrity_check") == [("ok",)]
    assert asked(file, "PRAGMA foreign_key_check") == []
    assert asked(file, "PRAGMA journal_mode") == [("delete",)]
    assert asked(file, "SELECT count(*) FROM secrets WHERE state = 'active'") == [(0,)]
    assert (inventory.receipts, inventory.waiting, inventory.keys, inventory.accounts) == (8, 4, 2, 1)
    assert (inventory.bytes, inventory.at) == (file.stat().st_size, SAVED)


async def test_backup_changes_nothing(store: SqliteStore, path: Path, file: Path) -> None:
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


def test_file_is_its_owners_alone_from_the_first_byte(file: Path) -> None:
    """BK-03"""
    with no_mask(), atomic_file.temp_file(file) as part:
        assert part.parent == file.parent
        assert (part.stat().st_size, part.stat().st_mode & 0o777) == (0, 0o600)
        part.write_bytes(b"whole")
        assert not file.exists()
        atomic_file.commit(part, file)
    assert names(file.parent) == {"monday.db"}
    assert file.stat().st_mode & 0o777 == 0o600


async def test_backup_is_its_owners_alone(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-03"""
    with no_mask():
        backup.save(path, file, SAVED)
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["file", "empty file", "folder", "link", "link to nothing", "the database"])
async def test_backup_overwrites_nothing(store: SqliteStore, path: Path, file: Path, kind: str) -> None:
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


def test_what_comes_meanwhile_is_not_overwritten(file: Path) -> None:
    with atomic_file.temp_file(file) as part:
        part.write_bytes(b"ours")
        file.write_bytes(b"mine")
        with pytest.raises(FileExistsError):
            atomic_file.commit(part, file)
    assert file.read_bytes() == b"mine"
    assert names(file.parent) == {"monday.db"}


def test_disk_without_hard_links_will_do(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    for again in (False, True):
        with atomic_file.temp_file(file) as part, pytest.raises(FileExistsError) if again else contextlib.nullcontext():
            part.write_bytes(b"again" if again else b"ours")
            atomic_file.commit(part, file)
    assert file.read_bytes() == b"ours"
    assert names(file.parent) == {"monday.db"}


async def test_backup_that_fails_leaves_nothing(store: SqliteStore, path: Path, file: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        backup.save(path, file.parent / "nowhere" / "x.db", SAVED)
    await store.close()
    with path.open("r+b") as database:
        database.seek(2 * 4096)
        database.write(os.urandom(4096))
    with pytest.raises(StoreUnusable, match="is damaged"):
        backup.save(path, file, SAVED)
    assert names(file.parent) == set()


# What comes of a restore


async def test_restore_brings_back_everything_but_secrets(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-01: what waited has ended, for good, and its receipt says why."""
    backup.save(path, file, SAVED)
    other = path.with_name("other.db")
    restored = restore(file, other)
    assert (restored.ended, restored.inventory.seen, restored.kept) == (4, SAVED, None)
    assert other.stat().st_mode & 0o777 == 0o600
    new = await open_store(other)
    await check_nothing_comes_back(new, RESTORED)
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


async def test_receipts_of_what_a_restore_ended_are_kept_from_then_on(
    store: SqliteStore, path: Path, file: Path
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


async def test_what_ended_after_the_backup_stays_ended(store: SqliteStore, path: Path, file: Path) -> None:
    """BK-01: ten revealed, ten burned, ten expired, ten untouched, ten made since; nothing of it can be read."""
    kinds = ("revealed", "burned", "expired", "untouched", "since")
    secrets = {kind: [f"{kind}{n}" for n in range(10)] for kind in kinds}

    async def add(names: list[str], ttl: int) -> None:
        for name in names:
            await store.add(
                keeping_secret(name, created_at=SAVED - 1, expires_at=SAVED + ttl),
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


def keeping_secret(name: str, **more: Any) -> Any:
    from seclink.model import Secret

    usual: dict[str, Any] = {
        "link_id": link(name), "receipt_id": receipt(name), "manage_digest": b"m" * 32, "account": None,
        "format": "raw", "expiry_type": "view_once", "payload": payload(name), "iv": b"i", "max_views": 1,
    }  # fmt: skip
    return Secret(**{**usual, **more})


@pytest.mark.parametrize("with_log", [False, True])
async def test_database_that_was_copied_by_hand_brings_nothing_back_either(
    store: SqliteStore, path: Path, file: Path, with_log: bool
) -> None:
    """BK-02: with all its contents in it, and with its log beside it."""
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
    await check_nothing_comes_back(new, SAVED)
    assert (await told(new, "waiting", SAVED)).events[-2].type == "restored"
    await new.close()
    assert found(other, *WAITING) == []


async def test_backup_that_is_put_in_place_by_hand_brings_nothing_back(
    store: SqliteStore, path: Path, file: Path
) -> None:
    """BK-02: `cp`, and no command of ours: what it holds has ended already."""
    backup.save(path, file, SAVED)
    new = await open_store(file)
    await check_nothing_comes_back(new, SAVED)
    assert (await told(new, "waiting", SAVED)).state == "burned"
    assert await new.last_seen_at() == SAVED
    await new.close()


@pytest.mark.parametrize("name", sorted(keeping.COMMITS))
async def test_databases_of_all_earlier_versions_can_be_saved_and_restored(
    name: str, tmp_path: Path, anyio_backend: str
) -> None:
    """OPS-01, BK-01: saved before the upgrade, restored after it; or the database itself, as it was."""
    path, file = tmp_path / "old.db", tmp_path / "backup.db"
    keeping.loaded(name, path)
    backup.save(path, file, SAVED)
    assert asked(file, "PRAGMA user_version") == [(int(name[0]),)]
    assert found(file, *WAITING, *ENDED) == []
    for source in (file, path):
        other = tmp_path / f"from {source.name}"
        assert restore(source, other, SAVED).ended == 4
        new = await open_store(other)
        assert new.upgraded is None
        await check_nothing_comes_back(new, SAVED)
        assert (await told(new, "locked", SAVED)).views == 1
        assert len(await new.keys()) == 3
        await new.close()
        assert found(other, *WAITING) == []


@pytest.mark.parametrize("wall", [1, NOW - DAY])
async def test_clock_never_goes_back(store: SqliteStore, path: Path, file: Path, wall: int) -> None:
    """CR-09: neither by an old backup nor by a machine that does not know the time."""
    inventory = backup.save(path, file, wall)
    assert inventory.at == NOW + 3000
    await store.ping(NOW + DAY)
    await store.close()
    restore(file, path, wall, replace=True)
    new = await open_store(path)
    assert await new.last_seen_at() == NOW + DAY
    await check_nothing_comes_back(new, NOW + DAY)
    assert (await told(new, "waiting", NOW + DAY)).events[-1].at == NOW + DAY
    await new.close()


# What a restore refuses


async def test_restore_refuses_while_a_server_runs(store: SqliteStore, path: Path, file: Path) -> None:
    backup.save(path, file, SAVED)
    before = path.read_bytes()
    for replace in (False, True):
        with pytest.raises(StoreUnusable, match="another SecLink server is using this database"):
            restore(file, path, replace=replace)
    assert path.read_bytes() == before
    assert await store.claim(link("waiting"), SAVED, access_hash="access of waiting", passcode="argon of waiting")


async def test_restore_overwrites_nothing_unless_it_is_told_to(store: SqliteStore, path: Path, file: Path) -> None:
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
        ("foreign", "is a database of something else"),
        ("newer", "was written by a newer SecLink"),
        ("damaged", "is damaged"),
        ("cut", "is damaged"),
        ("tables", "its tables were changed by another program"),
        ("itself", "is the database itself"),
    ],
)
async def test_restore_looks_first_and_then_touches_nothing(
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


# What becomes of the database that was there


async def test_replaced_database_is_overwritten_and_kept_without_contents(
    store: SqliteStore, path: Path, file: Path
) -> None:
    """FOR-01: or what has ended, as its receipts say, would live on in a file nobody erases."""
    backup.save(path, file, SAVED)
    await store.add(keeping_secret("since", created_at=SAVED, expires_at=SAVED + DAY))
    await store.close()
    with path.open("rb") as before:
        restored = restore(file, path, SAVED + 1, replace=True)
        assert restored.lost == 5
        assert set(before.read()) == {0}
    assert restored.kept == path.with_name("seclink.db.replaced-20270115-080005")
    assert not restored.is_raw
    assert restored.kept.stat().st_mode & 0o777 == 0o600
    assert asked(restored.kept, "SELECT count(*) FROM secrets") == [(9,)]
    left = [each for each in path.parent.iterdir() if each.is_file()]
    assert [hit for each in left for hit in found(each, *WAITING, "since")] == []
    assert {each.name for each in left} <= {
        "seclink.db", "seclink.db.lock", "seclink.db-wal", "seclink.db-shm", restored.kept.name,
    }  # fmt: skip


async def test_way_back_from_the_wrong_backup(store: SqliteStore, path: Path, file: Path) -> None:
    """What was replaced can be restored like any backup."""
    backup.save(path, file, SAVED)
    await store.add_key(keeping_key("later"))
    await store.close()
    kept = restore(file, path, SAVED + 1000, replace=True).kept
    assert kept is not None
    restore(kept, path, SAVED + 2000, replace=True)
    new = await open_store(path)
    assert "sk_live_later" in {key.prefix for key in await new.keys()}
    await new.close()


def keeping_key(name: str) -> Any:
    from seclink.model import ApiKey, Scope

    return ApiKey(
        digest=name.encode().ljust(32), prefix=f"sk_live_{name}", account="acme", scopes=frozenset({Scope.CREATE}),
        created_at=NOW,
    )  # fmt: skip


async def test_key_revoked_since_the_backup_stays_revoked(store: SqliteStore, path: Path, file: Path) -> None:
    backup.save(path, file, SAVED)
    await store.revoke_keys("sk_live_live00", SAVED + 1)
    await store.close()
    restore(file, path, replace=True)
    new = await open_store(path)
    assert [key.prefix for key in await new.keys() if key.is_live(SAVED)] == []
    await new.close()


@pytest.mark.parametrize("kind", ["header", "page", "log alone"])
async def test_database_that_cannot_be_read_is_moved_aside_as_it_is(
    store: SqliteStore, path: Path, file: Path, kind: str
) -> None:
    """With its log, from which something may be saved, and which must not meet the new file."""
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
    assert restored.kept is not None
    assert restored.kept.name.startswith("seclink.db.damaged-")
    assert {end: Path(f"{restored.kept}{end}").read_bytes() for end in wanted} == wanted
    new = await open_store(path)
    await check_nothing_comes_back(new, RESTORED)
    await new.ping(RESTORED + 400 * DAY)
    await new.close()
    await (await open_store(path)).close()
    assert Path(f"{restored.kept}-wal").exists()  # nobody else's decision


async def test_database_that_is_open_elsewhere_is_not_replaced(store: SqliteStore, path: Path, file: Path) -> None:
    """Its log could not be taken away, and would meet the new file."""
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
    restore(file, path, replace=True)


def test_file_gets_the_databases_owner_where_root_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the service could not open what was restored for it."""
    made, given = tmp_path / "made", []
    made.touch()
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: given.append((path, uid, gid)))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    atomic_file.chown_like(made, tmp_path / "no database yet")
    owner = tmp_path.stat()
    assert given == [(made, owner.st_uid, owner.st_gid)]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    atomic_file.chown_like(made, tmp_path / "no database yet")
    assert len(given) == 1


async def test_lock_is_let_go_whatever_happens(store: SqliteStore, path: Path, file: Path) -> None:
    backup.save(path, file, SAVED)
    await store.close()
    with pytest.raises(StoreUnusable):
        restore(file, path)
    restore(file, path, replace=True)
    with contextlib.closing(sqlite3.connect(path)):
        descriptor = connection.lock(path)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

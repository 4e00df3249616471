"""The audit trail: every change has an entry, tampering is detected, and old entries are pruned."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.waiting import TIMEOUT_SECONDS
from test_store import END, NOW, key, link, receipt, secret

from seclink.errors import StorageFailed, StoreUnusable, TooManyChanges
from seclink.model import Changes, State
from seclink.store import audit_log, audit_reader, backup
from seclink.store.audit_reader import AuditReader, MarkPruned, TrailBroken, parse_mark
from seclink.store.contract import IdTaken
from seclink.store.sqlite import SqliteStore

pytestmark = pytest.mark.anyio

DAY, HOUR = 86_400_000, 3_600_000
PROOF = {"access_hash": None, "passcode": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path, anyio_backend: str) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(path, keep_seconds=30 * 86400, max_bytes=2**30, audit_seconds=90 * 86400)
    yield store
    await store.close()


def read(path: Path, mark: str | None = None) -> list[Any]:
    return [each.entry for each in AuditReader(path, None if mark is None else parse_mark(mark)).new()]


def live(path: Path) -> list[Any]:
    """Return the entries except those about the trail itself."""
    return [each for each in read(path) if each.event != "forgotten"]


def told(path: Path) -> list[tuple[Any, ...]]:
    return [(each.event, each.account, each.by, each.receipt, each.detail) for each in read(path)]


@contextlib.contextmanager
def tampering(path: Path) -> Any:
    """Connect as an attacker who may write to the file."""
    with contextlib.closing(sqlite3.connect(path, timeout=TIMEOUT_SECONDS)) as db, db:
        db.execute("DROP TRIGGER IF EXISTS audit_stays")
        yield db


async def test_every_change_has_an_entry(path: Path, store: SqliteStore) -> None:
    await store.add(secret("own", account="acme", max_views=2, format="seclink/v1"))
    await store.add(secret("anonymous"))
    await store.peek(link("own"), NOW)
    await store.record(link("own"), "peeked", NOW + 1)
    assert await store.claim(link("own"), NOW + 2) is not None
    assert await store.claim(link("own"), NOW + 3, by="reader") is not None
    assert await store.claim(link("own"), NOW + 4) is None
    await store.record(link("anonymous"), "passcode_wrong", NOW + 5)
    await store.record(link("anonymous"), "reported", NOW + 6, "says a stranger")
    await store.record(link("anonymous"), "access_denied", NOW + 7, by="acme")
    await store.edit(receipt("anonymous"), Changes(label="x"), NOW + 8, "acme")
    await store.burn(receipt("anonymous"), NOW + 9, detail="by the manage token")
    await store.add(secret("late", account="acme"))
    await store.add_key(key())
    await store.revoke_keys("sk_live_abcdef", NOW + 10)
    await store.reap(END, 10)
    assert told(path) == [
        ("created", "acme", "acme", receipt("own"), "seclink/v1"),
        ("created", None, None, receipt("anonymous"), "raw"),
        ("revealed", "acme", None, receipt("own"), "view 1 of 2"),
        ("revealed", "acme", "reader", receipt("own"), "view 2 of 2"),
        ("failed", None, None, receipt("anonymous"), "passcode_wrong"),
        ("reported", None, None, receipt("anonymous"), None),
        ("failed", None, "acme", receipt("anonymous"), "access_denied"),
        ("changed", None, "acme", receipt("anonymous"), "label"),
        ("burned", None, None, receipt("anonymous"), "by the manage token"),
        ("created", "acme", "acme", receipt("late"), "raw"),
        ("key_added", "acme", None, None, "sk_live_abcdef... create,manage"),
        ("key_revoked", "acme", None, None, "sk_live_abcdef..."),
        ("expired", "acme", None, receipt("late"), None),
    ]
    assert [each.at - NOW for each in read(path)] == [0, 0, 2, 3, 5, 6, 7, 8, 9, 0, 0, 10, END - NOW]


async def test_refused_changes_have_no_entry(path: Path, store: SqliteStore) -> None:
    await store.add(secret())
    with pytest.raises(IdTaken):
        await store.add(secret())
    await store.burn(receipt("nobody"), NOW)
    await store.burn(receipt("a"), END)
    await store.edit(receipt("a"), Changes(label="x"), END)
    await store.record(link("nobody"), "access_denied", NOW)
    assert await store.claim(link("a"), NOW, access_hash="wrong") is None
    assert [each.event for each in read(path)] == ["created"]


async def test_failed_write_leaves_no_gap_in_the_chain(path: Path, store: SqliteStore) -> None:
    await store.add(secret("taken"))
    names = [f"s{n}" for n in range(20)] + ["taken"] + [f"t{n}" for n in range(20)]
    done = await asyncio.gather(*(store.add(secret(name)) for name in names), return_exceptions=True)
    assert [type(each) for each in done if each] == [IdTaken]
    assert sorted(each.receipt for each in read(path)) == sorted(map(receipt, names))


async def test_trail_holds_no_content_text_or_address(path: Path, store: SqliteStore) -> None:
    private = {"public_note": "NOTE", "label": "LABEL", "access_hash": "ACCESS", "passcode": "ARGON"}
    await store.add(secret("x", account="acme", payload=b"PAYLOAD", **private))
    await store.record(link("x"), "reported", NOW, "REASON")
    await store.attempt(link("x"), "192.0.2.7", NOW)
    assert await store.claim(link("x"), NOW, access_hash="ACCESS", passcode="ARGON", client="192.0.2.7")
    with contextlib.closing(sqlite3.connect(path)) as db:
        kept = " ".join(text for (text,) in db.execute("SELECT entry FROM audit WHERE entry IS NOT NULL"))
    for each in ("NOTE", "LABEL", "ACCESS", "ARGON", "PAYLOAD", "REASON", "192.0.2", link("x")):
        assert each not in kept


async def test_key_that_exists_fails_alone(path: Path, store: SqliteStore) -> None:
    """Its primary key collides, too, but the end of the trail has not moved: the write is not tried again."""
    await store.add_key(key())
    results = await asyncio.gather(
        store.add(secret("one")), store.add_key(key()), store.add(secret("two")), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), StorageFailed, type(None)]
    assert isinstance(results[1], StorageFailed)
    assert isinstance(results[1].__cause__, sqlite3.IntegrityError)
    assert [each.event for each in read(path)] == ["key_added", "created", "created"]


@pytest.mark.parametrize("verb", ["create", "reveal", "view", "burn", "change", "guess", "add key"])
async def test_change_without_its_entry_is_rolled_back(path: Path, store: SqliteStore, verb: str) -> None:
    """ONE-05: both are one transaction."""
    await store.add(secret("once"))
    await store.add(secret("often", max_views=9))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        tables = ("secrets", "payloads", "events", "api_keys", "audit")

        def everything() -> list[Any]:
            return [db.execute(f"SELECT * FROM {each}").fetchall() for each in tables]

        before = everything()
        db.execute("CREATE TRIGGER fail BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
        doing: dict[str, Callable[[], Any]] = {
            "create": lambda: store.add(secret("new")),
            "reveal": lambda: store.claim(link("once"), NOW),
            "view": lambda: store.claim(link("often"), NOW),
            "burn": lambda: store.burn(receipt("once"), NOW),
            "change": lambda: store.edit(receipt("once"), Changes(label="x"), NOW),
            "guess": lambda: store.record(link("once"), "passcode_wrong", NOW),
            "add key": lambda: store.add_key(key()),
        }
        with pytest.raises(StorageFailed):
            await doing[verb]()
        assert everything() == before
        db.execute("DROP TRIGGER fail")
    await doing[verb]()
    assert len(read(path)) == 3


async def test_concurrent_processes_write_one_chain(path: Path, store: SqliteStore) -> None:
    """A command that runs beside the server writes to the same trail."""
    other = await SqliteStore.open(path, keep_seconds=1, max_bytes=2**30, exclusive=False)
    for turn in range(15):
        await asyncio.gather(
            *(store.add(secret(f"{turn} {n}")) for n in range(5)),
            *(other.add_key(key(f"sk_live_{turn:03}{n:03}")) for n in range(5)),
            *(store.claim(link(f"{turn - 1} {n}"), NOW) for n in range(5)),
        )
    await other.close()
    events = [each.event for each in read(path)]
    assert {event: events.count(event) for event in events} == {"created": 75, "key_added": 75, "revealed": 70}


async def test_entries_of_views_are_limited(path: Path, store: SqliteStore) -> None:
    await store.add(secret("endless", max_views=None))
    await store.add(secret("thousand", max_views=1000))
    for _ in range(150):
        assert await store.claim(link("endless"), NOW) is not None
        assert await store.claim(link("thousand"), NOW) is not None
    for _ in range(850):
        assert await store.claim(link("thousand"), NOW) is not None
    seen = [each.detail for each in read(path) if each.event == "revealed"]
    assert seen.count("view 100") == seen.count("view 100 of 1000") == seen.count("view 1000 of 1000") == 1
    assert len(seen) == 201
    for _ in range(150):
        await store.record(link("endless"), "passcode_wrong", NOW)
    assert len(read(path)) < 310


async def test_entries_of_edits_are_limited(path: Path, store: SqliteStore) -> None:
    """AUTH-10: anyone can create a secret and edit it with its manage token."""
    await store.add(secret())
    for n in range(100):
        assert await store.edit(receipt("a"), Changes(label=str(n)), NOW) is State.ACTIVE
    with pytest.raises(TooManyChanges):
        await store.edit(receipt("a"), Changes(label="100"), NOW)
    assert [each.event for each in read(path)] == ["created"] + ["changed"] * 100


@pytest.mark.parametrize("noise", ["reported", "revealed", "changed"])
async def test_one_kind_of_event_does_not_crowd_out_others(path: Path, store: SqliteStore, noise: str) -> None:
    """An attacker with the linkId alone could otherwise hide guesses behind a hundred reports."""
    await store.add(secret(max_views=None))
    make: dict[str, Callable[[], Any]] = {
        "reported": lambda: store.record(link("a"), "reported", NOW),
        "revealed": lambda: store.claim(link("a"), NOW),
        "changed": lambda: store.edit(receipt("a"), Changes(label="x"), NOW),
    }
    for _ in range(120):
        with contextlib.suppress(TooManyChanges):
            await make[noise]()
    for name in ("passcode_wrong", *(set(make) - {noise, "revealed"})):
        await make.get(name, lambda: store.record(link("a"), "passcode_wrong", NOW, by="acme"))()
    after = [each.event for each in read(path)][101:]
    assert sorted(after) == sorted({"failed", "reported", "changed"} - {noise})


# Tampering is detected


async def filled(store: SqliteStore) -> str:
    """Add ten entries; return the mark of the last one."""
    for n in range(10):
        await store.add(secret(str(n), account="acme"))
    return await store.audit_mark()


OTHER = msgspec.json.encode(audit_log.AuditEntry(NOW, "created", "mallory", "mallory", receipt("4"), "raw")).decode()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (f"UPDATE audit SET entry = '{OTHER}' WHERE seq = 5", "entry 5 or the one before it was changed"),
        (
            "UPDATE audit SET entry = replace(entry, 'a', 'A') WHERE seq = 10",
            "entry 10 or the one before it was changed",
        ),
        ("UPDATE audit SET entry = NULL WHERE seq = 5", "entry 5 or the one before it was changed"),
        ("UPDATE audit SET digest = upper(digest) WHERE seq = 5", "entry 5 or the one before it was changed"),
        ("DELETE FROM audit WHERE seq = 5", "entry 5 is missing"),
        ("DELETE FROM audit WHERE seq BETWEEN 4 AND 6", "entries 4 to 6 are missing"),
        ("DELETE FROM audit WHERE seq < 5", "entry 5 is the first, and the entry it is chained to is missing"),
        ("DELETE FROM audit", "the trail is empty"),
        ("UPDATE audit SET seq = 99 WHERE seq = 10", "entries 10 to 98 are missing"),
    ],
)
async def test_tampering_is_detected(path: Path, store: SqliteStore, change: str, said: str) -> None:
    await filled(store)
    with tampering(path) as db:
        db.execute(change)
    with pytest.raises(TrailBroken, match=said):
        read(path)


@pytest.mark.parametrize(
    "made",
    [
        "VIEW audit AS SELECT 0 AS seq, NULL AS entry, 'x' AS digest",
        "VIEW audit AS WITH RECURSIVE n(seq) AS (SELECT 0 UNION ALL SELECT seq + 1 FROM n)"
        " SELECT seq, NULL AS entry, 'x' AS digest FROM n",
        "TABLE audit (a)",
        "TABLE audit AS SELECT 0 AS seq, NULL AS entry, NULL AS digest",
        "TABLE IF NOT EXISTS other (a)",
    ],
)
async def test_replaced_table_is_refused(path: Path, store: SqliteStore, made: str) -> None:
    """For example by a view that never ends."""
    await filled(store)
    with tampering(path) as db:
        db.execute("DROP TABLE audit")
        db.execute(f"CREATE {made}")
    with pytest.raises(TrailBroken, match="not in the table that SecLink made"):
        read(path)


@pytest.mark.parametrize("column", ["digest", "entry"])
@pytest.mark.parametrize("seq", [0, 3])
async def test_text_that_is_not_utf8_is_detected(path: Path, store: SqliteStore, column: str, seq: int) -> None:
    await filled(store)
    with tampering(path) as db:
        db.execute(f"UPDATE audit SET {column} = CAST(x'ff' AS TEXT) WHERE seq = ?", (seq,))
    with pytest.raises(TrailBroken, match=r"entry [013] (or|is)"):
        read(path)


async def test_database_of_an_older_release_is_refused(path: Path, store: SqliteStore) -> None:
    with tampering(path) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(StoreUnusable, match="older SecLink; start the server once"):
        read(path)


async def test_entry_changed_with_its_digest_breaks_the_next_one(path: Path, store: SqliteStore) -> None:
    await filled(store)
    with tampering(path) as db:
        before = audit_log.ChainPosition(*db.execute("SELECT seq, digest FROM audit WHERE seq = 4").fetchone())
        db.execute(
            "UPDATE audit SET entry = ?, digest = ? WHERE seq = 5", (OTHER, audit_log.chained_digest(before, OTHER))
        )
    with pytest.raises(TrailBroken, match="entry 6 or the one before it was changed"):
        read(path)


async def test_swapped_entries_are_detected(path: Path, store: SqliteStore) -> None:
    await filled(store)
    with tampering(path) as db:
        (one,), (two,) = db.execute("SELECT entry FROM audit WHERE seq IN (3, 4) ORDER BY seq").fetchall()
        db.executemany("UPDATE audit SET entry = ? WHERE seq = ?", [(two, 3), (one, 4)])
    with pytest.raises(TrailBroken, match="entry 3 "):
        read(path)


async def test_trigger_refuses_to_change_an_entry(path: Path, store: SqliteStore) -> None:
    await filled(store)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for change in ("entry = '{}'", "seq = 99", "digest = ''"):
            with pytest.raises(sqlite3.IntegrityError, match="stays as it is"):
                db.execute(f"UPDATE audit SET {change} WHERE seq = 10")


async def test_mark_shows_that_the_end_was_cut_off(path: Path, store: SqliteStore) -> None:
    """The remaining entries are an intact chain: only the mark shows it."""
    mark = await filled(store)
    assert len(read(path, mark)) == 10
    with tampering(path) as db:
        db.execute("DELETE FROM audit WHERE seq > 7")
    assert len(read(path)) == 7
    with pytest.raises(TrailBroken, match="the mark names entry 10, but the trail ends with 7"):
        read(path, mark)


async def test_mark_shows_that_the_trail_was_rewritten(path: Path, store: SqliteStore) -> None:
    """An attacker who may write to the file can compute digests, too."""
    mark = await filled(store)
    with tampering(path) as db:
        entries = [each.entry for each in AuditReader(path).new()]
        db.execute("DELETE FROM audit WHERE seq > 0")
        changed = [msgspec.structs.replace(each, account="mallory") for each in entries]
        audit_log.append(db, audit_log.head(db), changed)
    assert {each.account for each in read(path)} == {"mallory"}
    with pytest.raises(TrailBroken, match="entry 10 is not the one of the mark"):
        read(path, mark)


async def test_store_works_after_the_trail_was_emptied(path: Path, store: SqliteStore) -> None:
    """The trail will not verify."""
    await filled(store)
    await store.close()
    with tampering(path) as db:
        db.execute("DELETE FROM audit")
        db.executescript("".join(sql + ";" for sql in TRIGGERS))
    again = await SqliteStore.open(path, keep_seconds=1, max_bytes=2**30)
    assert await again.audit_mark() == "0:"
    await again.add(secret("after"))
    await again.close()
    with pytest.raises(TrailBroken, match="entry 1 is the first"):
        read(path)


TRIGGERS = [
    " ".join(each.split())
    for each in [
        """CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
    WHEN new.entry IS NOT NULL OR new.seq <> old.seq OR new.digest <> old.digest BEGIN
        SELECT RAISE(ABORT, 'what the audit trail says stays as it is');
    END"""
    ]
]


async def test_every_database_begins_with_another_digest(tmp_path: Path, anyio_backend: str) -> None:
    """A mark of one database fits no other."""
    marks = set()
    for n in range(3):
        store = await SqliteStore.open(tmp_path / f"{n}.db", keep_seconds=1, max_bytes=2**30)
        marks |= {await store.audit_mark(), await filled(store)}
        await store.close()
    assert len({each.partition(":")[2] for each in marks}) == 6


# Old entries are pruned


async def test_pruned_trail_is_still_a_chain(path: Path, store: SqliteStore) -> None:
    early = await filled(store)
    await store.add(secret("not marked"))
    for n in range(5):
        await store.add(secret(f"later {n}", created_at=NOW + 50 * DAY, expires_at=NOW + 200 * DAY))
    while await store.reap(NOW + 100 * DAY, 100):
        pass
    kept = read(path, await store.audit_mark())
    assert [each.event for each in kept] == ["created"] * 5 + ["expired"] * 11 + ["forgotten"]
    assert kept[-1].detail == "up to entry 11"
    with pytest.raises(MarkPruned, match="the mark's entry 10 was pruned with all up to 11; the rest is intact"):
        read(path, early)
    for hours in range(3):
        while await store.reap(NOW + 300 * DAY + hours * HOUR, 100):
            pass
    assert live(path) == []
    await store.add(secret("new", created_at=NOW + 300 * DAY, expires_at=NOW + 301 * DAY))
    assert [each.receipt for each in live(path)] == [receipt("new")]


async def test_removed_beginning_is_told_from_a_pruned_one(path: Path, store: SqliteStore) -> None:
    """The statements of a pruning without its entry."""
    mark = await filled(store)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE audit SET entry = NULL WHERE seq = 6")
        db.execute("DELETE FROM audit WHERE seq < 6")
    for each in (None, mark):
        with pytest.raises(
            TrailBroken, match="the entries up to 6 are missing, and no entry records that they were pruned"
        ):
            read(path, each)


async def test_pruning_entry_is_not_pruned_on_its_own(path: Path, store: SqliteStore) -> None:
    """Every hour would add another one."""
    store.reconfigure(1, 0, 2**30)
    await filled(store)
    assert [await store.reap(NOW + hours * HOUR + 1, 100) for hours in range(5)] == [10, 0, 0, 0, 0]
    assert [each.detail for each in read(path)] == ["up to entry 10"]


async def test_trail_is_pruned_once_an_hour(path: Path, store: SqliteStore) -> None:
    """Each pruning adds an entry, so there must not be many."""
    store.reconfigure(1, 0, 2**30)
    await filled(store)
    assert await store.reap(NOW + 1, 100) == 10
    await store.add(secret("next"))
    assert await store.reap(NOW + 2, 100) == 0
    assert await store.reap(NOW + HOUR, 100) == 0
    assert await store.reap(NOW + HOUR + 1, 100) == 2


async def test_trail_without_retention_is_pruned_at_once(path: Path, store: SqliteStore) -> None:
    store.reconfigure(1, 0, 2**30)
    await filled(store)
    assert await store.reap(NOW + 1, 100) == 10
    assert await store.reap(NOW + 1, 100) == 0
    assert live(path) == []


async def test_pruning_has_a_maximum_of_entries(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "MAX_PRUNED", 4)
    await filled(store)
    store.reconfigure(30 * 86400, 0, 2**30)
    assert [await store.reap(NOW + 1, 100) for _ in range(4)] == [4, 4, 2, 0]


async def test_head_is_read_again_after_a_pruning(path: Path, store: SqliteStore) -> None:
    """The head that the server remembers may be older than all entries that are left."""
    await store.add(secret("first"))
    other = await SqliteStore.open(path, keep_seconds=1, max_bytes=2**30, exclusive=False)
    for n in range(3):
        await other.add_key(key(f"sk_live_{n}"))
    await other.close()
    assert await store.reap(NOW + 100 * DAY, 100) == 5
    late = {"created_at": NOW + 100 * DAY, "expires_at": NOW + 101 * DAY}
    await asyncio.gather(*(store.add(secret(name, **late)) for name in ("second", "third")))
    assert [each.event for each in live(path)] == ["expired", "created", "created"]


@pytest.mark.parametrize(
    "entry", ["x", "{", "[]", "null", '{"at":null}', '{"at":"x"}', '{"at":[1]}', '{"at":1e400}', f'{{"at":{10**30}}}']
)
@pytest.mark.parametrize("position", [0, 1, 2])
async def test_damaged_entry_is_pruned_with_its_neighbours(
    path: Path, store: SqliteStore, entry: str, position: int
) -> None:
    """It blocks neither the reaper nor the pruning, and is not pruned before its neighbours are old."""
    names = ("a", "b", "c")
    for name in names:
        await store.add(secret(name))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        (sql,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'audit_stays'").fetchone()
        db.execute("DROP TRIGGER audit_stays")
        db.execute("UPDATE audit SET entry = ? WHERE seq = ?", (entry, position + 1))
        db.execute(sql)
    assert await store.reap(END, 10) == 3
    with pytest.raises(TrailBroken, match=f"entry {position + 1} "):
        read(path)
    for name in names:
        await store.add(secret(f"later {name}", created_at=END + 80 * DAY, expires_at=END + 200 * DAY))
    while await store.reap(END + 100 * DAY, 10):
        pass
    assert [each.receipt for each in live(path)] == [receipt(f"later {name}") for name in names]


async def test_entry_from_the_future_does_not_block_pruning(path: Path, store: SqliteStore) -> None:
    """The command line uses the clock of the machine, which may be wrong."""
    await store.add_key(key(created_at=NOW + 36500 * DAY))
    await filled(store)
    assert await store.reap(NOW + 1, 100) == 0
    await store.reap(NOW + 100 * DAY, 100)
    assert [each.event for each in live(path)] == ["expired"] * 10


# Copies


async def test_backup_has_the_trail_and_a_restore_adds_an_entry(path: Path, store: SqliteStore, tmp_path: Path) -> None:
    mark = await filled(store)
    backup.save(path, tmp_path / "copy", NOW)
    await store.burn(receipt("0"), NOW)
    backup.restore(tmp_path / "copy", tmp_path / "new.db", NOW + 1, 1, replace=False)
    entries = read(tmp_path / "new.db", mark)
    assert [each.event for each in entries] == ["created"] * 10 + ["restored"]
    store = await SqliteStore.open(tmp_path / "new.db", keep_seconds=1, max_bytes=2**30)
    assert (await store.receipt(receipt("0"), NOW + 2) or store).state is State.BURNED  # type: ignore[union-attr]
    await store.add(secret("next"))
    await store.close()
    assert len(read(tmp_path / "new.db", mark)) == 12


async def test_restore_keeps_the_newer_entries_of_the_replaced_database(
    path: Path, store: SqliteStore, tmp_path: Path
) -> None:
    """Rolling a database back does not roll back its audit trail."""
    await filled(store)
    backup.save(path, tmp_path / "copy", NOW)
    await store.burn(receipt("0"), NOW + 1)
    await store.claim(link("1"), NOW + 1)
    mark = await store.audit_mark()
    await store.close()
    for turn in range(2):
        backup.restore(tmp_path / "copy", path, NOW + 2 + turn, 1, replace=True)
        events = [each.event for each in read(path, mark)]
        assert events == ["created"] * 10 + ["burned", "revealed"] + ["restored"] * (turn + 1)


async def test_restore_over_another_trail_names_its_end(path: Path, store: SqliteStore, tmp_path: Path) -> None:
    await filled(store)
    await store.close()
    other = await SqliteStore.open(tmp_path / "other.db", keep_seconds=1, max_bytes=2**30)
    mark = await filled(other)
    await other.close()
    backup.save(path, tmp_path / "copy", NOW)
    backup.restore(tmp_path / "copy", tmp_path / "other.db", NOW + 2, 1, replace=True)
    told = read(tmp_path / "other.db")
    assert [each.event for each in told] == ["created"] * 10 + ["restored"]
    assert told[-1].detail.endswith(f", in place of a trail with the mark {mark}")


async def test_repeated_reads_miss_no_entry(path: Path, store: SqliteStore) -> None:
    """Even if entries are pruned between the reads."""
    reader, seen = AuditReader(path), []
    for n in range(12):
        await store.add(secret(str(n), created_at=NOW + n * DAY, expires_at=END + 99 * DAY))
        seen += [each.entry.receipt for each in reader.new() if each.entry.receipt]
        if n % 4 == 3:
            store.reconfigure(30 * 86400, 0, 2**30)
            await store.reap(NOW + n * DAY, 1)
    assert seen == [receipt(str(n)) for n in range(12)]
    with tampering(path) as db:
        db.execute("DELETE FROM audit WHERE seq > 3")
        db.execute("INSERT INTO audit VALUES (4, '{}', 'x')")
    with pytest.raises(TrailBroken, match="entry 14 and all after it are missing"):
        list(reader.new())


async def test_paused_reader_does_not_keep_the_log_from_being_truncated(path: Path, store: SqliteStore) -> None:
    """A pager that shows the beginning of the trail may stay open for hours."""
    await filled(store)
    reading = AuditReader(path).new()
    next(reading)
    assert await store.claim(link("0"), NOW) is not None
    with contextlib.closing(sqlite3.connect(path, timeout=TIMEOUT_SECONDS)) as db:
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert len(list(reading)) == 9


@pytest.mark.parametrize("some", [2, 3, 5, 10, 11, 12])
async def test_trail_read_in_parts_is_checked_as_a_whole(
    path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, some: int
) -> None:
    monkeypatch.setattr(audit_reader, "MAX_ROWS", some)
    mark = await filled(store)
    assert [each.receipt for each in read(path, mark)] == [receipt(str(n)) for n in range(10)]
    with tampering(path) as db:
        db.execute("UPDATE audit SET digest = upper(digest) WHERE seq = 9")
    with pytest.raises(TrailBroken, match="entry 9 or the one before it was changed"):
        read(path)
    with tampering(path) as db:
        db.execute("DELETE FROM audit WHERE seq = 9")
    with pytest.raises(TrailBroken, match="entry 9 is missing"):
        read(path)


async def test_reader_detects_that_entries_it_has_read_are_missing(path: Path, store: SqliteStore) -> None:
    """They were cut off, or an older backup was put in place."""
    await filled(store)
    reader = AuditReader(path)
    assert len(list(reader.new())) == 10
    with tampering(path) as db:
        db.execute("DELETE FROM audit WHERE seq > 7")
    with pytest.raises(TrailBroken, match="entry 10 and all after it are missing"):
        list(reader.new())

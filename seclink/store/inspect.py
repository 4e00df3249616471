"""Reading facts about a database without writing to it, beside the server that uses it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from msgspec import Struct

from seclink.store import owner
from seclink.store.connection import connect, unusable
from seclink.store.migrate import NEWEST, foreign_objects, version
from seclink.store.reads import LAST_SEEN
from seclink.store.uploads import NAMES

TIMEOUT_SECONDS = 5
MAX_CHECKED_BYTES = 256 * 2**20  # while it is checked, the server cannot erase what has ended: well under a second


class Inspection(Struct, frozen=True, kw_only=True):
    """Facts about a database file.

    `schema` is the file's and `newest` the one this release upgrades it to. `last_seen_at` is the latest instant that
    the store has seen. `verdict` is the result of SQLite's check, "" if the file is too large for it. `orphans` counts
    rows whose secret is missing. `ended` is the linkId of some ended secret.
    """

    schema: int
    newest: int
    journal_mode: str
    last_seen_at: int
    verdict: str
    orphans: int
    ended: str | None


def inspect(path: Path, *, max_bytes: int = MAX_CHECKED_BYTES) -> Inspection:
    """Return the facts; SQLite checks files of up to `max_bytes` bytes. See also `connection.check`.

    Raises StoreUnusable if the file cannot be read, or is not a SecLink database.
    """
    return owner.run(path, partial(_inspect, path, max_bytes), Inspection)


def _inspect(path: Path, max_bytes: int) -> Inspection:
    try:
        with open_readonly(path) as db:
            (journal_mode,) = db.execute("PRAGMA journal_mode").fetchone()
            (last_seen_at,) = db.execute(LAST_SEEN).fetchone()
            verdict = ""
            if path.stat().st_size <= max_bytes:
                verdict = "; ".join(text for (text,) in db.execute("PRAGMA quick_check(3)"))
            ended = db.execute(
                "SELECT link_id FROM secrets WHERE state <> 'active' ORDER BY id DESC LIMIT 1"
            ).fetchone()
            return Inspection(
                schema=version(db),
                newest=NEWEST,
                journal_mode=journal_mode,
                last_seen_at=last_seen_at,
                verdict=verdict,
                orphans=len(db.execute("PRAGMA foreign_key_check").fetchmany(100)),
                ended=ended[0] if ended else None,
            )
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None


_LEFTOVERS = {
    "payloads of ended secrets": """
        SELECT count(*) FROM payloads WHERE NOT EXISTS
            (SELECT 1 FROM secrets WHERE secrets.id = payloads.id AND secrets.state = 'active')
    """,
    "ended secrets with a note, a label or a hash": """
        SELECT count(*) FROM secrets
        WHERE state <> 'active' AND coalesce(access_hash, passcode, public_note, label) IS NOT NULL
    """,
    "counts of wrong passcodes of ended secrets": """
        SELECT count(*) FROM attempts WHERE NOT EXISTS
            (SELECT 1 FROM secrets WHERE secrets.id = attempts.secret AND secrets.state = 'active')
    """,
}


def leftovers(path: Path) -> list[str]:
    """Describe the places of the database that are not ours, and the contents of ended secrets in it.

    Raises StoreUnusable.
    """
    return owner.run(path, partial(_leftovers, path), list[str])


def _leftovers(path: Path) -> list[str]:
    try:
        with open_readonly(path) as db:
            db.execute("BEGIN")
            descriptions = [f"{name}, which is not as SecLink made it" for name in foreign_objects(db, version(db))]
            if not descriptions:
                counts = {what: db.execute(sql).fetchone()[0] for what, sql in _LEFTOVERS.items()}
                descriptions = [f"{count:,} {what}" for what, count in counts.items() if count]
            return descriptions
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None


def upload_files(path: Path) -> set[str]:
    """Return the names of the files that uploads have. Raises StoreUnusable."""
    return owner.run(path, partial(_upload_files, path), set[str])


def _upload_files(path: Path) -> set[str]:
    try:
        with open_readonly(path) as db:
            if version(db) < NEWEST:
                return set()
            return {name for (name,) in db.execute(NAMES)}
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None


def upload_file(path: Path, upload_id: str) -> str:
    """Return the name of the file that an upload has, "" if there is none. Raises StoreUnusable."""
    return owner.run(path, partial(_stored_text, path, "SELECT file FROM uploads WHERE upload_id = ?", upload_id), str)


def stored_passcode(path: Path, link_id: str) -> str:
    """Return the argon2id string that is stored for a secret, "" if there is none. Raises StoreUnusable."""
    return owner.run(path, partial(_stored_text, path, "SELECT passcode FROM secrets WHERE link_id = ?", link_id), str)


def _stored_text(path: Path, sql: str, id: str) -> str:
    try:
        with open_readonly(path) as db:
            row = db.execute(sql, (id,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None
    return (row[0] if row else "") or ""


def check_pragmas(folder: Path) -> None:
    """Set the store's pragmas on a new database in an empty folder. Raises StoreUnusable if one is not kept."""
    with contextlib.closing(connect(folder / "try.db", sqlite3.Connection)):
        pass


def sqlite_version() -> tuple[int, ...]:
    """Return the version of SQLite in use."""
    return sqlite3.sqlite_version_info


@contextlib.contextmanager
def open_readonly(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a connection that cannot write."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=TIMEOUT_SECONDS)) as db:
        db.execute("PRAGMA trusted_schema = OFF")
        yield db

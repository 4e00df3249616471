"""What can be told of a database without writing to it, beside the server that uses it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from seclink.store.connection import connect, unusable
from seclink.store.migrate import NEWEST, version

PATIENCE_SECONDS = 5


class Inspection(Struct, frozen=True, kw_only=True):
    """`schema` is the file's and `newest` the one this release makes of it. `seen_ms` is the latest instant that the
    store has seen, `verdict` what SQLite's check says ("" where the file was too large to be checked), `orphans` counts
    rows whose secret is not there, `ended` is the link of some secret of the native API that has ended.
    """

    schema: int
    newest: int
    journal_mode: str
    seen_ms: int
    verdict: str
    orphans: int
    ended: str | None


def inspect(path: Path, *, up_to: int = 2**30) -> Inspection:
    """Raises StoreUnusable where it cannot be read at all, or is no database of SecLink's. See also `opening.check`."""
    try:
        with open_readonly(path) as db:
            (journal_mode,) = db.execute("PRAGMA journal_mode").fetchone()
            (seen_ms,) = db.execute("SELECT clock_mark FROM meta").fetchone()
            verdict = ""
            if path.stat().st_size <= up_to:
                verdict = "; ".join(said for (said,) in db.execute("PRAGMA quick_check(3)"))
            ended = db.execute(
                "SELECT link_id FROM secrets WHERE state <> 'active' ORDER BY id DESC LIMIT 1"
            ).fetchone()
            return Inspection(
                schema=version(db),
                newest=NEWEST,
                journal_mode=journal_mode,
                seen_ms=seen_ms,
                verdict=verdict,
                orphans=len(db.execute("PRAGMA foreign_key_check").fetchmany(100)),
                ended=ended[0] if ended else None,
            )
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None


def passcode_of(path: Path, link_id: str) -> str:
    """The argon2id string that is kept for a secret, "" where there is none. Raises StoreUnusable."""
    try:
        with open_readonly(path) as db:
            row = db.execute("SELECT passcode FROM secrets WHERE link_id = ?", (link_id,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise unusable(path, error) from None
    return (row[0] if row else "") or ""


def try_pragmas(folder: Path) -> None:
    """Whether this machine's SQLite does what erasure rests on, shown on a database of its own in an empty folder.
    Raises StoreUnusable.
    """
    with contextlib.closing(connect(folder / "try.db", sqlite3.Connection)):
        pass


def library() -> tuple[int, ...]:
    """The version of SQLite in use."""
    return sqlite3.sqlite_version_info


@contextlib.contextmanager
def open_readonly(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE_SECONDS)) as db:
        db.execute("PRAGMA trusted_schema = OFF")
        yield db

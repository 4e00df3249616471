"""The files of a server's database: queries beside the server, and searches for raw bytes."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support.waiting import TIMEOUT_SECONDS


def database_path(folder: Path) -> Path:
    return folder / "seclink.db"


@contextlib.contextmanager
def open_readonly(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database beside the server without changing it."""
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_SECONDS)
    ) as db:
        yield db


def query_value(path: Path, sql: str, *parameters: Any) -> Any:
    with open_readonly(path) as db:
        row = db.execute(sql, parameters).fetchone()
    return row[0] if row else None


def is_intact(path: Path) -> bool:
    return bool(query_value(path, "PRAGMA integrity_check") == "ok")


def wait_until_truncated(folder: Path) -> None:
    """Wait until the database's log is empty."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while Path(f"{database_path(folder)}-wal").stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def find_bytes(folder: Path, *needles: bytes) -> list[tuple[str, bytes]]:
    """Return the file name and needle of every match in the raw files of the folder."""
    matches = []
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        data = path.read_bytes()
        matches += [(path.name, needle) for needle in needles if needle in data]
    return matches


def wait_until_erased(folder: Path, *needles: bytes, seconds: float = 2.0) -> None:
    """Fail unless all matches disappear in time, which is generous because the machine may be busy."""
    deadline = time.monotonic() + seconds
    while matches := find_bytes(folder, *needles):
        assert time.monotonic() < deadline, matches
        time.sleep(0.05)

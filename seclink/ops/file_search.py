"""Looking for bytes in raw files: the database, its log, what lies beside it, temporary files, and whatever the server
has open, under a name or without one.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from seclink.ops.processes import open_files, server_of

CHUNK = 2**20
TEMPORARY = ("/var/tmp", "/usr/tmp", "/tmp")  # noqa: S108  where SQLite would spill to; it is only looked there
SPILLED = "etilqs_*"  # what SQLite calls its temporary files


class Match(Struct, frozen=True):
    """`what` was found first at `offset` of a file."""

    what: str
    file: str
    offset: int


class SearchedFiles(Struct, frozen=True):
    """The files to look in, each once, and what could not be looked at."""

    files: tuple[Path, ...]
    unseen: tuple[str, ...]


def places(database: Path, further: Iterable[Path] = ()) -> SearchedFiles:
    """Everything that may hold what went through a database; `further` are files and folders somebody else makes."""
    found: dict[tuple[int, int], Path] = {}
    unseen: list[str] = []
    candidates = [*_beside(database), *_spilled(database), *_below(further, unseen)]
    process = server_of(database)
    if process is not None:
        try:
            candidates += open_files(process)
        except OSError:
            unseen.append(f"what process {process} has open; run this as its user")
    for each in candidates:
        with contextlib.suppress(FileNotFoundError):
            told = each.stat()
            if stat.S_ISREG(told.st_mode):
                found.setdefault((told.st_dev, told.st_ino), each)
    return SearchedFiles(tuple(found.values()), tuple(unseen))


def search(files: Iterable[Path], needles: Mapping[str, bytes]) -> tuple[list[Match], int]:
    """Where any of the needles stands, and how many bytes were looked through. Raises OSError for a file that cannot be
    read; one that went away meanwhile is no longer there.
    """
    traces: list[Match] = []
    size = 0
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            found, read = _search_one(path, needles)
            traces += found
            size += read
    return traces, size


def _search_one(path: Path, needles: Mapping[str, bytes]) -> tuple[list[Match], int]:
    found: dict[str, int] = {}
    overlap = max(map(len, needles.values()), default=1) - 1
    window, at, size = b"", 0, 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            window, at = window[-overlap:] + chunk if overlap else chunk, size - min(overlap, len(window))
            for name, needle in needles.items():
                if name not in found and (offset := window.find(needle)) >= 0:
                    found[name] = at + offset
            size += len(chunk)
    return [Match(name, shown(path), offset) for name, offset in found.items()], size


def shown(path: Path) -> str:
    """What an open file is called, rather than its number."""
    with contextlib.suppress(OSError):
        return f"{path.readlink()}"
    return f"{path}"


def _beside(database: Path) -> Iterator[Path]:
    for each in sorted(database.parent.iterdir()):
        if each.name.removeprefix(".").startswith(database.name):
            yield each


def _spilled(database: Path) -> Iterator[Path]:
    named = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"), *TEMPORARY, str(database.parent))
    for folder in {Path(each) for each in named if each}:
        with contextlib.suppress(OSError):
            yield from folder.glob(SPILLED)


def _below(further: Iterable[Path], unseen: list[str]) -> Iterator[Path]:
    for each in further:
        if not each.is_dir():
            yield each
            continue
        for folder, _, names in os.walk(each, onerror=lambda error: unseen.append(_told(error))):
            yield from (Path(folder, name) for name in names)


def _told(error: OSError) -> str:
    return f"{error.filename}, {error.strerror}"

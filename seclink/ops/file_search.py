"""Searching raw files for bytes: the database, its log and the files beside it, SQLite's temporary files, and every
file the server has open, even a deleted one.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from seclink.ops.processes import PROCESSES, open_files, server_process

CHUNK_BYTES = 2**20
TEMPORARY_FOLDERS = ("/var/tmp", "/usr/tmp", "/tmp")  # noqa: S108  read only: where SQLite writes temporary files
SQLITE_TEMPORARY = "etilqs_*"


class Match(Struct, frozen=True):
    """The first occurrence of a needle in a file."""

    needle: str
    file: str
    offset: int


class SearchedFiles(Struct, frozen=True):
    """The files to search, without duplicates, and descriptions of those that cannot be searched."""

    files: tuple[Path, ...]
    unsearched: tuple[str, ...]


def files_to_search(database: Path, extra: Iterable[Path] = ()) -> SearchedFiles:
    """Return every file that may hold content of the database; `extra` adds files and folders, such as backups."""
    files: dict[tuple[int, int], Path] = {}
    unsearched: list[str] = []
    candidates = [*_database_files(database), *_temporary_files(database), *_extra_files(extra, unsearched)]
    process = server_process(database)
    if process is not None:
        try:
            candidates += open_files(process)
        except OSError:
            unsearched.append(f"the open files of process {process}; run this command as its user")
    for path in candidates:
        with contextlib.suppress(FileNotFoundError):
            status = path.stat(follow_symlinks=path.is_relative_to(PROCESSES))
            if stat.S_ISREG(status.st_mode):
                files.setdefault((status.st_dev, status.st_ino), path)
    return SearchedFiles(tuple(files.values()), tuple(unsearched))


def search(files: Iterable[Path], needles: Mapping[str, bytes]) -> tuple[list[Match], int]:
    """Return the first match of every needle in every file, and the number of bytes searched.

    A file that was deleted in the meantime is skipped. Raises OSError if a file cannot be read.
    """
    matches: list[Match] = []
    total = 0
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            file_matches, size = _search_file(path, needles)
            matches += file_matches
            total += size
    return matches, total


def _search_file(path: Path, needles: Mapping[str, bytes]) -> tuple[list[Match], int]:
    offsets: dict[str, int] = {}
    overlap = max(map(len, needles.values()), default=1) - 1
    window, window_at, size = b"", 0, 0
    with _open(path) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return [], 0
        while chunk := file.read(CHUNK_BYTES):
            # A needle may begin in one chunk and end in the next, so the end of the last window stays in front.
            window_at = size - min(overlap, len(window))
            window = window[-overlap:] + chunk if overlap else chunk
            for name, needle in needles.items():
                if name not in offsets and (offset := window.find(needle)) >= 0:
                    offsets[name] = window_at + offset
            size += len(chunk)
    return [Match(name, display_name(path), offset) for name, offset in offsets.items()], size


def _open(path: Path) -> BinaryIO:
    """Open a file for reading, and no link to another one except for the open files of a process."""
    follow = 0 if path.is_relative_to(PROCESSES) else os.O_NOFOLLOW
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | follow), "rb")


def display_name(path: Path) -> str:
    """Return the path an open file was opened under, rather than /proc/PID/fd/N."""
    with contextlib.suppress(OSError):
        return f"{path.readlink()}"
    return f"{path}"


def _database_files(database: Path) -> Iterator[Path]:
    for path in sorted(database.parent.iterdir()):
        if path.name.removeprefix(".").startswith(database.name):
            yield path


def _temporary_files(database: Path) -> Iterator[Path]:
    environment = (os.environ.get("SQLITE_TMPDIR"), os.environ.get("TMPDIR"))
    for folder in {Path(name) for name in (*environment, *TEMPORARY_FOLDERS, str(database.parent)) if name}:
        with contextlib.suppress(OSError):
            yield from folder.glob(SQLITE_TEMPORARY)


def _extra_files(extra: Iterable[Path], unsearched: list[str]) -> Iterator[Path]:
    def note_error(error: OSError) -> None:
        unsearched.append(f"{error.filename}, {error.strerror}")

    for path in extra:
        if not path.is_dir():
            yield path.resolve()
            continue
        for folder, _, names in os.walk(path, onerror=note_error):
            yield from (Path(folder, name) for name in names)

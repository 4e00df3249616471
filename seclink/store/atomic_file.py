"""Files beside the database: private from the first byte, whole or absent, erased without a trace."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_CHUNK = bytes(2**20)


@contextlib.contextmanager
def temp_file(target: Path) -> Iterator[Path]:
    """Create an empty file beside `target`, for its owner alone; it is removed afterwards unless it was committed."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)  # 0600, O_EXCL
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            Path(name + end).unlink(missing_ok=True)


def commit(temp: Path, target: Path, *, replace: bool = False) -> None:
    """Give a finished file its name, durably.

    Raises FileExistsError if there is a target by now, unless it shall be replaced.
    """
    sync(temp)
    if replace:
        temp.replace(target)
    else:
        try:
            os.link(temp, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, as on many USB sticks
            if os.path.lexists(target):
                raise FileExistsError(target) from None
            temp.rename(target)
    sync(target.parent)


def erase(descriptor: int) -> None:
    """Overwrite an open file, so that its disk blocks hold nothing when they are used again."""
    remaining = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while remaining > 0:
        remaining -= os.write(descriptor, _CHUNK[:remaining])
    os.fsync(descriptor)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

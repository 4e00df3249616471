"""Files beside the database: private from the first byte, whole or not there, gone without a trace."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

_CHUNK = bytes(2**20)


@contextlib.contextmanager
def part(target: Path) -> Iterator[Path]:
    """A fresh empty file beside `target`, for its owner alone, that is removed unless it was published."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)  # 0600, O_EXCL
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            Path(name + end).unlink(missing_ok=True)


def publish(part: Path, target: Path, *, replace: bool = False) -> None:
    """Give a finished part its name, durably.

    Without `replace` a target that is there meanwhile stays as it is: FileExistsError.
    """
    _sync(part)
    if replace:
        part.replace(target)
    else:
        try:
            os.link(part, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, as on many USB sticks
            if target.exists():
                raise FileExistsError(target) from None
            part.rename(target)
    _sync(target.parent)


def hand_over(made: Path, database: Path) -> None:
    """What root makes for a service of another name belongs to that: to whom the database does, or its folder."""
    if os.geteuid() == 0:
        owner = (database if database.exists() else database.parent).stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def erase(descriptor: int) -> None:
    """Overwrite what an open file holds, so that its blocks say nothing to whoever gets them next."""
    left = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    while left > 0:
        left -= os.write(descriptor, _CHUNK[:left])
    os.fsync(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

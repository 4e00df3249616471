"""The folder with the chunks: one sparse file for each upload, under a name that says nothing, written in place.

Every file is opened relative to the descriptor of the folder and never through a link, is its owner's alone (0600 in a
folder of 0700), and is locked with its folder for one server. All work is done by a few threads: a slow disk holds up
chunks, but neither the event loop nor secrets without files.

Room is counted, not allocated. Nothing is overwritten at the end: the key of a stream is in the payload of its secret,
whose erasure makes the chunks unreadable, wherever copies of them are.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import stat
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from seclink.errors import StoreFault, StoreUnusable
from seclink.store import owner
from seclink.store.atomic_file import sync

T = TypeVar("T")
THREADS = 8
NAME = re.compile("[0-9a-f]{32}")
MOUNT_POINT = "lost+found"  # in the root of a file system
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def folder_of(database: Path, configured: str | None = None) -> Path:
    """Return the folder for the chunks of a database."""
    return database.with_name(f"{database.name}.files") if configured is None else database.parent / configured


class ChunkFolder:
    """`ChunkFiles` in a folder that is held open."""

    def __init__(self, path: Path) -> None:
        self.path, self._folder = path, -1
        self._entering = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, "chunks")
        self._unremoved: set[str] = set()

    @classmethod
    def open(cls, path: Path, *, is_needed: bool) -> "ChunkFolder":
        """Open the folder, for this server alone. Raises StoreUnusable.

        Unless it `is_needed` now, one that does not exist is created for the first file.
        """
        files = cls(path)
        if is_needed or os.path.lexists(path):
            files._enter()
        return files

    def close(self) -> None:
        """Finish the work of the threads and unlock the folder. May be called twice."""
        self._threads.shutdown()
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def names(self) -> set[str]:
        if self._folder < 0:
            return set()
        return {name for name in os.listdir(self._folder) if NAME.fullmatch(name)}  # noqa: PTH208  a descriptor

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._folder)

    async def create(self, name: str) -> None:
        await self._run(self._create, name)

    async def open_file(self, name: str, *, writable: bool = False) -> int:
        flags = (os.O_WRONLY if writable else os.O_RDONLY) | _FLAGS
        return await self._run(lambda: os.open(name, flags, dir_fd=self._folder), undo=os.close)

    async def write(self, file: int, offset: int, piece: bytes, digest: Any = None) -> None:
        await self._run(_write, file, offset, piece, digest)

    async def sync(self, file: int) -> None:
        await self._run(os.fdatasync, file)

    async def read(self, file: int, offset: int, size: int) -> bytes:
        return await self._run(os.pread, file, size, offset)

    async def close_file(self, file: int) -> None:
        await self._run(os.close, file)

    async def size(self, name: str) -> int:
        return await self._run(self._size, name)

    async def free_bytes(self) -> int:
        status = await self._run(lambda: os.statvfs(self._folder if self._folder >= 0 else self.path.parent))
        return status.f_bavail * status.f_frsize

    async def erase(self, names: Iterable[str]) -> None:
        self._unremoved.update(names)
        for name in list(self._unremoved):
            with contextlib.suppress(OSError):  # again with the next ones, and at the next start
                await self._run(self.remove, (name,))
                self._unremoved.discard(name)

    def _enter(self) -> None:
        """Open or create the folder. Raises StoreUnusable."""
        with self._entering:
            if self._folder >= 0:
                return
            try:
                _create(self.path)
                folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | _FLAGS)
            except OSError as error:
                raise _unusable(self.path, f"cannot be opened: {error.strerror}", StoreFault.ACCESS) from None
            try:
                _check(self.path, folder)
            except BaseException:
                os.close(folder)
                raise
            self._folder = folder

    def _create(self, name: str) -> None:
        self._enter()
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=self._folder))
        os.fsync(self._folder)

    def _size(self, name: str) -> int:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    async def _run(self, work: Callable[..., T], *arguments: Any, undo: Callable[[T], None] | None = None) -> T:
        """Do the work in a thread, to its end: a descriptor must not be closed under it.

        A cancelled caller does not get the result: `undo` disposes of it.
        """
        future = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():  # however often the caller is cancelled
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([future])
            if future.exception() is None and undo is not None:
                undo(future.result())
            raise


def _create(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir(0o700)
        sync(path.parent)


def _check(path: Path, folder: int) -> None:
    """Refuse a folder of another user or of another purpose; then make it private and lock it."""
    status = os.fstat(folder)
    is_foreign = owner.is_foreign(path / "file")  # for root, also a folder that others could replace
    if is_foreign or status.st_uid != os.geteuid():
        raise _unusable(path, f"belongs to user {status.st_uid}; give it to the user of the server", StoreFault.ACCESS)
    others = [name for name in os.listdir(folder) if not (NAME.fullmatch(name) or name == MOUNT_POINT)]
    if others:
        raise _unusable(path, "contains other files; set files.path to a folder of its own")
    if stat.S_IMODE(status.st_mode) & 0o077:
        os.fchmod(folder, 0o700)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise _unusable(path, f"cannot be locked: {error.strerror}", StoreFault.ACCESS) from None
        raise _unusable(path, "is the folder of another SecLink server", StoreFault.LOCKED) from None


def _write(file: int, offset: int, piece: bytes, digest: Any) -> None:
    if digest is not None:
        digest.update(piece)
    rest = memoryview(piece)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def _unusable(path: Path, reason: str, fault: StoreFault = StoreFault.OTHER) -> StoreUnusable:
    return StoreUnusable(f"{path}: {reason}", fault)

"""Writes files into a folder: under `NAME.part` until they are whole, never over another file, never outside.

Every name is opened relative to the descriptor of its folder and never through a link, so that nobody who can write to
the folder leads a file elsewhere. Files are for their owner alone (0600).
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from seclink.errors import ClientError
from seclink.format.file_name import SavedName, numbered

MAX_SAME_NAMES = 1000

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_PART = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not block


class OutputFolder:
    """An open folder to save files in. It is created if it does not exist."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self.path.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, _FOLDER)
        self._device = os.fstat(self._descriptor).st_dev

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def create(self, saved: SavedName) -> "PartFile":
        """Create the file under the first free name that ends in `.part`."""
        folder = self._subfolder(saved.folder)
        try:
            for name in _numbered(saved.name):
                with contextlib.suppress(FileExistsError):
                    descriptor = self._open(folder, f"{name}.part", os.O_CREAT | os.O_EXCL)
                    return PartFile(folder, descriptor, self._full(saved.folder), saved.name, f"{name}.part")
        except BaseException:
            os.close(folder)
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path / saved.path))

    def reopen(self, saved: SavedName, part: str, inode: int, size: int) -> "PartFile | None":
        """Open a file that `create` began, None if it is not there or might be another one. `size` is that of all."""
        folder = self._subfolder(saved.folder)
        try:
            descriptor = self._open(folder, part, 0)
        except OSError:
            os.close(folder)
            return None
        except ClientError:
            os.close(folder)
            raise
        file = PartFile(folder, descriptor, self._full(saved.folder), saved.name, part)
        if self._is_ours(os.fstat(descriptor), inode) and file.size <= size:
            return file
        file.close()
        return None

    def find(self, saved: SavedName, part: str, inode: int, size: int) -> Path | None:
        """Return the path of a whole file that has its name already, None without one. Its part may be there still."""
        folder = self._subfolder(saved.folder)
        try:
            for name in _numbered(saved.name):
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if self._is_ours(status, inode) and status.st_size == size:
                    with contextlib.suppress(FileNotFoundError):
                        if os.path.samestat(status, os.stat(part, dir_fd=folder, follow_symlinks=False)):
                            os.unlink(part, dir_fd=folder)
                    return self._full(saved.folder) / name
        except FileNotFoundError:
            pass
        finally:
            os.close(folder)
        return None

    def _is_ours(self, status: os.stat_result, inode: int) -> bool:
        """Return whether it is the file of that inode, a regular one of this user on the folder's device."""
        place = status.st_dev, status.st_ino, status.st_uid
        return stat.S_ISREG(status.st_mode) and place == (self._device, inode, os.geteuid())

    def _subfolder(self, path: str) -> int:
        folder = os.dup(self._descriptor)
        for name in path.split("/") if path else ():
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=folder)
                inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except OSError as error:
                if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                    raise
                raise ClientError(f"{self._full(path)} cannot be used: {name} is a file or a link") from None
            finally:
                os.close(folder)
            folder = inner
        return folder

    def _open(self, folder: int, name: str, flags: int) -> int:
        descriptor = os.open(name, _PART | flags, 0o600, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ClientError(f"{name} is being saved by another program") from None
        except OSError:  # a file system without locks
            return descriptor
        return descriptor

    def _full(self, folder: str) -> Path:
        return self.path / folder


class PartFile:
    """A file that is not whole yet. `name` is that of its part."""

    def __init__(self, folder: int, descriptor: int, folder_path: Path, final_name: str, name: str) -> None:
        self._folder, self._descriptor, self._folder_path = folder, descriptor, folder_path
        self._final_name, self.name = final_name, name
        status = os.fstat(descriptor)
        self.size, self.inode = status.st_size, status.st_ino

    @property
    def path(self) -> Path:
        return self._folder_path / self.name

    def write(self, piece: bytes) -> None:
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            error.filename = str(self.path)
            raise
        self.size += len(piece)

    def commit(self) -> Path:
        """Give the file the first name that is free, durably. Return its path."""
        os.fsync(self._descriptor)
        for name in _numbered(self._final_name):
            try:
                self._link(name)
            except FileExistsError:
                continue
            os.fsync(self._folder)
            return self._folder_path / name
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._folder_path / self._final_name))

    def discard(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.name, dir_fd=self._folder)

    def close(self) -> None:
        os.close(self._descriptor)
        os.close(self._folder)

    def _link(self, name: str) -> None:
        """Raises FileExistsError if the name is taken, ClientError if the part is no longer this file."""
        if not os.path.samestat(os.fstat(self._descriptor), self._status(self.name)):
            raise ClientError(f"{self.path} was replaced by another program")
        try:
            os.link(self.name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, as on many USB sticks
            with contextlib.suppress(FileNotFoundError):
                self._status(name)
                raise FileExistsError(name) from None
            os.rename(self.name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        if not os.path.samestat(os.fstat(self._descriptor), self._status(name)):  # exchanged since the check above
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._folder)
            raise ClientError(f"{self.path} was replaced by another program")
        self.discard()

    def _status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._folder, follow_symlinks=False)


def _numbered(name: str) -> Iterator[str]:
    return (numbered(name, number) for number in range(1, MAX_SAME_NAMES))

"""The files of a revealed secret, as the two clients return them: downloaded when they are read or saved."""

import io
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Generic, Protocol, TypeVar, cast, overload

from seclink.client.downloads import FileDownload, SaveState
from seclink.client.steps import Flow, Progress

T = TypeVar("T")
DriveT = TypeVar("DriveT")
FileT = TypeVar("FileT")


class Drive(Protocol):
    """Runs a call to its end."""

    def __call__(self, flow: Flow[T], /) -> T: ...


class AsyncDrive(Protocol):
    """Runs a call to its end, awaited."""

    def __call__(self, flow: Flow[T], /) -> Coroutine[Any, Any, T]: ...


class FileFacts(Generic[DriveT]):
    """The facts of a file. `name` and `folder`, a relative path or "", are cleaned: safe on every system."""

    def __init__(self, download: FileDownload, number: int, drive: DriveT) -> None:
        self._download, self._number, self._drive = download, number, drive
        self.folder, self.name = download.names[number]
        self.size, self.media_type = download.files[number].size, download.files[number].media_type

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.size} bytes>"


class ReceivedFile(FileFacts[Drive]):
    """A file. Iterate over it for its bytes, in pieces of up to 4 MiB, or `open` or `save` it."""

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._download.pieces(self._number):
            yield self._drive(piece)

    def open(self) -> BinaryIO:
        """Return a binary stream to read from."""
        return cast(BinaryIO, io.BufferedReader(_Reader(iter(self))))

    def save(self, folder: str | PathLike[str], *, progress: Progress | None = None) -> Path:
        """Save the file in a folder and return its path, with a number if there is such a file already."""
        return self._drive(self._download.save([self._number], folder, progress))[0]


class AsyncReceivedFile(FileFacts[AsyncDrive]):
    """`ReceivedFile` for asyncio: iterate over it with `async for`, and await `save`."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._download.pieces(self._number):
            yield await self._drive(piece)

    async def save(self, folder: str | PathLike[str], *, progress: Progress | None = None) -> Path:
        return (await self._drive(self._download.save([self._number], folder, progress)))[0]


class FileSequence(Sequence[FileT], Generic[FileT, DriveT]):
    """The files in their sender's order; empty if the secret has none. `size` is that of all together."""

    _file: Any

    def __init__(self, download: FileDownload | None, drive: DriveT) -> None:
        self._download, self._drive = download, drive

    @cached_property
    def _items(self) -> tuple[FileT, ...]:
        download = self._download
        return tuple(self._file(download, n, self._drive) for n in range(len(download.files))) if download else ()

    @property
    def size(self) -> int:
        return self._download.size if self._download else 0

    @overload
    def __getitem__(self, index: int) -> FileT: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[FileT]: ...
    def __getitem__(self, index: int | slice) -> FileT | Sequence[FileT]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


class ReceivedFiles(FileSequence[ReceivedFile, Drive]):
    """The files of a secret. They can be downloaded as long as their grant lives, and no longer once all are saved."""

    _file = ReceivedFile

    def save(
        self, folder: str | PathLike[str], *, progress: Progress | None = None, state: SaveState | None = None
    ) -> list[Path]:
        """Save all files in a folder, created if needed, and return their paths. Then the server erases the files."""
        if self._download is None:
            return []
        numbers = range(len(self))
        return self._drive(self._download.save(numbers, folder, progress, state))

    def finish(self) -> None:
        """Tell the server that everything was read, so that it erases the files; `save` does it by itself."""
        if self._download is not None:
            self._drive(self._download.finish())


class AsyncReceivedFiles(FileSequence[AsyncReceivedFile, AsyncDrive]):
    """`ReceivedFiles` for asyncio."""

    _file = AsyncReceivedFile

    async def save(
        self, folder: str | PathLike[str], *, progress: Progress | None = None, state: SaveState | None = None
    ) -> list[Path]:
        if self._download is None:
            return []
        numbers = range(len(self))
        return await self._drive(self._download.save(numbers, folder, progress, state))

    async def finish(self) -> None:
        if self._download is not None:
            await self._drive(self._download.finish())


class _Reader(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

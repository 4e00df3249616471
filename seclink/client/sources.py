"""The files to be sent: read piece by piece, never as a whole, and refused once they change.

A stream whose size is not known, such as a pipe, is first written to a temporary file without a name, encrypted under a
key that is in memory alone.
"""

import mimetypes
import os
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from seclink.errors import BadRequest, Fault, FilesTooLarge, SourceChanged
from seclink.format.file_header import MAX_FILES, MAX_STREAM_BYTES, FileEntry
from seclink.format.file_name import cleaned_folder, well_formed
from seclink.format.file_stream import CHUNK_BYTES, NONCE_BYTES, OVERHEAD_BYTES, FileStream

PathLike = str | os.PathLike[str]
FileInput = PathLike | BinaryIO | tuple[str, PathLike | BinaryIO]
"""A path, a binary stream with a name, or either with the name that readers see: folders before it, with `/`."""


class Source(Protocol):
    """A file of `size` bytes. `modified_ns` is when it last changed, 0 if that is not known."""

    size: int
    modified_ns: int

    def read(self, offset: int, count: int) -> bytes:
        """Return exactly `count` bytes. Raises SourceChanged."""

    def check(self) -> None:
        """Raises SourceChanged if it is another file than at the beginning."""


class DiskFile:
    """A file on the disk, open while it is read."""

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._file: BinaryIO | None = None
        status = self._path.stat()
        self.size, self.modified_ns = status.st_size, status.st_mtime_ns
        self._identity = _identity(status)

    def read(self, offset: int, count: int) -> bytes:
        try:
            if self._file is None:
                self._file = self._path.open("rb")
                self._compare(os.fstat(self._file.fileno()))
            self._file.seek(offset)
            content = self._file.read(count)
        except OSError as error:
            raise self._changed(error.strerror or "cannot be read") from None
        if len(content) != count:
            raise self._changed("became shorter")
        if offset + count == self.size:
            self.close()
        return content

    def check(self) -> None:
        try:
            self._compare(self._path.stat())
        except OSError as error:
            raise self._changed(error.strerror or "cannot be read") from None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _compare(self, status: os.stat_result) -> None:
        if _identity(status) != self._identity:
            raise self._changed("was changed")

    def _changed(self, reason: str) -> SourceChanged:
        return SourceChanged(f"{self._path} could not be sent as it was at first: {reason}")


class SeekableStream:
    """A stream from its position to its end. It stays open."""

    modified_ns = 0

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._start = stream, stream.tell()
        self.size = stream.seek(0, os.SEEK_END) - self._start

    def read(self, offset: int, count: int) -> bytes:
        self._stream.seek(self._start + offset)
        content = read_fully(self._stream, count)
        if len(content) != count:
            raise SourceChanged("A stream became shorter while it was sent")
        return content

    def check(self) -> None:
        if self._stream.seek(0, os.SEEK_END) - self._start != self.size:
            raise SourceChanged("A stream changed while it was sent")


class Spool:
    """A stream of unknown size, read to its end. Raises FilesTooLarge for more than `max_bytes`."""

    modified_ns = 0

    def __init__(self, stream: BinaryIO, max_bytes: int) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._cipher, self._chunk = FileStream(secrets.token_bytes(32), MAX_STREAM_BYTES), (-1, b"")
        self.size = index = 0
        while content := read_fully(stream, CHUNK_BYTES):
            self.size += len(content)
            if self.size > max_bytes:
                self.close()
                raise too_large(max_bytes)
            self._file.write(self._cipher.seal(index, secrets.token_bytes(NONCE_BYTES), content))
            index += 1

    def read(self, offset: int, count: int) -> bytes:
        content = b""
        while len(content) < count:
            index, start = divmod(offset + len(content), CHUNK_BYTES)
            content += self._plain(index)[start : start + count - len(content)]
        return content

    def check(self) -> None:
        """Do nothing: nobody else has the file."""

    def close(self) -> None:
        self._file.close()

    def _plain(self, index: int) -> bytes:
        if self._chunk[0] != index:
            self._file.seek(index * (CHUNK_BYTES + OVERHEAD_BYTES))
            self._chunk = index, self._cipher.open(index, self._file.read(CHUNK_BYTES + OVERHEAD_BYTES))
        return self._chunk[1]


class Sources:
    """The files of one secret, one after another."""

    def __init__(self, files: Iterable[FileInput], max_bytes: int) -> None:
        """Raises BadRequest, FilesTooLarge, and OSError for a file that cannot be read."""
        named = [_named(file) for file in files]
        if not 1 <= len(named) <= MAX_FILES:
            message = f"A secret has 1 to {MAX_FILES} files, not {len(named)}"
            raise BadRequest(message, (Fault("files", f"must be 1 to {MAX_FILES}", "out_of_range"),))
        self._open = ExitStack()
        try:
            self._sources = [self._source(file, max_bytes) for _, file in named]
        except BaseException:
            self.close()
            raise
        self.entries: Sequence[FileEntry] = [
            _entry(name, source.size) for (name, _), source in zip(named, self._sources, strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def modified_ns(self) -> list[int]:
        return [source.modified_ns for source in self._sources]

    def read(self, start: int, count: int) -> bytes:
        """Return up to `count` bytes of all files together. Raises SourceChanged."""
        content, offset = [], 0
        for source in self._sources:
            first, end = max(start, offset), min(start + count, offset + source.size)
            if first < end:
                content.append(source.read(first - offset, end - first))
            offset += source.size
        return b"".join(content)

    def check(self) -> None:
        for source in self._sources:
            source.check()

    def close(self) -> None:
        self._open.close()

    def _source(self, file: PathLike | BinaryIO, max_bytes: int) -> Source:
        if isinstance(file, str | os.PathLike):
            path = Path(file)
            if path.is_file():
                source = DiskFile(path)
                self._open.callback(source.close)
                return source
            file = self._open.enter_context(path.open("rb"))
        if file.seekable():
            return SeekableStream(file)
        spool = Spool(file, max_bytes)
        self._open.callback(spool.close)
        return spool


def too_large(max_bytes: int) -> FilesTooLarge:
    limit = f"{max_bytes / 1e6:,.1f} MB" if max_bytes >= 1e6 else f"{max_bytes:,} bytes"
    return FilesTooLarge(f"The files are too large: at most {limit}, padding included, on this server")


def read_fully(stream: BinaryIO, count: int) -> bytes:
    """Return `count` bytes, fewer only at the end of the stream."""
    pieces, remaining = [], count
    while remaining and (piece := stream.read(remaining)):
        pieces.append(piece)
        remaining -= len(piece)
    return b"".join(pieces)


def _named(file: FileInput) -> tuple[str, PathLike | BinaryIO]:
    if isinstance(file, tuple):
        return file
    name = os.fspath(file) if isinstance(file, str | os.PathLike) else str(getattr(file, "name", ""))
    return Path(name).name, file


def _entry(path: str, size: int) -> FileEntry:
    folder, _, name = well_formed(path).rpartition("/")
    if name in ("", ".", ".."):
        raise BadRequest("A file needs a name", (Fault("name", "is missing", "required"),))
    media_type = mimetypes.guess_type(name)[0] or ""
    return FileEntry(name, size, media_type, cleaned_folder(folder.strip("/")) or None)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

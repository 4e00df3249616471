"""The files of a revealed secret, which stay on the server until the reader has them all.

The calls are generators (see `steps`). A chunk is verified before a byte of it is handed on, and may be downloaded
again as long as the grant lives; the last one is kept, so that many small files cost one request.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from seclink.client.protocol import exchange, transfer
from seclink.client.saving import OutputFolder, PartFile
from seclink.client.steps import Flow, HttpRequest, Progress, blocking
from seclink.errors import Gone, NotAuthentic, NotFound, SecLinkError
from seclink.format.file_header import FileHeader
from seclink.format.file_name import SavedName, saved_names
from seclink.format.file_stream import CHUNK_BYTES, OVERHEAD_BYTES, FileStream

DAMAGE_PAUSES = (0.5, 1.0, 2.0)
"""The pauses before a chunk that arrived damaged is downloaded again."""


@dataclass
class SaveState:
    """The progress of saving files: the paths of the saved ones, and the parts with their inodes, by number.

    With one, parts stay when saving breaks off, and saving again goes on with them. `changed` is called after each
    change.
    """

    saved: dict[int, Path] = field(default_factory=dict)
    parts: dict[int, tuple[str, int]] = field(default_factory=dict)
    changed: Callable[[], None] = lambda: None


class FileDownload:
    """The files of one secret. `url` is that of the server's API, `grant` the right to download."""

    def __init__(self, url: str, grant: str, header: FileHeader) -> None:
        self.files, self.size = header.files, header.size
        self.names: Sequence[SavedName] = saved_names(header.files)
        self._url, self._headers = url, {"SecLink-Grant": grant}
        self._stream = FileStream(header.key, header.size)
        self._last: tuple[int, bytes] = (-1, b"")
        self._saved: set[int] = set()

    def pieces(self, number: int, start: int = 0) -> Iterator[Flow[bytes]]:
        """Yield the calls that return a file's bytes from `start`, one after another."""
        offset = sum(file.size for file in self.files[:number])
        position, end = offset + start, offset + self.files[number].size
        while position < end:
            index, first = divmod(position, CHUNK_BYTES)
            last = min(end - index * CHUNK_BYTES, CHUNK_BYTES)
            yield self._piece(index, first, last)
            position = index * CHUNK_BYTES + last

    def save(
        self,
        numbers: Sequence[int],
        folder: str | os.PathLike[str],
        progress: Progress | None = None,
        state: SaveState | None = None,
    ) -> Flow[list[Path]]:
        """Save files in a folder, created if needed; return their paths. The server erases all once all are saved."""
        done, total = 0, sum(self.files[number].size for number in numbers)
        state, is_resumable = state or SaveState(), state is not None

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress:
                progress(done, total)

        with (yield from blocking(lambda: OutputFolder(folder))) as output:
            for number in numbers:
                if number in state.saved:
                    advance(self.files[number].size)
                else:
                    yield from self._save(number, output, state, is_resumable, advance)
                self._saved.add(number)
        if len(self._saved) == len(self.files):
            with suppress(SecLinkError):  # everything is here; the grant ends by itself
                yield from self.finish()
        return [state.saved[number] for number in numbers]

    def finish(self) -> Flow[None]:
        """Tell the server that the reader has everything, so that it erases the files."""
        with suppress(Gone):
            request = HttpRequest("DELETE", f"{self._url}/files", self._headers, repeatable=True)
            yield from exchange(request, lambda _: None)

    def _save(
        self, number: int, output: OutputFolder, state: SaveState, is_resumable: bool, advance: Callable[[int], None]
    ) -> Flow[None]:
        if number in state.parts:
            size = self.files[number].size
            path = yield from blocking(partial(output.find, self.names[number], *state.parts[number], size))
            if path is not None:  # the end came between its name and the note of it
                state.saved[number] = path
                advance(size)
                return
        part = yield from blocking(partial(self._part, number, output, state))
        with closing(part):
            try:
                state.parts[number] = part.name, part.inode
                state.changed()
                advance(part.size)
                for piece in self.pieces(number, part.size):
                    content = yield from piece
                    yield from blocking(partial(part.write, content))
                    advance(len(content))
                state.saved[number] = yield from blocking(part.commit)
            except BaseException as error:
                if not is_resumable or isinstance(error, Gone | NotFound):
                    part.discard()
                raise
        state.changed()

    def _part(self, number: int, output: OutputFolder, state: SaveState) -> PartFile:
        name, size = self.names[number], self.files[number].size
        part = output.reopen(name, *state.parts[number], size) if number in state.parts else None
        return part or output.create(name)

    def _piece(self, index: int, first: int, end: int) -> Flow[bytes]:
        if self._last[0] != index:
            self._last = (-1, b"")  # two chunks need not be in memory
            self._last = index, (yield from self._chunk(index))
        return self._last[1][first:end]

    def _chunk(self, index: int) -> Flow[bytes]:
        """Download a chunk, again if it is damaged: a proxy may have damaged it on its way."""
        max_bytes = self._stream.length(index) + OVERHEAD_BYTES
        url = f"{self._url}/files/{index}"
        request = HttpRequest("GET", url, self._headers, repeatable=True, max_bytes=max_bytes)
        for pause in DAMAGE_PAUSES:
            try:
                return (yield from self._opened(request, index))
            except NotAuthentic:
                yield pause
        try:
            return (yield from self._opened(request, index))
        except NotAuthentic:
            raise NotAuthentic("The files arrive damaged from the server") from None

    def _opened(self, request: HttpRequest, index: int) -> Flow[bytes]:
        sealed = yield from transfer(request)
        return (yield from blocking(lambda: self._stream.open(index, bytes(sealed))))

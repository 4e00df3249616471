"""A model of what a disk may contain after a power cut, from the recorded operations on it.

Synced data is there. Of all other data any part may be there and any part missing, down to single sectors and in any
order, which is more than disks with caches do. Names appear and disappear in the order of the calls (as in every
journaling file system), and are certain only after their folder was synced (as in POSIX).
"""

import functools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from strace_log import DiskEvent

SECTOR = 512
Choose = Callable[[int], list[bool]]
"""(number of pending pieces) -> which of them reached the disk."""


def choose_share(chance: random.Random, share: float, count: int) -> list[bool]:
    return [chance.random() < share for _ in range(count)]


class Piece(NamedTuple):
    """A part of a write within one sector; or, without data, a new file size."""

    offset: int
    data: bytes | None


class File:
    def __init__(self) -> None:
        self.synced = bytearray()
        self.pending: list[tuple[int, list[Piece]]] = []

    def sync(self, began: int) -> None:
        """Make certain all writes that ended before the sync began."""
        for ended, pieces in self.pending:
            if ended < began:
                apply(self.synced, pieces)
        self.pending = [(ended, pieces) for ended, pieces in self.pending if ended >= began]

    def content(self, choose: Choose) -> bytes:
        pieces = [piece for _, some in self.pending for piece in some]
        content = bytearray(self.synced)
        apply(content, [piece for piece, is_there in zip(pieces, choose(len(pieces)), strict=True) if is_there])
        return bytes(content)


def apply(content: bytearray, pieces: list[Piece]) -> None:
    for offset, data in pieces:
        if data is None:
            content[offset:] = bytes(max(0, offset - len(content)))
        else:
            content += bytes(max(0, offset - len(content)))
            content[offset : offset + len(data)] = data


class Disk:
    """Takes events in order; `states` are its possible contents if the power is cut now."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}  # as the process sees them
        self.synced_names: dict[str, File] = {}
        self.pending_names: list[tuple[int, str, File | None]] = []

    def apply(self, event: DiskEvent) -> None:
        match event.kind:
            case "create" if event.name not in self.names:
                self.names[event.name] = File()
                self.pending_names.append((event.ended, event.name, self.names[event.name]))
            case "delete":
                del self.names[event.name]
                self.pending_names.append((event.ended, event.name, None))
            case "write":
                self.names[event.name].pending.append((event.ended, split(event.offset, event.data)))
            case "truncate":
                self.names[event.name].pending.append((event.ended, [Piece(event.offset, None)]))
            case "sync" if event.name == ".":
                self.synced_names = self._names(sum(ended < event.began for ended, *_ in self.pending_names))
                self.pending_names = [change for change in self.pending_names if change[0] >= event.began]
            case "sync":
                self.names[event.name].sync(event.began)

    def _names(self, count: int) -> dict[str, File]:
        """Return the folder after the first `count` pending changes."""
        names: dict[str, File | None] = {**self.synced_names}
        names.update({name: file for _, name, file in self.pending_names[:count]})
        return {name: file for name, file in names.items() if file is not None}

    def states(self, seed: str, samples: int) -> Iterator[dict[str, bytes]]:
        """Yield the disk with none, all and certain parts of the pending pieces; then `samples` random states."""
        chance = random.Random(seed)
        every = len(self.pending_names)
        fixed: list[Choose] = [
            lambda n: [False] * n,
            lambda n: [True] * n,
            lambda n: [True] * (n - 1) + [False] * (n > 0),  # torn at the last sector
            lambda n: [False] * (n - 1) + [True] * (n > 0),  # the last one came first
            lambda n: [k < n // 2 for k in range(n)],
            lambda n: [k >= n // 2 for k in range(n)],
            lambda n: [k % 2 == 0 for k in range(n)],
        ]
        for choose in fixed:
            for count in {0, every}:
                yield self._state(count, choose)
        for _ in range(samples):
            share = chance.choice((0.1, 0.5, 0.9))
            yield self._state(chance.randint(0, every), functools.partial(choose_share, chance, share))

    def _state(self, count: int, choose: Choose) -> dict[str, bytes]:
        return {name: file.content(choose) for name, file in self._names(count).items()}


def split(offset: int, data: bytes) -> list[Piece]:
    pieces = []
    while data:
        room = SECTOR - offset % SECTOR
        pieces.append(Piece(offset, data[:room]))
        offset, data = offset + room, data[room:]
    return pieces


def write_state(state: dict[str, bytes], folder: Path) -> None:
    """Replace the content of the folder with a state."""
    for path in folder.iterdir():
        path.unlink()
    for name, content in state.items():
        (folder / name).write_bytes(content)

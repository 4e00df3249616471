"""Reading the audit trail beside the server that writes it, and checking the chain on the way."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from seclink.store import audit_log
from seclink.store.audit_log import MARK_DIGITS, AuditEntry, ChainPosition
from seclink.store.connection import check_version, unusable
from seclink.store.inspect import open_readonly
from seclink.store.migrate import NEWEST, foreign_objects

MAX_ROWS = 5000


class TrailEntry(Struct, frozen=True):
    """An entry with its position in the chain."""

    position: ChainPosition
    entry: AuditEntry


class Progress(Struct, frozen=True):
    """The state of a reader.

    `head` is the last entry that fits the chain, None before the first read; `first` the number of the first entry
    read. The trail begins after entry `pruned_up_to`; `prunings` are the details of all pruning entries so far.
    """

    head: ChainPosition | None = None
    first: int | None = None
    pruned_up_to: int = 0
    prunings: frozenset[str | None] = frozenset()
    is_mark_reached: bool = False


class TrailBroken(Exception):
    """The chain does not hold. `position` is that of the entry that does not fit, if there is one."""

    def __init__(self, message: str, position: ChainPosition | None = None) -> None:
        super().__init__(message)
        self.position = position


class MarkPruned(TrailBroken):
    """The chain may hold, but the mark is too old to prove it."""


class AuditReader:
    """Reads a trail in steps; `progress` is where it stands.

    `mark` names an earlier entry that the trail must contain, as `parse_mark` returns it.
    """

    def __init__(self, path: Path, mark: tuple[int, str] | None = None) -> None:
        self._path, self._mark = path, mark
        self.progress = Progress()

    def new(self) -> Iterator[TrailEntry]:
        """Yield the entries added since the last call, at first all.

        Raises TrailBroken, MarkPruned, StoreUnusable.
        """
        while True:
            rows = self._next_rows()
            yield from self._verified(rows)
            if len(rows) < MAX_ROWS:
                break
        self._check_pruning()
        self._check_mark_was_reached()

    def skip(self, broken: TrailBroken) -> bool:
        """Go on behind the entry that did not fit as if it did; return False if no entry is to blame.

        The entries that follow are then proved by nothing before it.
        """
        if broken.position is None:
            return False
        self._update(head=broken.position)
        return True

    def _next_rows(self) -> list[tuple[int, str | None, str]]:
        """Read the next rows, preceded by the last one once more: it must still be the same.

        The database is closed before the rows are used. A pager that shows the beginning of the trail would otherwise
        keep the server from truncating its log, which still holds what was erased.
        """
        head = self.progress.head
        try:
            with open_readonly(self._path) as db:
                db.text_factory = partial(str, encoding="utf-8", errors="replace")  # damaged text will not verify
                db.execute("BEGIN")
                check_version(db, self._path, NEWEST)
                if "audit" in foreign_objects(db, NEWEST):
                    raise TrailBroken("it is not in the table that SecLink made for it")
                return audit_log.rows(db, -1 if head is None else head.seq - 1, MAX_ROWS)
        except sqlite3.DatabaseError as error:
            raise unusable(self._path, error) from None

    def _verified(self, rows: list[tuple[int, str | None, str]]) -> Iterator[TrailEntry]:
        if not rows:
            raise TrailBroken(_all_missing(self.progress.head))
        for index, (seq, text, digest) in enumerate(rows):
            position = ChainPosition(seq, digest)
            if index == 0 and position == self.progress.head:
                continue
            if index == 0 and _is_beginning(self.progress.head, position, text):
                self._advance(position, pruned_up_to=seq)
            else:
                yield TrailEntry(position, self._verify(position, text))

    def _verify(self, position: ChainPosition, text: str | None) -> AuditEntry:
        """Check an entry against the one before it and go on to it. Raises TrailBroken."""
        head = self.progress.head
        if head is None:
            raise TrailBroken(f"entry {position.seq} is the first, and the entry it is chained to is missing", position)
        if position.seq != head.seq + 1:
            raise TrailBroken(_some_missing(head.seq, position.seq), position)
        if text is None or audit_log.chained_digest(head, text) != position.digest:
            raise TrailBroken(f"entry {position.seq} or the one before it was changed", position)
        self._advance(position, first=position.seq if self.progress.first is None else self.progress.first)
        try:
            content = audit_log.decode(text)
        except msgspec.MsgspecError:
            raise TrailBroken(f"entry {position.seq} cannot be read by this release", position) from None
        if content.event == audit_log.PRUNED:
            self._update(prunings=self.progress.prunings | {content.detail})
        return content

    def _advance(self, position: ChainPosition, **changes: Any) -> None:
        """Go on to an entry that fits the chain. Raises TrailBroken if the mark names another digest."""
        self._update(head=position, **changes)
        if self._mark is not None and position.seq == self._mark[0]:
            self._update(is_mark_reached=True)
            if not position.digest.startswith(self._mark[1]):
                raise TrailBroken(f"entry {position.seq} is not the one of the mark: the trail was rewritten", position)

    def _update(self, **changes: Any) -> None:
        self.progress = msgspec.structs.replace(self.progress, **changes)

    def _check_pruning(self) -> None:
        last = self.progress.pruned_up_to
        if last and audit_log.pruned_detail(last) not in self.progress.prunings:
            raise TrailBroken(f"the entries up to {last} are missing, and no entry records that they were pruned")

    def _check_mark_was_reached(self) -> None:
        head, pruned_up_to = self.progress.head, self.progress.pruned_up_to
        if self._mark is None or self.progress.is_mark_reached or head is None:
            return
        seq = self._mark[0]
        if seq < pruned_up_to:
            raise MarkPruned(f"the mark's entry {seq} was pruned with all up to {pruned_up_to}; the rest is intact")
        raise TrailBroken(f"the mark names entry {seq}, but the trail ends with {head.seq}: its end was cut off")


def _is_beginning(head: ChainPosition | None, position: ChainPosition, text: str | None) -> bool:
    """Return whether an entry is the bare digest that a pruning has left."""
    return text is None and (head is None or position.seq > head.seq)


def _all_missing(head: ChainPosition | None) -> str:
    if head is None:
        return "the trail is empty: even its beginning is missing"
    return f"entry {head.seq} and all after it are missing: the trail's end was cut off, or the database was replaced"


def _some_missing(before: int, after: int) -> str:
    if after <= before:
        return f"the trail was replaced: entry {before} is followed by {after}"
    if after == before + 2:
        return f"entry {before + 1} is missing"
    return f"entries {before + 1} to {after - 1} are missing"


def parse_mark(text: str) -> tuple[int, str]:
    """Return the entry's number and the beginning of its digest. Raises ValueError."""
    seq, _, digest = text.partition(":")
    is_hexadecimal = len(digest) == MARK_DIGITS and set(digest) <= set("0123456789abcdef")
    if not (seq.isascii() and seq.isdecimal() and is_hexadecimal):
        raise ValueError
    return int(seq), digest

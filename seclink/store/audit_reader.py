"""Reading the audit trail beside the server that writes it, and checking the chain on the way."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from seclink.store import audit_log
from seclink.store.audit_log import MARK_DIGITS, AuditEntry, AuditHead
from seclink.store.connection import check_version, unusable
from seclink.store.inspect import open_readonly
from seclink.store.migrate import NEWEST, has_our_table

READ_AT_ONCE = 5000


class TrailEntry(Struct, frozen=True):
    """An entry with its place in the chain."""

    head: AuditHead
    entry: AuditEntry


class Broken(Exception):
    """The chain does not hold; the text says where."""


class Outdated(Broken):
    """The chain may hold, and a mark is too old to tell."""


class AuditReader:
    """`head` is the last entry that was read and fits the chain; None before the first look. `mark` is an earlier one,
    as `AuditHead.mark` writes it, that must be on the way. `is_whole` until something is skipped.
    """

    def __init__(self, path: Path, mark: tuple[int, str] | None = None) -> None:
        self._path, self._mark = path, mark
        self.head: AuditHead | None = None
        self.first: int | None = None
        self._begins = 0  # after which entry
        self._left: set[str] = set()  # what entries say of the beginnings there were
        self._bad: AuditHead | None = None
        self.is_whole = True

    def new(self) -> Iterator[TrailEntry]:
        """What was added since the last look; at first, all there is. Raises Broken, StoreUnusable."""
        while True:
            found = self._some()
            yield from self._read(found)
            if len(found) < READ_AT_ONCE:
                break
        self._check_beginning()
        self._check_mark_was_passed()

    def skip(self) -> bool:
        """Go on behind the entry that did not fit, as if it did; what follows is then proved by nothing before it.
        Whether there is one.
        """
        bad, self._bad, self.is_whole = self._bad, None, False
        self.head = bad or self.head
        return bad is not None

    def _some(self) -> list[tuple[int, str | None, str]]:
        """The next rows, and before them the last one once more: it must still be the same.

        Nothing is held open while somebody makes use of them: the server's log could not be emptied, and what is erased
        would stay in it for as long as a pager shows the trail's beginning.
        """
        try:
            with open_readonly(self._path) as db:
                db.text_factory = partial(str, encoding="utf-8", errors="replace")  # what was damaged does not fit
                db.execute("BEGIN")
                check_version(db, self._path, NEWEST)
                if not has_our_table(db, "audit"):
                    raise Broken("it is not in the table that SecLink made for it")
                return audit_log.rows(db, -1 if self.head is None else self.head.seq - 1, READ_AT_ONCE)
        except sqlite3.DatabaseError as error:
            raise unusable(self._path, error) from None

    def _read(self, found: list[tuple[int, str | None, str]]) -> Iterator[TrailEntry]:
        if not found:
            raise Broken(_nothing(self.head))
        for index, (seq, text, digest) in enumerate(found):
            self._bad = here = AuditHead(seq, digest)
            entry = self._fits(here, text, index == 0)
            self._bad = None
            if entry is not None:
                yield TrailEntry(here, entry)

    def _fits(self, here: AuditHead, text: str | None, is_first: bool) -> AuditEntry | None:
        """The entry, where there is one that is new. Raises Broken."""
        before = self.head
        if is_first and before is not None and here == before:
            return None
        if is_first and text is None and (before is None or here.seq > before.seq):
            self._begins = here.seq
            self._go(here)
            return None
        if before is None:
            raise Broken(f"entry {here.seq} is the first, and what it is chained to is not there")
        if here.seq != before.seq + 1:
            raise Broken(_missing(before.seq, here.seq))
        if text is None or audit_log.digest_of(before, text) != here.digest:
            raise Broken(f"entry {here.seq} is not what was written, or the one before it is not")
        self._go(here)
        self.first = here.seq if self.first is None else self.first
        try:
            entry = audit_log.decode(text)
        except msgspec.MsgspecError:
            raise Broken(f"entry {here.seq} says nothing that this release understands") from None
        if entry.event == audit_log.FORGOTTEN:
            self._left.add(f"{entry.detail}")
        return entry

    def _go(self, here: AuditHead) -> None:
        self.head = here
        if self._mark is not None and here.seq == self._mark[0]:
            seq, digest = self._mark
            if not here.digest.startswith(digest):
                raise Broken(f"entry {seq} is another than the one that was marked: the trail was made anew")
            self._mark = None

    def _check_beginning(self) -> None:
        if self._begins and f"up to entry {self._begins}" not in self._left:
            raise Broken(
                f"the entries up to {self._begins} are missing, and none says that they were old enough to leave"
            )

    def _check_mark_was_passed(self) -> None:
        if self._mark is None or self.head is None:
            return
        seq = self._mark[0]
        if seq < self._begins:
            raise Outdated(
                f"entry {seq}, which was marked, has left the trail with all up to {self._begins}; it is whole"
            )
        raise Broken(f"entry {seq} was marked, and the trail ends with {self.head.seq}: its end was cut off")


def _nothing(before: AuditHead | None) -> str:
    if before is None:
        return "the trail is empty: not even its beginning is there"
    return f"entry {before.seq} and all after it are gone: the trail's end was cut off, or the database replaced"


def _missing(before: int, after: int) -> str:
    if after <= before:
        return f"the trail was replaced: after entry {before} comes {after}"
    if after == before + 2:
        return f"entry {before + 1} is missing"
    return f"entries {before + 1} to {after - 1} are missing"


def parse_mark(text: str) -> tuple[int, str]:
    """Raises ValueError."""
    seq, _, digest = text.partition(":")
    if not (
        seq.isascii() and seq.isdecimal() and len(digest) == MARK_DIGITS and set(digest) <= set("0123456789abcdef")
    ):
        raise ValueError
    return int(seq), digest

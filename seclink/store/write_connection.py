"""The writer's connection: whatever waits is run in one transaction and committed once.

A failing write fails alone: the batch is rolled back and its members run one by one. A transaction that cannot begin
fails them all, or each would wait for the same lock again; so does a failing commit, because nobody can say how much of
it lasted.

What a transaction has done goes into the audit trail within it. Where that ends is remembered rather than looked up:
if another process has written to it meanwhile, nothing was written here, and it is done again.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from time import perf_counter
from typing import Any

from seclink.errors import SecLinkError, StorageFull
from seclink.model import Secret
from seclink.store import audit_log, writes
from seclink.store.audit_log import Audited
from seclink.store.db_pages import used_bytes
from seclink.store.writes import Claim

ROW_BYTES, ROOM_BYTES = 8192, 16 * 2**20
RETRIES = 3
Write = Secret | Claim | Callable[["WriteConnection"], Any]


class WriteConnection(Audited):
    """`batch` is what the next commit shall do, `outcomes` what became of each: an answer or an exception; `seconds` is
    how long the last one took.

    `room` are bytes that may be added before the file is measured again.
    """

    batch: list[Write]
    outcomes: list[Any]
    next_id: int
    keep_ms: int
    audit_ms: int
    max_bytes: int
    room: int = 0
    seconds: float = 0.0

    def reconfigure(self, keep_seconds: int, audit_seconds: int, max_bytes: int) -> None:
        self.keep_ms, self.audit_ms = keep_seconds * 1000, audit_seconds * 1000
        self.max_bytes, self.free_bytes = max_bytes, 0

    def commit(self) -> None:
        began = perf_counter()
        try:
            self.outcomes = self._transact(self.batch)
        except (sqlite3.Error, SecLinkError) as error:
            if len(self.batch) == 1 or isinstance(error, _TransactionFailed):
                self.outcomes = [error] * len(self.batch)
            else:
                self.outcomes = [self._alone(each) for each in self.batch]
        self.seconds = perf_counter() - began

    def _alone(self, write: Write) -> Any:
        try:
            return self._transact([write])[0]
        except (sqlite3.Error, SecLinkError) as error:
            return error

    def _transact(self, batch: list[Write]) -> list[Any]:
        for _ in range(RETRIES):
            try:
                return self._try(batch)
            except sqlite3.IntegrityError as error:
                self.head = None
                if "audit.seq" not in str(error):
                    raise
            except BaseException:
                self.head = None
                raise
        raise sqlite3.OperationalError("the audit trail moves on faster than it can be followed")

    def _try(self, batch: list[Write]) -> list[Any]:
        self._leave()
        self.told = []
        if all(isinstance(each, Secret) for each in batch):
            return self._add_at_once(batch)
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _TransactionFailed from error
        try:
            outcomes = self._run(batch)
            if self.told:
                self.head = audit_log.append(self, self.head or audit_log.head(self), self.told)
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself after some errors
                self.rollback()
            raise
        try:
            super().commit()
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self.rollback()
            raise _TransactionFailed from error
        return outcomes

    def _leave(self) -> None:
        """Out of a transaction that was not even rolled back: inside it, nothing that is acknowledged would last."""
        if self.in_transaction:
            try:
                self.rollback()
            except sqlite3.Error as error:
                raise _TransactionFailed from error

    def _add_at_once(self, batch: list[Any]) -> list[Any]:
        """Nothing but new secrets, the most frequent batch: one statement is a transaction of its own."""
        try:
            self._add(batch)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
                raise
            raise _TransactionFailed from error
        return [None] * len(batch)

    def _add(self, secrets: list[Secret]) -> None:
        needed = sum(len(each.payload) + ROW_BYTES for each in secrets)
        if self.free_bytes < needed:
            self.free_bytes = min(self.max_bytes - used_bytes(self), max(ROOM_BYTES, needed))
            if self.free_bytes < needed:
                raise StorageFull()
        self.free_bytes -= needed
        self.head = writes.add_all(self, self.next_id, secrets, self.head or audit_log.head(self))
        self.next_id += len(secrets)

    def _run(self, batch: list[Write]) -> list[Any]:
        outcomes: list[Any] = [None] * len(batch)
        added = [each for each in batch if isinstance(each, Secret)]
        if added:
            self._add(added)
        claims = {index: each for index, each in enumerate(batch) if isinstance(each, Claim)}
        while claims:
            # One claim a secret and round: the second of two must see what the first has left.
            turn = list({each.link_id: index for index, each in reversed(claims.items())}.values())
            answers = writes.claim_all(self, [claims.pop(index) for index in turn], self.keep_ms)
            for index, answer in zip(turn, answers, strict=True):
                outcomes[index] = answer
        for index, each in enumerate(batch):
            if not isinstance(each, Secret | Claim):
                outcomes[index] = each(self)
        return outcomes


class _TransactionFailed(sqlite3.OperationalError):
    """It did not begin, or whether it lasted is not known: nobody may be told that it did."""

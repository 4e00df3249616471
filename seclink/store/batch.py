"""A batch of writes in one transaction, on the writer's thread.

    run_batch:  BEGIN, every write, audit entries, COMMIT     a result for each write
                ROLLBACK where a write fails, then each write again in a batch of its own

So a failing write fails alone. A transaction that cannot begin fails all of them, because each would wait for the same
lock again. A failing commit does too, because it is unknown how much of it is durable.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any

from seclink.errors import SecLinkError
from seclink.model import Secret
from seclink.store import audit_log, claims, writes
from seclink.store.audit_log import ChainPosition
from seclink.store.claims import Claim
from seclink.store.write_connection import WriteConnection

MAX_ATTEMPTS = 3
Write = Secret | Claim | Callable[[WriteConnection], Any]


class TransactionFailed(sqlite3.OperationalError):
    """A transaction did not begin, or may not have been committed: no write of it may be acknowledged."""


def run_batch(db: WriteConnection, batch: list[Write]) -> list[Any]:
    """Return what became of each write: its result, or the sqlite3.Error or SecLinkError that it failed with."""
    try:
        return _commit(db, batch)
    except TransactionFailed as error:
        return [error] * len(batch)
    except (sqlite3.Error, SecLinkError) as error:
        return [error] if len(batch) == 1 else [run_batch(db, [write])[0] for write in batch]


def _commit(db: WriteConnection, batch: list[Write]) -> list[Any]:
    """Commit the batch, again if another process has appended to the audit trail in the meantime."""
    for _ in range(MAX_ATTEMPTS):
        _leave_transaction(db)
        db.head = expected = db.head or audit_log.head(db)
        try:
            return _transact(db, batch)
        except BaseException as error:
            db.head = None
            if not _has_trail_moved(db, expected, error):
                raise
    raise sqlite3.OperationalError("other processes append to the audit trail faster than it can be followed")


def _has_trail_moved(db: WriteConnection, expected: ChainPosition, error: BaseException) -> bool:
    """Return whether a write collided with an entry of another process behind the expected end of the trail."""
    is_collision = (
        isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
    )
    return is_collision and audit_log.head(db) != expected


def _transact(db: WriteConnection, batch: list[Write]) -> list[Any]:
    db.pending = []
    secrets = [write for write in batch if isinstance(write, Secret)]
    if len(secrets) == len(batch):  # the most frequent batch; one statement is a transaction of its own
        with _failing_together("SQLITE_CONSTRAINT", "SQLITE_FULL"):
            writes.add_all(db, secrets)
        return [None] * len(batch)
    with _failing_together():
        db.execute("BEGIN IMMEDIATE")
    try:
        results = _run(db, batch, secrets)
        if db.pending:
            db.head = audit_log.append(db, db.head or audit_log.head(db), db.pending)
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself after some errors
            db.rollback()
        raise
    with _failing_together():
        try:
            db.commit()
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                db.rollback()
            raise
    return results


def _run(db: WriteConnection, batch: list[Write], secrets: list[Secret]) -> list[Any]:
    """Run the writes: first all new secrets, then all claims, then the others one by one; return their results."""
    results: list[Any] = [None] * len(batch)
    if secrets:
        writes.add_all(db, secrets)
    waiting = {index: write for index, write in enumerate(batch) if isinstance(write, Claim)}
    while waiting:
        # One claim per secret in each round: the second of two must see the views that the first has left.
        indexes = list({claim.link_id: index for index, claim in reversed(waiting.items())}.values())
        claimed = claims.claim_all(db, [waiting.pop(index) for index in indexes])
        for index, result in zip(indexes, claimed, strict=True):
            results[index] = result
    for index, write in enumerate(batch):
        if not isinstance(write, Secret | Claim):
            results[index] = write(db)
    return results


def _leave_transaction(db: WriteConnection) -> None:
    """Roll back a transaction that an earlier failure left open: inside it, no acknowledged write would be durable."""
    if db.in_transaction:
        with _failing_together():
            db.rollback()


@contextlib.contextmanager
def _failing_together(*names: str) -> Any:
    """Turn SQLite errors into TransactionFailed, except those named like one of `names`: they concern one write."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "").startswith(names):
            raise
        raise TransactionFailed from error

"""Looks at single rows: those that arrive together go to the reader together, in one hop between threads and one
statement, because the hop costs more than the look.
"""

import asyncio
import sqlite3
from typing import Any

import aiosqlite

from seclink.errors import StorageFailed

AT_ONCE = 128


class BatchReader:
    """`sql` selects rows by `IN ({})`; each begins with the name it goes by there."""

    def __init__(self, connection: aiosqlite.Connection, sql: str) -> None:
        self._connection, self._sql = connection, sql
        self._wanted: dict[str | bytes, asyncio.Future[Any]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def row(self, name: str | bytes) -> Any:
        """The row of that name; None: there is none. Raises StorageFailed.

        Askers of the same share a look that has not begun yet, never one that has: what was written before somebody
        asked, they see.
        """
        answer = self._wanted.get(name)
        if answer is None:
            answer = self._wanted[name] = asyncio.get_running_loop().create_future()
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(answer)

    async def _ask(self) -> None:
        while self._wanted:
            names = list(self._wanted)[:AT_ONCE]
            answers = {name: self._wanted.pop(name) for name in names}
            places = 1 << (len(names) - 1).bit_length()  # few sizes: each is a statement of its own in SQLite's memory
            sql = self._sql.format(", ".join("?" * places))
            try:
                rows = await self._connection.execute_fetchall(sql, names + [None] * (places - len(names)))
            except (sqlite3.Error, ValueError):  # ValueError: closed meanwhile
                for answer in answers.values():
                    answer.set_exception(StorageFailed())
                    answer.exception()  # seen, even if whoever asked has gone
            else:
                found = {row[0]: row for row in rows}
                for name, answer in answers.items():
                    answer.set_result(found.get(name))

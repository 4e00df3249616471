"""Waiting until something holds, and clients that never stop asking while a test goes on."""

import threading
import time
from collections.abc import Callable
from typing import Any, Self

PATIENCE = 30.0  # generous: a busy machine must not fail a test


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


class Unceasing:
    """As long as the block lasts, threads do `work`, each given its number, which ends once `over` is set. What goes
    wrong is in `failed`; an exception ends its thread.
    """

    def __init__(self, threads: int) -> None:
        self.over = threading.Event()
        self.failed: list[Any] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for each in self._threads:
            each.join(PATIENCE)
            assert not each.is_alive()

    def _run(self, number: int) -> None:
        try:
            self.work(number)
        except Exception as error:
            self.failed.append(error)

    def work(self, number: int) -> None:
        raise NotImplementedError

"""Waiting for a condition, and load from threads while a test runs."""

import threading
import time
from collections.abc import Callable
from typing import Any, Self

TIMEOUT_SECONDS = 120.0  # it only stops what hangs: an overloaded machine must not fail a test


def until(condition: Callable[[], Any]) -> None:
    """Wait until the condition is true; fail after TIMEOUT_SECONDS."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.01)


class BackgroundLoad:
    """Threads that run `work` for the duration of the block.

    A subclass implements `work(number)`, which must end once `over` is set. Its errors are collected in `failed`.
    """

    def __init__(self, threads: int) -> None:
        self.over = threading.Event()
        self.failed: list[Any] = []
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)
            assert not thread.is_alive()

    def _run(self, number: int) -> None:
        try:
            self.work(number)
        except Exception as error:
            self.failed.append(error)

    def work(self, number: int) -> None:
        raise NotImplementedError

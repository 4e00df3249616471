"""argon2id off the event loop, bounded: two threads, sixteen in the queue, then Busy. A flood of guesses costs 38
MiB, not the machine.

What is hashed is the `passcodeHash` a client sends, never a passcode. The native client binds it to the link's
key, so that not even this server can try guesses; a caller of the documented API may send a bare SHA-256, and
for its sake the slow hash is there.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Literal, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from seclink.errors import Busy
from seclink.telemetry.counters import Histogram

T = TypeVar("T")
THREADS, QUEUE = 2, 16
PROFILES = {
    "standard": PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1),  # OWASP's minimum
    "strong": PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4),  # RFC 9106, low memory
}


class Passcodes:
    """Hashes and verifies, each inside a `place`. `close` waits for what is running.

    `pending` places are taken; `hashing` of them have come to the hash itself, two of which run at a time. `seconds` is
    told how long each took.
    """

    def __init__(self, profile: Literal["standard", "strong"] = "standard", seconds: Histogram | None = None) -> None:
        self.reconfigure(profile)
        self._seconds = seconds or Histogram()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self.pending = self.hashing = 0

    def reconfigure(self, profile: Literal["standard", "strong"]) -> None:
        """What it costs from now on; older hashes say themselves what they cost."""
        self._hasher = PROFILES[profile]

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place in the queue, taken before anything is counted or spent. Raises Busy when there is none."""
        if self.pending >= THREADS + QUEUE:
            raise Busy("Too many passcodes are being checked; nothing was spent, try again")
        self.pending += 1
        try:
            yield
        finally:
            self.pending -= 1

    async def kept(self, passcode_hash: str | None) -> str | None:
        """What is kept of a passcode's digest, if there is one. Raises Busy."""
        if passcode_hash is None:
            return None
        with self.place():
            return await self.hash(passcode_hash.lower())

    async def hash(self, passcode_hash: str) -> str:
        """An argon2id string with its own salt."""
        return await self._work(self._hasher.hash, passcode_hash)

    async def verify(self, stored: str, passcode_hash: str) -> bool:
        """Whether they belong together."""
        return await self._work(self._verify, stored, passcode_hash)

    def close(self) -> None:
        self._pool.shutdown()

    async def _work(self, work: Callable[..., T], *given: Any) -> T:
        self.hashing += 1
        try:
            done, seconds = await asyncio.get_running_loop().run_in_executor(self._pool, _timed, work, *given)
        finally:
            self.hashing -= 1
        self._seconds.observe(seconds)
        return done

    def _verify(self, stored: str, passcode_hash: str) -> bool:
        try:
            return self._hasher.verify(stored, passcode_hash)
        except (Argon2Error, InvalidHashError):
            return False


def _timed(work: Callable[..., T], *given: Any) -> tuple[T, float]:
    began = perf_counter()
    return work(*given), perf_counter() - began

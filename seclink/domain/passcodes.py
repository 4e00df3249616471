"""argon2id on two threads beside the event loop, with a queue of 46; beyond that, Busy is raised. Hashing
therefore takes at most 38 MiB, however many guesses arrive. One client gets a share of the queue.

The input is the `passcodeHash` that a client sends, never a passcode. The native client binds it to the link's key, so
that not even this server can guess; a caller of the documented API may send a bare SHA-256, which is why the hash is
slow.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from time import perf_counter
from typing import Any, Literal, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from seclink.domain.shares import Holder, Shares
from seclink.telemetry.counters import Histogram

T = TypeVar("T")
THREADS, QUEUE = 2, 46
PROFILES = {
    "standard": PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1),  # OWASP's minimum
    "strong": PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4),  # RFC 9106, low memory
}


class Passcodes:
    """Hashes passcodes and verifies them, each call within a `slot`.

    `slots` in use are taken; `hashing` of them run argon2id or wait for a thread. `seconds` measures the hashes.
    """

    def __init__(self, profile: Literal["standard", "strong"] = "standard", seconds: Histogram | None = None) -> None:
        self.reconfigure(profile)
        self._seconds = seconds or Histogram()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self.slots = Shares(THREADS + QUEUE)
        self.hashing = 0

    def reconfigure(self, profile: Literal["standard", "strong"]) -> None:
        """Set the cost of new hashes; a stored hash carries its own."""
        self._hasher = PROFILES[profile]

    def slot(self, holder: Holder) -> AbstractContextManager[None]:
        """Hold a slot of the queue, taken before anything is counted or spent. Raise Busy if the share is used up."""
        return self.slots.hold(holder, "Too many passcodes are being checked; nothing was spent, try again")

    async def hash_if_set(self, passcode_hash: str | None, holder: Holder) -> str | None:
        """Return the argon2id string of a passcode's digest, None for None. Raise Busy."""
        if passcode_hash is None:
            return None
        with self.slot(holder):
            return await self.hash(passcode_hash.lower())

    async def hash(self, passcode_hash: str) -> str:
        """Return an argon2id string with its own salt."""
        return await self._run(self._hasher.hash, passcode_hash)

    async def verify(self, stored: str, passcode_hash: str) -> bool:
        """Return whether `stored` is an argon2id string of `passcode_hash`."""
        return await self._run(self._verify, stored, passcode_hash)

    def close(self) -> None:
        """Wait for the hashes in progress."""
        self._pool.shutdown()

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        self.hashing += 1
        try:
            result, seconds = await asyncio.get_running_loop().run_in_executor(self._pool, _timed, work, *args)
        finally:
            self.hashing -= 1
        self._seconds.observe(seconds)
        return result

    def _verify(self, stored: str, passcode_hash: str) -> bool:
        try:
            return self._hasher.verify(stored, passcode_hash)
        except (Argon2Error, InvalidHashError):
            return False


def _timed(work: Callable[..., T], *args: Any) -> tuple[T, float]:
    started_at = perf_counter()
    return work(*args), perf_counter() - started_at

"""argon2id off the event loop, bounded: two threads, sixteen in the queue, then Busy. A flood of guesses costs 38
MiB, not the machine.

What is hashed is the `passcodeHash` a client sends, never a passcode. The native client binds it to the link's
key, so that not even this server can try guesses; a caller of the documented API may send a bare SHA-256, and
for its sake the slow hash is there.
"""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from seclink.errors import Busy

THREADS, QUEUE = 2, 16
PROFILES = {
    "standard": PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1),  # OWASP's minimum
    "strong": PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4),  # RFC 9106, low memory
}


class Passcodes:
    """Hashes and verifies, each inside a `place`. `close` waits for what is running."""

    def __init__(self, profile: Literal["standard", "strong"] = "standard") -> None:
        self._hasher = PROFILES[profile]
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self.pending = 0

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

    async def hash(self, passcode_hash: str) -> str:
        """An argon2id string with its own salt."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, passcode_hash)

    async def verify(self, stored: str, passcode_hash: str) -> bool:
        """Whether they belong together."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._verify, stored, passcode_hash)

    def close(self) -> None:
        self._pool.shutdown()

    def _verify(self, stored: str, passcode_hash: str) -> bool:
        try:
            return self._hasher.verify(stored, passcode_hash)
        except (Argon2Error, InvalidHashError):
            return False

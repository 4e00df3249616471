"""The ceiling: `seclink serve` itself, with nothing kept. `python -m tests.bench.ceiling serve` takes its arguments.

The same gate, guards, limiter, parsing, vault, logging, answers, connection and thread settings, because it is the same
command; the one thing exchanged is the store, for one whose verbs end at once. What a route costs beyond this is the
store's: the hop to its thread and back, the statements, the commit.
"""

import os
from pathlib import Path
from typing import Any

from seclink.cli.main import main
from seclink.daemon import run
from seclink.model import Claimed, Secret

from .dialects import PAYLOAD_BYTES

PAYLOAD, IV = os.urandom(PAYLOAD_BYTES), os.urandom(12)


class NullStore:
    """Only what a start, a create, a reveal, the reaper and a stop come to."""

    upgraded = None

    @classmethod
    async def open(cls, path: Path, **options: Any) -> "NullStore":
        return cls()

    def reconfigure(self, keep_seconds: int, audit_seconds: int, max_bytes: int) -> None:
        return None

    async def add(self, secret: Secret) -> None:
        return None

    async def claim(self, link_id: str, now: int, **proof: Any) -> Claimed:
        return Claimed(
            receipt_id="0" * 20, format="raw", expiry_type="view_once", payload=PAYLOAD, iv=IV, views_left=0,
            expires_at=now + 1000,
        )  # fmt: skip

    async def ping(self, now: int) -> None:
        return None

    async def reap(self, now: int, limit: int) -> int:
        return 0

    async def audit_mark(self) -> str:
        return "0:"

    async def last_seen_at(self) -> int:
        return 0

    async def close(self) -> None:
        return None


if __name__ == "__main__":
    run.SqliteStore = NullStore  # type: ignore[assignment, attr-defined]
    main()

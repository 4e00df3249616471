"""Databases of every earlier schema, as SQL in `schemas/`, each written by the code of its time.

Before you add a migration, take a snapshot of the schema it starts from: name in COMMITS the last commit that wrote it,
and run `python tests/unit/schema_snapshots.py`, which needs the git history and writes the missing files.
"""

import asyncio
import hashlib
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "schemas"
# Version 1 was changed six times; the letters are only names of its variants.
COMMITS = {
    "1a": "0fd6714",
    "1b": "5d98d02",
    "1c": "14a8e29",
    "1d": "790a82e",
    "1e": "0d63a2c",
    "1f": "3c2d43d",
    "1g": "559b2fe",
    "2": "a115e4f",
    "3": "62dea83",
    "4": "c619277",
}
NOW = 1_800_000_000_000
DAY = 86_400_000
# Active secrets, and the lengths of their payloads: in a cell, beside others on a page, on overflow pages.
WAITING = {"waiting": 40, "locked": 300, "thrice": 5000, "neighbour": 100, "overdue": 60}
ENDED = {"read": "revealed", "burned": "burned", "late": "expired"}
PURGED = "forgotten"


def payload(name: str) -> bytes:
    return hashlib.shake_256(name.encode()).digest(WAITING.get(name, 50))


def iv(name: str) -> bytes:
    return hashlib.sha256(b"iv" + name.encode()).digest()[:12]


def link(name: str) -> str:
    return name.rjust(12, "l")


def receipt(name: str) -> str:
    return name.rjust(20, "r")


def traces(name: str) -> list[bytes]:
    """Return the bytes of a secret that must not be in any backup."""
    texts = [f"note of {name}", f"label of {name}", f"access of {name}", f"argon of {name}"]
    return [payload(name)[:32], iv(name), *(text.encode() for text in texts)]


async def fill(path: Path) -> None:
    """Fill a database, with whatever release is installed: secrets in every state, keys, receipts with a history."""
    from seclink.model import ApiKey, Changes, Rate, Scope, Secret
    from seclink.store.sqlite import SqliteStore

    store = await SqliteStore.open(path, keep_seconds=30 * 86400, max_bytes=2**30)

    async def add(name: str, at: int = NOW, **more: Any) -> None:
        usual: dict[str, Any] = {
            "link_id": link(name), "receipt_id": receipt(name), "manage_digest": hashlib.sha256(name.encode()).digest(),
            "account": "acme", "format": "raw", "expiry_type": "view_once", "payload": payload(name), "iv": iv(name),
            "created_at": at, "expires_at": at + DAY, "max_views": 1, "access_hash": f"access of {name}",
            "passcode": f"argon of {name}", "public_note": f"note of {name}", "label": f"label of {name}",
        }  # fmt: skip
        await store.add(Secret(**{**usual, **more}))

    def proof(name: str) -> dict[str, Any]:
        return {"access_hash": f"access of {name}", "passcode": f"argon of {name}", "client": "192.0.2.1"}

    await add(PURGED, NOW - 60 * DAY)
    await store.burn(receipt(PURGED), NOW - 60 * DAY)
    await store.reap(NOW - 29 * DAY, 10)
    for name in (*WAITING, *ENDED):
        more: dict[str, Any] = {"expires_at": NOW + 2000} if name in ("late", "overdue") else {}
        if name == "locked":
            more = {"format": "seclink/v1", "expiry_type": "24hours", "max_views": None}
        if name == "thrice":
            more = {"account": None, "max_views": 3}
        await add(name, **more)
    await store.record(link("locked"), "peeked", NOW + 1)
    await store.attempt(link("locked"), "192.0.2.1", NOW + 2)
    await store.record(link("locked"), "passcode_wrong", NOW + 2)
    for name in ("locked", "thrice", "read"):
        await store.attempt(link(name), "192.0.2.1", NOW + 3)
        claimed = await store.claim(link(name), NOW + 3, **proof(name))
        assert claimed is not None
        assert claimed.payload == payload(name)
    await store.record(link("waiting"), "reported", NOW + 4, "looks like phishing")
    await store.edit(receipt("neighbour"), Changes(label="label of neighbour"), NOW + 5)
    await store.burn(receipt("burned"), NOW + 6)
    await store.reap(NOW + 1999, 10)
    scopes = frozenset({Scope.CREATE, Scope.MANAGE})
    options: dict[str, dict[str, Any]] = {"live": {"rate": Rate(5, 60)}, "over": {"expires_at": NOW}, "gone": {}}
    for name, more in options.items():
        digest, prefix = hashlib.sha256(name.encode()).digest(), f"sk_live_{name}00"
        await store.add_key(ApiKey(digest=digest, prefix=prefix, account="acme", scopes=scopes, created_at=NOW, **more))
    await store.revoke_keys("sk_live_gone", NOW + 7)
    await store.close()
    with sqlite3.connect(path) as db:
        # As if `late` had expired and been reaped, and `overdue`, of the same age, had not.
        db.execute(
            "UPDATE secrets SET state = 'expired', ended_at = expires_at, access_hash = NULL, passcode = NULL,"
            " public_note = NULL, label = NULL, due_at = expires_at + ? WHERE link_id = ?",
            (30 * DAY, link("late")),
        )
        db.execute("DELETE FROM payloads WHERE id = (SELECT id FROM secrets WHERE link_id = ?)", (link("late"),))
        db.execute("UPDATE meta SET clock_mark = ?", (NOW + 3000,))
    db.close()


def dump(path: Path) -> str:
    with sqlite3.connect(path) as db:
        pragmas = [
            f"PRAGMA {name} = {db.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("application_id", "user_version")
        ]
        lines = "\n".join([*pragmas, *db.iterdump(), ""])
    db.close()
    # Shorten the zeros at the end of padded payloads.
    return re.sub(r"X'((?:[0-9A-F]{2})*?)((?:00){64,})'", _with_zeroblob, lines)


def _with_zeroblob(match: "re.Match[str]") -> str:
    return f"CAST(X'{match[1]}' || zeroblob({len(match[2]) // 2}) AS BLOB)"


def load(name: str, path: Path) -> None:
    """Create the database of a snapshot."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = wal")
        db.executescript((FOLDER / f"{name}.sql").read_text())
    db.close()
    path.chmod(0o600)


def take(name: str, commit: str, root: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit, "seclink"], cwd=root, check=True, capture_output=True)
        subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
        path = Path(folder) / "snapshot.db"
        command = [sys.executable, __file__, str(path)]
        subprocess.run(command, check=True, cwd=folder, env={**os.environ, "PYTHONPATH": folder})
        (FOLDER / f"{name}.sql").write_text(dump(path))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(fill(Path(sys.argv[1])))
    else:
        for name, commit in COMMITS.items():
            if not (FOLDER / f"{name}.sql").exists():
                take(name, commit, Path(__file__).parents[2])

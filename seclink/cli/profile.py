"""What the command line remembers: one JSON file, for its owner alone.

    $XDG_CONFIG_HOME/seclink/client.json, mode 0600
    {"server": ..., "key": ..., "receipts": {server: {receiptId: {"manageToken": ..., "expiresAt": ms}}}}

Manage tokens are kept for what was created without a key, where nothing else opens the receipt, and for as
long as the server keeps receipts: 30 days after the end. The file is replaced as a whole, under a lock, so
neither a crash nor two commands at once lose a token.
"""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seclink.errors import ClientError

RECEIPT_KEEP_MS = 30 * 24 * 3600 * 1000


def default_path() -> Path:
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    # Relative paths in XDG variables are to be ignored, says their specification.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".config"
    return base / "seclink" / "client.json"


class Profile:
    """`now` is in epoch milliseconds. ClientError where the file cannot be read or written, or is not ours."""

    def __init__(self, path: Path | None = None, now: int | None = None) -> None:
        self._path = path or default_path()
        self._now = int(time.time() * 1000) if now is None else now

    def login(self) -> tuple[str | None, str | None]:
        """Server and key, None where not logged in."""
        content = self._read()
        return content.get("server"), content.get("key")

    def log_in(self, server: str, key: str) -> None:
        with self._changing() as content:
            content.update(server=server, key=key)

    def log_out(self) -> int:
        """Forget server and key.

        How many manage tokens stay, since nothing else could burn what they belong to.
        """
        with self._changing() as content:
            content.pop("server", None)
            content.pop("key", None)
        return sum(len(kept) for kept in content["receipts"].values())

    def remember(self, server: str, receipt_id: str, manage_token: str, expires_at_ms: int) -> None:
        with self._changing() as content:
            kept = content["receipts"].setdefault(server, {})
            kept[receipt_id] = {"manageToken": manage_token, "expiresAt": expires_at_ms}

    def manage_token(self, server: str, receipt_id: str) -> str | None:
        known = self._read()["receipts"].get(server, {}).get(receipt_id)
        return str(known["manageToken"]) if known else None

    def receipt_ids(self) -> list[str]:
        """All that are remembered, of every server."""
        return [receipt_id for kept in self._read()["receipts"].values() for receipt_id in kept]

    def keep(self, secret: bytes) -> Path:
        """A secret that is spent and has nowhere else to go: a new file beside the profile."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _new_file(self._path.parent, "secret-", secret)
        except OSError as error:
            raise ClientError(f"{self._path.parent} cannot be written: {error.strerror}") from None

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {"receipts": {}}
        except OSError as error:
            raise ClientError(f"{self._path} cannot be read: {error.strerror}") from None
        except ValueError:
            content = None
        if not _is_ours(content):
            raise ClientError(f"{self._path} is damaged; move it away, its manage tokens may still be in it")
        return {"receipts": {}, **content}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self._path.parent / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                content = self._read()
                yield content
                content["receipts"] = self._still_kept(content["receipts"])
                self._replace(json.dumps(content, indent=2).encode())
        except OSError as error:
            raise ClientError(f"{self._path} cannot be written: {error.strerror}") from None

    def _still_kept(self, receipts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        oldest = self._now - RECEIPT_KEEP_MS
        live = {s: {r: t for r, t in kept.items() if t["expiresAt"] > oldest} for s, kept in receipts.items()}
        return {server: kept for server, kept in live.items() if kept}

    def _replace(self, content: bytes) -> None:
        new = _new_file(self._path.parent, "tmp", content)
        try:
            new.replace(self._path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def _new_file(folder: Path, prefix: str, content: bytes) -> Path:
    """Under a name of its own, on disk, and for its owner alone; or not there at all."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=prefix)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _is_ours(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("receipts", {}), dict):
        return False
    if not all(isinstance(content.get(name, ""), str) for name in ("server", "key")):
        return False
    kept = [each for known in content.get("receipts", {}).values() for each in _values(known)]
    return all(_is_token(each) for each in kept)


def _is_token(kept: Any) -> bool:
    return (
        isinstance(kept, dict) and isinstance(kept.get("manageToken"), str) and isinstance(kept.get("expiresAt"), int)
    )


def _values(known: Any) -> list[Any]:
    return list(known.values()) if isinstance(known, dict) else [None]

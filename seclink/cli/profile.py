"""The profile: login and manage tokens, saved in one JSON file that only its owner can read.

    $XDG_CONFIG_HOME/seclink/client.json, mode 0600
    {"server": ..., "key": ..., "receipts": {server: {receiptId: {"manageToken": ..., "expiresAt": ms}}}}

The manage token of a secret created without an API key is saved, as nothing else opens its receipt. It is removed a
year after the secret has expired, when another token of the same server is saved, and only if the server's clock and
this machine's agree that the year is over: either may be wrong. The file is replaced as a whole, under a lock, so
neither a crash nor two concurrent commands lose a token.
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

from seclink.client.session import server_address
from seclink.errors import BadRequest, ClientError

TOKEN_RETENTION_MS = 366 * 24 * 3600 * 1000


def default_path() -> Path:
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification requires relative paths to be ignored.
    base = Path(configured) if configured.startswith("/") else _home() / ".config"
    return base / "seclink" / "client.json"


def _home() -> Path:
    """Return the home folder: for a user id without an account, `/`, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


class Profile:
    """The saved login and manage tokens. `now` is this machine's time in epoch milliseconds.

    Raises ClientError if the file cannot be read or written, or is damaged.
    """

    def __init__(self, path: Path | None = None, now: int | None = None) -> None:
        self._path = path or default_path()
        self._now = int(time.time() * 1000) if now is None else now

    @property
    def folder(self) -> Path:
        return self._path.parent

    def login(self) -> tuple[str | None, str | None]:
        """Return server and API key, each None if it is not saved. Raises ClientError for an unusable server, too."""
        content = self._read()
        server = content.get("server")
        try:
            return server and server_address(server), content.get("key")
        except BadRequest as error:
            reason = f"names a server that {error.faults[0].message}; run `seclink login --server URL`"
            raise ClientError(f"{self._path} {reason}") from None

    def log_in(self, server: str, key: str) -> None:
        with self._changing() as content:
            content.update(server=server, key=key)

    def log_out(self) -> int:
        """Forget server and API key, and return the number of manage tokens, which stay."""
        with self._changing() as content:
            content.pop("server", None)
            content.pop("key", None)
        return sum(len(tokens) for tokens in content["receipts"].values())

    def remember(self, server: str, receipt_id: str, manage_token: str, expires_at_ms: int, created_at_ms: int) -> None:
        """Save a manage token. Both times are those of the server's clock."""
        oldest = min(created_at_ms, self._now) - TOKEN_RETENTION_MS
        with self._changing() as content:
            tokens = content["receipts"].get(server, {})
            remaining = {receipt: token for receipt, token in tokens.items() if token["expiresAt"] > oldest}
            remaining[receipt_id] = {"manageToken": manage_token, "expiresAt": expires_at_ms}
            content["receipts"][server] = remaining

    def manage_token(self, server: str, receipt_id: str) -> str | None:
        token = self._read()["receipts"].get(server, {}).get(receipt_id)
        return str(token["manageToken"]) if token else None

    def manage_tokens(self, server: str) -> list[str]:
        """Return the saved manage tokens of a server, the newest first."""
        return [str(token["manageToken"]) for token in self._read()["receipts"].get(server, {}).values()][::-1]

    def receipt_ids(self) -> list[str]:
        """Return the saved receipts of all servers."""
        return [receipt_id for tokens in self._read()["receipts"].values() for receipt_id in tokens]

    def rescue(self, secret: bytes) -> Path:
        """Save a revealed secret that could not be written to stdout, in a new file beside the profile."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return new_file(self._path.parent, "secret-", secret)
        except OSError as error:
            raise ClientError(f"{self._path.parent} cannot be written: {error.strerror}") from None

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
            _check(content)
        except (FileNotFoundError, NotADirectoryError):
            return {"receipts": {}}
        except OSError as error:
            raise ClientError(f"{self._path} cannot be read: {error.strerror}") from None
        except (ValueError, TypeError, AttributeError, KeyError):
            message = f"{self._path} is damaged; move it away, its manage tokens may still be readable"
            raise ClientError(message) from None
        return {"receipts": {}, **content}

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self._path.parent / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                content = self._read()
                yield content
                self._replace(json.dumps(content, indent=2).encode())
        except OSError as error:
            raise ClientError(f"{self._path} cannot be written: {error.strerror}") from None

    def _replace(self, content: bytes) -> None:
        new = new_file(self._path.parent, "tmp", content)
        try:
            new.replace(self._path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def new_file(folder: Path, prefix: str, content: bytes) -> Path:
    """Write a file under a unique name, durably and with mode 0600. Remove it if that fails."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=prefix)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _check(content: Any) -> None:
    """Raise TypeError, AttributeError or KeyError unless all members have their types."""
    tokens = [token for tokens in content.get("receipts", {}).values() for token in tokens.values()]
    texts = [content.get("server", ""), content.get("key", ""), *(token["manageToken"] for token in tokens)]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("not a string")
    if not all(isinstance(token["expiresAt"], int) for token in tokens):
        raise TypeError("not an integer")

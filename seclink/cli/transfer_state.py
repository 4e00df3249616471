"""The state of a transfer of files, kept until it has ended, so that `--resume` goes on after any break.

    $XDG_CONFIG_HOME/seclink/transfers/NAME.json, mode 0600

That of an upload has the key that encrypts the files, which are on this machine as well. That of a download has no key:
the response of the server as it came, which only the link (and the passcode) opens, and the right to download.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seclink.cli.profile import Profile, new_file
from seclink.errors import ClientError

MAX_SECONDS = 25 * 3600
"""Neither an upload nor the right to download lives longer than a day."""


class TransferState:
    """The saved members of one transfer. Raises ClientError if they cannot be read or written."""

    def __init__(self, profile: Profile, kind: str, parts: Iterable[str]) -> None:
        digest = hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()
        self._path = profile.folder / "transfers" / f"{kind}-{digest[:20]}.json"

    def read(self) -> dict[str, Any] | None:
        try:
            members: dict[str, Any] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ClientError(f"{self._path} cannot be read: {error}") from None
        if not isinstance(members, dict):
            raise self.damaged()
        return members

    def damaged(self) -> ClientError:
        """Return the error for members that a command cannot use."""
        return ClientError(f"{self._path} is damaged; remove it to begin anew")

    def write(self, members: dict[str, Any]) -> None:
        folder = self._path.parent
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the mode is that of the last folder alone
            folder.mkdir(mode=0o700, exist_ok=True)
            if not self._path.exists():
                _remove_old(folder)
            new_file(folder, "tmp", json.dumps(members).encode()).replace(self._path)
        except OSError as error:
            raise ClientError(f"{self._path} cannot be written: {error.strerror}") from None

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()


def _remove_old(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - MAX_SECONDS:
                path.unlink()

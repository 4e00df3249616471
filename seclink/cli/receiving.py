"""The files that `seclink get --output` saves; `--resume` goes on after a break."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from seclink.cli.connection import RemoteServer
from seclink.cli.display import file_size
from seclink.cli.progress import ProgressLine
from seclink.cli.terminal import printable
from seclink.cli.transfer_state import TransferState
from seclink.client.client import Client
from seclink.client.downloads import SaveState
from seclink.client.models import RevealedSecret
from seclink.client.received_files import ReceivedFiles
from seclink.client.saving import OutputFolder
from seclink.errors import ClientError, Gone, NotFound, SecLinkError, Unreachable
from seclink.format.file_name import SavedName, cleaned_name
from seclink.format.pasted_link import parse

Secret = RevealedSecret[ReceivedFiles]


class Receiving:
    """The saving of one link's files. Its state is kept from before the view is spent until all files are saved."""

    def __init__(self, at: RemoteServer, link: str, output: str, *, resume: bool) -> None:
        target = parse(link)
        self._folder, self.link = Path(output).absolute(), link
        self._state = TransferState(at.profile, "download", (target.base, target.link_id))
        members = self._state.read()
        if resume and members is None:
            raise ClientError("There is no download of this link to resume here; no view was spent")
        if members is not None and not resume:
            raise ClientError("A download of this link was begun here: --resume goes on with it")
        self._saving = SaveState() if members is None else self._saving_of(members)
        if members is not None and members["output"] != str(self._folder):
            raise ClientError(f"This download was begun with --output {members['output']}")
        self._members: dict[str, Any] = members or {
            "output": str(self._folder), "idempotencyKey": secrets.token_urlsafe(24),
        }  # fmt: skip

    @property
    def needs_passcode(self) -> bool:
        """Return whether only a passcode opens the response of an earlier command."""
        return bool(self._members.get("hasPasscode"))

    def check_room(self, client: Client) -> None:
        """Create the folder, and raise ClientError if it has too little room: then no view is spent."""
        with OutputFolder(self._folder):
            pass
        files = client.meta(self.link).raw.get("files")
        size = files.get("size", 0) if isinstance(files, dict) else 0
        status = os.statvfs(self._folder)
        room = status.f_bavail * status.f_frsize
        if isinstance(size, int) and size > room:
            needed = f"{file_size(size)} are needed in {self._folder}, and {file_size(room)} are free"
            raise ClientError(f"There is too little room: {needed}; no view was spent")

    def reveal(self, client: Client, passcode: str | None) -> Secret:
        if response := self._members.get("response"):
            return client.reopen(self.link, response, passcode)
        self._state.write(self._members)
        try:
            secret = client.reveal(self.link, passcode, idempotency_key=self._members["idempotencyKey"])
        except SecLinkError as error:
            if not isinstance(error, Unreachable):  # then the view may be spent, and the response be had again
                self._state.remove()
            raise
        self._members |= {"response": secret.response, "hasPasscode": passcode is not None}
        self._state.write(self._members)
        return secret

    def save(self, secret: Secret) -> None:
        state = self._saving
        state.changed = lambda: self._remember(state)
        with self._hint(), ProgressLine("saving") as progress:
            if secret.type == "file":
                paths = [self._save_body(secret)]
            else:
                paths = secret.files.save(self._folder, progress=progress, state=state)
        self._state.remove()
        for path in paths:
            click.echo(f"saved {printable(str(path))}", err=True)
        if not paths:
            click.echo("the secret has no files", err=True)

    def _save_body(self, secret: Secret) -> Path:
        name = SavedName("", cleaned_name(str(secret.header.get("name", ""))))
        with OutputFolder(self._folder) as folder, contextlib.closing(folder.create(name)) as part:
            part.write(secret.body)
            return part.commit()

    def _saving_of(self, members: dict[str, Any]) -> SaveState:
        """Return the progress of an earlier command. Raises ClientError for members with wrong types."""
        try:
            saved, parts = members.get("saved", {}), members.get("parts", {})
            texts = [
                members["output"],
                members["idempotencyKey"],
                *saved.values(),
                *(name for name, _ in parts.values()),
            ]
            inodes = [inode for _, inode in parts.values()]
            if not all(isinstance(text, str) for text in texts) or not all(isinstance(inode, int) for inode in inodes):
                raise TypeError
            return SaveState(
                saved={int(number): Path(path) for number, path in saved.items()},
                parts={int(number): (name, inode) for number, (name, inode) in parts.items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._state.damaged() from None

    def _remember(self, state: SaveState) -> None:
        saved = {number: str(path) for number, path in state.saved.items()}
        self._members |= {"saved": saved, "parts": state.parts}
        self._state.write(self._members)

    @contextlib.contextmanager
    def _hint(self) -> Iterator[None]:
        """Say how to go on after an error that ends the command but not the download."""
        try:
            yield
        except (Gone, NotFound):
            self._state.remove()
            raise
        except (SecLinkError, OSError, KeyboardInterrupt) as error:
            error.add_note("the same command with --resume goes on, as long as the server keeps the files for you")
            raise

"""The files of `seclink create`: which ones, and their upload, which `--resume` goes on with."""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from seclink.cli.connection import RemoteServer
from seclink.cli.progress import ProgressLine
from seclink.cli.transfer_state import TransferState
from seclink.client.client import Client
from seclink.client.uploads import BegunUpload
from seclink.errors import (
    ClientError,
    FilesNotAllowed,
    FilesQuota,
    FilesTooLarge,
    NotAuthentic,
    SecLinkError,
    SourceChanged,
    UploadUnknown,
    UploadUsed,
)
from seclink.format import file_header
from seclink.format.file_header import MAX_FILES

NamedFile = tuple[str, Path | BinaryIO]
RESUME = "the same command with --resume goes on with the upload, within an hour"


def chosen_files(paths: Sequence[str], folders: Sequence[str], name: str | None) -> list[NamedFile]:
    """Return the files of the options, with the names that readers see. Links inside folders are left out, and told."""
    if name is not None and (len(paths) != 1 or folders):
        raise click.UsageError("--name is the name of one --file")
    if "-" in paths and name is None:
        raise click.UsageError("--file - needs --name, as stdin has no name")
    files: list[NamedFile] = []
    for path in paths:
        if Path(path).is_dir():
            raise click.UsageError(f"{path} is a folder; use --folder")
        source = sys.stdin.buffer if path == "-" else Path(path)
        files.append((name or Path(path).name, source))
    for folder in folders:
        files += _inside(Path(folder))
        if len(files) > MAX_FILES:
            raise click.UsageError(f"a secret has at most {MAX_FILES} files, and these are more")
    return files


def _inside(folder: Path) -> Iterator[NamedFile]:
    top, skipped, count = Path(folder.resolve().name), 0, 0
    for base, names, file_names in os.walk(folder, onerror=_raise):
        names.sort()
        for name in sorted(file_names):
            path = Path(base, name)
            if path.is_symlink() or not path.is_file():
                skipped += 1
                continue
            count += 1
            yield (top / path.relative_to(folder)).as_posix(), path
        skipped += sum(Path(base, name).is_symlink() for name in names)
    if skipped:
        noun = "link or special file" if skipped == 1 else "links or special files"
        click.echo(f"left out {skipped:,} {noun} in {folder}", err=True)
    if not count:
        raise click.UsageError(f"{folder} has no files")


def _raise(error: OSError) -> None:
    raise error


class Sending:
    """The upload of one command. Its state is kept until the secret is created; stdin cannot be read twice."""

    def __init__(self, at: RemoteServer, files: Sequence[NamedFile], *, resume: bool, restart: bool) -> None:
        self._files, self._is_resumable = files, all(isinstance(source, Path) for _, source in files)
        sources = (f"{name}\n{source.absolute()}" for name, source in files if isinstance(source, Path))
        self._state = TransferState(at.profile, "upload", (at.server, *sources))
        self._resume, self._has_key = resume, bool(at.key)
        if resume and not (self._is_resumable and self._state.read()):
            raise ClientError("There is no upload of these files to resume; nothing was sent")
        if not resume and not restart and self._is_resumable and self._state.read():
            raise ClientError(
                "An upload of these files was begun here: --resume goes on with it, --restart sends them anew"
            )

    def upload(self, client: Client) -> BegunUpload:
        begun = self._begun()
        if begun and not self._resume:
            with contextlib.suppress(SecLinkError):
                client.cancel_upload(begun)
            begun = None
        try:
            with ProgressLine("sending") as progress:
                on_begin = self._save if self._is_resumable else None
                return client.upload(self._files, progress=progress, resume=begun, on_begin=on_begin)
        except UploadUsed:
            self.finish()
            message = "The secret was created before the break; if its link was not printed, nobody can open it"
            raise UploadUsed(f"{message}. Send the files again, without --resume") from None

    @contextlib.contextmanager
    def hint(self) -> Iterator[None]:
        """Say how to go on after an error that ends the command but not the upload, such as a refused lifetime."""
        try:
            yield
        except (SourceChanged, UploadUnknown, UploadUsed):
            self.finish()
            raise
        except (SecLinkError, OSError, KeyboardInterrupt) as error:
            if not self._has_key and isinstance(error, FilesTooLarge | FilesNotAllowed | FilesQuota):
                error.add_note("with an API key the server may accept more")
            if self._is_resumable and self._state.read():
                error.add_note(RESUME)
            raise

    def finish(self) -> None:
        self._state.remove()

    def _begun(self) -> BegunUpload | None:
        members = self._state.read() if self._is_resumable else None
        if members is None:
            return None
        try:
            header = file_header.read({"type": "text", **members["header"]})
            if header is None:
                raise KeyError
            return BegunUpload(members["id"], members["token"], header, members["modifiedNs"])
        except (NotAuthentic, KeyError, TypeError):
            self.finish()
            raise ClientError("The state of the upload is damaged; send the files again, without --resume") from None

    def _save(self, upload: BegunUpload) -> None:
        members: dict[str, Any] = {"id": upload.id, "token": upload.token, "header": upload.header.members()}
        self._state.write(members | {"modifiedNs": [*upload.modified_ns]})

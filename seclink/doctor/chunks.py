"""Checks of the folder with the chunks of files: owner, mode, strangers, room, and whether the files are there."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from seclink.config.schema import Config
from seclink.doctor.database import EPHEMERAL_FILE_SYSTEMS, file_system
from seclink.doctor.files import GROUP, OTHERS
from seclink.doctor.findings import RUN_AS_OWNER, Finding
from seclink.domain.uploads import MIN_FREE_BYTES
from seclink.errors import StoreUnusable
from seclink.store.chunk_files import MOUNT_POINT, NAME, folder_of
from seclink.store.inspect import upload_files

OWN_FOLDER = '[files] path = "chunks", or another folder that contains nothing else'
MIN_TOTAL_BYTES = 2**20  # of the option
LOST = "put the folder back, or set files.path to it, and restart the server; otherwise delete those secrets"


def check(config: Config, database: Path) -> Iterator[Finding]:
    """The folder need not exist: the first upload creates it."""
    folder = folder_of(database, config.files.path)
    try:
        yield from _check(config, folder, database)
    except PermissionError as error:
        yield GROUP.problem(str(error.filename), "cannot be checked by this user", RUN_AS_OWNER)


def _check(config: Config, folder: Path, database: Path) -> Iterator[Finding]:
    if not folder.parent.is_dir():
        yield GROUP.problem(str(folder.parent), "does not exist", f"mkdir -m 700 {folder.parent}")
        return
    if not os.path.lexists(folder):
        yield GROUP.ok(str(folder), "does not exist; the first upload creates it")
        names = set()
    elif folder.is_symlink() or not folder.is_dir():
        yield GROUP.problem(str(folder), "is not a folder: the server does not start", OWN_FOLDER)
        return
    else:
        yield _access(folder, database)
        if not os.access(folder, os.R_OK | os.X_OK):
            yield GROUP.problem(str(folder), "cannot be read by this user", RUN_AS_OWNER)
            return
        names = set(os.listdir(folder))  # noqa: PTH208  names alone
        yield from _strangers(folder, names)
    yield from _missing(folder, names, database)
    if config.file_creators != "nobody":
        yield _room(config, folder, names)


def _access(folder: Path, database: Path) -> Finding:
    status = folder.stat()
    owner = database.stat().st_uid if database.exists() else status.st_uid
    if status.st_uid != owner:
        observation = f"belongs to user {status.st_uid}, but the database to user {owner}: the server does not start"
        return GROUP.problem(str(folder), observation, f"chown -R {owner} {folder}")
    mode = stat.S_IMODE(status.st_mode)
    if mode & OTHERS:
        return GROUP.problem(str(folder), f"is accessible to other users ({mode:04o})", f"chmod 700 {folder}")
    return GROUP.ok(str(folder), f"is private ({mode:04o})")


def _strangers(folder: Path, names: set[str]) -> Iterator[Finding]:
    strangers = sorted(name for name in names if not NAME.fullmatch(name) and name != MOUNT_POINT)
    if strangers:
        observation = f"contains {len(strangers):,} files of other programs, such as {strangers[0]!r}: the server does"
        yield GROUP.problem(str(folder), f"{observation} not start", f"move them elsewhere, or {OWN_FOLDER}")
    kind = file_system(folder)
    if kind in EPHEMERAL_FILE_SYSTEMS:
        observation = f"is on {kind}: its files are lost with the machine or the container"
        yield GROUP.warning(str(folder), observation, '[files] path = "/var/lib/seclink/chunks", on a volume')
    elif folder.stat().st_dev != folder.parent.stat().st_dev:
        yield GROUP.ok(str(folder), f"is a file system of its own, {kind or 'of unknown type'}")


def _missing(folder: Path, names: set[str], database: Path) -> Iterator[Finding]:
    """Report uploads without their file. A file without its row is erased at the next start."""
    try:
        missing = upload_files(database) - names if database.is_file() and database.stat().st_size else set()
    except StoreUnusable:  # as the checks of the database say
        return
    if missing:
        observation = f"lacks the files of {len(missing):,} uploads: secrets with them are not revealed"
        yield GROUP.problem(str(folder), observation, LOST)


def _room(config: Config, folder: Path, names: set[str]) -> Finding:
    """Compare the disk with the room that files may take: they leave a part of it to everything else."""
    disk = os.statvfs(folder if folder.is_dir() else folder.parent)
    used_bytes = sum(os.stat(folder / name).st_blocks * 512 for name in names if NAME.fullmatch(name))  # noqa: PTH116
    free_bytes = disk.f_bavail * disk.f_frsize
    room_bytes, total_bytes = used_bytes + free_bytes - MIN_FREE_BYTES, config.files.total_bytes
    if room_bytes >= total_bytes:
        return GROUP.ok("the disk of the files", f"has room for files.total_bytes ({total_bytes:,})")
    fix = f"[files] total_bytes = {room_bytes}"
    if room_bytes < config.files.max_bytes:
        fix = f"{fix}, max_bytes = {room_bytes // 2}"
    if room_bytes < 2 * MIN_TOTAL_BYTES:
        fix = 'free space on the disk, or [files] create = "nobody"'
    observation = f"has room for {max(0, room_bytes):,} bytes of files, but files.total_bytes is {total_bytes:,}"
    return GROUP.warning("the disk of the files", observation, fix)

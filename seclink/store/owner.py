"""Acting as the owner of a folder, so that root does nothing in it that the owner could not do.

Whoever owns a folder can replace any file in it by a link to another file, at any moment. So before root opens, creates
or erases anything there, it becomes the owner for good, or lets a child process do so.
"""

import ctypes
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from seclink.errors import StoreFault, StoreUnusable

T = TypeVar("T")
_NEW_MOUNTS, _BIND, _RECURSIVE, _PRIVATE = 0x20000, 4096, 16384, 1 << 18  # unshare(2), mount(2)
_OTHERS_WRITE = 0o022


class _Owner(NamedTuple):
    """The user and group to become. `closed` is the first folder above that they may not enter, "" if there is none."""

    user: int
    group: int
    closed: str


class _Outcome(Struct, frozen=True):
    """The result of a child process: a value, or the error that it raised."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    fault: StoreFault = StoreFault.OTHER
    errno: int = 0
    sqlite: str = ""


def is_foreign(path: Path) -> bool:
    """Return whether this is root, and the folder of `path` another user's. Raises StoreUnusable."""
    if os.geteuid() != 0:
        return False
    folder, owner = _look(path)
    os.close(folder)
    return owner.user != 0


def become(path: Path) -> None:
    """Become the owner of the folder of `path` for good, if this is root. Raises StoreUnusable."""
    if os.geteuid() != 0:
        return
    folder, owner = _look(path)
    try:
        if owner.user == 0:
            return
        if owner.closed:
            _open_up(folder, path.parent, Path(owner.closed))
        os.setgroups([])
        os.setresgid(owner.group, owner.group, owner.group)
        os.setresuid(owner.user, owner.user, owner.user)
        if not os.path.samestat(path.parent.stat(), os.fstat(folder)):
            raise StoreUnusable(f"{path.parent}: was replaced just now", StoreFault.ACCESS)
    except OSError as error:
        raise _unusable(path, error) from None
    finally:
        os.close(folder)


def run(path: Path, work: Callable[[], T], kind: object) -> T:
    """Return the result of `work`, as the owner of the folder of `path`; it is of the type `kind`."""
    if not is_foreign(path):
        return work()

    def work_as_owner() -> T:
        become(path)
        return work()

    return in_child(work_as_owner, kind)


def in_child(work: Callable[[], T], kind: object) -> T:
    """Return the result of `work`, done in a child process. Raises its StoreUnusable, OSError or sqlite3.Error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(msgspec.json.encode(_outcome(work)))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    if not content:
        raise StoreUnusable("the process that became the owner of the database has failed")
    outcome = msgspec.json.decode(content, type=_Outcome)
    if outcome.errno:
        raise OSError(outcome.errno, outcome.error)
    if outcome.sqlite:
        failed = sqlite3.DatabaseError(outcome.sqlite)
        failed.sqlite_errorname = outcome.sqlite
        raise failed
    if outcome.error:
        raise StoreUnusable(outcome.error, outcome.fault)
    result: T = msgspec.json.decode(outcome.value, type=kind)
    return result


def _outcome(work: Callable[[], object]) -> _Outcome:
    try:
        return _Outcome(value=msgspec.Raw(msgspec.json.encode(work())))
    except StoreUnusable as error:
        return _Outcome(error=error.message, fault=error.fault)
    except sqlite3.Error as error:
        return _Outcome(sqlite=getattr(error, "sqlite_errorname", "SQLITE_ERROR"))
    except OSError as error:
        return _Outcome(error=error.strerror or str(error), errno=error.errno or 1)


def _look(path: Path) -> tuple[int, _Owner]:
    """Open the folder of `path` without following a link, and find whom root has to become there."""
    folders: list[os.stat_result] = []
    here = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in path.parent.parts[1:]:
            folders.append(os.fstat(here))
            below = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        return here, _owner(path, os.fstat(here), folders)
    except OSError as error:
        os.close(here)
        raise _unusable(path, error) from None
    except BaseException:
        os.close(here)
        raise


def _owner(path: Path, folder: os.stat_result, above: list[os.stat_result]) -> _Owner:
    user = folder.st_uid
    if user == 0 and any(map(_is_replaceable, above)):
        raise StoreUnusable(
            f"{path.parent}: belongs to root, but lies in a folder of another user, who could replace it; give it to"
            " the user of the server, or move it",
            StoreFault.ACCESS,
        )
    if user == 0 and _is_shared(folder):
        status = os.lstat(path) if os.path.lexists(path) else None
        if status is None or not stat.S_ISREG(status.st_mode) or status.st_uid == 0 or status.st_nlink > 1:
            raise StoreUnusable(
                f"{path.parent}: can be changed by other users ({stat.S_IMODE(folder.st_mode):04o}), so root opens no"
                f" file in it; chmod go-w {path.parent}, or move the database to a folder of its own",
                StoreFault.ACCESS,
            )
        user = status.st_uid
    names = list(path.parents)[1:][::-1]
    closed = (str(name) for name, status in zip(names, above, strict=True) if not _may_enter(status, user, folder))
    return _Owner(user, folder.st_gid, next(closed, ""))


def _is_replaceable(folder: os.stat_result) -> bool:
    """Return whether others than root can replace what root has in the folder."""
    return folder.st_uid != 0 or (_is_shared(folder) and not folder.st_mode & stat.S_ISVTX)


def _is_shared(folder: os.stat_result) -> bool:
    mask = 0o002 if folder.st_gid == 0 else _OTHERS_WRITE
    return bool(folder.st_mode & mask)


def _may_enter(folder: os.stat_result, user: int, target: os.stat_result) -> bool:
    if folder.st_uid == user:
        return bool(folder.st_mode & stat.S_IXUSR)
    return bool(folder.st_mode & (stat.S_IXGRP if folder.st_gid == target.st_gid else stat.S_IXOTH))


def _open_up(folder: int, path: Path, closed: Path) -> None:
    """Let this process reach an open folder by its path, although its owner may not enter a folder above it.

    The state of a systemd service with a dynamic user lies in such a place. Nobody else sees the mounts.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        if libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "root may not mount here; run this command as the service's user")

    if libc.unshare(_NEW_MOUNTS) != 0:
        raise OSError(ctypes.get_errno(), "root may not mount here; run this command as the service's user")
    mount("none", "/", "", _RECURSIVE | _PRIVATE)
    source = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)  # by a mount of this process
    try:
        if os.path.samestat(os.fstat(source), os.fstat(folder)):
            mount("none", str(closed), "tmpfs", 0, "mode=755")
            path.mkdir(parents=True)
            mount(f"/proc/self/fd/{source}", str(path), "", _BIND)
    finally:
        os.close(source)


def _unusable(path: Path, error: OSError) -> StoreUnusable:
    return StoreUnusable(f"{path}: cannot be used: {error.strerror}", StoreFault.ACCESS)

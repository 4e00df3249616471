"""Checks of permissions and owners: the TOML file, the TLS key, the database and the files beside it, their folder."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from seclink.doctor.configuration import holds_secret
from seclink.doctor.findings import RUN_AS_OWNER, CheckGroup, Finding

GROUP = CheckGroup("files")
OTHERS_WRITE, OTHERS_READ, OTHERS = 0o022, 0o004, 0o077


def check(source: Path | None, database: Path, keys: Iterable[Path] = ()) -> Iterator[Finding]:
    """`source` is the TOML file; `keys` are the private keys it names, which may be missing."""
    if source is not None:
        yield _toml(source)
    for findings in (_keys(keys), _database(database)):
        try:
            yield from findings
        except PermissionError as error:
            yield GROUP.problem(str(error.filename), "cannot be checked by this user", RUN_AS_OWNER)


def _database(database: Path) -> Iterator[Finding]:
    folder = database.parent
    if not folder.is_dir():
        yield GROUP.problem(str(folder), "does not exist", f"mkdir -m 700 {folder}")
        return
    yield _folder(folder)
    if not database.exists():
        yield GROUP.warning(str(database), "does not exist; the first start creates it", "seclink serve")
        return
    yield from _private(database)
    yield _owners(database)


def _toml(source: Path) -> Finding:
    mode = stat.S_IMODE(source.stat().st_mode)
    if mode & OTHERS_WRITE:
        observation = f"can be changed by other users ({mode:04o}), who could then redirect the data"
        return GROUP.problem(str(source), observation, f"chmod go-w {source}")
    if mode & OTHERS_READ and holds_secret(source):
        observation = f"contains a key, and every user can read it ({mode:04o})"
        return GROUP.problem(str(source), observation, f"chmod o-rwx {source}")
    return GROUP.ok(str(source), f"can be changed only by its owner ({mode:04o})")


def _keys(keys: Iterable[Path]) -> Iterator[Finding]:
    """Check private keys. Group read access is fine: that is how services share a key."""
    for key in keys:
        mode = stat.S_IMODE(key.stat().st_mode) if key.exists() else 0
        if mode & (OTHERS_READ | OTHERS_WRITE):
            yield GROUP.problem(str(key), f"is accessible to other users ({mode:04o})", f"chmod o-rwx,g-w {key}")
        elif mode:
            yield GROUP.ok(str(key), f"is private ({mode:04o})")


def _folder(folder: Path) -> Finding:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & OTHERS_WRITE:
        observation = f"can be changed by other users ({mode:04o}), who could then replace the database"
        if mode & stat.S_ISVTX:  # like /tmp, which must stay writable for all users
            fix = f"mkdir -m 700 {folder}/seclink, and set store.path to a file in it"
            return GROUP.problem(str(folder), observation, fix)
        return GROUP.problem(str(folder), observation, f"chmod go-w {folder}")
    return GROUP.ok(str(folder), f"can be changed only by its owner ({mode:04o})")


def _private(database: Path) -> Iterator[Finding]:
    for path in _database_files(database):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & OTHERS:
            yield GROUP.problem(str(path), f"is accessible to other users ({mode:04o})", f"chmod 600 {path}")
        else:
            yield GROUP.ok(str(path), f"is private ({mode:04o})")


def _owners(database: Path) -> Finding:
    """Check that all files have one owner: the service cannot open a file that root left beside the database."""
    owner = database.stat().st_uid
    others = [path for path in _database_files(database) if path.stat().st_uid != owner]
    if others:
        observation = f"belong to other users than the database: {', '.join(path.name for path in others)}"
        return GROUP.problem(f"{database}*", observation, f"chown {owner} {' '.join(map(str, others))}")
    folder_owner = database.parent.stat().st_uid
    if owner != folder_owner and folder_owner != 0:
        observation = f"belongs to user {owner}, but its folder to user {folder_owner}: can the service open it?"
        return GROUP.warning(str(database), observation, f"chown {folder_owner} {database}*")
    if os.geteuid() not in (0, owner):
        observation = f"belongs to user {owner}, but you are user {os.geteuid()}"
        return GROUP.warning(str(database), observation, "run this command as that user, or as root")
    return GROUP.ok(str(database), "has the same owner as all files beside it")


def _database_files(database: Path) -> list[Path]:
    """Return the database, its log and lock, and copies that the store made."""
    return sorted(path for path in database.parent.glob(f"{database.name}*") if path.is_file())

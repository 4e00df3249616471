"""Who may read and change what: the TOML, the database with all that lies beside it, and their folder."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from seclink.doctor.configuration import holds_secret
from seclink.doctor.findings import OTHERS_FIX, CheckGroup, Finding

PART = CheckGroup("files")
OTHERS_WRITE, OTHERS_READ, OTHERS = 0o022, 0o004, 0o077


def look(source: Path | None, database: Path, keys: Iterable[Path] = ()) -> Iterator[Finding]:
    """`source` is the TOML, `keys` are files that must stay secret where they are there."""
    if source is not None:
        yield _toml(source)
    for each in (_keys(keys), _database(database)):
        try:
            yield from each
        except PermissionError as error:
            yield PART.problem(str(error.filename), "may not be looked at by you", OTHERS_FIX)


def _database(database: Path) -> Iterator[Finding]:
    folder = database.parent
    if not folder.is_dir():
        yield PART.problem(str(folder), "is not there", f"mkdir -m 700 {folder}")
        return
    yield _folder(folder)
    if not database.exists():
        yield PART.warning(str(database), "is not there; the first start makes it", "seclink serve")
        return
    yield from _private(database)
    yield _owners(database)


def _toml(source: Path) -> Finding:
    mode = stat.S_IMODE(source.stat().st_mode)
    if mode & OTHERS_WRITE:
        said = f"can be changed by others ({mode:04o}): whoever does decides where the data go"
        return PART.problem(str(source), said, f"chmod go-w {source}")
    if mode & OTHERS_READ and holds_secret(source):
        said = f"holds a secret, and everybody may read it ({mode:04o})"
        return PART.problem(str(source), said, f"chmod o-rwx {source}")
    return PART.ok(str(source), f"can be changed by its owner alone ({mode:04o})")


def _keys(keys: Iterable[Path]) -> Iterator[Finding]:
    """A group may read one: that is how services share it."""
    for key in keys:
        mode = stat.S_IMODE(key.stat().st_mode) if key.exists() else 0
        if mode & (OTHERS_READ | OTHERS_WRITE):
            yield PART.problem(str(key), f"is open to others ({mode:04o})", f"chmod o-rwx,g-w {key}")
        elif mode:
            yield PART.ok(str(key), f"is private ({mode:04o})")


def _folder(folder: Path) -> Finding:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & OTHERS_WRITE:
        said = f"can be changed by others ({mode:04o}): they could replace the database"
        if mode & stat.S_ISVTX:  # as /tmp, which is for everybody
            return PART.problem(str(folder), said, f"mkdir -m 700 {folder}/seclink, and have store.path lead into it")
        return PART.problem(str(folder), said, f"chmod go-w {folder}")
    return PART.ok(str(folder), f"can be changed by its owner alone ({mode:04o})")


def _private(database: Path) -> Iterator[Finding]:
    for each in _beside(database):
        mode = stat.S_IMODE(each.stat().st_mode)
        if mode & OTHERS:
            yield PART.problem(str(each), f"is open to others ({mode:04o})", f"chmod 600 {each}")
        else:
            yield PART.ok(str(each), f"is private ({mode:04o})")


def _owners(database: Path) -> Finding:
    """A file that root left beside the others is one the service cannot open."""
    owner = database.stat().st_uid
    strange = [each for each in _beside(database) if each.stat().st_uid != owner]
    if strange:
        said = f"belong to others than the database: {', '.join(each.name for each in strange)}"
        return PART.problem(f"{database}*", said, f"chown {owner} {' '.join(map(str, strange))}")
    folder = database.parent.stat().st_uid
    if owner != folder and folder != 0:
        said = f"belongs to user {owner}, its folder to {folder}: can the service open it?"
        return PART.warning(str(database), said, f"chown {folder} {database}*")
    if os.geteuid() not in (0, owner):
        fix = "run this as that user, or as root"
        return PART.warning(str(database), f"belongs to user {owner}, and you are {os.geteuid()}", fix)
    return PART.ok(str(database), "belongs to one user with all that is beside it")


def _beside(database: Path) -> list[Path]:
    """The database, its log and lock, and copies the store made."""
    return sorted(each for each in database.parent.glob(f"{database.name}*") if each.is_file())

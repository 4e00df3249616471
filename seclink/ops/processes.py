"""Which process serves a database, told without disturbing it: the kernel lists who holds which lock."""

import contextlib
from pathlib import Path

LOCKS = Path("/proc/locks")
PROCESSES = Path("/proc")


def server_of(database: Path) -> int | None:
    """The process that holds the database's lock file. None where none does, or it is none of this machine's."""
    try:
        inode = Path(f"{database}.lock").stat().st_ino
        listed = LOCKS.read_text()
    except OSError:
        return None
    for line in listed.splitlines():  # `1: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF`
        words = line.split()
        if words[1:2] == ["FLOCK"] and words[5].rpartition(":")[2] == str(inode) and int(words[4]) > 0:
            return int(words[4])
    return None


def arguments(process: int) -> list[str]:
    """Its command line. Raises OSError."""
    said = (PROCESSES / str(process) / "cmdline").read_bytes()
    return said.decode(errors="replace").removesuffix("\0").split("\0")


def open_files(process: int) -> list[Path]:
    """Paths under which the regular files that it has open can be read, those without a name included. Raises OSError
    where one may not look.
    """
    found = []
    for each in sorted((PROCESSES / str(process) / "fd").iterdir()):
        with contextlib.suppress(OSError):
            if each.is_file():
                found.append(each)
    return found


def limits(process: int) -> dict[str, int | None]:
    """Its soft limits by name, such as `Max open files`; None for no limit. Raises OSError."""
    found: dict[str, int | None] = {}
    for line in (PROCESSES / str(process) / "limits").read_text().splitlines()[1:]:
        name, soft = line[:26].strip(), line[26:47].strip()
        found[name] = int(soft) if soft.isdigit() else None
    return found

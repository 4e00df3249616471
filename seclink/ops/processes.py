"""Finding the process that serves a database, and reading its state from /proc.

Nothing is sent to the process: the kernel lists which process holds which lock.
"""

import contextlib
from pathlib import Path

LOCKS = Path("/proc/locks")
PROCESSES = Path("/proc")


def server_process(database: Path) -> int | None:
    """Return the id of the process that holds the database's lock file.

    None if no process does, or if it runs on another machine or in another PID namespace.
    """
    try:
        inode = Path(f"{database}.lock").stat().st_ino
        lines = LOCKS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:  # `1: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF`
        words = line.split()
        if words[1:2] == ["FLOCK"] and words[5].rpartition(":")[2] == str(inode) and int(words[4]) > 0:
            return int(words[4])
    return None


def command_line(process: int) -> list[str]:
    """Return the arguments a process was started with. Raises OSError."""
    arguments = (PROCESSES / str(process) / "cmdline").read_bytes()
    return arguments.decode(errors="replace").removesuffix("\0").split("\0")


def open_files(process: int) -> list[Path]:
    """Return readable paths of the regular files a process has open, including files already deleted.

    Raises OSError, for example if this user may not inspect the process.
    """
    files = []
    for descriptor in sorted((PROCESSES / str(process) / "fd").iterdir()):
        with contextlib.suppress(OSError):
            if descriptor.is_file():
                files.append(descriptor)
    return files


def soft_limits(process: int) -> dict[str, int | None]:
    """Return the soft limits of a process by name, such as `Max open files`; None means unlimited. Raises OSError."""
    limits: dict[str, int | None] = {}
    for line in (PROCESSES / str(process) / "limits").read_text().splitlines()[1:]:
        name, soft = line[:26].strip(), line[26:47].strip()
        limits[name] = int(soft) if soft.isdigit() else None
    return limits

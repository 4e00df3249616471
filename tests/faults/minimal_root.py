"""Run a command in a minimal root, much like the container image does, but without a container engine.

    python minimal_root.py ROOT STATE USER COMMAND...

The root is read-only and holds this Python, SecLink and the system's libraries, but no shell or other program. Only the
state folder is writable, at /var/lib/seclink. The user is a number without a name, and cannot gain privileges.
"""

import ctypes
import os
import sys
import sysconfig
from pathlib import Path

import seclink

BIND, RECURSIVE, REMOUNT, READ_ONLY, PRIVATE = 4096, 16384, 32, 1, 1 << 18
NEW_MOUNTS = 0x20000
NO_NEW_PRIVILEGES, DROP_BOUNDING = 38, 24
PROGRAMS = ("sh", "bash", "dash", "busybox", "env", "cat", "ls")
STATE = Path("var/lib/seclink")
libc = ctypes.CDLL(None, use_errno=True)


def mount(source: Path | str, target: Path, kind: str = "", flags: int = 0) -> None:
    if libc.mount(str(source).encode(), str(target).encode(), kind.encode(), flags, None) < 0:
        raise OSError(ctypes.get_errno(), f"cannot mount {target}; this needs root")


def build(root: Path, state: Path) -> None:
    libc.unshare(NEW_MOUNTS)
    mount("none", Path("/"), "", RECURSIVE | PRIVATE)
    mount("none", root, "tmpfs")
    folders = {Path(each).resolve() for each in (sys.base_prefix, sys.prefix, Path(seclink.__file__).parents[1])}
    libraries = [
        Path(each) for each in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", sysconfig.get_config_var("LIBDIR"))
    ]
    for each in sorted({*folders, *(each.resolve() for each in libraries if each.exists())}):
        bind(each, root / each.relative_to("/"))
    for each in libraries:
        if each.is_symlink() and not (root / each.relative_to("/")).exists():
            (root / each.relative_to("/")).symlink_to(each.resolve())
    bind(Path("/proc"), root / "proc")
    (root / "dev").mkdir()
    for name in ("null", "urandom"):
        (root / "dev" / name).touch()
        bind(Path("/dev", name), root / "dev" / name)
    for name in PROGRAMS:  # for a Python that is installed in the same folder
        if (root / "usr/bin" / name).exists():
            bind(Path("/dev/null"), root / "usr/bin" / name)
    bind(state, root / STATE, writable=True)
    mount("none", root, "", REMOUNT | READ_ONLY)


def bind(source: Path, target: Path, writable: bool = False) -> None:
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    mount(source, target, "", BIND)
    if not writable and source.is_dir():
        mount("none", target, "", REMOUNT | BIND | READ_ONLY)


def enter(root: Path, user: int) -> None:
    os.chroot(root)
    os.chdir("/" / STATE)
    for number in range(64):
        libc.prctl(DROP_BOUNDING, number, 0, 0, 0)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)


if __name__ == "__main__":
    root, state, user, *command = sys.argv[1:]
    build(Path(root), Path(state))
    enter(Path(root), int(user))
    os.execve(
        command[0], command, {"PATH": "", "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "PYTHONUNBUFFERED": "1"}
    )

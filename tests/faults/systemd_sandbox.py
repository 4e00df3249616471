"""Run a command in about the sandbox that a unit file describes, without systemd.

    python systemd_sandbox.py UNIT FOLDER COMMAND...

It has namespaces of its own, a read-only file system except for FOLDER, no capabilities and no way to gain any, and the
unit's system call filter as seccomp. The filter, the address families, the limits and the umask are read from the unit.
"""

import ctypes
import errno
import os
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path

NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x08000000 | 0x04000000  # user, mount, IPC, UTS
BIND, RECURSIVE, PRIVATE = 4096, 16384, 1 << 18
SET_ATTRIBUTES, AT_RECURSIVE, READ_ONLY, NO_SET_UID, NO_DEVICES = 442, 0x8000, 1, 2, 4
DROP_BOUNDING, NO_NEW_PRIVILEGES, DENY_WRITE_EXECUTE = 24, 38, 65
ALLOW, EQUAL, MASKED = 0x7FFF0000, 4, 7
WRITE, EXECUTE = 2, 4

libc = ctypes.CDLL(None, use_errno=True)


def call(function: object, *arguments: object) -> None:
    if function(*arguments) < 0:  # type: ignore[operator]
        raise OSError(ctypes.get_errno(), f"{getattr(function, '__name__', '')}{arguments}")


class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "user_namespace")]


def set_attributes(path: str, flags: int, **masks: int) -> None:
    attributes = Attributes(**masks)
    call(libc.syscall, SET_ATTRIBUTES, -100, path.encode(), flags, ctypes.byref(attributes), ctypes.sizeof(attributes))


class Rule(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def isolate(folder: str) -> None:
    """Apply PrivateUsers, PrivateMounts, ProtectSystem=strict, PrivateDevices and RestrictSUIDSGID with mounts."""
    user, group = os.getuid(), os.getgid()
    call(libc.unshare, NEW_NAMESPACES)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    call(libc.mount, None, b"/", None, RECURSIVE | PRIVATE, None)
    call(libc.mount, folder.encode(), folder.encode(), None, BIND, None)
    set_attributes("/", AT_RECURSIVE, set=READ_ONLY | NO_SET_UID)
    set_attributes(folder, 0, clear=READ_ONLY, set=NO_SET_UID | NO_DEVICES)
    os.chdir(Path.cwd())  # enter the mount that has since covered it


def drop_privileges(unit: dict[str, list[str]]) -> None:
    """Apply CapabilityBoundingSet=, NoNewPrivileges, MemoryDenyWriteExecute, the limits and the umask."""
    assert unit["CapabilityBoundingSet"] == [""]
    for number in range(64):
        libc.prctl(DROP_BOUNDING, number, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    call(libc.capset, header, none)
    call(libc.prctl, NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(DENY_WRITE_EXECUTE, 1, 0, 0, 0)  # from Linux 6.3 on; the filter does the same
    for name in ("CORE", "NOFILE"):
        limit = int(unit[f"Limit{name}"][0])
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    os.umask(int(unit["UMask"][0], 8))


def calls(name: str) -> set[str]:
    """Return the system calls of a set, such as @system-service, as systemd defines it."""
    listing = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    names: set[str] = set()
    for line in listing.stdout.splitlines()[1:]:
        word = line.partition("#")[0].strip()
        names |= calls(word) if word.startswith("@") else {word} if word else set()
    return names


def allowed(lines: list[str]) -> set[str]:
    permitted: set[str] = calls("@default")
    for line in lines:
        names = set().union(*(calls(name) for name in line.lstrip("~").split()))
        permitted = permitted - names if line.startswith("~") else permitted | names
    return permitted


def filter_calls(unit: dict[str, list[str]], permitted: set[str]) -> None:
    """Apply SystemCallFilter, RestrictAddressFamilies, RestrictNamespaces and MemoryDenyWriteExecute."""
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    seccomp.seccomp_load.argtypes = [ctypes.c_void_p]
    seccomp.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Rule),
    ]  # fmt: skip

    def refusal(name: str) -> int:
        return 0x00050000 | int(getattr(errno, name))

    def rule(action: int, name: str, *when: Rule) -> None:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # calls of other architectures have no number here
            result = seccomp.seccomp_rule_add_array(context, action, number, len(when), (Rule * len(when))(*when))
            assert result == 0, (name, result)

    [unknown] = unit["SystemCallErrorNumber"]
    context = seccomp.seccomp_init(refusal(unknown))
    families = [getattr(socket, name) for name in unit["RestrictAddressFamilies"][0].split()]
    for name in permitted - {"socket", "mmap", "mprotect", "shmat", "clone3", "unshare", "setns"}:
        rule(ALLOW, name)
    for family in families:
        rule(ALLOW, "socket", Rule(0, EQUAL, family, 0))
    rule(refusal("ENOSYS"), "clone3")  # its flags cannot be seen; libc falls back to clone
    for protection in (0, WRITE, EXECUTE):
        rule(ALLOW, "mmap", Rule(2, MASKED, WRITE | EXECUTE, protection))
    rule(ALLOW, "mprotect", Rule(2, MASKED, EXECUTE, 0))
    assert seccomp.seccomp_load(context) == 0


def read_unit(path: Path) -> dict[str, list[str]]:
    """Return the values of every directive of a unit."""
    directives: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), re.M):
        directives.setdefault(name, []).append(value)
    return directives


def main(unit_path: str, folder: str, *command: str) -> None:
    unit = read_unit(Path(unit_path))
    permitted = allowed(unit["SystemCallFilter"])
    isolate(folder)
    drop_privileges(unit)
    filter_calls(unit, permitted)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])

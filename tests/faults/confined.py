"""Runs a command about as confined as a unit file says, without systemd: `python confined.py UNIT FOLDER COMMAND...`.

Namespaces of its own, everything read-only but FOLDER, no capability, no way to any, and the unit's system call filter
as seccomp. What comes from the unit is read from it: the call filter, the address families, the limits, the umask.
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


def attributes(path: str, flags: int, **given: int) -> None:
    wanted = Attributes(**given)
    call(libc.syscall, SET_ATTRIBUTES, -100, path.encode(), flags, ctypes.byref(wanted), ctypes.sizeof(wanted))


class Rule(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def separate(folder: str) -> None:
    """PrivateUsers, PrivateMounts, ProtectSystem=strict, PrivateDevices, RestrictSUIDSGID, as far as mounts do it."""
    user, group = os.getuid(), os.getgid()
    call(libc.unshare, NEW_NAMESPACES)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    call(libc.mount, None, b"/", None, RECURSIVE | PRIVATE, None)
    call(libc.mount, folder.encode(), folder.encode(), None, BIND, None)
    attributes("/", AT_RECURSIVE, set=READ_ONLY | NO_SET_UID)
    attributes(folder, 0, clear=READ_ONLY, set=NO_SET_UID | NO_DEVICES)
    os.chdir(Path.cwd())  # into what has been mounted there since


def disarm(unit: dict[str, list[str]]) -> None:
    """CapabilityBoundingSet=, NoNewPrivileges, MemoryDenyWriteExecute, the limits and the umask."""
    assert unit["CapabilityBoundingSet"] == [""]
    for number in range(64):
        libc.prctl(DROP_BOUNDING, number, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    call(libc.capset, header, none)
    call(libc.prctl, NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    libc.prctl(DENY_WRITE_EXECUTE, 1, 0, 0, 0)  # from Linux 6.3 on; the filter does the same
    for name in ("CORE", "NOFILE"):
        most = int(unit[f"Limit{name}"][0])
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    os.umask(int(unit["UMask"][0], 8))


def calls(name: str) -> set[str]:
    """What a set of systemd's stands for."""
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    found: set[str] = set()
    for line in listed.stdout.splitlines()[1:]:
        word = line.partition("#")[0].strip()
        found |= calls(word) if word.startswith("@") else {word} if word else set()
    return found


def allowed(lines: list[str]) -> set[str]:
    found: set[str] = calls("@default")
    for line in lines:
        named = set().union(*(calls(each) for each in line.lstrip("~").split()))
        found = found - named if line.startswith("~") else found | named
    return found


def filter_calls(unit: dict[str, list[str]], permitted: set[str]) -> None:
    """SystemCallFilter, RestrictAddressFamilies, RestrictNamespaces, MemoryDenyWriteExecute, as systemd does them."""
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    seccomp.seccomp_load.argtypes = [ctypes.c_void_p]
    seccomp.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Rule),
    ]  # fmt: skip

    def refusal(name: str) -> int:
        return 0x00050000 | getattr(errno, name)

    def rule(action: int, name: str, *when: Rule) -> None:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # a call of another architecture is none here
            made = seccomp.seccomp_rule_add_array(context, action, number, len(when), (Rule * len(when))(*when))
            assert made == 0, (name, made)

    [unknown] = unit["SystemCallErrorNumber"]
    context = seccomp.seccomp_init(refusal(unknown))
    families = [getattr(socket, each) for each in unit["RestrictAddressFamilies"][0].split()]
    for name in permitted - {"socket", "mmap", "mprotect", "shmat", "clone3", "unshare", "setns"}:
        rule(ALLOW, name)
    for family in families:
        rule(ALLOW, "socket", Rule(0, EQUAL, family, 0))
    rule(refusal("ENOSYS"), "clone3")  # its flags cannot be seen; libc falls back to clone
    for protection in (0, WRITE, EXECUTE):
        rule(ALLOW, "mmap", Rule(2, MASKED, WRITE | EXECUTE, protection))
    rule(ALLOW, "mprotect", Rule(2, MASKED, EXECUTE, 0))
    assert seccomp.seccomp_load(context) == 0


def read(path: Path) -> dict[str, list[str]]:
    """A unit's directives with all that is said of each."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", path.read_text(), re.M):
        found.setdefault(name, []).append(value)
    return found


def main(unit_path: str, folder: str, *command: str) -> None:
    unit = read(Path(unit_path))
    permitted = allowed(unit["SystemCallFilter"])
    separate(folder)
    disarm(unit)
    filter_calls(unit, permitted)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])

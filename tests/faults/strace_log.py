"""Reading an strace log: the operations of a process on a few files and its responses, in one order.

strace serialises: a thread that waits for another's fsync continues only after strace has logged its end. So all causes
of a response come before it in the log.
"""

import re
import time
from pathlib import Path
from typing import NamedTuple

from support.waiting import TIMEOUT_SECONDS

CHANGES = (
    "openat,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,sync_file_range,syncfs,ftruncate,truncate,"
    "fallocate,unlink,unlinkat,rename,renameat,renameat2,link,linkat,copy_file_range,sendfile"
)
SENDS = "sendto,sendmsg"
LINE = re.compile(r"(?P<pid>\d+) +(?P<text>.*)")
RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
FILE = re.compile(r"\d+<(?P<path>[^>]*)>(?P<gone>\(deleted\))?")
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
REQUEST_ID = re.compile(rb"x-request-id: ([0-9a-f]{16})", re.IGNORECASE)


class DiskEvent(NamedTuple):
    """An operation and the log lines at which it `began` and `ended`: a sync covers all that ended before."""

    began: int
    ended: int
    kind: str  # create, write, truncate, delete, sync, response
    name: str  # a file's, "." for the folder, or the request's id
    data: bytes = b""
    offset: int = 0

    @property
    def at(self) -> int:
        """The instant from which it counts: the beginning of a write, the end of a sync."""
        return self.ended if self.kind == "sync" else self.began


def strace_command(log: Path) -> tuple[str, ...]:
    """Return the beginning of a command that logs every file operation of the rest."""
    calls = f"trace={CHANGES},{SENDS}"
    return ("strace", "-D", "-f", "-y", "-xx", "-s", "16777216", "--seccomp-bpf", "-o", str(log), "-e", calls)


def read_events(log: Path, folder: Path, prefix: str, pid: int) -> list[DiskEvent]:
    """Read the log of a process that has ended, for the files of a folder whose names begin with `prefix`."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not re.search(rf"^{pid} +\+\+\+ ", text := log.read_text(), re.MULTILINE):
        assert time.monotonic() < deadline, "strace has not finished"
        time.sleep(0.02)
    events: list[DiskEvent] = []
    begun: dict[str, tuple[int, str]] = {}
    for at, line in enumerate(text.splitlines()):
        entry = LINE.fullmatch(line)
        assert entry, line[:200]
        pid_text, said, began = entry["pid"], entry["text"], at
        if said.endswith("<unfinished ...>"):
            begun[pid_text] = (at, said.removesuffix("<unfinished ...>"))
            continue
        if resumed := RESUMED.fullmatch(said):
            began, first = begun.pop(pid_text)
            said = first + resumed["rest"]
        if (call := CALL.match(said)) and (event := _event(call, began, at, folder, prefix)):
            events.append(event)
    return sorted(events, key=lambda event: event.at)


def _event(call: re.Match[str], began: int, ended: int, folder: Path, prefix: str) -> DiskEvent | None:
    name, arguments, result = call["name"], call["arguments"], int(call["result"])
    if name in SENDS.split(","):
        match = REQUEST_ID.search(b"".join(map(_bytes, TEXT.findall(arguments))))
        return DiskEvent(began, ended, "response", match[1].decode()) if match else None
    path = _path(name, arguments)
    if path is None or result < 0 or (path != folder and not (path.parent == folder and path.name.startswith(prefix))):
        return None
    file = "." if path == folder else path.name
    match name:
        case "openat":
            assert "O_TRUNC" not in arguments
            return DiskEvent(began, ended, "create", file) if "O_CREAT" in arguments else None
        case "pwrite64":
            data, (size, offset) = _bytes(TEXT.findall(arguments)[0]), map(int, arguments.rsplit(", ", 2)[1:])
            assert result == len(data) == size
            return DiskEvent(began, ended, "write", file, data, offset)
        case "ftruncate":
            return DiskEvent(began, ended, "truncate", file, offset=int(arguments.rsplit(", ", 1)[1]))
        case "unlink":
            return DiskEvent(began, ended, "delete", file)
        case "fsync" | "fdatasync":
            return DiskEvent(began, ended, "sync", file)
    raise AssertionError(f"{name} on {file}: the model of the disk does not know it")


def _path(name: str, arguments: str) -> Path | None:
    if name in ("openat", "unlink", "unlinkat", "rename", "truncate", "creat", "renameat", "renameat2", "link"):
        return Path(_bytes(TEXT.findall(arguments)[0]).decode(errors="replace"))
    file = FILE.match(arguments)
    if file is None or file["gone"]:
        return None
    return Path(_bytes(file["path"]).decode(errors="replace"))


def _bytes(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))

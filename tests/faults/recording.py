"""What a process did to a few files and when its answers left, in one order: an strace log, read.

strace serialises: a thread that waits for another's fsync goes on only after strace has noted its end. So whatever an
answer says was caused by what stands before it.
"""

import re
import time
from pathlib import Path
from typing import NamedTuple

from appliances import PATIENCE

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


class Event(NamedTuple):
    """Where it `began` and `ended`: a sync covers what had ended before it began."""

    began: int
    ended: int
    kind: str  # create, write, cut, drop, sync, answer
    name: str  # a file's, "." for the folder, or the request's id
    data: bytes = b""
    offset: int = 0

    @property
    def at(self) -> int:
        """A write counts from its beginning on, a sync from its end on."""
        return self.ended if self.kind == "sync" else self.began


def strace(log: Path) -> tuple[str, ...]:
    """What to put before a command so that everything it does to files is noted."""
    calls = f"trace={CHANGES},{SENDS}"
    return ("strace", "-D", "-f", "-y", "-xx", "-s", "16777216", "--seccomp-bpf", "-o", str(log), "-e", calls)


def read(log: Path, folder: Path, prefix: str, pid: int) -> list[Event]:
    """The log of a process that has ended, as far as files of the folder are concerned whose names begin so."""
    deadline = time.monotonic() + PATIENCE
    while not re.search(rf"^{pid} +\+\+\+ ", text := log.read_text(), re.MULTILINE):
        assert time.monotonic() < deadline, "strace has not finished"
        time.sleep(0.02)
    events: list[Event] = []
    begun: dict[str, tuple[int, str]] = {}
    for at, line in enumerate(text.splitlines()):
        matched = LINE.fullmatch(line)
        assert matched, line[:200]
        pid_text, said, began = matched["pid"], matched["text"], at
        if said.endswith("<unfinished ...>"):
            begun[pid_text] = (at, said.removesuffix("<unfinished ...>"))
            continue
        if resumed := RESUMED.fullmatch(said):
            began, first = begun.pop(pid_text)
            said = first + resumed["rest"]
        if (call := CALL.match(said)) and (event := _event(call, began, at, folder, prefix)):
            events.append(event)
    return sorted(events, key=lambda event: event.at)


def _event(call: re.Match[str], began: int, ended: int, folder: Path, prefix: str) -> Event | None:
    name, arguments, result = call["name"], call["arguments"], int(call["result"])
    if name in SENDS.split(","):
        found = REQUEST_ID.search(b"".join(map(_bytes, TEXT.findall(arguments))))
        return Event(began, ended, "answer", found[1].decode()) if found else None
    path = _path(name, arguments)
    if path is None or result < 0 or (path != folder and not (path.parent == folder and path.name.startswith(prefix))):
        return None
    file = "." if path == folder else path.name
    match name:
        case "openat":
            assert "O_TRUNC" not in arguments
            return Event(began, ended, "create", file) if "O_CREAT" in arguments else None
        case "pwrite64":
            data, (size, offset) = _bytes(TEXT.findall(arguments)[0]), map(int, arguments.rsplit(", ", 2)[1:])
            assert result == len(data) == size
            return Event(began, ended, "write", file, data, offset)
        case "ftruncate":
            return Event(began, ended, "cut", file, offset=int(arguments.rsplit(", ", 1)[1]))
        case "unlink":
            return Event(began, ended, "drop", file)
        case "fsync" | "fdatasync":
            return Event(began, ended, "sync", file)
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

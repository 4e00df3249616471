"""Run `seclink` commands as forks of a process that has imported all of them, which would cost each 0.3 s or more.

A fork is a process of its own, with its own arguments, environment, folder and streams, and ends as a command does.
But its command line in /proc and its hash seed are those of all forks, and every module is imported already. A server
that other commands find by its command line is therefore a new process, and so is what root, strace, faketime or a
shell run.
"""

import atexit
import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "seclink"]
STATUS = struct.Struct("i")
MAX_REQUEST = 1 << 17  # bytes; one message of a socket is whole


def can_fork(env: Mapping[str, str]) -> bool:
    """Return whether Python would start in the same way: it reads some of the environment before any module."""
    return _starting(env) == _starting(os.environ)


def _starting(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(("PYTHON", "LC_", "LANG", "LD_"))}


class ForkedCommand(subprocess.Popen[bytes]):
    """`seclink` with these arguments. With `terminal`, stdin is its controlling terminal; without, it has none."""

    def __init__(self, arguments: Sequence[str], *, terminal: bool = False, **options: Any) -> None:
        self._terminal = terminal
        super().__init__([*COMMAND, *arguments], **options)

    def _execute_child(self, args: Sequence[str], *others: Any) -> None:
        """Have the fork server fork, instead of this process. The places are those of subprocess.Popen."""
        _, preexec, _, pass_fds, cwd, env, _, _, shell, *pipes = others[:15]
        assert (preexec, tuple(pass_fds), shell) == (None, (), False)
        stdin, _, _, stdout, _, stderr = pipes
        streams = [own if fd == -1 else fd for own, fd in enumerate((stdin, stdout, stderr))]
        self._status, theirs = socket.socketpair()
        job = {
            "arguments": list(args[len(COMMAND) :]),
            "env": dict(os.environ if env is None else env),
            "folder": os.path.abspath(cwd or "."),  # noqa: PTH100 - without resolving links
            "terminal": self._terminal,
            "umask": _umask(),
        }
        with theirs:
            message = json.dumps(job).encode()
            assert len(message) <= MAX_REQUEST
            socket.send_fds(_fork_server(), [message], [*streams, theirs.fileno()])
        self.pid = STATUS.unpack(self._receive())[0]
        self._child_created = True
        vars(subprocess.Popen)["_close_pipe_fds"](self, *pipes)

    def _receive(self) -> bytes:
        data = self._status.recv(STATUS.size, socket.MSG_WAITALL)
        assert data, "the fork server ended"
        return data

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._status, selectors.EVENT_READ)
            if not selector.select(0 if wait_flags & os.WNOHANG else None):
                return 0, 0
        status = STATUS.unpack(self._receive())[0]
        self._status.close()
        return self.pid, status

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        if self.returncode is None and self._child_created:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                vars(subprocess.Popen)["_handle_exitstatus"](self, status)
        return self.returncode


def run(
    arguments: Sequence[str], *, input: bytes | None, timeout: float, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as `subprocess.run` does, without a terminal, and capture its output."""
    pipes: dict[str, Any] = {
        "stdin": None if input is None else subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    start = ForkedCommand if can_fork(options.get("env") or os.environ) else _new_process
    with start(arguments, **pipes, **options) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _new_process(arguments: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *arguments], start_new_session=True, **options)


def _umask() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:")]
    return int(line.split()[1], 8)


@cache
def _fork_server() -> socket.socket:
    """Start the fork server of this process. It ends, with its commands, when this process ends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_REQUEST * 2)
    command = [sys.executable, "-P", __file__, str(theirs.fileno())]
    process = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd="/", start_new_session=True
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


class ForkServer:
    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)
        self._commands: dict[int, tuple[int, socket.socket]] = {}  # by process id: a descriptor of it, and who waits

    def run(self) -> list[str]:
        """Fork until no requests can come. Return the arguments, in a fork."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._requests:
                    self._tell_end(key.data)
                elif (arguments := self._fork()) is not None:
                    return arguments

    def _tell_end(self, pid: int) -> None:
        descriptor, waiting = self._commands.pop(pid)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        status = os.waitpid(pid, 0)[1]
        with waiting, contextlib.suppress(OSError):  # nobody may be waiting any more
            waiting.send(STATUS.pack(status), socket.MSG_NOSIGNAL)

    def _fork(self) -> list[str] | None:
        """Fork for one request; return its arguments in the fork."""
        message, descriptors, _, _ = socket.recv_fds(self._requests, MAX_REQUEST, 4)
        if not message:
            for pid in self._commands:
                os.kill(pid, signal.SIGKILL)
            sys.exit()
        job = json.loads(message)
        waiting = socket.socket(fileno=descriptors.pop())
        if (pid := os.fork()) == 0:
            self._close(waiting)
            _become(job, descriptors)
            arguments: list[str] = job["arguments"]
            return arguments
        waiting.send(STATUS.pack(pid))
        descriptor = os.pidfd_open(pid)
        self._commands[pid] = descriptor, waiting
        self._selector.register(descriptor, selectors.EVENT_READ, pid)
        for each in descriptors:
            os.close(each)
        return None

    def _close(self, waiting: socket.socket) -> None:
        self._selector.close()
        self._requests.close()
        waiting.close()
        for descriptor, other in self._commands.values():
            os.close(descriptor)
            other.close()


def _become(job: dict[str, Any], streams: list[int]) -> None:
    """Take over what a new process would be given: streams, environment, folder, umask, session and terminal."""
    for own, given in enumerate(streams):
        os.dup2(given, own)
    for given in streams:
        os.close(given)
    os.environ.clear()
    os.environ.update(job["env"])
    time.tzset()
    os.umask(job["umask"])
    os.chdir(job["folder"])
    if job["terminal"]:
        os.login_tty(0)
    else:
        os.setsid()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        old = getattr(sys, name)
        line_buffering = name == "stderr" or os.isatty(number)
        options = {"encoding": old.encoding, "errors": old.errors, "closefd": False}
        stream = open(number, "w" if number else "r", buffering=1 if line_buffering else -1, **options)  # noqa: SIM115, PTH123
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _import_commands() -> None:
    from seclink.cli import main

    for entry in main.COMMANDS.values():
        importlib.import_module(entry.target.partition(":")[0])


if __name__ == "__main__":
    import gc

    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background of a shell
    _import_commands()
    gc.freeze()
    sys.argv = [COMMAND[-1], *ForkServer(socket.socket(fileno=int(sys.argv[1]))).run()]
    from seclink.cli.main import main

    main()

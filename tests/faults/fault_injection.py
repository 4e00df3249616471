"""Locks and failing system calls, and the programs that such tests need."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import TIMEOUT_SECONDS

LONG = bool(os.environ.get("SECLINK_LONG"))
needs_mount = pytest.mark.skipif(bool(os.environ.get("SECLINK_WITHOUT_MOUNT")), reason="SECLINK_WITHOUT_MOUNT")
needs_strace = pytest.mark.skipif(bool(os.environ.get("SECLINK_WITHOUT_STRACE")), reason="SECLINK_WITHOUT_STRACE")
LOCKER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=120)
db.execute(sys.argv[2])
print("locked", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def lock_database(path: Path, statement: str = "BEGIN EXCLUSIVE") -> Iterator[subprocess.Popen[str]]:
    """Hold the database's lock in another process."""
    command = [sys.executable, "-c", LOCKER, str(path), statement]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


class InjectedFailures:
    """The number of calls that failed; set at the end of the block."""

    count = 0


@contextlib.contextmanager
def failing_calls(pid: int, calls: str, error: str) -> Iterator[InjectedFailures]:
    """Make system calls of a process fail, on all its threads; `EIO:when=3` is the third call of every thread."""
    with tempfile.NamedTemporaryFile() as log:
        inject = f"inject={calls}:error={error}"
        command = ["strace", "-f", "-p", str(pid), "-o", log.name, "-e", f"trace={calls}", "-e", inject]
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        failures = InjectedFailures()
        try:
            assert tracer.stderr is not None
            assert select.select([tracer.stderr], [], [], TIMEOUT_SECONDS)[0], "strace prints nothing"
            message = os.read(tracer.stderr.fileno(), 4096)
            assert b"attached" in message, message
            yield failures
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=TIMEOUT_SECONDS)
        failures.count = log.read().count(b"(INJECTED)")


def require_program(program: str) -> None:
    """Fail if a program is missing: a skipped test proves nothing."""
    result = subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True)
    if result.returncode != 0:
        raise AssertionError(f"{program} is missing; install it")

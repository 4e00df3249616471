"""The command line as a process, with pipes or with a terminal of its own."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from support.fork_server import COMMAND, ForkedCommand, can_fork, run

TIMEOUT_SECONDS = 120


class Shell:
    """Runs `seclink` with an empty home in `folder`, without any SECLINK_ settings of the environment."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SECLINK_")}
        self.env = inherited | {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / "config"), "TZ": "UTC"}
        self.terminals: list[Terminal] = []
        self.profile = self.home / "config" / "seclink" / "client.json"

    def run(
        self, *arguments: str, input: bytes | None = b"", command: Sequence[str] = COMMAND, **env: str
    ) -> subprocess.CompletedProcess[bytes]:
        if command == COMMAND:
            return run(arguments, input=input, env=self.env | env, timeout=TIMEOUT_SECONDS)
        return subprocess.run(
            [*command, *arguments],
            input=input,
            env=self.env | env,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            start_new_session=True,  # without a terminal to fall back on
        )

    def out(self, *arguments: str, input: bytes | None = b"", **env: str) -> str:
        """Return the output without its last newline. The command must succeed."""
        done = self.run(*arguments, input=input, **env)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().rstrip("\n")

    def on_terminal(self, *arguments: str, command: list[str] = COMMAND, **env: str) -> "Terminal":
        self.terminals.append(Terminal([*command, *arguments], self.env | env))
        return self.terminals[-1]


class Terminal:
    """A process whose stdin, stdout and stderr are one pseudo-terminal, which is also its /dev/tty."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self._screen, slave = pty.openpty()

        def take_terminal() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored if the tests run in the background of a shell
            os.login_tty(slave)

        self._process: subprocess.Popen[bytes]
        if command[: len(COMMAND)] == COMMAND and can_fork(env):
            arguments = command[len(COMMAND) :]
            self._process = ForkedCommand(arguments, terminal=True, env=env, stdin=slave, stdout=slave, stderr=slave)
        else:
            self._process = subprocess.Popen(command, env=env, preexec_fn=take_terminal, close_fds=False)
        os.close(slave)
        self.shown, self._position = "", 0

    def wait_for(self, text: str) -> None:
        """Wait until `text` is shown, after the text of the previous call."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (index := self.shown.find(text, self._position)) < 0:
            assert time.monotonic() < deadline, f"{text!r} did not show in {self.shown!r}"
            assert self._read(), f"it ended without {text!r}: {self.shown!r}"
        self._position = index + len(text)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit status. Press it again if nothing happens: Python handles a signal that
        arrives between its last check and a read only after that read.
        """
        for _ in range(10):
            self.type("\x03")
            while select.select([self._screen], [], [], 3)[0]:
                if not self._read():
                    return self._process.wait(30)
        raise TimeoutError(self.shown)

    def end(self) -> int:
        """Wait until the process ends, and return its exit status."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self._read():
            assert time.monotonic() < deadline, f"it did not end: {self.shown!r}"
        return self._process.wait(30)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._screen)

    def _read(self) -> bool:
        if not select.select([self._screen], [], [], 30)[0]:
            raise TimeoutError(self.shown)
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # on Linux: the other side is closed
            return False
        self.shown += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

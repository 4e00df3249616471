"""`seclink serve` as a process, in a folder of its own."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Protocol

import httpx
from support.fork_server import COMMAND, run
from support.ports import free_port
from support.waiting import TIMEOUT_SECONDS

HIGH_RATES = '[rates]\ncreate = "1000000/hour"\nreveal = "1000000/hour"\npeek = "1000000/hour"\nkey = "1000000/hour"\n'


# httpx gives up after five seconds, unless a test says otherwise.
vars(httpx._config.DEFAULT_TIMEOUT_CONFIG).update(dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT_SECONDS))


class Server:
    """`seclink serve` in a process and a folder of its own. `toml` is its whole configuration except for the port."""

    def __init__(
        self, folder: Path, toml: str = HIGH_RATES, *, prefix: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> None:
        self.folder, self.prefix, self.env = folder, prefix, {**os.environ, **(env or {})}
        self.config = folder / "seclink.toml"
        self.config.write_text(toml)
        self.log_path = folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server was never started"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, wait: bool = True) -> "Server":
        command = [
            *self.prefix,
            *COMMAND,
            "serve",
            "--port",
            str(self.port),
            "--config",
            str(self.config),
        ]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=log, stderr=log)
        if wait:
            self.wait_until_up()
        return self

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended by itself ({self.process.returncode}):\n{self.log()}")
            try:
                if httpx.get(f"{self.url}/healthz", timeout=1).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(f"the server did not come up:\n{self.log()}")

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(TIMEOUT_SECONDS)

    def key(self, *scopes: str, account: str = "acme") -> str:
        """Return a new API key, with the scopes create and manage by default."""
        options = [part for scope in scopes for part in ("--scope", scope)]
        return self.seclink("key", "add", account, *options, "--config", str(self.config)).stdout.decode().strip()

    def seclink(self, *arguments: str, input: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run the `seclink` command in the server's folder."""
        done = run(arguments, input=input, timeout=TIMEOUT_SECONDS, cwd=self.folder, env=self.env)
        if check:
            done.check_returncode()
        return done

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


class MakeServer(Protocol):
    """The fixture `make_server`; options are those of `Server`."""

    def __call__(self, toml: str = HIGH_RATES, **options: Any) -> Server: ...


class Serve(Protocol):
    """The fixture `serve`; `beside` are files in the server's folder, by name."""

    def __call__(self, toml: str = HIGH_RATES, beside: dict[str, str] | None = None, **options: Any) -> Server: ...

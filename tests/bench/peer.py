"""SnapPass as its users would run it: from PyPI, on redis from Debian's packages, in processes of its own.

Its documentation names no server for production: `snappass` starts Flask's development server, and its container does
the same. So it gets gunicorn, with a worker for each core and threads that keep connections alive, the fastest of the
set-ups that were tried; Flask's own server is measured, too. Nothing of it enters the environment of the tests: it is
installed into a folder of the user's cache, with every version pinned. Redis is the installed one, else what Debian's
packages contain, unpacked there: installing them would start a service.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from .servers import Process, answers, family, free_port

VERSION = "1.6.2"
PINNED = (
    f"snappass=={VERSION}", "gunicorn==27.0.1", "flask==3.1.3", "werkzeug==3.1.9", "jinja2==3.1.6", "redis==8.1.0",
    "cryptography==50.0.2", "setuptools==80.9.0; python_version >= '3.12'",  # which has no distutils
)  # fmt: skip
DEBIAN = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1")
HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seclink-bench"
VENV, UNPACKED, DONE = HOME / "snappass", HOME / "redis", HOME / "installed"

GUNICORN = f"gunicorn --no-control-socket --workers {os.cpu_count()} --threads 4 -b 127.0.0.1:PORT snappass.main:app"
FLASK = "flask --app snappass.main run --port PORT"  # the server that `snappass` starts
SYNCED = "--appendonly yes --appendfsync always"


class Setup(NamedTuple):
    name: str
    command: str
    redis: str


SETUPS = (
    Setup("synced", GUNICORN, SYNCED),
    Setup("as shipped", GUNICORN, ""),
    Setup("Flask's", FLASK, ""),
)


# Its parts


def is_there() -> bool:
    return DONE.exists() and DONE.read_text() == "\n".join(PINNED) and _redis() is not None


def install() -> None:
    if is_there():
        return
    print(f"installing SnapPass {VERSION} into {HOME}", file=sys.stderr)
    HOME.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    subprocess.run([str(VENV / "bin/pip"), "install", "--quiet", *PINNED], env=_clean(), check=True)
    if _redis() is None:
        _unpack_redis()
    DONE.write_text("\n".join(PINNED))


def _unpack_redis() -> None:
    try:
        subprocess.run(["apt-get", "download", "-qq", *DEBIAN], cwd=HOME, check=True)
        for package in HOME.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(UNPACKED)], check=True)
    except (OSError, subprocess.CalledProcessError):
        sys.exit("redis-server is missing; install the package redis-server")


def _redis() -> str | None:
    return shutil.which("redis-server", path=f"{os.environ['PATH']}:/usr/sbin:{UNPACKED / 'usr/bin'}")


def redis_version() -> str:
    command = [_redis() or "", "--version"]
    said = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=True).stdout
    return said.split("v=")[1].split()[0]


def _environment() -> dict[str, str]:
    libraries = ":".join(map(str, UNPACKED.glob("usr/lib/*-linux-gnu")))
    return {**_clean(), "LD_LIBRARY_PATH": libraries} if libraries else _clean()


def _clean() -> dict[str, str]:
    """Without what would let it meet our own modules."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


# Its processes


class SnapPass(Process):
    """Application and redis; data and logs lie in `folder`. A context manager."""

    name = dialect = "snappass"

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup, self.folder = setup, folder
        folder.mkdir(exist_ok=True)
        self.log_path = folder / "server.log"
        self.port, self.redis_port = free_port(), free_port()

    def __enter__(self) -> "SnapPass":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> float:
        """Seconds until redis answered and, started after it, the application showed its first page."""
        began = time.perf_counter()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return time.perf_counter() - began

    def _start(self) -> None:
        at = ("--bind", "127.0.0.1", "--port", str(self.redis_port))
        self.process = self.redis = self._spawn([_redis() or "", *at, *self.setup.redis.split()], _environment())
        self.await_start(self._redis_is_up)
        program, *arguments = self.setup.command.replace("PORT", str(self.port)).split()
        settings = {"NO_SSL": "True", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.redis_port)}
        self.process = self._spawn([str(VENV / "bin" / program), *arguments], {**_clean(), **settings})
        self.await_start(lambda: answers(self.port, "/"))

    def _spawn(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)

    def _redis_is_up(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.redis_port), timeout=5) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self) -> None:
        """The application first."""
        for each in (self.process, self.redis):
            each.send_signal(signal.SIGTERM)
            try:
                each.wait(30)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()

    def processes(self) -> list[int]:
        return [*family(self.process.pid), *family(self.redis.pid)]

    def settle(self) -> None:
        """Waits until redis writes no snapshot, so that it does not weigh on the next measurement."""
        deadline = time.monotonic() + 10
        while len(family(self.redis.pid)) > 1 and time.monotonic() < deadline:
            time.sleep(0.02)

"""The servers under measurement as processes: starting, stopping, and what the kernel says of them."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SETTINGS = """
[rates]
create = "999999999/second"
reveal = "999999999/second"
peek = "999999999/second"
[limits]
client_bytes = 17592186044416
[store]
max_bytes = 17592186044416
[reaper]
every = "5s"
[log]
level = "info"
format = "json"
"""
DURABLE, CEILING = "seclink", "tests.bench.ceiling"
ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 2**20


class Process:
    """What the kernel says of a server: of `process` and all that it started."""

    process: subprocess.Popen[bytes]
    log_path: Path

    def processes(self) -> list[int]:
        return family(self.process.pid)

    def cpu_seconds(self) -> float:
        """User and system time so far, of all threads, and of children that have ended."""
        return sum(ticks(each) for each in self.processes()) / TICKS

    def memory(self) -> dict[str, float]:
        """RSS and PSS in MiB; PSS shares out what several processes have in common."""
        sizes = {"rss": 0.0, "pss": 0.0}
        for each in self.processes():
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()[1:]
            found = {name.rstrip(":").lower(): int(size) for name, size, *_ in map(str.split, lines)}
            sizes = {name: total + found[name] / 1024 for name, total in sizes.items()}
        return sizes

    def await_start(self, is_up: Callable[[], bool]) -> None:
        began = time.monotonic()
        while not is_up():
            if self.process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError(f"the server does not run:\n{self.log_path.read_text()[-2000:]}")
            time.sleep(0.002)


class Server(Process):
    """`name` is the module that runs: DURABLE or CEILING. Data, settings, log lie in `folder`. A context manager."""

    dialect = "seclink"

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        folder.mkdir(exist_ok=True)
        self.log_path = folder / "server.log"
        self.database = folder / "seclink.db"
        self.port = free_port()
        (folder / "seclink.toml").write_text(SETTINGS)

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def start(self) -> float:
        """Seconds until /healthz answered 200."""
        command = [sys.executable, "-m", self.name, "serve", "--config", "seclink.toml", "--port", str(self.port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        self.await_start(lambda: answers(self.port, "/healthz"))
        return time.perf_counter() - began

    def log_bytes(self) -> int:
        """Size of the database's write-ahead log."""
        try:
            return self.database.with_name("seclink.db-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def settle(self) -> None:
        """Waits until the write-ahead log is swept, so that it does not weigh on the next measurement."""
        deadline = time.monotonic() + 10
        while self.log_bytes() and time.monotonic() < deadline:
            time.sleep(0.02)


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            return probe.recv(64)[8:12] == b" 200"
    except OSError:
        return False


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []  # it ended meanwhile
    return [pid, *(each for child in children for each in family(int(child)))]


def ticks(pid: int) -> int:
    """What a process spent, with its children that ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except FileNotFoundError:
        return 0
    return sum(map(int, fields[11:15]))


def start_seconds(folder: Path, times: int) -> float:
    """Median time from `exec` to the first 200."""
    taken = []
    for _ in range(times):
        server = Server(DURABLE, folder)
        taken.append(server.start())
        server.stop()
    return statistics.median(taken)


def command_seconds(arguments: list[str], times: int, folder: Path | None = None) -> float | None:
    """Median wall time of `seclink` with these arguments; None where it has no such command."""
    script = Path(sys.executable).with_name("seclink")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "seclink"]
    if subprocess.run([*command, arguments[0], "--help"], capture_output=True, check=False).returncode:
        return None
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        taken.append(time.perf_counter() - began)
        if done.returncode not in (0, 1):  # 1: it has found something
            raise RuntimeError(f"seclink {arguments[0]} failed:\n{done.stderr}")
    return statistics.median(taken)


def sync_seconds(folder: Path, times: int = 100) -> float:
    """Median time of an fdatasync after 4 KiB: what this disk asks for durability."""
    taken = []
    with (folder / "sync.tmp").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file)
            taken.append(time.perf_counter() - began)
    (folder / "sync.tmp").unlink()
    return statistics.median(taken)


def on_disk() -> Path:
    """A folder for temporary files that is not in memory: there fsync costs nothing."""
    for place in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd()):
        if file_system(place) not in ("tmpfs", "ramfs"):
            return place
    raise RuntimeError("no temporary folder on a disk; name one with --dir")


def file_system(path: Path) -> str:
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    resolved = path.resolve()
    return max((len(at), kind) for at, kind in mounts if resolved.is_relative_to(at))[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

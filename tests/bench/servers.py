"""The servers under measurement as processes: starting, stopping, and what the kernel says of them."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
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


class Server:
    """`module` is what runs: DURABLE or CEILING. Its data, settings and log lie in `folder`. A context manager."""

    def __init__(self, module: str, folder: Path) -> None:
        self.module, self.folder = module, folder
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
        command = [sys.executable, "-m", self.module, "serve", "--config", "seclink.toml", "--port", str(self.port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        while not self._is_up():
            if self.process.poll() is not None or time.perf_counter() - began > 60:
                raise RuntimeError(f"the server does not run:\n{self.log_path.read_text()[-2000:]}")
            time.sleep(0.002)
        return time.perf_counter() - began

    def _is_up(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                probe.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
                return probe.recv(64).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def cpu_seconds(self) -> float:
        """User and system time so far, of all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self) -> dict[str, float]:
        """RSS and PSS in MiB; PSS shares out what several processes have in common."""
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {name.rstrip(":"): int(size) for name, size, *_ in map(str.split, lines)}
        return {"rss": sizes["Rss"] / 1024, "pss": sizes["Pss"] / 1024}

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


def start_seconds(folder: Path, times: int) -> float:
    """Median time from `exec` to the first 200."""
    taken = []
    for _ in range(times):
        server = Server(DURABLE, folder)
        taken.append(server.start())
        server.stop()
    return statistics.median(taken)


def help_seconds(times: int) -> float:
    """Median wall time of `seclink --help`."""
    script = Path(sys.executable).with_name("seclink")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "seclink"]
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run([*command, "--help"], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
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

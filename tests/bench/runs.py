"""The measurements, in the order they are taken. Each appends plain records to `Run.records`."""

import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from . import comparison, pages, peer, rows, servers, slices
from .servers import CEILING, DURABLE, ROOT, Server

CONNECTIONS = (32, 128)
PACED_RATE = 300  # reveals a second while reaping: a busy appliance, not a saturated one
PATIENCE_SECONDS = 600


class Run:
    """`slice_seconds` is how long one server is loaded before the other has its turn, `rounds` how often that is."""

    def __init__(self, folder: Path, *, slice_seconds: float, rounds: int, count: int, starts: int) -> None:
        self.folder, self.slice_seconds, self.rounds = folder, slice_seconds, rounds
        self.count, self.starts = count, starts
        self.records: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {"rows": count, "rounds": rounds, "slice_seconds": slice_seconds}
        self._files = itertools.count()

    def all(self) -> None:
        data = self.folder / "durable"
        self.facts["sync_ms"] = 1000 * servers.sync_seconds(self.folder)
        self.commands(self.folder / "commands")
        self.facts["generator"] = self.generator()
        self.facts["start_seconds"] = servers.start_seconds(data, self.starts)
        self.facts["pages"] = pages.measure(self.folder / "pages", self.starts)
        self.throughput("empty", data)
        old = self.folder / "old.ids"
        began = time.perf_counter()
        rows.fill(data / "seclink.db", self.count, old)
        self.facts["fill_seconds"] = time.perf_counter() - began
        self.facts["start_seconds_with_rows"] = servers.start_seconds(data, min(3, self.starts))
        self.throughput("rows", data, old)
        self.reaping(data)
        self.facts["peer"] = self.beside_snappass() if peer.is_there() else None

    def beside_snappass(self) -> dict[str, Any]:
        return comparison.measure(
            self.folder / "peer", slice_seconds=self.slice_seconds, rounds=self.rounds, starts=self.starts
        )

    def commands(self, data: Path) -> None:
        """What an administrator waits for; doctor and verify beside a server that runs."""
        with Server(DURABLE, data) as server:
            url = f"http://127.0.0.1:{server.port}"
            for arguments in (["--help"], ["doctor"], ["verify", url]):
                name = arguments[0].strip("-")
                self.facts[f"{name}_seconds"] = servers.command_seconds(arguments, self.starts, data)

    def generator(self) -> dict[str, float]:
        """What the load generator reaches against a server that does nothing."""
        port = servers.free_port()
        process = subprocess.Popen([sys.executable, "-m", "tests.bench.canned", str(port)], cwd=ROOT)
        time.sleep(0.5)
        try:
            return slices.load(port, "create", 32, self.slice_seconds)
        finally:
            process.kill()
            process.wait()

    # Throughput

    def throughput(self, phase: str, data: Path, old: Path | None = None) -> None:
        """Creates and reveals, ceiling and durable in turn. With `old` also reveals of secrets anywhere in the file."""
        anything = self.folder / "any.ids"
        anything.write_text("abcdefghijkl\n" * 200_000)
        with Server(CEILING, self.folder / "ceiling") as ceiling, Server(DURABLE, data) as durable:
            time.sleep(1)
            self.facts[f"memory_idle_{phase}"] = durable.memory()
            used = 0
            for round, connections in itertools.product(range(self.rounds), CONNECTIONS):
                fresh = self.folder / f"{next(self._files)}.ids"
                pairs = [("create", "create", fresh, 0), ("reveal", "reveal", fresh, 0)]
                if old is not None:
                    pairs.append(("reveal old", "reveal", old, used))
                for name, kind, ids, skip in pairs:
                    both = [(durable, ids, skip), (ceiling, anything, 0)]
                    for server, file, first in both if round % 2 else reversed(both):
                        done = self.slice(server, kind, connections, file, first)
                        self.records.append({"phase": phase, "what": name, "round": round, **done})
                        used += done["sent"] if file == old else 0
            self.facts[f"memory_loaded_{phase}"] = durable.memory()

    def slice(self, server: Server, kind: str, connections: int, ids: Path, skip: int) -> dict[str, Any]:
        """The ceiling's creates are not kept, so their ids are not written down either."""
        keeps = {"ids": str(ids), "skip": skip} if server.name == DURABLE or kind == "reveal" else {}
        return slices.take(server, kind, connections, self.slice_seconds, **keeps)

    # Reaping

    def reaping(self, data: Path) -> None:
        """Reveals while everything but a part is reaped: at a steady pace and with all the server can take, in turn."""
        expired = rows.expire(data / "seclink.db")
        live = self.folder / "live.ids"
        rows.fill(data / "seclink.db", max(20_000, self.count // 5), live)
        server = Server(DURABLE, data)
        server.log_path.unlink()
        with server, Watch(server) as watch:
            began, used = time.monotonic(), 0
            while (count := reaped(server)) < expired and time.monotonic() - began < PATIENCE_SECONDS:
                used += self.reap_slice(server, live, used, "reaping", PACED_RATE)
                used += self.reap_slice(server, live, used, "reaping", None)
            took = time.monotonic() - began
            server.settle()
            self.facts["reap"] = {"expired": expired, "reaped": count, "seconds": took, **watch.most}
            self.facts["memory_reaped"] = server.memory()
            for _ in range(2):
                used += self.reap_slice(server, live, used, "reaped", PACED_RATE)
                used += self.reap_slice(server, live, used, "reaped", None)

    def reap_slice(self, server: Server, live: Path, used: int, phase: str, pace: float | None) -> int:
        job = {"ids": str(live), "skip": used, "pace": pace}
        done = slices.load(server.port, "reveal", CONNECTIONS[0], self.slice_seconds, **job)
        if done["answers"]:
            name = {"phase": phase, "what": "reveal paced" if pace else "reveal", "server": server.name}
            self.records.append({**name, "connections": CONNECTIONS[0], **done})
        return int(done["sent"])


class Watch(threading.Thread):
    """Looks at a server 50 times a second and remembers the most of each."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._server, self._over = server, threading.Event()
        self.most = {"log_mib": 0.0, "rss_mib": 0.0, "rss_begin_mib": 0.0}

    def run(self) -> None:
        self.most["rss_begin_mib"] = self._server.memory()["rss"]
        while not self._over.wait(0.02):
            self.most["log_mib"] = max(self.most["log_mib"], self._server.log_bytes() / servers.MIB)
            self.most["rss_mib"] = max(self.most["rss_mib"], self._server.memory()["rss"])

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def reaped(server: Server) -> int:
    """How many the server says it has reaped; asking the database would get in its way."""
    lines = server.log_path.read_text().splitlines()
    return sum(json.loads(line)["count"] for line in lines if '"reaped"' in line)

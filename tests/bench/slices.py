"""One server under load for a slice of time, and what it cost that server."""

import json
import subprocess
import sys
from typing import Any, Protocol

from .servers import ROOT

WARM_SECONDS = 0.3


class Loaded(Protocol):
    """A server that runs: `name` in the records, `dialect` for the load generator."""

    name: str
    dialect: str
    port: int

    def cpu_seconds(self) -> float: ...

    def settle(self) -> None: ...


def take(server: Loaded, kind: str, connections: int, seconds: float, **more: Any) -> dict[str, Any]:
    """A slice, with the processor time each answer took the server."""
    before = server.cpu_seconds()
    done = load(server.port, kind, connections, seconds, dialect=server.dialect, **more)
    server.settle()
    cost = 1e6 * (server.cpu_seconds() - before) / max(1, done["answers"])
    return {"server": server.name, "connections": connections, **done, "cpu_us": cost}


def load(port: int, kind: str, connections: int, seconds: float, **more: Any) -> dict[str, Any]:
    """What the load generator says; `more` as in its job."""
    job = {"port": port, "kind": kind, "connections": connections, "warm_seconds": WARM_SECONDS, **more}
    job["seconds"] = seconds
    command = [sys.executable, "-m", "tests.bench.load"]
    done = subprocess.run(command, input=json.dumps(job), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the load generator failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result

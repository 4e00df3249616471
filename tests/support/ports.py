"""Free ports for servers that need theirs before they start."""

import os
import random
import socket

# Below the range that Linux uses for outgoing connections (from 32768), so that none takes the port before the server
# has it, or while the server is down between two starts.
PORTS = range(20_000, 32_000)
WORKERS = 64
RANDOM = random.SystemRandom()  # Hypothesis seeds the default one


def free_port() -> int:
    """Return a port that is free, and that no other process of this run (pytest-xdist) gets."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    while True:
        port = RANDOM.choice(PORTS[worker::WORKERS])
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port

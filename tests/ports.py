"""Ports for servers that are told theirs before they start."""

import os
import random
import socket

# Below what Linux gives to connections that are made (from 32768): none of them takes the port until the server has it,
# nor while it is down between two starts.
PORTS = range(20_000, 32_000)
WORKERS = 64
CHANCE = random.SystemRandom()  # not the one that Hypothesis sets


def free_port() -> int:
    """One that nobody has, and that no other process of this run (pytest-xdist) is given."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    while True:
        port = CHANCE.choice(PORTS[worker::WORKERS])
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port

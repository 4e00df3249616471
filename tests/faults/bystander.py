"""RL-11: measure what a bystander sees of a server while one client attacks it.

`PYTHONPATH=tests python tests/faults/bystander.py [ATTACK...]` prints a table. Each attack comes from one IPv4 address,
from one IPv6 /64 and from one /48, inside a network namespace of its own in which every address is local. The server
has the default rates. Each visit of the bystander comes from another network, over a connection of its own.
"""

import contextlib
import http.client
import itertools
import json
import multiprocessing
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from api_client import NO_STORAGE_QUOTA, create_request
from crowd import Request
from mixed_load import resource_usage
from support.server import HIGH_RATES, Server

MB = 1_000_000
NETWORKS = (
    ("route", "add", "local", "10.0.0.0/8", "dev", "lo"),
    ("-6", "route", "add", "local", "fd00::/8", "dev", "lo"),
)
UNLIMITED = HIGH_RATES + NO_STORAGE_QUOTA
RIGHT, WRONG = "ab" * 32, "cd" * 32
SECONDS = 12.0
SLOWEST_MILLISECONDS = 200


class Place(NamedTuple):
    """Where the attacker's connections come from."""

    name: str
    target: str
    address: Callable[[int], str]


PLACES = (
    Place("IPv4", "127.0.0.1", lambda _: "10.0.0.1"),
    Place("/64", "::1", lambda number: f"fd00:a::{number + 1:x}"),
    Place("/48", "::1", lambda number: f"fd00:a:0:{number % 65_536:x}::1"),
)


class Prepared(NamedTuple):
    """Secrets and a key for the attacks."""

    large: list[str]
    guarded: list[str]
    key: str


class Attacker:
    """Opens connections from a place until `stop` is set."""

    def __init__(self, place: Place, port: int, prepared: Prepared) -> None:
        self.place, self.port, self.prepared = place, port, prepared
        self.numbers = itertools.count()
        self.sockets: list[socket.socket] = []

    def connect(self) -> socket.socket:
        source = self.place.address(next(self.numbers))
        client = socket.create_connection((self.place.target, self.port), 20, (source, 0))
        self.sockets.append(client)
        return client

    def send_each(self, requests: list[bytes]) -> None:
        """Send one request per connection and read nothing."""
        for request in requests:
            with contextlib.suppress(OSError):
                client = self.connect()
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.sendall(request)

    def repeat(self, make: Callable[[], bytes], connections: int) -> None:
        """Send one request after the other on each connection; open it again when the server closes it."""

        def work() -> None:
            while True:
                with contextlib.suppress(OSError):
                    client = self.connect()
                    while True:
                        client.sendall(make())
                        if not client.recv(2_000_000):
                            break
                    client.close()

        for _ in range(connections):
            threading.Thread(target=work, daemon=True).start()
        threading.Event().wait()

    def read_slowly(self) -> None:
        """Ask for large secrets and read nothing."""
        self.send_each([request("GET", f"/secrets/{link}") for link in self.prepared.large * 6])
        threading.Event().wait()

    def drip(self) -> None:
        """Send bodies byte by byte."""
        self.send_each([request("POST", "/secrets", b"{}" * 50)[:-99]] * 1_100)
        while True:
            time.sleep(1)
            for client in self.sockets:
                with contextlib.suppress(OSError):
                    client.send(b" ")

    def hold_connections(self) -> None:
        """Open connections and send half of a head."""
        while True:
            self.send_each([b"GET / HTTP/1.1\r\nHost:"] * 500)
            del self.sockets[:-3_000]

    def fill_results(self) -> None:
        """Create with new Idempotency-Keys."""
        self.repeat(
            lambda: request("POST", "/secrets", create_body(b"x"), {"Idempotency-Key": secrets.token_hex(16)}), 16
        )

    def fill_store(self) -> None:
        """Create large secrets."""
        body = create_body(b"x" * MB)
        self.repeat(lambda: request("POST", "/secrets", body), 8)

    def guess(self) -> None:
        """Try passcodes of many secrets at a time."""
        links = itertools.cycle(self.prepared.guarded)
        body = json.dumps({"passcodeHash": WRONG}).encode()
        self.repeat(lambda: request("POST", f"/secrets/{next(links)}/reveal", body), 64)

    def search(self) -> None:
        """Search among the receipts of an account with an API key."""
        headers = {"Authorization": f"Bearer {self.prepared.key}"}
        self.repeat(lambda: request("GET", f"/receipts?limit=100&q={secrets.token_hex(4)}", b"", headers), 32)


ATTACKS: dict[str, Callable[[Attacker], None] | None] = {
    "nothing": None,
    "reading slowly": Attacker.read_slowly,
    "dripping bodies": Attacker.drip,
    "connections": Attacker.hold_connections,
    "kept results": Attacker.fill_results,
    "large secrets": Attacker.fill_store,
    "passcodes": Attacker.guess,
    "searches": Attacker.search,
}


def request(method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    return Request(method, path, tuple((headers or {}).items()), body).encode()


def create_body(payload: bytes, **members: Any) -> bytes:
    return json.dumps(create_request(payload, **members)).encode()


class Bystander:
    """Loads the start page, creates and reveals, each time from another network."""

    def __init__(self, place: Place, port: int) -> None:
        self.place, self.port = place, port
        self.milliseconds: list[float] = []
        self.statuses: Counter[int | str] = Counter()

    def visit_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for number in itertools.count():
            if time.monotonic() > end:
                return
            try:
                self.visit(number)
            except (OSError, http.client.HTTPException) as error:
                self.statuses[type(error).__name__] += 1
            time.sleep(0.02)

    def visit(self, number: int) -> None:
        address = f"10.{number // 250 + 1}.{number % 250}.1" if self.place.name == "IPv4" else f"fd00:b:{number:x}::1"
        with contextlib.closing(
            http.client.HTTPConnection(self.place.target, self.port, timeout=30, source_address=(address, 0))
        ) as client:
            self.ask(client, "GET", "/")
            receipt = json.loads(self.ask(client, "POST", "/api/v1/secrets", create_body(b"x" * 300)))
            self.ask(client, "POST", f"/api/v1/secrets/{receipt['linkId']}/reveal", b"{}")

    def ask(self, client: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> bytes:
        started = time.monotonic()
        client.request(method, path, body, {"Host": "localhost", "Content-Type": "application/json"})
        response = client.getresponse()
        content = response.read()
        self.milliseconds.append((time.monotonic() - started) * 1000)
        self.statuses[response.status] += 1
        return content if response.status < 300 else b'{"linkId": "none"}'


@contextlib.contextmanager
def prepared_server(place: Place) -> Iterator[tuple[Server, Prepared]]:
    """Start a server with secrets to attack, and with the default rates."""
    with tempfile.TemporaryDirectory() as folder:
        host = f'[server]\nhost = "{"0.0.0.0" if place.name == "IPv4" else "::"}"\n'
        server = Server(Path(folder), host + UNLIMITED)
        server.url = f"http://{'127.0.0.1' if place.name == 'IPv4' else '[::1]'}:{server.port}"
        server.start()
        try:
            prepared = prepare(place, server)
            server.stop()
            server.config.write_text(host)
            yield server, prepared
        finally:
            server.kill()


def prepare(place: Place, server: Server) -> Prepared:
    key = server.key()
    client = http.client.HTTPConnection(place.target, server.port)

    def create(payload: bytes, headers: dict[str, str] | None = None, **members: Any) -> str:
        body = create_body(payload, **members)
        client.request("POST", "/api/v1/secrets", body, {"Content-Type": "application/json", **(headers or {})})
        response = client.getresponse()
        content = json.loads(response.read())
        assert response.status == 201, content
        return str(content["linkId"])

    account = {"Authorization": f"Bearer {key}"}
    for number in range(3_000):
        create(b"x", account, label=f"receipt {number}")
    large = [create(b"x" * MB, expiryType=None, expiresIn=3600, maxViews=10) for _ in range(100)]
    return Prepared(large, [create(b"x", passcodeHash=RIGHT) for _ in range(200)], key)


def main() -> int:
    names = sys.argv[1:] or list(ATTACKS)
    print(f"{'attack':16} {'from':5} {'visits':>6} {'p50':>6} {'p99':>6} {'most':>6} {'MiB':>5}  statuses")
    slow = False
    for place in PLACES:
        with prepared_server(place) as (server, prepared):
            for name in names:
                slow |= not measure(name, place, server.start(), prepared)
                server.stop()
    return 1 if slow else 0


def measure(name: str, place: Place, server: Server, prepared: Prepared) -> bool:
    """Run one attack beside the bystander, print a line and return whether the bystander was served."""
    attack = ATTACKS[name]
    attacker = Attacker(place, server.port, prepared)
    process = multiprocessing.Process(target=attack, args=(attacker,), daemon=True) if attack else None
    if process is not None:
        process.start()
        time.sleep(2)
    bystander = Bystander(place, server.port)
    bystander.visit_for(SECONDS)
    if process is not None:
        process.kill()
        process.join()
    times = sorted(bystander.milliseconds) or [0.0]
    middle, slowest = times[len(times) // 2], times[int(len(times) * 0.99)]
    print(
        f"{name:16} {place.name:5} {len(times) // 3:6} {middle:6.1f} {slowest:6.1f} {times[-1]:6.0f} "
        f"{resource_usage(server)['rss']:5.0f}  {dict(bystander.statuses)}",
        flush=True,
    )
    return slowest < SLOWEST_MILLISECONDS and set(bystander.statuses) == {200, 201}


def enter_namespace() -> None:
    """Start again in a network namespace in which all addresses of 10/8 and fd00::/8 are local."""
    if "SECLINK_NAMESPACE" not in os.environ:
        os.environ["SECLINK_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-Urn", sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for route in NETWORKS:
        subprocess.run(["ip", *route], check=True)
    Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1")


if __name__ == "__main__":
    enter_namespace()
    sys.exit(main())

"""Raw sockets, and a small server in a process of its own to test them against."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from support.waiting import TIMEOUT_SECONDS

import seclink
from seclink.web.security_headers import HEADERS

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(Path(seclink.__file__).parents[1]),  # the package that is under test here
    # Freed large blocks go back to the system, so that the resident memory is the memory in use.
    "MALLOC_MMAP_THRESHOLD_": "131072",
}
POST = b"POST /look HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SECURITY = {name.decode(): value.decode() for name, value in HEADERS}


class RawResponse(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class SmallServer:
    """A running `small_app.py`."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", Path(__file__).with_name("small_app.py"), json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        assert self.popen.stdout is not None
        self.url = self.popen.stdout.readline().strip()
        self.port = urlsplit(self.url).port

    def connect(self, data: bytes = b"", small_window: bool = False) -> socket.socket:
        with contextlib.closing(socket.socket()) as client:
            client.settimeout(TIMEOUT_SECONDS)
            if small_window:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", self.port))
            client.sendall(data)
            return client.dup()

    def ask(self, data: bytes) -> list[RawResponse]:
        """Send the data and read until the server closes the connection."""
        with self.connect() as client:
            client.settimeout(TIMEOUT_SECONDS)
            with contextlib.suppress(ConnectionError):
                client.sendall(data)
            return parse_responses(read_all(client))

    def get(self, path: str = "/look") -> RawResponse:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())[0]

    def seen(self, path: str) -> int:
        return int(self.get().json["seen"].get(path, 0))

    def finish(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=TIMEOUT_SECONDS)
        return self.popen.returncode, out, err


@contextlib.contextmanager
def small_server(**options: Any) -> Iterator[SmallServer]:
    process = SmallServer(options)
    try:
        yield process
    finally:
        if process.popen.returncode is None:
            process.popen.kill()
            process.popen.communicate()


def check_error_response(response: RawResponse, status: int, code: str) -> None:
    assert (response.status, response.json["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["connection"] == "close"
    assert response.headers["x-request-id"] == response.json["requestId"]
    check_security_headers(response)


def check_security_headers(response: RawResponse) -> None:
    assert {name: response.headers.get(name) for name in SECURITY} == SECURITY
    assert "server" not in response.headers


def read_all(client: socket.socket) -> bytes:
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            data += chunk
    return bytes(data)


def read_slowly(client: socket.socket, seconds: float) -> bytes:
    """Read at about 150 kB/s for that long, and then the rest."""
    data, until = bytearray(), time.monotonic() + seconds
    with contextlib.suppress(ConnectionResetError):
        while time.monotonic() < until and (chunk := client.recv(8_192)):
            data += chunk
            time.sleep(0.05)
        data += read_all(client)
    return bytes(data)


def parse_responses(data: bytes) -> list[RawResponse]:
    responses = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(headers.get("content-length", len(data)))
        responses.append(RawResponse(int(first.split()[1]), headers, data[:size]))
        data = data[size:]
    return responses


def seconds_until_closed(clients: list[socket.socket], drip: bytes = b"") -> float:
    """Wait until the server has closed all connections, sending `drip` on each every 100 ms."""
    started = time.monotonic()
    open_ones = list(clients)
    while open_ones:
        assert time.monotonic() - started < TIMEOUT_SECONDS, f"{len(open_ones)} are still open"
        open_ones = [client for client in open_ones if not _is_closed(client, drip)]
        time.sleep(0.1)
    return time.monotonic() - started


def _is_closed(client: socket.socket, drip: bytes) -> bool:
    client.setblocking(False)
    try:
        while client.recv(65536):
            pass
    except BlockingIOError:
        pass
    except ConnectionError:
        return True
    else:
        return True
    with contextlib.suppress(OSError):
        client.send(drip)
    return False


def seconds_until_reset(clients: Sequence[socket.socket]) -> float:
    """Wait until the server has reset all connections, without reading."""
    started = time.monotonic()
    poll = select.poll()
    for client in clients:
        poll.register(client, 0)
    while len(poll.poll(100)) < len(clients):
        assert time.monotonic() - started < TIMEOUT_SECONDS
    return time.monotonic() - started

"""Raw sockets against a server in a process of its own."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from seclink.web.security_headers import HEADERS

PATIENCE = 20.0  # generous: a busy machine must not fail a test
POST = b"POST /look HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SECURITY = {name.decode(): value.decode() for name, value in HEADERS}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Process:
    """A running `tiny.py`."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", Path(__file__).with_name("tiny.py"), json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Large blocks go back to the system when they are freed, so that what remains resident is what is held.
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "MALLOC_MMAP_THRESHOLD_": "131072"},
        )
        assert self.popen.stdout is not None
        self.url = self.popen.stdout.readline().strip()
        self.port = urlsplit(self.url).port

    def connect(self, data: bytes = b"", small_window: bool = False) -> socket.socket:
        with contextlib.closing(socket.socket()) as client:
            client.settimeout(PATIENCE)
            if small_window:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", self.port))
            client.sendall(data)
            return client.dup()

    def ask(self, data: bytes) -> list[Answer]:
        """Sends, says that nothing more will come, and reads everything until the server closes."""
        with self.connect() as client:
            client.settimeout(PATIENCE)
            with contextlib.suppress(ConnectionError):
                client.sendall(data)
            return answers(read_all(client))

    def get(self, path: str = "/look") -> Answer:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())[0]

    def seen(self, path: str) -> int:
        return int(self.get().json["seen"].get(path, 0))

    def finish(self) -> tuple[int, str, str]:
        out, err = self.popen.communicate(timeout=PATIENCE)
        return self.popen.returncode, out, err


@contextlib.contextmanager
def running(**options: Any) -> Iterator[Process]:
    process = Process(options)
    try:
        yield process
    finally:
        if process.popen.returncode is None:
            process.popen.kill()
            process.popen.communicate()


def check_refusal(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"] == answer.json["requestId"]
    check_security_headers(answer)


def check_security_headers(answer: Answer) -> None:
    assert {name: answer.headers.get(name) for name in SECURITY} == SECURITY
    assert "server" not in answer.headers


def read_all(client: socket.socket) -> bytes:
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while chunk := client.recv(65536):
            data += chunk
    return bytes(data)


def read_slowly(client: socket.socket, seconds: float) -> bytes:
    """At some 150 kB a second for that long, and then the rest."""
    data, until = bytearray(), time.monotonic() + seconds
    with contextlib.suppress(ConnectionResetError):
        while time.monotonic() < until and (chunk := client.recv(8_192)):
            data += chunk
            time.sleep(0.05)
        data += read_all(client)
    return bytes(data)


def answers(data: bytes) -> list[Answer]:
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(headers.get("content-length", len(data)))
        found.append(Answer(int(first.split()[1]), headers, data[:size]))
        data = data[size:]
    return found


def seconds_until_closed(clients: list[socket.socket], drip: bytes = b"") -> float:
    """Waits until the server has closed all of them, sending `drip` to each every half second."""
    started = time.monotonic()
    open_ones = list(clients)
    while open_ones:
        assert time.monotonic() - started < PATIENCE, f"{len(open_ones)} are still open"
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


def seconds_until_reset(clients: list[socket.socket]) -> float:
    """The same without reading."""
    started = time.monotonic()
    poll = select.poll()
    for client in clients:
        poll.register(client, 0)
    while len(poll.poll(100)) < len(clients):
        assert time.monotonic() - started < PATIENCE
    return time.monotonic() - started

"""Talking to a real `seclink serve` as several clients at once, and looking at what it leaves on the disk."""

import base64
import contextlib
import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from sockets import Answer, answers

LONG = bool(os.environ.get("SECLINK_LONG"))
PATIENCE = 30.0  # generous: a busy machine must not fail a test
PLENTY = '[rates]\ncreate = "1000000/hour"\nreveal = "1000000/hour"\npeek = "1000000/hour"\nkey = "1000000/hour"\n'
without_mount = pytest.mark.skipif(bool(os.environ.get("SECLINK_WITHOUT_MOUNT")), reason="SECLINK_WITHOUT_MOUNT")
without_strace = pytest.mark.skipif(bool(os.environ.get("SECLINK_WITHOUT_STRACE")), reason="SECLINK_WITHOUT_STRACE")
ALTERED = Path(__file__).with_name("altered.py")
NO_BYTES_LIMIT = "[limits]\nclient_bytes = 17592186044416\n"


def body(payload: bytes = b"payload", iv: bytes = b"initialvectr", **more: Any) -> dict[str, Any]:
    """What a create says; one view, unless told otherwise."""
    said = {"encryptedBlob": base64.b64encode(payload).decode(), "iv": base64.b64encode(iv).decode()}
    return {**said, "expiryType": "view_once", **more}


def payload_of(answer: Any) -> bytes:
    return base64.b64decode(answer["encryptedBlob"])


class Api:
    """The native API of a server, asked over keep-alive connections."""

    def __init__(self, server: Any, timeout: float = PATIENCE) -> None:
        self.http = httpx.Client(base_url=f"{server.url}/api/v1", timeout=timeout)
        self.root = server.url

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def create(self, payload: bytes = b"payload", **more: Any) -> dict[str, Any]:
        answer = self.http.post("/secrets", json=body(payload, **more))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def reveal(self, link_id: str, **headers: str) -> httpx.Response:
        return self.http.get(f"/secrets/{link_id}", headers=headers)

    def meta(self, link_id: str) -> httpx.Response:
        return self.http.get(f"/secrets/{link_id}/meta")

    def burn(self, made: dict[str, Any]) -> httpx.Response:
        return self.http.delete(f"/receipts/{made['receiptId']}", headers={"SecLink-Manage": made["manageToken"]})

    def receipt(self, made: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.get(f"/receipts/{made['receiptId']}", headers={"SecLink-Manage": made["manageToken"]})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def ready(self) -> httpx.Response:
        return self.http.get(f"{self.root}/readyz")


class Request(NamedTuple):
    """A request as bytes, so that many can be held back but for their last byte and released together."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def encode(self) -> bytes:
        lines = [f"{self.method} /api/v1{self.path} HTTP/1.1", "Host: localhost"]
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def reveal(link_id: str, *headers: tuple[str, str]) -> Request:
    return Request("GET", f"/secrets/{link_id}", headers)


def post_reveal(link_id: str, *headers: tuple[str, str]) -> Request:
    return Request("POST", f"/secrets/{link_id}/reveal", headers, b"{}")


def burn(made: dict[str, Any]) -> Request:
    return Request("DELETE", f"/receipts/{made['receiptId']}", (("SecLink-Manage", made["manageToken"]),))


class Crowd:
    """Open connections that ask at the same moment."""

    def __init__(self, server: Any, count: int) -> None:
        self.clients = [socket.create_connection(("127.0.0.1", server.port), PATIENCE) for _ in range(count)]
        for client in self.clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()

    def ask(self, requests: list[Request], pause: float = 0) -> list[Answer]:
        """One request a connection: all but the last byte first, then the last bytes together. The answers in order."""
        self.prime(requests)
        self.release(requests, pause)
        return self.read(len(requests))

    def prime(self, requests: list[Request]) -> None:
        for client, request in zip(self.clients, requests, strict=False):
            client.sendall(request.encode()[:-1])
        time.sleep(0.005)

    def release(self, requests: list[Request], pause: float = 0) -> None:
        for client, request in zip(self.clients, requests, strict=False):
            client.send(request.encode()[-1:])
            time.sleep(pause)

    def read(self, count: int) -> list[Answer]:
        return [read_answer(client) for client in self.clients[:count]]


def read_answer(client: socket.socket) -> Answer:
    """One answer of a connection that stays open."""
    [answer] = read_answers(client, 1)
    return answer


def read_answers(client: socket.socket, count: int) -> list[Answer]:
    data = b""
    while whole_answers(data) < count:
        more = client.recv(65536)
        assert more, "the server closed the connection"
        data += more
    return answers(data)


def whole_answers(data: bytes) -> int:
    count = 0
    while True:
        head, end, rest = data.partition(b"\r\n\r\n")
        names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        size = int(names.get(b"content-length", 0))
        if not end or len(rest) < size:
            return count
        count, data = count + 1, rest[size:]


def reset(client: socket.socket) -> None:
    """Close with RST instead of a goodbye."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


def post(answer: Answer) -> Any:
    return json.loads(answer.body)


def wait_until_ready(api: Api) -> None:
    deadline = time.monotonic() + PATIENCE
    while api.ready().status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)


# The disk


def database(folder: Path) -> Path:
    return folder / "seclink.db"


@contextlib.contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """A look at the database beside the server; it changes nothing."""
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as db:
        yield db


def one(path: Path, sql: str, *parameters: Any) -> Any:
    with looking(path) as db:
        row = db.execute(sql, parameters).fetchone()
    return row[0] if row else None


def is_whole(path: Path) -> bool:
    return bool(one(path, "PRAGMA integrity_check") == "ok")


def wait_until_swept(folder: Path) -> None:
    """Until the log is empty."""
    deadline = time.monotonic() + PATIENCE
    while Path(f"{database(folder)}-wal").stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def hits(folder: Path, *needles: bytes) -> list[tuple[str, bytes]]:
    """Where any of the needles stands in the raw bytes of any file of the folder."""
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        data = path.read_bytes()
        found += [(path.name, needle) for needle in needles if needle in data]
    return found


def wait_until_gone(folder: Path, *needles: bytes, seconds: float = 2.0) -> None:
    """Fails unless the last trace of the needles has gone in time (they must have a moment more on a busy machine)."""
    deadline = time.monotonic() + seconds
    while found := hits(folder, *needles):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


# Making the disk fail


LOCKER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute(sys.argv[2])
print("locked", flush=True)
sys.stdin.readline()
"""


@contextlib.contextmanager
def locked(path: Path, how: str = "BEGIN EXCLUSIVE") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the database's write lock."""
    command = [sys.executable, "-c", LOCKER, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


class Failures:
    """How often a call was made to fail; known once it is over."""

    count = 0


@contextlib.contextmanager
def failing(pid: int, calls: str, error: str) -> Iterator[Failures]:
    """These system calls of a running process fail, on each of its threads; `EIO:when=3` is each thread's third one."""
    with tempfile.NamedTemporaryFile() as log:
        inject = f"inject={calls}:error={error}"
        command = ["strace", "-f", "-p", str(pid), "-o", log.name, "-e", f"trace={calls}", "-e", inject]
        tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        failures = Failures()
        try:
            assert tracer.stderr is not None
            assert select.select([tracer.stderr], [], [], PATIENCE)[0], "strace says nothing"
            said = os.read(tracer.stderr.fileno(), 4096)
            assert b"attached" in said, said
            yield failures
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=PATIENCE)
        failures.count = log.read().count(b"(INJECTED)")


def need(program: str) -> None:
    """A test that is skipped proves nothing: what is missing is a failure."""
    found = subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True)
    if found.returncode != 0:
        raise AssertionError(f"{program} is missing; install it")

"""The load generator: one process, one thread, non-blocking sockets on epoll, keep-alive connections.

Not asyncio: server, database thread and generator share the machine, so what the generator burns is taken from what it
measures. Requests are rendered beforehand (a reveal differs from the next by its linkId alone), answers are searched
for their end and never parsed further. Each answer is checked: status, and for a create the linkId it must name, for a
reveal that it handed out the last view.

Driven by one JSON object on stdin, answers with one on stdout:
    {"port", "kind": "create" | "reveal", "connections", "seconds", "warm_seconds", "ids": FILE, "skip": N, "pace": R}
Creates append the linkIds they got to `ids`; reveals ask for those in `ids`, from number `skip` on, each once.
`pace` is requests per second, due at fixed instants: a late answer delays nobody else and its whole wait is counted.
Without it each connection asks again as soon as it has its answer.
"""

import base64
import collections
import hashlib
import json
import os
import select
import socket
import sys
import time
from pathlib import Path

PAYLOAD_BYTES = 1024
PROOF = b"\x07" * 32  # the same for every secret: what it costs to check does not depend on it
ACCESS = base64.urlsafe_b64encode(PROOF).rstrip(b"=").decode()
ACCESS_HASH = hashlib.sha256(PROOF).hexdigest()
GOOD = {"create": (b"HTTP/1.1 201", b'"linkId":"'), "reveal": (b"HTTP/1.1 200", b'"viewsLeft":0')}


def create_requests(port: int, count: int = 64) -> list[bytes]:
    """The documented create with a proof of key; a handful of random payloads, taken in turn."""
    made = []
    for _ in range(count):
        blob = base64.b64encode(os.urandom(PAYLOAD_BYTES)).decode()
        iv = base64.b64encode(os.urandom(12)).decode()
        secret = {"encryptedBlob": blob, "iv": iv, "expiryType": "view_once", "accessHash": ACCESS_HASH}
        body = json.dumps(secret).encode()
        head = f"POST /api/v1/secrets HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        made.append(head.encode() + body)
    return made


def reveal_parts(port: int) -> tuple[bytes, bytes]:
    """What stands before and after the linkId."""
    rest = f"/reveal HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n"
    rest += f"SecLink-Access: {ACCESS}\r\nContent-Length: 0\r\n\r\n"
    return b"POST /api/v1/secrets/", rest.encode()


class Requests:
    """The requests of a job, one after the other; None when there are no more."""

    def __init__(self, job: dict) -> None:
        self._creates = create_requests(job["port"]) if job["kind"] == "create" else None
        self._before, self._after = reveal_parts(job["port"])
        if not self._creates:
            self._ids = Path(job["ids"]).read_bytes().split()[job.get("skip", 0) :]
        self.sent = 0

    def next(self) -> bytes | None:
        number = self.sent
        if self._creates:
            self.sent += 1
            return self._creates[number & 63]
        if number >= len(self._ids):
            return None
        self.sent += 1
        return self._before + self._ids[number] + self._after


class Connection:
    __slots__ = ("asked_at", "received", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.asked_at = 0.0

    def ask(self, request: bytes, at: float) -> None:
        self.asked_at = at
        if self.socket.send(request) != len(request):
            raise OSError("the socket's buffer does not hold a request")

    def answer(self) -> bytes | None:
        """The answer, once it is whole."""
        data = self.socket.recv(65536)
        if not data:
            raise OSError("the server closed a connection")
        if self.received:
            data = self.received + data
        end = data.find(b"\r\n\r\n")
        at = data.find(b"content-length: ")
        if 0 <= at < end and len(data) >= end + 4 + int(data[at + 16 : data.find(b"\r", at)]):
            self.received = b""
            return data
        self.received = data
        return None


class Load:
    """One run of a job. Only what is answered between the end of the warm-up and the end counts."""

    def __init__(self, job: dict) -> None:
        self._job, self._requests = job, Requests(job)
        self._status, self._proof = GOOD[job["kind"]]
        self._poll = select.epoll()
        self._idle = collections.deque(Connection(job["port"]) for _ in range(job["connections"]))
        self._busy: dict[int, Connection] = {}
        for each in self._idle:
            self._poll.register(each.socket, select.EPOLLIN)
        self._waits: list[tuple[float, float]] = []  # when it was answered, how long it took
        self._link_ids: list[bytes] = []
        self._bad: collections.Counter[str] = collections.Counter()

    def run(self) -> dict:
        cpu, began = time.process_time(), time.perf_counter()
        end = began + self._job["seconds"] + self._job["warm_seconds"]
        pace = self._job.get("pace")
        while True:
            now = time.perf_counter()
            exhausted = now >= end or not self._feed(now, began, pace)
            if exhausted and not self._busy:
                break
            due = began + self._requests.sent / pace - now if pace and not exhausted else 1.0
            for descriptor, _ in self._poll.poll(max(0.0, min(due, 1.0))):
                self._take(descriptor)
        cpu, took = time.process_time() - cpu, time.perf_counter() - began
        return self._report(began + self._job["warm_seconds"], min(end, began + took), cpu / took)

    def _feed(self, now: float, began: float, pace: float | None) -> bool:
        """Asks whatever may be asked now. False: nothing is left to ask."""
        while self._idle:
            due = began + self._requests.sent / pace if pace else now
            if due > now:
                break
            request = self._requests.next()
            if request is None:
                return False
            connection = self._idle.popleft()
            self._busy[connection.socket.fileno()] = connection
            connection.ask(request, due)
        return True

    def _take(self, descriptor: int) -> None:
        connection = self._busy[descriptor]
        answer = connection.answer()
        if answer is None:
            return
        now = time.perf_counter()
        del self._busy[descriptor]
        self._idle.append(connection)
        at = answer.find(self._proof)
        if at < 0 or not answer.startswith(self._status):
            self._bad[answer[9:12].decode()] += 1
            return
        self._waits.append((now, now - connection.asked_at))
        if self._status == b"HTTP/1.1 201":
            self._link_ids.append(answer[at + 10 : at + 22])

    def _report(self, begin: float, end: float, cpu: float) -> dict:
        waits = sorted(wait for at, wait in self._waits if begin <= at <= end)
        if self._link_ids and "ids" in self._job:
            with Path(self._job["ids"]).open("ab") as file:
                file.write(b"\n".join(self._link_ids) + b"\n")
        most = len(waits) - 1
        return {
            "rate": len(waits) / (end - begin),
            **{name: 1000 * waits[int(most * part)] if waits else None for name, part in _PARTS.items()},
            "answers": len(self._waits) + sum(self._bad.values()),
            "bad": dict(self._bad),
            "sent": self._requests.sent,
            "client_cpu": cpu,
        }


_PARTS = {"p50": 0.5, "p99": 0.99, "max": 1.0}


if __name__ == "__main__":
    print(json.dumps(Load(json.load(sys.stdin)).run()))

"""The load generator: one process, one thread, non-blocking sockets on epoll, keep-alive connections.

Not asyncio: server, database thread and generator share the machine, so what the generator burns is taken from what it
measures. Requests are rendered beforehand (a reveal differs from the next by its linkId alone), answers are searched
for their end and never parsed further. Each answer is checked: status, and for a create the linkId it must name, for a
reveal that it handed out the last view. `dialects` has the words.

Driven by one JSON object on stdin, answers with one on stdout:
    {"port", "dialect", "kind", "connections", "seconds", "warm_seconds", "ids": FILE, "skip": N, "pace": R}
Creates append the linkIds they got to `ids`; all else asks for those, from number `skip` on, and reveals each once.
`pace` is requests per second, due at fixed instants: a late answer delays nobody else and its whole wait is counted.
Without it each connection asks again as soon as it has its answer.
"""

import collections
import json
import os
import select
import socket
import sys
import time
from pathlib import Path
from typing import Any

from . import dialects


class Requests:
    """The requests of a job, one after the other; None when there are no more."""

    def __init__(self, job: dict[str, Any], talk: dialects.Talk) -> None:
        self._talk = talk
        if not talk.creates:
            self._ids = Path(job["ids"]).read_bytes().split()[job.get("skip", 0) :]
        self.sent = 0
        self._prefix = os.urandom(8).hex().encode()

    def next(self) -> bytes | None:
        number, talk = self.sent, self._talk
        if talk.creates:
            self.sent += 1
            return self._with_retry_key(talk.creates[number % len(talk.creates)])
        if talk.repeatable:
            number %= len(self._ids)
        if number >= len(self._ids):
            return None
        self.sent += 1
        return self._with_retry_key(talk.before + self._ids[number] + talk.after)

    def _with_retry_key(self, request: bytes) -> bytes:
        return request.replace(dialects.RETRY_KEY, b"%b%016d" % (self._prefix, self.sent), 1)


class Connection:
    """Kept alive, or opened anew for each request where the server closes it: a part of the wait then."""

    __slots__ = ("_poll", "_port", "asked_at", "received", "socket")

    def __init__(self, port: int, poll: select.epoll) -> None:
        self._port, self._poll = port, poll
        self.received = b""
        self.asked_at = 0.0
        self.open()

    def open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(self.socket, select.EPOLLIN)

    def ask(self, request: bytes, at: float) -> None:
        self.asked_at = at
        if self.socket.fileno() < 0:
            self.open()
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
        head = data[: max(0, end)].lower()
        at = head.find(b"content-length: ")
        if at >= 0 and len(data) >= end + 4 + int(data[at + 16 : data.find(b"\r", at)]):
            self.received = b""
            if b"connection: close" in head:
                self.socket.close()
            return data
        self.received = data
        return None


class Load:
    """One run of a job. Only what is answered between the end of the warm-up and the end counts."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._talk = dialects.talk(job.get("dialect", "seclink"), job["kind"], job["port"])
        self._job, self._requests = job, Requests(job, self._talk)
        self._poll = select.epoll()
        self._idle = collections.deque(Connection(job["port"], self._poll) for _ in range(job["connections"]))
        self._busy: dict[int, Connection] = {}
        self._waits: list[tuple[float, float]] = []  # when it was answered, how long it took
        self._link_ids: list[bytes] = []
        self._bad: collections.Counter[str] = collections.Counter()

    def run(self) -> dict[str, Any]:
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
            connection.ask(request, due)
            self._busy[connection.socket.fileno()] = connection
        return True

    def _take(self, descriptor: int) -> None:
        connection = self._busy[descriptor]
        answer = connection.answer()
        if answer is None:
            return
        now = time.perf_counter()
        del self._busy[descriptor]
        self._idle.append(connection)
        at = answer.find(self._talk.proof)
        if at < 0 or not answer.startswith(self._talk.status):
            self._bad[answer[9:12].decode()] += 1
            return
        self._waits.append((now, now - connection.asked_at))
        if self._talk.creates:
            at += len(self._talk.proof)
            self._link_ids.append(answer[at : answer.find(b'"', at)])

    def _report(self, begin: float, end: float, cpu: float) -> dict[str, Any]:
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

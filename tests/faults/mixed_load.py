"""A mixed load of people, machines and accidents on a real server; what answers other than it must is noted."""

import contextlib
import random
import secrets
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from appliances import Api, body, reset, reveal
from witness import RIGHT, WRONG

LARGE = 1_000_000


class Visitor(threading.Thread):
    """One after the other, until told to stop; `pause` seconds between two visits, on average."""

    def __init__(self, server: Any, seed: int, pause: float, stop: threading.Event) -> None:
        super().__init__()
        self.server, self.api = server, Api(server)
        self.chance, self.pause, self.stop = random.Random(seed), pause, stop
        self.asked, self.wrong = 0, Counter[str]()
        self.visits: list[tuple[int, Callable[[], None]]] = [
            (30, self.hand_over),
            (5, self.hand_over_much),
            (10, self.burn),
            (10, self.leave_to_expire),
            (6, self.passcode),
            (10, self.ask_again),
            (10, self.look_around),
            (5, self.send_nonsense),
            (3, self.go_away),
        ]

    def run(self) -> None:
        weights, kinds = zip(*self.visits, strict=True)
        with self.api:
            while not self.stop.wait(self.chance.expovariate(1 / self.pause)):
                [visit] = self.chance.choices(kinds, weights)
                try:
                    visit()
                except (httpx.TransportError, KeyError) as error:
                    self.wrong[f"{visit.__name__} {type(error).__name__}"] += 1

    def ask(self, expected: int, method: str, path: str, **more: Any) -> Any:
        answer = self.api.http.request(method, path, **more)
        self.asked += 1
        if answer.status_code != expected:
            self.wrong[f"{method} {answer.status_code} instead of {expected}"] += 1
        return answer.json() if answer.headers.get("Content-Type", "").endswith("json") else None

    def create(self, size: int = 300, headers: dict[str, str] | None = None, **more: Any) -> Any:
        return self.ask(201, "POST", "/secrets", json=body(self.chance.randbytes(size), **more), headers=headers or {})

    def hand_over(self) -> None:
        made = self.create(self.chance.choice((20, 300, 5000)), publicNote="a note")
        self.ask(200, "GET", f"/secrets/{made['linkId']}/meta")
        self.ask(200, "GET", f"/secrets/{made['linkId']}")
        self.ask(410, "GET", f"/secrets/{made['linkId']}")

    def hand_over_much(self) -> None:
        made = self.create(self.chance.randrange(LARGE))
        self.ask(200, "POST", f"/secrets/{made['linkId']}/reveal", json={})

    def burn(self) -> None:
        made = self.create()
        headers = {"SecLink-Manage": made["manageToken"]}
        self.ask(204, "DELETE", f"/receipts/{made['receiptId']}", headers=headers)
        self.ask(200, "GET", f"/receipts/{made['receiptId']}", headers=headers)

    def leave_to_expire(self) -> None:
        made = self.create(self.chance.choice((300, 20_000)), expiresIn=60, maxViews=3)
        self.ask(200, "GET", f"/secrets/{made['linkId']}")

    def passcode(self) -> None:
        made = self.create(passcodeHash=RIGHT)
        self.ask(401, "GET", f"/secrets/{made['linkId']}", headers={"SecLink-Passcode": WRONG})
        self.ask(200, "GET", f"/secrets/{made['linkId']}", headers={"SecLink-Passcode": RIGHT})

    def ask_again(self) -> None:
        """As somebody whose answers got lost."""
        key = {"Idempotency-Key": secrets.token_hex(16)}
        made = self.create(2000, key)
        for _ in range(2):
            self.ask(200, "GET", f"/secrets/{made['linkId']}", headers=key)

    def look_around(self) -> None:
        self.ask(200, "GET", f"{self.server.url}/")
        self.ask(200, "GET", f"{self.server.url}/readyz")
        self.ask(404, "GET", f"/secrets/{secrets.token_hex(6)}/meta")
        self.ask(404, "GET", f"/secrets/{secrets.token_hex(6)}")

    def send_nonsense(self) -> None:
        self.ask(400, "POST", "/secrets", content=b"{" * 100, headers={"Content-Type": "application/json"})
        self.ask(415, "POST", "/secrets", content=b"x" * 5000)
        self.ask(404, "GET", f"/{'x' * 500}")

    def go_away(self) -> None:
        """In the middle of a head, of a body, or before the answer."""
        made = self.create()
        head = b"POST /api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for data in (head, head + b"Content-Length: 90000\r\n\r\n" + b" " * 70_000, reveal(made["linkId"]).encode()):
            client = socket.create_connection(("127.0.0.1", self.server.port), 20)
            client.sendall(data)
            reset(client)


def figures_of(server: Any) -> dict[str, float]:
    """What the process and its files hold now, in MiB where it is bytes."""
    process = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in process.joinpath("status").read_text().splitlines())
    return {
        "rss": int(status["VmRSS"].split()[0]) / 1024,
        "threads": int(status["Threads"]),
        "files": len(list(process.joinpath("fd").iterdir())),
        "log": size(server.folder / "seclink.db-wal"),
        "database": size(server.folder / "seclink.db"),
    }


def size(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size / 2**20
    return 0.0

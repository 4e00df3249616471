"""A mixed load of people, programs and accidents on a real server, which counts every unexpected response."""

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
from api_client import ApiClient, create_request
from crowd import close_with_reset, reveal_request
from recording_client import RIGHT_PASSCODE, WRONG_PASSCODE
from support.server import Server

LARGE = 1_000_000


class LoadThread(threading.Thread):
    """Makes one visit after the other until `stop` is set, with `pause` seconds between them on average."""

    def __init__(self, server: Server, seed: int, pause: float, stop: threading.Event) -> None:
        super().__init__()
        self.server, self.api = server, ApiClient(server)
        self.chance, self.pause, self.stop = random.Random(seed), pause, stop
        self.asked, self.wrong = 0, Counter[str]()
        self.visits: list[tuple[int, Callable[[], None]]] = [
            (30, self.hand_over),
            (5, self.hand_over_large),
            (10, self.burn),
            (10, self.leave_to_expire),
            (6, self.use_passcode),
            (10, self.retry),
            (10, self.visit_other_pages),
            (5, self.send_nonsense),
            (3, self.disconnect),
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

    def ask(self, expected: int, method: str, path: str, **options: Any) -> Any:
        response = self.api.http.request(method, path, **options)
        self.asked += 1
        if response.status_code != expected:
            self.wrong[f"{method} {response.status_code} instead of {expected}"] += 1
        return response.json() if response.headers.get("Content-Type", "").endswith("json") else None

    def create(self, size: int = 300, headers: dict[str, str] | None = None, **members: Any) -> Any:
        return self.ask(
            201, "POST", "/secrets", json=create_request(self.chance.randbytes(size), **members), headers=headers or {}
        )

    def hand_over(self) -> None:
        receipt = self.create(self.chance.choice((20, 300, 5000)), publicNote="a note")
        self.ask(200, "GET", f"/secrets/{receipt['linkId']}/meta")
        self.ask(200, "GET", f"/secrets/{receipt['linkId']}")
        self.ask(410, "GET", f"/secrets/{receipt['linkId']}")

    def hand_over_large(self) -> None:
        receipt = self.create(self.chance.randrange(LARGE))
        self.ask(200, "POST", f"/secrets/{receipt['linkId']}/reveal", json={})

    def burn(self) -> None:
        receipt = self.create()
        headers = {"SecLink-Manage": receipt["manageToken"]}
        self.ask(204, "DELETE", f"/receipts/{receipt['receiptId']}", headers=headers)
        self.ask(200, "GET", f"/receipts/{receipt['receiptId']}", headers=headers)

    def leave_to_expire(self) -> None:
        receipt = self.create(self.chance.choice((300, 20_000)), expiresIn=60, maxViews=3)
        self.ask(200, "GET", f"/secrets/{receipt['linkId']}")

    def use_passcode(self) -> None:
        receipt = self.create(passcodeHash=RIGHT_PASSCODE)
        self.ask(401, "GET", f"/secrets/{receipt['linkId']}", headers={"SecLink-Passcode": WRONG_PASSCODE})
        self.ask(200, "GET", f"/secrets/{receipt['linkId']}", headers={"SecLink-Passcode": RIGHT_PASSCODE})

    def retry(self) -> None:
        """Retry like a client whose responses are lost."""
        key = {"Idempotency-Key": secrets.token_hex(16)}
        receipt = self.create(2000, key)
        for _ in range(2):
            self.ask(200, "GET", f"/secrets/{receipt['linkId']}", headers=key)

    def visit_other_pages(self) -> None:
        self.ask(200, "GET", f"{self.server.url}/")
        self.ask(200, "GET", f"{self.server.url}/readyz")
        self.ask(404, "GET", f"/secrets/{secrets.token_hex(6)}/meta")
        self.ask(404, "GET", f"/secrets/{secrets.token_hex(6)}")

    def send_nonsense(self) -> None:
        self.ask(400, "POST", "/secrets", content=b"{" * 100, headers={"Content-Type": "application/json"})
        self.ask(415, "POST", "/secrets", content=b"x" * 5000)
        self.ask(404, "GET", f"/{'x' * 500}")

    def disconnect(self) -> None:
        """Disconnect in the middle of a head, of a body, or before the response."""
        receipt = self.create()
        head = b"POST /api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        for data in (
            head,
            head + b"Content-Length: 90000\r\n\r\n" + b" " * 70_000,
            reveal_request(receipt["linkId"]).encode(),
        ):
            client = socket.create_connection(("127.0.0.1", self.server.port), 20)
            client.sendall(data)
            close_with_reset(client)


def resource_usage(server: Server) -> dict[str, float]:
    """Return the resources of the process and the sizes of its files; bytes in MiB."""
    process = Path(f"/proc/{server.process.pid}")
    status = dict(line.split(":", 1) for line in process.joinpath("status").read_text().splitlines())
    return {
        "rss": int(status["VmRSS"].split()[0]) / 1024,
        "threads": int(status["Threads"]),
        "files": len(list(process.joinpath("fd").iterdir())),
        "log": mebibytes(server.folder / "seclink.db-wal"),
        "database": mebibytes(server.folder / "seclink.db"),
    }


def mebibytes(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size / 2**20
    return 0.0

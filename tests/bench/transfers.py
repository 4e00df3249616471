"""What a reader of a small secret waits while others send and fetch files at full rate.

    python -m tests.bench.transfers [SECONDS [FOLDER]]

Transfers run in a process of their own, on raw sockets; the parent reveals one secret after the other, with a pause
between two, and asks for /healthz beside it, which shows the event loop alone. In a FOLDER on a memory file system
nothing waits for a disk, so that two runs tell processor and disk apart.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from .servers import DURABLE, ROOT, Server

CHUNK, CHUNKS = 4_194_332, 4  # the largest chunk, and how many an upload has
CASES = ((0, 0), (4, 0), (0, 4), (4, 4))  # uploads, downloads
PAUSE_SECONDS, WARM_SECONDS = 0.01, 1.0
FILES = "\n[files]\nclient_bytes = 17592186044416\ntotal_bytes = 17592186044416\n"
SECRET = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "view_once"}


class Api:
    """A connection to the native API."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def call(self, method: str, path: str, document: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        body = None if document is None else json.dumps(document).encode()
        named |= {} if body is None else {"Content-Type": "application/json"}
        self._connection.request(method, path, body, named)
        response = self._connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text!r}")
        return json.loads(text) if text.startswith(b"{") else None


class Transfers:
    """Uploads and downloads at full rate; `moved` counts the bytes of both."""

    def __init__(self, port: int) -> None:
        self._port, self._body = port, bytes(CHUNK)
        self.over, self.moved = threading.Event(), [0, 0]

    def run(self, uploads: int, downloads: int) -> None:
        """Start, say so, and go on until stdin ends."""
        grants = [self._grant() for _ in range(downloads)]
        work = [threading.Thread(target=self._upload) for _ in range(uploads)]
        work += [threading.Thread(target=self._download, args=(grant,)) for grant in grants]
        for thread in work:
            thread.start()
        began = time.monotonic()
        print("begun", flush=True)
        sys.stdin.read()
        print(json.dumps([count / (time.monotonic() - began) / 1e6 for count in self.moved]), flush=True)
        self.over.set()
        for thread in work:
            thread.join()

    def _grant(self) -> str:
        """Create a secret with files and open it; return the reader's grant."""
        api = Api(self._port)
        begun = api.call("POST", "/api/v1/uploads", {"size": CHUNK * CHUNKS})
        with self._connect() as client:
            for n in range(CHUNKS):
                self._put(client, begun, n)
        upload = {"id": begun["uploadId"], "token": begun["uploadToken"]}
        secret = api.call("POST", "/api/v1/secrets", SECRET | {"upload": upload})
        revealed = api.call("POST", f"/api/v1/secrets/{secret['linkId']}/reveal", {"files": True})
        grant: str = revealed["files"]["grant"]
        return grant

    def _upload(self) -> None:
        api = Api(self._port)
        with self._connect() as client:
            while not self.over.is_set():
                begun = api.call("POST", "/api/v1/uploads", {"size": CHUNK * CHUNKS})
                for n in range(CHUNKS):
                    if not self.over.is_set():
                        self._put(client, begun, n)
                        self.moved[0] += CHUNK
                token = begun["uploadToken"]
                api.call("DELETE", f"/api/v1/uploads/{begun['uploadId']}", SecLink_Upload=token)

    def _download(self, grant: str) -> None:
        buffer, n = bytearray(2**20), 0
        with self._connect() as client:
            while not self.over.is_set():
                path = f"/api/v1/files/{n % CHUNKS}"
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nSecLink-Grant: {grant}\r\n\r\n".encode())
                left, n = CHUNK - len(self._answer(client, b" 200 ")), n + 1
                while left:
                    size = client.recv_into(buffer, min(left, len(buffer)))
                    if not size:
                        raise RuntimeError("the server closed the connection")
                    left -= size
                self.moved[1] += CHUNK

    def _put(self, client: socket.socket, begun: dict[str, Any], n: int) -> None:
        head = f"PUT /api/v1/uploads/{begun['uploadId']}/chunks/{n} HTTP/1.1\r\nHost: localhost\r\n"
        head += f"SecLink-Upload: {begun['uploadToken']}\r\nContent-Type: application/octet-stream\r\n"
        client.sendall(f"{head}Content-Length: {CHUNK}\r\n\r\n".encode() + self._body)
        self._answer(client, b" 204 ")

    def _answer(self, client: socket.socket, status: bytes) -> bytes:
        """Read the head of a response; return what has come of the body."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = client.recv(65536)
            if not piece:
                raise RuntimeError("the server closed the connection")
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        if status not in head.split(b"\r\n")[0]:
            raise RuntimeError(repr(data[:300]))
        return rest

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), 120)


def measure(server: Server, uploads: int, downloads: int, seconds: float) -> str:
    """Return a line of the table."""
    api, reveals, health = Api(server.port), list[float](), list[float]()
    links = [api.call("POST", "/api/v1/secrets", SECRET)["linkId"] for _ in range(int(seconds / PAUSE_SECONDS))]
    command = [sys.executable, "-m", __spec__.name, "transfers", str(server.port), str(uploads), str(downloads)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdin is not None
        assert load.stdout is not None
        if not load.stdout.readline():
            raise RuntimeError("the transfers did not begin")
        time.sleep(WARM_SECONDS)
        cpu, began = server.cpu_seconds(), time.monotonic()
        while links and time.monotonic() - began < seconds:
            start = time.perf_counter()
            api.call("POST", f"/api/v1/secrets/{links.pop()}/reveal", {})
            reveals.append(time.perf_counter() - start)
            start = time.perf_counter()
            api.call("GET", "/healthz")
            health.append(time.perf_counter() - start)
            time.sleep(PAUSE_SECONDS)
        share = (server.cpu_seconds() - cpu) / (time.monotonic() - began)
        load.stdin.close()
        up, down = json.loads(load.stdout.readline())
    cells = [f"{part(reveals, p):.1f}" for p in (0.5, 0.99, 1)] + [f"{part(health, 0.99):.1f}"]
    rates = [f"{up:.0f}", f"{down:.0f}", f"{share:.2f}", f"{os.getloadavg()[0]:.1f}"]
    return f"| {uploads} + {downloads} | {len(reveals)} | {' | '.join(cells + rates)} |"


def part(seconds: list[float], share: float) -> float:
    """Return a quantile in milliseconds."""
    return 1000 * sorted(seconds)[min(int(len(seconds) * share), len(seconds) - 1)]


def main(seconds: float, parent: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        server = Server(DURABLE, Path(folder) / "server")
        with (server.folder / "seclink.toml").open("a") as toml:
            toml.write(FILES)
        print("| uploads + downloads | reveals | p50 ms | p99 | max | /healthz p99 | MB/s up | down | cpu | load |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        with server:
            for uploads, downloads in CASES:
                print(measure(server, uploads, downloads, seconds), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["transfers"]:
        port, uploads, downloads = map(int, sys.argv[2:])
        Transfers(port).run(uploads, downloads)
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 15, sys.argv[2] if len(sys.argv) > 2 else None)

"""Raw connections that send their requests at the same moment."""

import socket
import time
from typing import Any, NamedTuple

from sockets import RawResponse, parse_responses
from support.server import Server
from support.waiting import TIMEOUT_SECONDS


class Request(NamedTuple):
    """A request as bytes, so that all but the last byte of many can be sent first, and the last bytes together."""

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


def reveal_request(link_id: str, *headers: tuple[str, str]) -> Request:
    return Request("GET", f"/secrets/{link_id}", headers)


def post_reveal_request(link_id: str, *headers: tuple[str, str]) -> Request:
    return Request("POST", f"/secrets/{link_id}/reveal", headers, b"{}")


def burn_request(receipt: dict[str, Any]) -> Request:
    headers = (("SecLink-Manage", receipt["manageToken"]),)
    return Request("DELETE", f"/receipts/{receipt['receiptId']}", headers)


class Crowd:
    """Open connections that send their requests at the same moment."""

    def __init__(self, server: Server, count: int) -> None:
        self.clients = [socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) for _ in range(count)]
        for client in self.clients:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()

    def ask(self, requests: list[Request], pause: float = 0) -> list[RawResponse]:
        """Send one request per connection, the last bytes of all together; return the responses in order."""
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

    def read(self, count: int) -> list[RawResponse]:
        return [read_response(client) for client in self.clients[:count]]


def read_response(client: socket.socket) -> RawResponse:
    """Read one response from a connection that stays open."""
    [response] = read_responses(client, 1)
    return response


def read_responses(client: socket.socket, count: int) -> list[RawResponse]:
    data = b""
    while count_responses(data) < count:
        chunk = client.recv(65536)
        assert chunk, "the server closed the connection"
        data += chunk
    return parse_responses(data)


def count_responses(data: bytes) -> int:
    count = 0
    while True:
        head, end, rest = data.partition(b"\r\n\r\n")
        names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        size = int(names.get(b"content-length", 0))
        if not end or len(rest) < size:
            return count
        count, data = count + 1, rest[size:]


def close_with_reset(client: socket.socket) -> None:
    """Close with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()

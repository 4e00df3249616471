"""RL-11: what one client does at another loopback address, and what it leaves to a bystander at this one."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_client import NO_STORAGE_QUOTA, ApiClient
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS, until

ATTACKER = ("127.0.0.2", 0)
MB = 1_000_000


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    return make_server(HIGH_RATES + NO_STORAGE_QUOTA).start()


@contextlib.contextmanager
def attackers(server: Server, requests: list[bytes]) -> Iterator[list[socket.socket]]:
    """Open one connection for each request from the attacker's address, send it and read nothing."""
    with contextlib.ExitStack() as stack:
        clients = []
        for request in requests:
            client = stack.enter_context(socket.socket())
            client.settimeout(TIMEOUT_SECONDS)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.bind(ATTACKER)
            client.connect(("127.0.0.1", server.port))
            client.sendall(request)
            clients.append(client)
        yield clients


def resident_bytes(server: Server) -> int:
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def status(client: socket.socket) -> bytes:
    """Return the status of a response, without reading more of it."""
    return client.recv(12)[9:]


def check_bystander(api: ApiClient) -> None:
    """Create and reveal a large and a small secret, and load the start page."""
    for size in (100, MB):
        receipt = api.create(b"x" * size)
        assert api.reveal(receipt["linkId"]).status_code == 200
    assert api.http.get(f"{api.root}/").status_code == 200


def test_reader_that_reads_nothing_gets_a_share_of_the_memory(server: Server) -> None:
    """The reveals need 160 MB in all; refused ones spend nothing, and can be read later.

    The kernel's buffers take some of it, how much depends on the machine: the memory counts, not the number of reveals.
    """
    with ApiClient(server) as api:
        links = [api.create(b"x" * MB)["linkId"] for _ in range(120)]
        before = resident_bytes(server)
        requests = [f"GET /api/v1/secrets/{link} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for link in links]
        with attackers(server, requests) as clients:
            statuses = [status(client) for client in clients]
            refused = [link for link, code in zip(links, statuses, strict=True) if code == b"503"]
            assert statuses.count(b"200") >= 20
            assert len(refused) == 120 - statuses.count(b"200")
            assert resident_bytes(server) - before < 100 * MB
            check_bystander(api)
        assert [api.meta(link).status_code for link in refused] == [200] * len(refused)
        until(lambda: all(api.reveal(link).status_code == 200 for link in refused[:1]))


def test_one_client_gets_a_share_of_the_connections(server: Server) -> None:
    """An eighth of 2,048. Its own idle connections are closed for its next ones, not those of others."""
    with ApiClient(server) as api:
        api.create()
        with attackers(server, [b"GET / HTTP/1.1\r\n"] * 300) as clients:
            check_bystander(api)
            assert [is_closed(client) for client in clients] == [True] * 44 + [False] * 256


def test_dripping_bodies_leave_requests_for_others(server: Server) -> None:
    """An eighth of the requests in flight; the next one is refused before its body is read."""
    head = b"POST /api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with ApiClient(server) as api, attackers(server, [head + b"Content-Length: 99\r\n\r\n{"] * 140) as clients:
        check_bystander(api)
        assert [status(client) for client in clients[128:]] == [b"503"] * 12


def is_closed(client: socket.socket) -> bool:
    """Return whether the server has ended a connection on which it sends nothing else."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True
    except BlockingIOError:
        return False

"""Behind nginx, as operating.md sets it up: client addresses, requests, traces on disk, and nothing sent twice."""

import base64
import contextlib
import os
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from api_client import NO_STORAGE_QUOTA, create_request
from support.proxies import Nginx
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

from seclink.config.parser import parse
from seclink.errors import ConfigError
from seclink.model import CHUNK_BYTES
from seclink.server.settings import Limits, ServerSettings

FEW = '[rates]\ncreate = "3/hour"\nreveal = "100/hour"\npeek = "100/hour"\n'
MANY = '[rates]\ncreate = "10000/hour"\nreveal = "10000/hour"\npeek = "10000/hour"\n' + NO_STORAGE_QUOTA
TWO_MIB = 2 * 2**20


class Behind:
    """An appliance and the nginx in front of it."""

    def __init__(self, server: Server, nginx: Nginx) -> None:
        self.server, self.nginx = server, nginx
        self.client, self.url = nginx.client, nginx.url


@pytest.fixture
def make_nginx() -> Iterator[Callable[..., Nginx]]:
    with contextlib.ExitStack() as stack:

        def make(*upstreams: int, changes: dict[str, str] | None = None) -> Nginx:
            nginx = Nginx(*upstreams, changes=changes)
            stack.callback(nginx.stop)
            return nginx.start()

        yield make


@pytest.fixture
def behind(make_server: MakeServer, make_nginx: Callable[..., Nginx]) -> Callable[..., Behind]:
    """`root` is the path of the public URL, `trusted` the proxies that are believed."""

    def make(toml: str = FEW, *, trusted: str = '["127.0.0.1"]', root: str = "", **options: Any) -> Behind:
        server = make_server("")
        nginx = make_nginx(server.port, **options)
        url = f'public_url = "{nginx.url}{root}"\n'
        server.config.write_text(f"[server]\n{url}trusted_proxies = {trusted}\n{toml}")
        return Behind(server.start(), nginx)

    return make


def create(client: httpx.Client, payload: bytes = b"payload", headers: dict[str, str] | None = None) -> httpx.Response:
    return client.post("/api/v1/secrets", json=create_request(payload), headers=headers)


# Whose address it is


def test_rate_limits_count_each_client(behind: Callable[..., Behind]) -> None:
    """RL-03"""
    proxy = behind()
    with proxy.client("127.0.0.2") as one, proxy.client("127.0.0.3") as other:
        assert [create(one).status_code for _ in range(4)] == [201, 201, 201, 429]
        assert create(other).status_code == 201


def test_untrusted_proxy_counts_as_one_client(behind: Callable[..., Behind]) -> None:
    """RL-02: what is not configured is not believed."""
    proxy = behind(trusted="[]")
    with proxy.client("127.0.0.2") as one, proxy.client("127.0.0.3") as other:
        assert [create(one).status_code for _ in range(3)] == [201] * 3
        assert create(other).status_code == 429


FORGED = ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP")


@pytest.mark.parametrize("name", FORGED)
def test_forged_client_address_is_ignored(behind: Callable[..., Behind], name: str) -> None:
    """RL-02, RL-03"""
    proxy = behind()
    claims = [f"for=192.0.2.{each}" if name == "Forwarded" else f"192.0.2.{each}, 127.0.0.1" for each in range(4)]
    with proxy.client() as client:
        assert [create(client, headers={name: each}).status_code for each in claims] == [201, 201, 201, 429]


def test_rightmost_untrusted_address_counts_behind_two_proxies(
    behind: Callable[..., Behind], make_nginx: Callable[..., Nginx]
) -> None:
    """RL-03: the first is seen by the second as 127.0.0.9, which is trusted, too."""
    proxy = behind(trusted='["127.0.0.1", "127.0.0.9"]')
    changes = {
        "proxy_pass http://seclink;": f"proxy_pass {proxy.url}; proxy_bind 127.0.0.9; proxy_ssl_verify off;",
        "proxy_set_header Host $http_host;": f"proxy_set_header Host localhost:{proxy.nginx.port};",
    }
    first = make_nginx(1, changes=changes)
    with first.client("127.0.0.2") as one, first.client("127.0.0.3") as other:
        forged = {"X-Forwarded-For": "192.0.2.1, 127.0.0.9, 127.0.0.1"}
        assert [create(one).status_code for _ in range(2)] == [201] * 2
        assert [create(one, headers=forged).status_code for _ in range(2)] == [201, 429]
        assert create(other).status_code == 201


# Large bodies


def reveal(client: httpx.Client, created: httpx.Response) -> bytes:
    assert created.status_code == 201, created.text
    response = client.post(f"/api/v1/secrets/{created.json()['linkId']}/reveal")
    assert response.status_code == 200, response.text
    return base64.b64decode(response.json()["encryptedBlob"])


def test_largest_secret_arrives_and_a_larger_one_gets_our_error(behind: Callable[..., Behind]) -> None:
    proxy = behind(MANY)
    with proxy.client() as client:
        payload = os.urandom(TWO_MIB)
        assert reveal(client, create(client, payload)) == payload
        refused = create(client, payload + b"x" * 100_000)
        assert (refused.status_code, refused.json()["code"]) == (413, "payload_too_large")
        assert refused.headers["content-type"] == "application/problem+json"


def test_default_nginx_body_limit_is_too_small(behind: Callable[..., Behind]) -> None:
    proxy = behind(MANY, changes={"client_max_body_size 8m;": ""})
    with proxy.client() as client:
        refused = create(client, b"x" * TWO_MIB)
        assert (refused.status_code, refused.headers["content-type"]) == (413, "text/html")


def read_slowly(behind: Behind, created: httpx.Response) -> bytes:
    """Reveals, and reads more slowly than the appliance sends."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(TIMEOUT_SECONDS)
    raw.connect(("127.0.0.1", behind.nginx.port))
    with behind.nginx.pair.context().wrap_socket(raw, server_hostname="localhost") as client:
        path = f"/api/v1/secrets/{created.json()['linkId']}/reveal"
        client.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        data = bytearray()
        with contextlib.suppress(OSError):
            while more := client.recv(4096):
                data += more
    return bytes(data)


def test_nginx_writes_no_secret_to_its_disk(behind: Callable[..., Behind]) -> None:
    """A temporary file that is deleted stays readable on the disk: there must be none."""
    proxy = behind(MANY)
    with proxy.nginx.without_disk(), proxy.client() as client:
        payload = os.urandom(TWO_MIB)
        created = create(client, payload)
        assert created.status_code == 201
        assert base64.b64encode(payload) in read_slowly(proxy, created)
    assert "temp" not in proxy.nginx.log()


def send_files(client: httpx.Client, data: bytes) -> dict[str, str]:
    """Upload data, create a secret with it and reveal it; return the header for the download."""
    begun = client.post("/api/v1/uploads", json={"size": len(data)}).raise_for_status().json()
    headers = {"SecLink-Upload": begun["uploadToken"], "Content-Type": "application/octet-stream"}
    for n in range(begun["chunks"]):
        chunk = data[n * CHUNK_BYTES : (n + 1) * CHUNK_BYTES]
        stored = client.put(f"/api/v1/uploads/{begun['uploadId']}/chunks/{n}", content=chunk, headers=headers)
        assert stored.status_code == 204, stored.text
    attached = {"upload": {"id": begun["uploadId"], "token": begun["uploadToken"]}}
    created = client.post("/api/v1/secrets", json=create_request(b"payload") | attached).raise_for_status().json()
    revealed = client.post(f"/api/v1/secrets/{created['linkId']}/reveal", json={"files": True}).raise_for_status()
    return {"SecLink-Grant": revealed.json()["files"]["grant"]}


def check_files_arrive(client: httpx.Client) -> None:
    """9 MB in three chunks, both ways, and a chunk that is too long by a byte gets our error."""
    data = random.Random(1).randbytes(9_000_000)
    grant = send_files(client, data)
    chunks = [client.get(f"/api/v1/files/{n}", headers=grant).raise_for_status().content for n in range(3)]
    assert b"".join(chunks) == data
    begun = client.post("/api/v1/uploads", json={"size": CHUNK_BYTES}).raise_for_status().json()
    headers = {"SecLink-Upload": begun["uploadToken"], "Content-Type": "application/octet-stream"}
    path = f"/api/v1/uploads/{begun['uploadId']}/chunks/0"
    refused = client.put(path, content=data[: CHUNK_BYTES + 1], headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "chunk_length")


def read_chunk_slowly(behind: Behind, grant: dict[str, str]) -> bytes:
    """Download the first chunk, more slowly than the appliance sends it."""
    with behind.client() as client, client.stream("GET", "/api/v1/files/0", headers=grant) as response:
        return b"".join(response.iter_raw(4096))


def test_files_pass_nginx_without_its_disk(behind: Callable[..., Behind]) -> None:
    proxy = behind(MANY)
    with proxy.nginx.without_disk():
        with proxy.client() as client:  # whose connection ends with the refused chunk
            check_files_arrive(client)
        with proxy.client() as client:
            grant = send_files(client, bytes(CHUNK_BYTES))
        assert len(read_chunk_slowly(proxy, grant)) == CHUNK_BYTES
    assert "temp" not in proxy.nginx.log()


def test_default_nginx_would_write_chunks_to_its_disk(behind: Callable[..., Behind]) -> None:
    """The same test sees it."""
    proxy = behind(MANY, changes={"        proxy_request_buffering off;": ""})
    with proxy.nginx.without_disk(), proxy.client() as client, pytest.raises(AssertionError):
        check_files_arrive(client)
    assert "Permission denied" in proxy.nginx.log()


@pytest.mark.parametrize("setting", ["proxy_request_buffering", "proxy_buffering"])
def test_default_nginx_would_write_secrets_to_its_disk(behind: Callable[..., Behind], setting: str) -> None:
    """The same test sees it."""
    proxy = behind(MANY, changes={f"        {setting} off;": ""})
    with proxy.nginx.without_disk(), proxy.client() as client:
        created = create(client, b"x" * (TWO_MIB if setting == "proxy_request_buffering" else 1_500_000))
        if created.status_code == 201:
            read_slowly(proxy, created)
    assert "Permission denied" in proxy.nginx.log()


# Never twice


class Upstream:
    """Reads requests; answers them, or hangs up on them instead, as one does that dies with the answer on its lips."""

    def __init__(self, responses: bool) -> None:
        self.answers, self.requests, self.connections = responses, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.talk, args=[client], daemon=True).start()

    def talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while b"\r\n\r\n" in client.recv(65536):
                self.requests += 1
                if not self.answers:
                    return
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def close(self) -> None:
        # Waking `accept` is up to us.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def upstreams() -> Iterator[Callable[[bool], Upstream]]:
    upstreams: list[Upstream] = []

    def make(answers: bool) -> Upstream:
        upstreams.append(Upstream(answers))
        return upstreams[-1]

    yield make
    for upstream in upstreams:
        upstream.close()


REVEALS = [("POST", "/api/v1/secrets/AbCdEfGhIjKl/reveal"), ("GET", "/api/v1/secrets/AbCdEfGhIjKl")]


@pytest.mark.parametrize(("method", "path"), REVEALS)
def test_nginx_does_not_repeat_a_reveal_whose_response_is_lost(
    upstreams: Callable[[bool], Upstream], make_nginx: Callable[..., Nginx], method: str, path: str
) -> None:
    one, other = upstreams(False), upstreams(False)
    with make_nginx(one.port, other.port).client() as client:
        assert client.request(method, path).status_code == 502
    assert one.requests + other.requests == 1


@pytest.mark.parametrize(
    ("method", "path", "wrong"),
    [(*REVEALS[0], "proxy_next_upstream error timeout non_idempotent;"), (*REVEALS[1], "")],
    ids=["POST with non_idempotent", "GET with nginx's default"],
)
def test_other_nginx_settings_would_repeat_a_reveal(
    upstreams: Callable[[bool], Upstream], make_nginx: Callable[..., Nginx], method: str, path: str, wrong: str
) -> None:
    one, other = upstreams(False), upstreams(False)
    with make_nginx(one.port, other.port, changes={"proxy_next_upstream off;": wrong}).client() as client:
        assert client.request(method, path).status_code == 502
    assert one.requests + other.requests == 2


def test_nginx_keeps_its_connections_to_the_appliance(
    upstreams: Callable[[bool], Upstream], make_nginx: Callable[..., Nginx]
) -> None:
    upstream = upstreams(True)
    with make_nginx(upstream.port).client() as client:
        for _ in range(10):
            assert client.get("/").text == "ok"
    assert (upstream.requests, upstream.connections) == (10, 1)


# Below a path

STRIPS = {"location / {": "location /secrets/ {", "proxy_pass http://seclink;": "proxy_pass http://seclink/;"}
KEEPS = {"location / {": "location /secrets/ {"}


@pytest.mark.parametrize("changes", [STRIPS, KEEPS], ids=["taken away", "left there"])
def test_public_path_works(behind: Callable[..., Behind], changes: dict[str, str]) -> None:
    hosted = '[dialects.scrt-link]\nhost = "links.example.org"\n'
    proxy = behind(MANY + hosted, root="/secrets", changes=changes)
    root = f"{proxy.url}/secrets"
    with proxy.client() as client:
        created = client.post("/secrets/api/v1/secrets", json=create_request())
        share = created.json()["shareUrl"]
        assert share == f"{root}/{created.json()['linkId']}"
        receipt = f"/secrets/receipt/{created.json()['receiptId']}"
        for each in ("/secrets/", share, receipt):
            page = client.get(each)
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            loaded = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
            assert loaded
            assert {client.get(file).status_code for file in loaded if file.startswith("/secrets/")} == {200}
            assert not [file for file in loaded if not file.startswith("/secrets/")]
        [module] = re.findall(r'from "([^"]+)"', client.get("/secrets/api/v1/client-module").text)
        assert module.startswith("/secrets/static/")
        assert client.get(module).status_code == 200
        assert client.get("/secrets/healthz").json() == {"status": "alive"}
        assert client.options("/secrets/scrt-link/api/v1/secrets").status_code == 204
        assert client.get("/secrets/scrt-link/s").status_code == 200
        assert client.get("/secrets").headers["location"] == f"{root}/"
        revealed = client.get(f"/secrets/api/v1/secrets/{created.json()['linkId']}")
        assert base64.b64decode(revealed.json()["encryptedBlob"]) == b"payload"
    # What a dialect's own host sends on leads below the path, too.
    sent_on = httpx.get(f"{proxy.server.url}/s", headers={"Host": "links.example.org"})
    assert sent_on.headers["location"] == f"{root}/scrt-link/s"


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/secrets/AbCdEfGhIjKl?x=/secrets", b"/AbCdEfGhIjKl?x=/secrets"),
        (b"/secrets", b"/"),
        (b"/secrets?a=b", b"/?a=b"),
        (b"/secrets/secrets/x", b"/secrets/x"),  # once
        (b"/secretsAbCd", b"/secretsAbCd"),
        (b"/AbCdEfGhIjKl", b"/AbCdEfGhIjKl"),
        (b"/api/v1/secrets/x", b"/api/v1/secrets/x"),
        (b"*", b"*"),
    ],
)
def test_public_path_is_stripped_once_and_completely(target: bytes, found: bytes) -> None:
    def served(root: bytes) -> ServerSettings:
        return ServerSettings(app=None, render_error=lambda *_: b"", limits=Limits(message_bytes=1), root=root)

    assert served(b"/secrets").strip_root(target) == found
    assert served(b"").strip_root(target) == target


@pytest.mark.parametrize("path", ["/api", "/static/x", "/receipt", "/metrics", "/scrt-link"])
def test_public_path_that_is_also_an_own_path_is_refused(path: str) -> None:
    """CFG-01"""
    with pytest.raises(ConfigError, match=r"x\.toml:2: server\.public_url: /\S+ is one of SecLink.s own paths"):
        parse(f"[server]\npublic_url = 'https://example.org{path}'\n", "x.toml")

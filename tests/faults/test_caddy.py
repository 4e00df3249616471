"""Behind Caddy, as operating.md sets it up: who is counted, what arrives, what its log says, and nothing twice."""

import base64
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from api_client import create_request
from fault_injection import require_program
from support.proxies import Caddy, standing
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS
from test_proxies import FEW, FORGED, MANY, REVEALS, Upstream, check_files_arrive, create, reveal

LARGEST = 8 * 2**20  # four times what it is by default: more than the kernel keeps of an answer that is not read


class Behind(NamedTuple):
    """An appliance and the Caddy in front of it."""

    server: Server
    caddy: Caddy


def placed(server: Server, make_caddy: Callable[..., Caddy], toml: str, *, root: str = "", **options: Any) -> Behind:
    """`root` is the path of the public URL."""
    caddy = make_caddy(server.port, **options)
    url = f'public_url = "{caddy.url}{root}"\n'
    server.config.write_text(f'[server]\n{url}trusted_proxies = ["127.0.0.1"]\n{toml}')
    return Behind(server.start(), caddy)


@pytest.fixture
def make_caddy() -> Iterator[Callable[..., Caddy]]:
    with standing(Caddy) as make:
        yield make


@pytest.fixture
def behind(make_server: MakeServer, make_caddy: Callable[..., Caddy]) -> Callable[..., Behind]:
    def make(*arguments: Any, **options: Any) -> Behind:
        return placed(make_server(""), make_caddy, *arguments, **options)

    return make


@pytest.fixture(scope="module")
def both(server_type: type[Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """For all tests of what arrives."""
    with standing(Caddy) as make:
        made = placed(server_type(tmp_path_factory.mktemp("behind"), ""), make, f"{MANY}payload_bytes = {LARGEST}\n")
        yield made
        assert made.server.stop() == 0, made.server.log()


# Whose address it is


def test_rate_limits_count_each_client_behind_caddy(behind: Callable[..., Behind]) -> None:
    """RL-03"""
    _, caddy = behind(FEW)
    with caddy.client("127.0.0.2") as one, caddy.client("127.0.0.3") as other:
        assert [create(one).status_code for _ in range(4)] == [201, 201, 201, 429]
        assert create(other).status_code == 201


def test_forged_client_address_is_ignored_behind_caddy(behind: Callable[..., Behind]) -> None:
    """RL-02, RL-03: whatever header claims it, each tried by a visitor of its own."""
    _, caddy = behind(FEW)
    for last, name in enumerate(FORGED, start=2):
        claims = [f"for=192.0.2.{each}" if name == "Forwarded" else f"192.0.2.{each}, 127.0.0.1" for each in range(4)]
        with caddy.client(f"127.0.0.{last}") as client:
            assert [create(client, headers={name: each}).status_code for each in claims] == [201, 201, 201, 429], name


# What arrives


def test_largest_secret_arrives_and_a_larger_one_gets_our_error(both: Behind) -> None:
    with both.caddy.client() as client:
        payload = os.urandom(LARGEST)
        assert reveal(client, create(client, payload)) == payload
        for more in (100_000, 6_000_000):
            refused = create(client, payload + b"x" * more)
            assert (refused.status_code, refused.json()["code"]) == (413, "payload_too_large")
            assert refused.headers["content-type"] == "application/problem+json"


def test_files_pass_caddy_and_leave_nothing_in_its_folder(both: Behind) -> None:
    before = {path for path in both.caddy.folder.rglob("*") if path.is_file()}
    with both.caddy.client() as client:
        check_files_arrive(client)
    assert {path for path in both.caddy.folder.rglob("*") if path.is_file()} == before


def test_slow_reader_gets_the_whole_secret(both: Behind) -> None:
    """It is more than the kernel takes: Caddy has to wait for who stops in the middle, and SecLink for Caddy."""
    payload = os.urandom(LARGEST)
    with both.caddy.client() as client, socket.socket() as raw:
        path = f"/api/v1/secrets/{create(client, payload).json()['linkId']}/reveal"
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(TIMEOUT_SECONDS)
        raw.connect(("127.0.0.1", both.caddy.port))
        with both.caddy.pair.context().wrap_socket(raw, server_hostname="localhost") as reader:
            reader.sendall(f"POST {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            data = bytearray(reader.recv(4096))
            time.sleep(1)
            while more := reader.recv(65536):
                data += more
    assert base64.b64encode(payload) in data


def test_secret_can_be_sent_over_http2(both: Behind, tmp_path: Path) -> None:
    """Browsers use HTTP/2 by default."""
    require_program("curl")
    caddy, payload = both.caddy, os.urandom(LARGEST)
    with caddy.client() as client:
        url = f"{caddy.url}/api/v1/secrets/{create(client, payload).json()['linkId']}/reveal"
    trusting = ["--cacert", str(caddy.folder / "fullchain.pem"), "--noproxy", "*", "--max-time", str(TIMEOUT_SECONDS)]
    output = ["--output", str(tmp_path / "answer"), "--write-out", "%{http_version} %{http_code}"]
    said = subprocess.run(["curl", "-sS", "--http2", "-X", "POST", *trusting, *output, url], stdout=subprocess.PIPE)
    assert said.stdout == b"2 200"
    assert base64.b64decode(json.loads((tmp_path / "answer").read_bytes())["encryptedBlob"]) == payload


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_responses_pass_unchanged(both: Behind, accepted: str) -> None:
    """Packed or not, HEAD like GET, all headers, one after another on a connection."""
    server, caddy = both
    headers = {"Accept-Encoding": accepted}
    with httpx.Client(base_url=server.url, headers=headers) as here, caddy.client(headers=headers) as there:
        for path in ("/", "/robots.txt", "/healthz"):
            for method in ("GET", "HEAD"):
                ours, its = (each.request(method, path) for each in (here, there))
                assert (its.status_code, its.content, told(its)) == (200, ours.content, told(ours))
        assert there.get("/").headers.get("content-encoding", "identity") == accepted


def told(response: httpx.Response) -> dict[str, str]:
    """Return the headers, without Caddy's own and without those that differ in every response."""
    return {name: value for name, value in response.headers.items() if name not in ("server", "date", "x-request-id")}


def test_verify_finds_no_difference_behind_caddy(both: Behind) -> None:
    """HDR-03"""
    server, caddy = both
    server.env["SSL_CERT_FILE"] = str(caddy.folder / "fullchain.pem")
    said = server.seclink("verify", caddy.url, check=False)
    assert said.returncode == 0, said.stdout.decode()


# What its log says


def test_log_names_failures_but_no_secrets(make_caddy: Callable[..., Caddy]) -> None:
    assert hits(make_caddy) == set()


def test_default_caddy_log_would_name_secrets(make_caddy: Callable[..., Caddy]) -> None:
    """The same test sees it."""
    assert hits(make_caddy, changes={"request delete": "request>tls delete"}) == {"127.0.0.2", LINK, "proof", "token"}


LINK = "AbCdEfGhIjKl"


def hits(make_caddy: Callable[..., Caddy], **options: Any) -> set[str]:
    """Return Caddy's log of a request that succeeded and of one that failed."""
    with closing(Upstream(True)) as upstream:
        caddy = make_caddy(upstream.port, **options)
        with caddy.client("127.0.0.2", headers={"SecLink-Access": "proof", "SecLink-Manage": "token"}) as client:
            assert client.get(f"/api/v1/secrets/{LINK}").status_code == 200
            upstream.answers = False
            assert client.get(f"/api/v1/secrets/{LINK}").status_code == 502
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while '"status":502' not in caddy.log():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return {each for each in ("127.0.0.2", LINK, "proof", "token") if each in caddy.log()}


# Never twice


def asked(make_caddy: Callable[..., Caddy], method: str, path: str, headers: dict[str, str], **options: Any) -> int:
    """Return how often a request arrives whose response is lost, on a kept connection if there is one."""
    with closing(Upstream(True)) as upstream, make_caddy(upstream.port, **options).client() as client:
        assert client.get("/").text == "ok"
        upstream.answers = False
        assert client.request(method, path, headers=headers).status_code == 502
        return upstream.requests - 1


REPEATABLE = [
    pytest.param(*REVEALS[0], {"Idempotency-Key": "abc"}, id="POST with Idempotency-Key"),
    pytest.param(*REVEALS[1], {}, id="GET"),
]


@pytest.mark.parametrize(("method", "path", "headers"), [*REPEATABLE, pytest.param(*REVEALS[0], {}, id="POST")])
def test_caddy_does_not_repeat_a_reveal_whose_response_is_lost(
    make_caddy: Callable[..., Caddy], method: str, path: str, headers: dict[str, str]
) -> None:
    assert asked(make_caddy, method, path, headers) == 1


@pytest.mark.parametrize(("method", "path", "headers"), REPEATABLE)
def test_kept_connections_would_repeat_a_reveal(
    make_caddy: Callable[..., Caddy], method: str, path: str, headers: dict[str, str]
) -> None:
    assert asked(make_caddy, method, path, headers, changes={"            keepalive off ": ""}) == 2


@pytest.mark.parametrize(("retries", "times"), [("", 1), ("lb_retries 1", 2)], ids=["as it is", "with lb_retries"])
def test_caddy_tries_no_other_upstream_by_default(make_caddy: Callable[..., Caddy], retries: str, times: int) -> None:
    method, path = REVEALS[1]
    with closing(Upstream(False)) as one, closing(Upstream(False)) as other:
        caddy = make_caddy(one.port, other.port, changes={"transport http {": f"{retries}\n        transport http {{"})
        with caddy.client() as client:
            assert client.request(method, path).status_code == 502
        assert one.requests + other.requests == times


# Below a path


@pytest.mark.parametrize("handle", ["handle", "handle_path"])
def test_public_path_works_behind_caddy(behind: Callable[..., Behind], handle: str) -> None:
    """Left there, and taken away."""
    changes = {
        "    reverse_proxy ": f"    redir /secrets /secrets/\n    {handle} /secrets/* {{\n    reverse_proxy ",
        "a view\n        }\n    }\n": "a view\n        }\n    }\n    }\n",
    }
    _, caddy = behind(MANY, root="/secrets", changes=changes)
    with caddy.client() as client:
        created = client.post("/secrets/api/v1/secrets", json=create_request()).json()
        assert created["shareUrl"] == f"{caddy.url}/secrets/{created['linkId']}"
        for each in ("/secrets/", created["shareUrl"], f"/secrets/receipt/{created['receiptId']}"):
            page = client.get(each)
            assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
            loaded = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
            assert loaded
            assert not [file for file in loaded if not file.startswith("/secrets/")]
            assert {client.get(file).status_code for file in loaded} == {200}
        assert client.get("/secrets/healthz").json() == {"status": "alive"}
        assert client.get("/secrets").headers["location"] == "/secrets/"
        assert client.get("/healthz").content == b""  # Caddy's own answer: it is not ours to give
        revealed = client.get(f"/secrets/api/v1/secrets/{created['linkId']}")
        assert base64.b64decode(revealed.json()["encryptedBlob"]) == b"payload"

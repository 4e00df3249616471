"""TLS of its own: what is refused at the start, how it is renewed, and clients that do not get as far as a request."""

import contextlib
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_client import create_request
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.x509.oid import ExtendedKeyUsageOID
from sockets import (
    SmallServer,
    parse_responses,
    read_all,
    read_slowly,
    seconds_until_closed,
    seconds_until_reset,
    small_server,
)
from support.certificates import Pair, pair, serial_of
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS, BackgroundLoad, until

from seclink.config.parser import parse
from seclink.errors import ConfigError
from seclink.server.certificate import Certificate, CertificateRefused

TOML = (
    "[server]\ntls_cert = 'fullchain.pem'\ntls_key = 'privkey.pem'\n"
    '[rates]\ncreate = "1000000/hour"\nreveal = "1000000/hour"\npeek = "1000000/hour"\n'
)
HEAD = b"GET /look HTTP/1.1\r\nHost: localhost\r\n"
GET = HEAD + b"Connection: close\r\n\r\n"


# What is configured


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("tls_cert = 'a.pem'", "x.toml:2: server.tls_cert needs server.tls_key, too"),
        ("port = 443\ntls_key = 'a.pem'", "x.toml:3: server.tls_key needs server.tls_cert, too"),
        ("tls_cert = ''\ntls_key = 'a.pem'", "x.toml:2: server.tls_cert: write the path of a file"),
        (
            "tls_cert = 'a.pem'\ntls_key = 'b.pem'\npublic_url = 'http://localhost'",
            "x.toml:4: server.public_url is http:, but with server.tls_cert the server speaks https",
        ),
    ],
)
def test_certificate_without_key_is_refused_with_its_line(toml: str, message: str) -> None:
    """CFG-01"""
    with pytest.raises(ConfigError) as refused:
        parse(f"[server]\n{toml}\n", "x.toml")
    assert refused.value.message == message


def test_paths_are_relative_to_the_toml_and_links_are_not_resolved(tmp_path: Path) -> None:
    """Certbot's `live` is a folder of links, and the next certificate is another file."""
    (tmp_path / "live.pem").symlink_to(tmp_path / "archive-1.pem")
    server = parse("[server]\ntls_cert = 'live.pem'\ntls_key = '/etc/key.pem'\n", "x.toml", tmp_path).server
    assert (server.tls_cert, server.tls_key) == (str(tmp_path / "live.pem"), "/etc/key.pem")


GOOD = pair()
WRONG = {
    "no file": (Pair(b"", GOOD.key), "fullchain.pem: cannot be read: No such file or directory"),
    "another's key": (Pair(GOOD.chain, pair().key), "privkey.pem is not the key of"),
    "expired": (pair(-60, -1), "fullchain.pem: certificate has expired"),
    "not yet valid": (pair(1, 60), "fullchain.pem: certificate is not yet valid"),
    "for clients": (pair(purpose=ExtendedKeyUsageOID.CLIENT_AUTH), "fullchain.pem: unsuitable certificate purpose"),
    "encrypted": (pair(encryption=BestAvailableEncryption(b"pass")), "privkey.pem: the key is encrypted"),
    "no PEM": (Pair(b"hello", GOOD.key), "not a certificate and its key in PEM: "),
    "key missing": (Pair(GOOD.chain, GOOD.chain), "not a certificate and its key in PEM: "),
}


@pytest.mark.parametrize("name", WRONG)
def test_unusable_pair_is_refused_with_its_reason(tmp_path: Path, name: str) -> None:
    broken, message = WRONG[name]
    broken.write(tmp_path)
    if not broken.chain:
        (tmp_path / "fullchain.pem").unlink()
    with pytest.raises(CertificateRefused) as refused:
        Certificate(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    assert message in str(refused.value)
    assert "PRIVATE" not in str(refused.value)


def test_start_with_an_unusable_pair_prints_one_line(make_server: MakeServer) -> None:
    server = make_server(TOML)
    pair(-60, -1).write(server.folder)
    ended = server.seclink("serve", "--port", str(server.port), check=False)
    assert (ended.returncode, ended.stdout) == (1, b"")
    message = f"seclink: seclink.toml:2: server.tls_cert: {server.folder}/fullchain.pem: certificate has expired\n"
    assert ended.stderr.decode() == message


# The appliance


class Secure:
    """A `seclink serve` with a certificate of its own, in its folder."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.pair = GOOD.write(server.folder)
        self.url = server.url.replace("http:", "https:")
        server.start(wait=False)
        until(self.is_up)

    def is_up(self) -> bool:
        assert self.server.process.poll() is None, self.server.log()
        with contextlib.suppress(httpx.TransportError), self.client() as client:
            return client.get("/healthz").status_code == 200
        return False

    def client(self, trusted: Pair = GOOD) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=trusted.context(), timeout=TIMEOUT_SECONDS)

    def connect(self, trusted: Pair = GOOD) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.server.port), TIMEOUT_SECONDS)
        return trusted.context().wrap_socket(plain, server_hostname="localhost")

    def shown(self) -> int:
        """The serial number of what a new connection gets."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.server.port), TIMEOUT_SECONDS)
        with context.wrap_socket(plain) as client:
            return serial_of(client)

    def count_in_log(self, text: str) -> int:
        return self.server.log().count(text)


@pytest.fixture
def secure(make_server: MakeServer) -> Iterator[Secure]:
    secure = Secure(make_server(TOML))
    yield secure
    assert secure.server.stop() == 0
    assert "Traceback" not in secure.server.log()
    assert '"event":"loop"' not in secure.server.log()


def test_all_urls_use_https(secure: Secure) -> None:
    """HDR-01: and browsers are told to stay there."""
    log = secure.server.log()
    assert f"SecLink serves {secure.url}\n" in log
    assert f'"event":"started","url":"{secure.url}"' in log
    assert "TLS       none" not in log
    with secure.client() as client:
        created = client.post("/api/v1/secrets", json=create_request())
        assert created.headers["strict-transport-security"] == "max-age=31536000"
        assert created.json()["shareUrl"].startswith(f"{secure.url}/")
        assert client.get(f"/api/v1/secrets/{created.json()['linkId']}").status_code == 200
        assert client.get("/").headers["strict-transport-security"] == "max-age=31536000"


def test_health_check_ignores_the_name_of_the_certificate(secure: Secure) -> None:
    toml = TOML.replace("[server]\n", "[server]\npublic_url = 'https://example.org'\n")
    (secure.server.folder / "with-url.toml").write_text(toml)
    ended = secure.server.seclink("check", "--config", "with-url.toml", check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    refused = secure.server.seclink("check", "--url", secure.url, check=False)  # who names it, wants to know who it is
    assert refused.returncode == 1
    assert b"its certificate is not valid" in refused.stderr


def test_metrics_listener_uses_plain_http(make_server: MakeServer) -> None:
    """It is for this machine, or a network of its own."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    secure = Secure(make_server(f"{TOML}[metrics]\nlisten = '127.0.0.1:{port}'\n"))
    assert httpx.get(f"http://127.0.0.1:{port}/healthz").json() == {"status": "alive"}
    assert secure.server.stop() == 0


def shake(secure: Secure, **options: Any) -> ssl.SSLSocket:
    context = GOOD.context()
    for name, value in options.items():
        if name == "ciphers":
            context.set_ciphers(value)
        elif name == "alpn":
            context.set_alpn_protocols(value)
        else:
            setattr(context, name, value)
    plain = socket.create_connection(("127.0.0.1", secure.server.port), TIMEOUT_SECONDS)
    with contextlib.closing(plain):
        return context.wrap_socket(plain, server_hostname="localhost")


def test_only_safe_tls_versions_and_ciphers_are_offered(secure: Secure) -> None:
    with shake(secure, alpn=["h2", "http/1.1"]) as latest:
        assert (latest.version(), latest.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    with shake(secure, maximum_version=ssl.TLSVersion.TLSv1_2) as older:
        assert older.version() == "TLSv1.2"
        name, _, bits = older.cipher() or ("", "", 0)
        assert name.startswith("ECDHE-")
        assert bits >= 128
    with pytest.warns(DeprecationWarning, match="TLS"), pytest.raises(OSError):  # noqa: PT011  a reset or an alert
        shake(secure, ciphers="ALL:@SECLEVEL=0", minimum_version=ssl.TLSVersion.TLSv1, maximum_version=OLD)
    for weak in ("ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"):  # CBC
        with pytest.raises(OSError):  # noqa: PT011
            shake(secure, ciphers=weak, maximum_version=ssl.TLSVersion.TLSv1_2)


OLD = ssl.TLSVersion.TLSv1_1


def test_plain_http_at_the_tls_port_is_closed_without_a_log_line(secure: Secure) -> None:
    before = secure.server.log()
    for data in (GET, b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"\xff" * 500):
        with socket.create_connection(("127.0.0.1", secure.server.port), TIMEOUT_SECONDS) as client:
            client.sendall(data)
            read_all(client)  # until it is closed
    assert secure.is_up()
    assert secure.server.log() == before


# Renewal


class Visitors(BackgroundLoad):
    """They ask on a new connection each time."""

    def __init__(self, secure: Secure, *trusted: Pair) -> None:
        super().__init__(2)
        self.secure, self.count, self.serials = secure, 0, set[int]()
        self.context = ssl.create_default_context(cadata="".join(each.chain.decode() for each in trusted))
        self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def work(self, number: int) -> None:
        while not self.over.is_set():
            try:
                plain = socket.create_connection(("127.0.0.1", self.secure.server.port), TIMEOUT_SECONDS)
                with self.context.wrap_socket(plain, server_hostname="localhost") as client:
                    self.serials.add(serial_of(client))
                    client.sendall(GET.replace(b"/look", b"/healthz"))
                    if not client.recv(65536).startswith(b"HTTP/1.1 200 "):
                        self.failed.append("no answer")
            except OSError as error:
                self.failed.append(repr(error))
            self.count += 1


def test_renewed_files_are_loaded_without_disturbing_clients(secure: Secure) -> None:
    new = pair()
    open_one = secure.connect()
    with Visitors(secure, GOOD, new) as visitors, open_one:
        until(lambda: visitors.count > 10)
        new.write(secure.server.folder)
        until(lambda: secure.shown() == new.serial)
        asked = visitors.count
        until(lambda: visitors.count > asked + 10)
        open_one.sendall(GET.replace(b"/look", b"/healthz"))
        assert open_one.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert visitors.failed == []
    assert visitors.serials == {GOOD.serial, new.serial}
    assert secure.count_in_log('"level":"error"') == 0


def test_changed_symbolic_link_is_a_renewal(make_server: MakeServer) -> None:
    server = make_server(TOML)
    for name in ("fullchain.pem", "privkey.pem"):
        (server.folder / "first").mkdir(exist_ok=True)
        (server.folder / name).symlink_to(f"first/{name}")
    GOOD.write(server.folder / "first")
    secure = Secure.__new__(Secure)
    secure.server, secure.pair, secure.url = server, GOOD, server.url.replace("http:", "https:")
    server.start(wait=False)
    until(secure.is_up)
    new = pair()
    (server.folder / "second").mkdir()
    new.write(server.folder / "second")
    for name in ("fullchain.pem", "privkey.pem"):
        (server.folder / "link").symlink_to(f"second/{name}")
        (server.folder / "link").replace(server.folder / name)
    until(lambda: secure.shown() == new.serial)
    assert server.stop() == 0


@pytest.mark.parametrize("name", ["another's key", "encrypted"])
def test_broken_renewal_keeps_the_old_pair_and_can_be_corrected(secure: Secure, name: str) -> None:
    broken, message = WRONG[name]
    broken.write(secure.server.folder)
    until(lambda: secure.count_in_log("the current certificate stays in use: "))
    assert message in secure.server.log()
    assert secure.shown() == GOOD.serial
    new = pair().write(secure.server.folder)
    until(lambda: secure.shown() == new.serial)
    assert secure.count_in_log("the current certificate stays in use: ") == 1  # once, not every few seconds


def test_reload_loads_the_certificate_and_survives_a_bad_one(secure: Secure) -> None:
    """CFG-01: also where the TOML itself is refused; and there is no going to or from https without a restart."""
    Pair(GOOD.chain, b"").write(secure.server.folder)
    secure.server.config.write_text(f"{TOML}\nwrong = 1\n")
    secure.server.process.send_signal(signal.SIGHUP)
    until(lambda: secure.count_in_log('"event":"not reloaded"'))
    assert secure.count_in_log("the current certificate stays in use: ") == 1
    new = pair().write(secure.server.folder)
    secure.server.config.write_text("")
    secure.server.process.send_signal(signal.SIGHUP)
    until(lambda: secure.count_in_log("needs a restart: server.tls_cert, server.tls_key"))
    assert secure.shown() == new.serial
    with secure.client(new) as client:
        assert client.get("/healthz").status_code == 200


def test_certificate_that_expires_soon_is_logged(make_server: MakeServer) -> None:
    server = make_server(TOML)
    soon = pair(ends=6).write(server.folder)
    server.start(wait=False)
    until(lambda: "has not been renewed" in server.log())
    assert '"level":"warning","event":"certificate","detail":"expires in 5 days ' in server.log()
    assert soon.serial
    assert server.stop() == 0


# Clients that take their time


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallServer]:
    folder = tmp_path_factory.mktemp("tls")
    GOOD.write(folder)
    with small_server(certificate=[str(folder / "fullchain.pem"), str(folder / "privkey.pem")]) as process:
        yield process
        process.popen.terminate()
        code, out, err = process.finish()
        assert (code, err) == (0, ""), out


def speak(process: SmallServer, data: bytes = b"", small_window: bool = False) -> ssl.SSLSocket:
    plain = process.connect(small_window=small_window)
    client = GOOD.context().wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=True)
    client.sendall(data)
    return client


def get(process: SmallServer) -> Any:
    with speak(process, GET) as client:
        return parse_responses(read_all(client))[0]


def hello() -> bytes:
    """The first message of a handshake."""
    outgoing = ssl.MemoryBIO()
    client = GOOD.context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("start", ["silent", "half", "drip", "no answer"])
def test_slow_handshakes_are_closed_while_others_are_served(tiny: SmallServer, start: str) -> None:
    """IN-10"""
    data = {"silent": b"", "half": hello()[:100], "drip": hello()[:20], "no answer": hello()}[start]
    clients = [tiny.connect(data) for _ in range(50)]
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.enter_context(client)
        assert get(tiny).status == 200
        assert seconds_until_closed(clients, b"\0" if start == "drip" else b"") < 10


def test_unfinished_handshakes_block_no_other_client(tmp_path: Path) -> None:
    """IN-10: neither of a connection nor of a request; whoever has waited longest goes."""
    GOOD.write(tmp_path)
    limits = {"connections": 20, "header_seconds": 60.0}
    files = [str(tmp_path / "fullchain.pem"), str(tmp_path / "privkey.pem")]
    with (
        small_server(certificate=files, limits=limits, web={"max_requests": 1}) as server,
        contextlib.ExitStack() as stack,
    ):
        clients = [stack.enter_context(server.connect(hello())) for _ in range(60)]
        assert get(server).status == 200
        assert seconds_until_closed(clients[:40]) < 10
        assert get(server).status == 200


def test_request_sent_with_the_end_of_the_handshake_is_served(tiny: SmallServer) -> None:
    """In one segment: what a client sends without waiting is lost by nobody."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = GOOD.context().wrap_bio(to_client, to_server, server_hostname="localhost")
    with tiny.connect() as client:
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.sendall(to_server.read())
                to_client.write(client.recv(65536))
        session.write(GET)
        client.sendall(to_server.read())  # the end of the handshake and the request
        to_client.write(read_all(client))
        assert session.read(65536).startswith(b"HTTP/1.1 200 ")


def test_refused_upload_can_read_the_error(tiny: SmallServer) -> None:
    with speak(tiny, b"POST /look HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n") as client:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            client.sendall(b"x" * 3_000_000)
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_unread_response_is_dropped_over_tls(tiny: SmallServer) -> None:
    """IN-11"""
    request = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
    before = get(tiny).json["tasks"]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(speak(tiny, request, small_window=True)) for _ in range(5)]
        assert seconds_until_reset(clients) < 10
    until(lambda: get(tiny).json["tasks"] <= before)


def test_slow_reader_that_makes_progress_gets_everything_over_tls(tmp_path: Path) -> None:
    """IN-11: and what is encrypted already counts as not yet sent."""
    GOOD.write(tmp_path)
    files = [str(tmp_path / "fullchain.pem"), str(tmp_path / "privkey.pem")]
    request = HEAD.replace(b"/look", b"/big") + b"Connection: close\r\n\r\n"
    with (
        small_server(certificate=files, limits={"write_seconds": 2.5}) as server,
        speak(server, request, small_window=True) as client,
    ):
        [answer] = parse_responses(read_slowly(client, 8))
    assert len(answer.body) == 10_000_000


def test_idle_connection_is_closed_over_tls(tmp_path: Path) -> None:
    """IN-10"""
    GOOD.write(tmp_path)
    files = [str(tmp_path / "fullchain.pem"), str(tmp_path / "privkey.pem")]
    with (
        small_server(certificate=files, limits={"idle_seconds": 1.0}) as server,
        speak(server, HEAD + b"\r\n") as client,
    ):
        read_all(client)


def test_stop_finishes_requests_in_flight_and_closes_handshakes(tmp_path: Path) -> None:
    """CR-13"""
    GOOD.write(tmp_path)
    files = [str(tmp_path / "fullchain.pem"), str(tmp_path / "privkey.pem")]
    with small_server(certificate=files, limits={"header_seconds": 60.0}) as server:
        with server.connect(hello()), speak(server, b"GET /slow?1 HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            until(lambda: get(server).json["seen"].get("/slow"))
            server.popen.terminate()
            assert parse_responses(read_all(client))[0].status == 200
        code, out, err = server.finish()
    assert (code, err) == (0, "")
    assert out.endswith("closed 1\n")

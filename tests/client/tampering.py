"""Something between a client and a server: it hands answers on, changed by the rules it was given, over TLS if wanted,
and below a path if wanted.
"""

import datetime
import http.client
import ipaddress
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.waiting import TIMEOUT_SECONDS


@dataclass
class Said:
    """An answer, to be changed. Nothing is packed."""

    method: str
    path: str
    asked: dict[str, str]
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    lost: bool = field(default=False)


Rule = Callable[[Said], object]


class Tampering:
    """A longer body than `most_bytes` is refused here. `forwarded` makes of the client's X-Forwarded-For and address
    what the server is told.
    """

    def __init__(self, server_url: str, *, port: int = 0, tls: "Certificate | None" = None, below: str = "") -> None:
        self.rules: list[Rule] = []
        self.most_bytes: int | None = None
        self.forwarded: Callable[[str, str], str] | None = None
        self._real, self._below = urlsplit(server_url).netloc, below
        tampering = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                tampering._handle(self)

            do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = do_OPTIONS = handle_any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

            def send_response(self, code: int, message: str | None = None) -> None:
                self.send_response_only(code, message)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.context().wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"http{'s' if tls else ''}://localhost:{self.port}{below}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def hand_on_to(self, server_url: str) -> None:
        self._real = urlsplit(server_url).netloc

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("Content-Length") or 0)
        if self.most_bytes is not None and size > self.most_bytes:
            said = Said(handler.command, handler.path, {}, 413, [("Connection", "close")], b"<h1>413</h1>")
        else:
            said = self._ask(handler, handler.rfile.read(size))
        for rule in self.rules:
            rule(said)
        handler.close_connection = handler.close_connection or said.lost or said.status == 413
        if said.lost:
            return
        handler.send_response(said.status)
        for name, value in said.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(said.body)))
        handler.end_headers()
        handler.wfile.write(said.body)

    def _ask(self, handler: BaseHTTPRequestHandler, body: bytes) -> Said:
        asked = {name: value for name, value in handler.headers.items() if name.lower() != "accept-encoding"}
        if self.forwarded is not None:
            told = self.forwarded(handler.headers.get("X-Forwarded-For", ""), handler.client_address[0])
            asked = {name: value for name, value in asked.items() if name.lower() != "x-forwarded-for"}
            asked |= {"X-Forwarded-For": told} if told else {}
        connection = http.client.HTTPConnection(self._real, timeout=TIMEOUT_SECONDS)
        path = handler.path.removeprefix(self._below)
        connection.request(handler.command, path, body or None, {**asked, "Host": "localhost", "Connection": "close"})
        real = connection.getresponse()
        kept = [each for each in real.getheaders() if each[0].lower() not in ("content-length", "connection")]
        said = Said(handler.command, path, asked, real.status, kept, real.read())
        connection.close()
        return said


class Certificate:
    """A certificate for localhost that is its own authority; `path` is its PEM file with the key."""

    def __init__(self, folder: Path, *, days: float = 90, name: str = "localhost") -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        built = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(end - datetime.timedelta(days=365))
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.path = folder / "certificate.pem"
        plain = serialization.NoEncryption()
        self.path.write_bytes(
            built.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        )

    def context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.path)
        return made


def replace(path: str, old: bytes, new: bytes) -> Rule:
    """In the answers of paths that begin or end so; the text must be there."""

    def rule(said: Said) -> None:
        if said.path.startswith(path) or said.path.endswith(path):
            assert old in said.body, said.path
            said.body = said.body.replace(old, new)

    return rule


def header(path: str, name: str, *values: str) -> Rule:
    """Give it these values instead, in answers of paths that begin or end so."""

    def rule(said: Said) -> None:
        if said.path.startswith(path) or said.path.endswith(path):
            said.headers = [each for each in said.headers if each[0].lower() != name.lower()]
            said.headers += [(name, value) for value in values]

    return rule

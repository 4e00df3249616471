"""Looking at a server from outside, as a browser or a program would: one connection, answers as they came.

Nothing is followed, repeated or believed: a redirect is an answer like any other, every answer is bounded, and what is
packed is unpacked within the same bound. Certificates are checked as this machine checks them.
"""

import contextlib
import http.client
import ssl
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from seclink.errors import Unreachable

MOST_BYTES = 8 * 2**20
TIMEOUT_SECONDS = 20.0
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept-Encoding": "gzip",
    "Accept-Language": "en",
}
NAVIGATION = {
    **BROWSER,
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Upgrade-Insecure-Requests": "1",
}


def unchecked() -> ssl.SSLContext:
    """For asking a server past its name, on its own machine: no certificate is for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class ProbeResponse(Struct, frozen=True):
    """An answer: header names in lower case, each as often as it came; the body unpacked."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]

    def first(self, name: str) -> str:
        return next(iter(self.all(name)), "")


class HttpProbe:
    """`address` is the public URL, with the path that everything lies below. `source` is the address to come from."""

    def __init__(self, address: str, *, context: ssl.SSLContext | None = None, source: str = "") -> None:
        self.address = address.rstrip("/")
        self._parts = urlsplit(self.address)
        self.root = self._parts.path
        self.is_https = self._parts.scheme == "https"
        self.host = self._parts.hostname or ""
        self.port = self._parts.port or (443 if self.is_https else 80)
        self._context, self._source = context, source
        self._open: http.client.HTTPConnection | None = None

    def __enter__(self) -> "HttpProbe":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is open. Raises OSError, of which ssl.SSLError is one."""
        given: dict[str, Any] = {"timeout": TIMEOUT_SECONDS}
        if self._source:
            given["source_address"] = (self._source, 0)
        if self.is_https:
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                self.host, self.port, context=self._context or ssl.create_default_context(), **given
            )
        else:
            made = http.client.HTTPConnection(self.host, self.port, **given)
        made.connect()
        return made

    def certificate(self) -> Mapping[str, Any]:
        """That of the open connection; empty where there is none."""
        sock = self._open.sock if self._open is not None else None
        return (sock.getpeercert() or {}) if isinstance(sock, ssl.SSLSocket) else {}

    def get(self, path: str, headers: Mapping[str, str] = BROWSER) -> ProbeResponse:
        """`path` is below the root. Raises Unreachable where no whole answer comes, also not on a fresh connection."""
        try:
            if self._open is not None:
                try:
                    return self._ask(self._open, "GET", path, headers)
                except (OSError, http.client.HTTPException):
                    self.close()  # closed by the other side meanwhile, as it may
            self._open = self.connect()
            return self._ask(self._open, "GET", path, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{self.address} cannot be reached: {reason(error)}") from None

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> ProbeResponse:
        """What is not to be repeated: once, on a connection of its own. Raises Unreachable."""
        try:
            with contextlib.closing(self.connect()) as connection:
                return self._ask(connection, method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.address} cannot be reached: {reason(error)}") from None

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> ProbeResponse:
        connection.request(method, self.root + path, body, dict(headers))
        return seen(connection.getresponse())


def seen(answer: http.client.HTTPResponse) -> ProbeResponse:
    """Raises OSError or HTTPException where it does not come whole."""
    headers = tuple((name.lower(), value) for name, value in answer.getheaders())
    body = answer.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise http.client.HTTPException(f"an answer of more than {MOST_BYTES} bytes")
    if ("content-encoding", "gzip") in headers:
        body = _unpacked(body)
    return ProbeResponse(answer.status, headers, body)


def reason(error: Exception) -> str:
    """In a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    said = getattr(error, "strerror", None) or str(error)
    return said if isinstance(error, OSError) and said else f"{type(error).__name__} {said}".strip()


def _unpacked(body: bytes) -> bytes:
    """As it came where it is not what it claims to be: then it is not what was expected, either."""
    unpacking = zlib.decompressobj(31)
    try:
        plain = unpacking.decompress(body, MOST_BYTES)
    except zlib.error:
        return body
    return plain if unpacking.eof and not unpacking.unconsumed_tail and not unpacking.unused_data else body

"""A plain HTTP client for checking a server from outside, as a browser or a program sees it.

It follows no redirect, repeats no request that changes something, and trusts nothing: a redirect is a response like any
other, every body is limited in size, and a compressed body is decompressed within the same limit. Certificates are
verified with the trust store of this machine. Standard library only, because `seclink check` runs every few seconds.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from seclink.errors import Unreachable
from seclink.ops.browser_headers import BROWSER

MAX_BYTES = 8 * 2**20
TIMEOUT_SECONDS = 20.0
MAX_WAITS = 3  # for a whole response, in timeouts: one that drips would never end
DECODED = ("", "identity", "gzip")
FAILURES = (OSError, http.client.HTTPException, UnicodeError)  # the last is that of host names


class ProbeFault(Enum):
    """Why a probe has no complete response."""

    CERTIFICATE = "certificate"  # the server's certificate is not trusted here
    TLS = "tls"  # the TLS handshake failed for another reason
    TIMEOUT = "timeout"
    CONNECTION = "connection"  # refused, reset, no route, or the name does not resolve
    HTTP = "http"  # not HTTP, cut off, or larger than MAX_BYTES


class ProbeFailed(Unreachable):
    """`fault` and `cause` are for programs; `detail` is the reason in a few words, `address` the server's URL."""

    def __init__(self, address: str, cause: Exception, detail: str) -> None:
        super().__init__(f"{address} cannot be reached: {detail}")
        self.address, self.cause, self.detail, self.fault = address, cause, detail, _fault(cause)


class ProbeResponse(Struct, frozen=True):
    """A response: header names in lower case, repeated headers repeated; the body is decompressed."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def get_all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header == name]

    def get(self, name: str) -> str:
        return next(iter(self.get_all(name)), "")


class HttpProbe:
    """A client of one server, with one connection that is kept open between `get` calls.

    `address` is the base URL, including its path. `is_local`: the address is this machine's, and need not be a host
    name that the server accepts or that its certificate names; so Host is localhost and the certificate is not
    verified. `source` is the local address to connect from, `max_bytes` the size of a body.
    """

    def __init__(
        self,
        address: str,
        *,
        is_local: bool = False,
        source: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.address = address.rstrip("/")
        url = urlsplit(self.address)
        self.root = url.path
        self.is_https = url.scheme == "https"
        self.host = url.hostname or ""
        self.port = url.port or (443 if self.is_https else 80)
        self._is_local, self._source = is_local, source
        self._timeout_seconds, self._max_bytes = timeout_seconds, max_bytes
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> "HttpProbe":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def connect(self) -> http.client.HTTPConnection:
        """Open a new connection. Raises OSError, of which ssl.SSLError is a subclass."""
        options: dict[str, Any] = {
            "timeout": self._timeout_seconds,
            "source_address": (self._source, 0) if self._source else None,
        }
        if self.is_https:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self.host, self.port, context=_tls_context(is_verified=not self._is_local), **options
            )
        else:
            connection = http.client.HTTPConnection(self.host, self.port, **options)
        connection.connect()
        return connection

    def certificate(self) -> Mapping[str, Any]:
        """Return the server's certificate as of the last `get`, as ssl.SSLSocket.getpeercert does."""
        sock = self._connection.sock if self._connection is not None else None
        return (sock.getpeercert() or {}) if isinstance(sock, ssl.SSLSocket) else {}

    def get(self, path: str, headers: Mapping[str, str] = BROWSER) -> ProbeResponse:
        """Fetch `path`, which is below the base URL. Raises ProbeFailed if a new connection fails as well.

        A browser accepts encodings that are not decoded here; a proxy that uses one is asked again without.
        """
        response = self._get(path, headers)
        if response.get("content-encoding") in DECODED:
            return response
        return self._get(path, {**headers, "Accept-Encoding": "gzip"})

    def _get(self, path: str, headers: Mapping[str, str]) -> ProbeResponse:
        try:
            if self._connection is not None:
                try:
                    return self._request(self._connection, "GET", path, headers)
                except FAILURES:
                    self.close()  # a server may close an idle connection at any time
            self._connection = self.connect()
            return self._request(self._connection, "GET", path, headers)
        except FAILURES as error:
            self.close()
            raise ProbeFailed(self.address, error, self.describe(error)) from None

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> ProbeResponse:
        """Send a request that must not be repeated: once, on its own connection. Raises ProbeFailed."""
        try:
            with contextlib.closing(self.connect()) as connection:
                return self._request(connection, method, path, headers, body)
        except FAILURES as error:
            raise ProbeFailed(self.address, error, self.describe(error)) from None

    def describe(self, error: Exception) -> str:
        """Return the reason of a failure in a few words."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {error.verify_message}"
        if isinstance(error, TimeoutError):
            return f"no response within {self._timeout_seconds:g} s"
        if isinstance(error, UnicodeError):
            return f"{self.host} is not a host name"
        message = getattr(error, "strerror", None) or str(error)
        return message if isinstance(error, OSError) and message else f"{type(error).__name__} {message}".strip()

    def _request(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> ProbeResponse:
        host = {"Host": "localhost"} if self._is_local else {}
        if connection.sock is None:
            connection.connect()
        with _time_limit(connection.sock, MAX_WAITS * self._timeout_seconds):
            connection.request(method, self.root + path, body, {**host, **headers})
            with connection.getresponse() as response:
                return read_response(response, self._max_bytes)


@contextlib.contextmanager
def _time_limit(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End the connection when the time is over. Raises TimeoutError then."""
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # an SSLSocket's own would change what is being read

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except FAILURES:
        if not is_over.is_set():
            raise
    finally:
        timer.cancel()
    if is_over.is_set():
        raise TimeoutError


def read_response(response: http.client.HTTPResponse, max_bytes: int = MAX_BYTES) -> ProbeResponse:
    """Read a whole response. Raises OSError or HTTPException if it is cut off or too large."""
    headers = tuple((name.lower(), value) for name, value in response.getheaders())
    body = response.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise http.client.HTTPException(f"a response of more than {max_bytes} bytes")
    if ("content-encoding", "gzip") in headers:
        body = _decompress(body)
    return ProbeResponse(response.status, headers, body)


def _tls_context(*, is_verified: bool) -> ssl.SSLContext:
    if is_verified:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _fault(error: Exception) -> ProbeFault:
    match error:
        case ssl.SSLCertVerificationError():
            return ProbeFault.CERTIFICATE
        case TimeoutError():
            return ProbeFault.TIMEOUT
        case ssl.SSLError():
            return ProbeFault.TLS
        case OSError():
            return ProbeFault.CONNECTION
    return ProbeFault.HTTP


def _decompress(body: bytes) -> bytes:
    """Return the body as received if it is not one complete gzip stream within MAX_BYTES: callers compare bytes, and
    such a body differs from every expected one.
    """
    stream = zlib.decompressobj(31)
    try:
        plain = stream.decompress(body, MAX_BYTES)
    except zlib.error:
        return body
    return plain if stream.eof and not stream.unconsumed_tail and not stream.unused_data else body

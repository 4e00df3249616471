"""Checks of the public URL from outside: its name, its certificate, which server responds, the proxy, the pages.

The requests change nothing: peeks at links that do not exist, one peek at a secret that has ended, and one long request
that is not valid.
"""

import http.client
import json
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from seclink.config.schema import Config
from seclink.doctor.findings import CheckGroup, Finding
from seclink.doctor.proxy import body_limit, client_addresses
from seclink.errors import Unreachable
from seclink.ops.browser_headers import NAVIGATION
from seclink.ops.http_probe import HttpProbe, ProbeFailed, ProbeFault, ProbeResponse
from seclink.ops.page_verification import verify_pages

GROUP = CheckGroup("address")
MIN_DAYS_LEFT = 14
CLIENT_ADDRESS = "127.0.0.2"  # so that the client and the proxy, both on this machine, have different addresses
MAX_SHOWN = 4
GATEWAY_ERRORS = (http.client.BAD_GATEWAY, http.client.SERVICE_UNAVAILABLE, http.client.GATEWAY_TIMEOUT)
_WRONG_NAME = "get a certificate for {host}, or correct server.public_url"
_OWN_AUTHORITY = (
    "if the authority is your own: set SSL_CERT_FILE to its root certificate for this command, and install that on the"
    " readers' machines"
)
# By the number OpenSSL gives it (X509_V_ERR_*): the observation and the fix.
CERTIFICATE_ERRORS = {
    9: ("is not valid yet", "check the date of this machine, and of the one that created the certificate"),
    10: ("has expired", "renew it; then reload or restart the server or proxy that uses it"),
    18: (
        "is self-signed: browsers warn every visitor, and the command line refuses it",
        "get one from a public authority (with certbot, or a proxy that does it by default, like Caddy); or, if all"
        " machines are yours, make them trust it, this one for this command with SSL_CERT_FILE=/path/to/it.pem",
    ),
    19: ("is issued by an authority that this machine does not trust", _OWN_AUTHORITY),
    20: (
        "is issued by an authority that this machine does not trust, or is sent without its intermediate certificates",
        f"serve the whole chain (certbot calls it fullchain.pem); {_OWN_AUTHORITY}",
    ),
    62: ("is for another name", _WRONG_NAME),
    64: ("is for another address", _WRONG_NAME),
}


def check(
    config: Config, url: str, *, local: HttpProbe | None, ended: str | None, pause_seconds: float, now: float
) -> Iterator[Finding]:
    """`local` is the server itself, past the proxy, if it runs on this machine. `ended` is the link id of a secret that
    has ended in its database.
    """
    host = urlsplit(url).hostname or ""
    try:
        addresses = sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError) as error:
        observation = f"does not resolve: {getattr(error, 'strerror', None) or 'it is not a valid name'}"
        yield GROUP.problem(host, observation, "add it to your DNS, or correct server.public_url")
        return
    if host not in addresses:
        yield GROUP.ok(host, f"resolves to {', '.join(addresses)}")
    is_this_machine = all(address.startswith("127.") for address in addresses)
    with HttpProbe(url, source=CLIENT_ADDRESS if is_this_machine else "") as server:
        try:
            health = server.get("/healthz")
        except ProbeFailed as error:
            yield _unreachable(config, server, error, local)
            return
        if server.is_https:
            yield _certificate(server, now)
        finding = _is_this_server(server, health, ended)
        yield finding
        if finding.level != "ok":
            return
        if local is not None and not is_this_machine and _is_same_listener(server, local, addresses):
            yield GROUP.ok("the clients' addresses", "arrive: there is no proxy before the server")
        else:
            yield from client_addresses(GROUP, config, server, local)
        yield from body_limit(GROUP, server, config.limits.payload_bytes, pause_seconds)
        yield from _pages(server)
        yield from _plain_http(server)


def _is_same_listener(server: HttpProbe, local: HttpProbe, addresses: list[str]) -> bool:
    """Return whether the public URL leads to the server itself, so that no proxy can be in between.

    Then both ways begin at the same address of this machine, as ::1 is its only loopback address of IPv6, and counts
    of requests could not tell a client from a proxy.
    """
    return server.port == local.port and local.host in (server.host, *addresses)


def server_silent(process: int, error: ProbeFailed) -> Finding:
    """Return the finding for a server that runs on this machine and does not respond."""
    observation = f"cannot be reached: {error.detail}, although process {process} serves the database"
    fix = "wait if it has just started; otherwise restart it: its address may have changed in the TOML since it started"
    return GROUP.problem(error.address, observation, fix)


def _unreachable(config: Config, server: HttpProbe, error: ProbeFailed, local: HttpProbe | None) -> Finding:
    if isinstance(error.cause, ssl.SSLCertVerificationError):
        return _untrusted(server.host, error.cause)
    reason = error.detail
    if error.fault is ProbeFault.TLS:
        reason = f"the TLS handshake failed ({getattr(error.cause, 'reason', '') or reason})"
        fix = "make https listen there: set server.tls_cert, or correct the proxy or server.public_url"
    elif local is not None:
        fix = f"the server responds at {local.address}: start the proxy, open the port, or correct server.public_url"
    elif config.server.public_url is None:
        fix = "start the server: `seclink serve`, or `systemctl start seclink`"
    else:
        fix = "start the server and the proxy, open the port, or correct server.public_url"
    return GROUP.problem(error.address, f"cannot be reached: {reason}", fix)


def _untrusted(host: str, error: ssl.SSLCertVerificationError) -> Finding:
    unknown = (f"is not valid: {error.verify_message}", "install one that is")
    observation, fix = CERTIFICATE_ERRORS.get(error.verify_code, unknown)
    return GROUP.problem("the certificate", observation, fix.format(host=host))


def _certificate(server: HttpProbe, now: float) -> Finding:
    until = str(server.certificate().get("notAfter", ""))
    days = int((ssl.cert_time_to_seconds(until) - now) // 86400) if until else 0
    if days < MIN_DAYS_LEFT:
        observation = f"expires in {days} days ({until})"
        return GROUP.warning("the certificate", observation, "renew it, and check the renewal job")
    return GROUP.ok("the certificate", f"is valid for {days} more days")


def _is_this_server(server: HttpProbe, health: ProbeResponse, ended: str | None) -> Finding:
    """Check the response to /healthz, and that the server knows a secret of this machine's database."""
    if 300 <= health.status < 400:
        fix = f"set server.public_url to the address people end up at; it redirects to {health.get('location')[:200]}"
        return GROUP.problem(server.address, f"redirects ({health.status})", fix)
    try:
        content = json.loads(health.body)
    except ValueError:
        content = None
    status, code = (content.get("status"), content.get("code")) if isinstance(content, dict) else (None, None)
    if health.status != http.client.OK or status != "alive":
        fix = "configure the proxy to pass every request on to the server, with the client's Host header"
        if health.status in GATEWAY_ERRORS:
            fix = "start the server, or correct the proxy's upstream address; check the proxy's log"
        if code == "unknown_host":
            fix = f'[server] public_url = "{server.address}", or add the name to server.allowed_hosts'
        observation = f"returns status {health.status} at /healthz, but not a response of SecLink"
        return GROUP.problem(server.address, observation, fix)
    if ended is None:
        observation = "is a SecLink server; whether it uses this database is known once a secret has ended in it"
        return GROUP.ok(server.address, observation)
    if server.get(f"/api/v1/secrets/{ended}/meta").status != http.client.GONE:
        fix = "correct server.public_url, or the proxy's upstream address"
        return GROUP.problem(server.address, "is another SecLink server, or one with another database", fix)
    return GROUP.ok(server.address, "is this SecLink server: it knows a secret that ended in this database")


def _pages(server: HttpProbe) -> Iterator[Finding]:
    """Compare every byte and header: anything the proxy removes, repeats or adds shows here."""
    try:
        comparison = verify_pages(server)
    except Unreachable as error:
        yield GROUP.problem("the pages", error.message, "check the proxy's log")
        return
    counts = Counter(difference.description for difference in comparison.differences)
    for description, count in counts.most_common(MAX_SHOWN):
        fix = (
            "configure the proxy to leave headers and bodies unchanged; `seclink verify"
            f" {server.address}` lists all differences"
        )
        yield GROUP.problem(f"{count} of {comparison.responses} pages and files", description, fix)
    if not comparison.differences:
        observation = f"arrive unchanged, {comparison.bytes:,} bytes with all their headers"
        yield GROUP.ok("the pages", f"{observation}, fingerprint {comparison.expected}")


def _plain_http(server: HttpProbe) -> Iterator[Finding]:
    """Check what people get if they type the name without https."""
    if not server.is_https or server.port != 443:
        return
    subject = f"http://{server.host}"
    with HttpProbe(subject) as plain:
        try:
            response = plain.get("/", NAVIGATION)
        except Unreachable:
            yield GROUP.ok(subject, "is closed")
            return
    if 300 <= response.status < 400 and response.get("location").startswith("https:"):
        yield GROUP.ok(subject, "redirects to https")
    else:
        observation = f"returns status {response.status} over plain http instead of a redirect to https"
        yield GROUP.warning(subject, observation, "redirect it to https in the proxy")

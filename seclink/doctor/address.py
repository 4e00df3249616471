"""The public URL from outside: its name, its certificate, who answers there, what stands between, what pages arrive.

What is asked makes nothing and spends nothing: looks at links that are not there, a look at one that has ended, and a
long request that is no valid one.
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
from seclink.doctor.proxy import body_limit, clients
from seclink.errors import Unreachable
from seclink.ops.http_probe import BROWSER, HttpProbe, ProbeResponse, reason
from seclink.ops.page_verification import verify_pages

PART = CheckGroup("address")
DAYS_LEFT = 14
SECOND_ADDRESS = "127.0.0.2"  # so that on one machine the visitor is somebody else than the proxy
SHOWN = 4
_NOT_ITS_NAME = "get one for {host}, or correct server.public_url"
_PRIVATE = "for one of your own: set SSL_CERT_FILE to your root for this command, and install that where people read"
# By the number OpenSSL gives it (X509_V_ERR_*): what is wrong, and what to do.
DISTRUST = {
    9: ("is not valid yet", "look at the date of this machine, and of the one that made the certificate"),
    10: ("has expired", "renew it; then reload or restart what serves it"),
    18: (
        "is self-signed: browsers warn everybody who comes, and the command line refuses it",
        "get one of a public authority (certbot, or a proxy that does it by itself, as Caddy); or, where all machines"
        " are yours, have them trust it, this one for this command with SSL_CERT_FILE=/path/to/it.pem",
    ),
    19: ("is of an authority that this machine does not know", _PRIVATE),
    20: (
        "is of an authority that this machine does not know, or comes without those between it and its root",
        f"serve the whole chain (certbot calls it fullchain.pem); {_PRIVATE}",
    ),
    62: ("is for another name", _NOT_ITS_NAME),
    64: ("is for another address", _NOT_ITS_NAME),
}


def look(
    config: Config, url: str, *, here: HttpProbe | None, ended: str | None, pause_seconds: float, now: float
) -> Iterator[Finding]:
    """`here` is the server itself, past the proxy, where it runs on this machine. `ended` is the link of a secret that
    has ended in its database.
    """
    host = urlsplit(url).hostname or ""
    try:
        addresses = sorted({str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError) as error:
        said = f"does not resolve: {getattr(error, 'strerror', None) or 'it is no name'}"
        yield PART.problem(host, said, "add it to your DNS, or correct server.public_url")
        return
    if host not in addresses:
        yield PART.ok(host, f"resolves to {', '.join(addresses)}")
    is_here = all(each.startswith("127.") for each in addresses)
    with HttpProbe(url, source=SECOND_ADDRESS if is_here else "") as server:
        try:
            server.connect().close()
            alive = server.get("/healthz")
        except ssl.SSLCertVerificationError as error:
            yield _distrusted(host, error)
            return
        except (OSError, Unreachable) as error:
            yield _unreachable(config, url, error, here)
            return
        if server.is_https:
            yield _certificate(server, now)
        answers = _appliance(server, alive, ended)
        yield answers
        if answers.level != "ok":
            return
        yield from clients(PART, config, server, here)
        yield from body_limit(PART, server, config.limits.payload_bytes, pause_seconds)
        yield from _pages(server)
        yield from _plain(server)


def silent(url: str, process: int, error: Unreachable) -> Finding:
    """The server itself, past the proxy, where one runs and yet does not answer."""
    said = f"{error.message.removeprefix(f'{url} ')}, though process {process} serves the database"
    fix = (
        "wait if it has just started; otherwise restart it: what it listens on may have been changed in the TOML since"
    )
    return PART.problem(url, said, fix)


def _unreachable(config: Config, url: str, error: OSError | Unreachable, here: HttpProbe | None) -> Finding:
    why = error.message.removeprefix(f"{url} cannot be reached: ") if isinstance(error, Unreachable) else reason(error)
    if isinstance(error, ssl.SSLError):
        why = f"what answers there speaks no https that is understood here ({error.reason or why})"
        fix = "have https answer there: set server.tls_cert, or correct the proxy or server.public_url"
    elif here is not None:
        fix = f"the server answers at {here.address}: start the proxy, open the port, or correct server.public_url"
    elif config.server.public_url is None:
        fix = "start the server: `seclink serve`, or `systemctl start seclink`"
    else:
        fix = "start the server and the proxy, open the port, or correct server.public_url"
    return PART.problem(url, f"cannot be reached: {why}", fix)


def _distrusted(host: str, error: ssl.SSLCertVerificationError) -> Finding:
    said, fix = DISTRUST.get(error.verify_code, (f"is not valid: {error.verify_message}", "install one that is"))
    return PART.problem("the certificate", said, fix.format(host=host))


def _certificate(server: HttpProbe, now: float) -> Finding:
    until = str(server.certificate().get("notAfter", ""))
    days = int((ssl.cert_time_to_seconds(until) - now) // 86400) if until else 0
    if days < DAYS_LEFT:
        return PART.warning("the certificate", f"ends in {days} days ({until})", "renew it, and look why nobody did")
    return PART.ok("the certificate", f"is valid for {days} days more")


def _appliance(server: HttpProbe, alive: ProbeResponse, ended: str | None) -> Finding:
    if 300 <= alive.status < 400:
        there = alive.first("location")
        fix = f"set server.public_url to where people end up; it leads to {there[:200]}"
        return PART.problem(server.address, f"sends people on ({alive.status})", fix)
    try:
        said = json.loads(alive.body)
    except ValueError:
        said = None
    if alive.status != http.client.OK or not isinstance(said, dict) or said.get("status") != "alive":
        fix = "have the proxy hand everything on to the server, with its Host as it came"
        if alive.status in (502, 503, 504):
            fix = "start the server; or correct where the proxy hands on to, and look into its log"
        if isinstance(said, dict) and said.get("code") == "unknown_host":
            fix = f'[server] public_url = "{server.address}", or add the name to server.allowed_hosts'
        return PART.problem(server.address, f"answers {alive.status} at /healthz, and not as SecLink does", fix)
    if ended is None:
        return PART.ok(server.address, "is a SecLink; whether it is this one can be told once a secret has ended here")
    if server.get(f"/api/v1/secrets/{ended}/meta").status != http.client.GONE:
        fix = "correct server.public_url, or have the proxy hand on to this server"
        return PART.problem(server.address, "is another SecLink, or one with another database", fix)
    return PART.ok(server.address, "is this SecLink: it knows what has ended in this database")


def _pages(server: HttpProbe) -> Iterator[Finding]:
    """Every byte and header: what the proxy strips, doubles or adds shows here."""
    try:
        likeness = verify_pages(server)
    except Unreachable as error:
        yield PART.problem("the pages", error.message, "look into the proxy's log")
        return
    counts = Counter(each.what for each in likeness.differences)
    for what, times in counts.most_common(SHOWN):
        fix = f"have the proxy leave headers and bodies alone; `seclink verify {server.address}` lists everything"
        yield PART.problem(f"{times} of {likeness.answers} pages and files", what, fix)
    if not likeness.differences:
        said = f"arrive as they were made, {likeness.bytes:,} bytes with all their headers"
        yield PART.ok("the pages", f"{said}, fingerprint {likeness.expected}")


def _plain(server: HttpProbe) -> Iterator[Finding]:
    """What people get who type the name without https."""
    if not server.is_https or server.port != 443:
        return
    looked = f"http://{server.host}"
    with HttpProbe(looked) as plain:
        try:
            seen = plain.get("/", BROWSER)
        except Unreachable:
            yield PART.ok(looked, "is closed")
            return
    if 300 <= seen.status < 400 and seen.first("location").startswith("https:"):
        yield PART.ok(looked, "leads to https")
    else:
        said = f"answers {seen.status} over plain http instead of leading to https"
        yield PART.warning(looked, said, "redirect it to https in the proxy")

"""Checks of the proxy: whether it passes on the clients' addresses, and how large and slow a request body may be."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from secrets import choice

from msgspec import Struct

from seclink.config.schema import Config
from seclink.doctor.findings import CheckGroup, Finding
from seclink.domain.tokens import ALPHABET
from seclink.errors import Unreachable
from seclink.ops.http_probe import FAILURES, HttpProbe, ProbeResponse, read_response

REMAINING = re.compile(r'"peek";r=(\d+)')
FORGED_ADDRESS = "192.0.2.77"  # reserved for documentation, RFC 5737
PEEKS = 3
# The server's possible errors for the request of `body_limit`: it has read the body, or refuses it before.
EXPECTED_CODES = ("bad_request", "key_required", "rate_limited")
FORWARD = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for (nginx); Caddy and Traefik do it by default"


class Remaining(Struct, frozen=True):
    """The peeks that the server still allows the client, read from the header RateLimit of its responses.

    The server counts peeks per client address, so these numbers show which addresses it sees. `before` are those of
    PEEKS requests through the proxy, then PEEKS requests bypass it, `after` is that of one more request through the
    proxy, and `forged` that of one with a made-up X-Forwarded-For. -1 means that the header did not arrive.

    For example, with PEEKS = 3 and a limit of 100; the requests that bypass the proxy are in parentheses:

                                  before                      after   forged
        addresses arrive          99 98 97    (99 98 97)      96      95
        they do not arrive        99 98 97    (96 95 94)      93      92
        forged ones are believed  99 98 97    (99 98 97)      96      99

    Requests that bypass the proxy come from 127.0.0.1, as do the proxy's own. If the server takes every client for the
    proxy, both use up the same count, and it drops by PEEKS more between `before` and `after`. If the server believes
    a forged address, that address has a count of its own, which is still full.
    """

    before: list[int]
    after: int
    forged: int

    @property
    def is_missing(self) -> bool:
        return min(*self.before, self.after, self.forged) < 0

    @property
    def is_uncountable(self) -> bool:
        """The limit is used up, or so high that it is full again before the next request."""
        return self.before[0] - self.before[-1] < PEEKS - 1

    @property
    def is_forgery_believed(self) -> bool:
        return self.forged > self.after + 1

    @property
    def is_shared_with_proxy(self) -> bool:
        return self.before[-1] - self.after >= PEEKS


def client_addresses(
    group: CheckGroup, config: Config, server: HttpProbe, local: HttpProbe | None
) -> Iterator[Finding]:
    """Check that the server sees the address of each client, and believes no client's claim about its own.

    `local` is the server itself, past the proxy, or None if it does not run on this machine.
    """
    subject = "the clients' addresses"
    try:
        remaining = _measure(server, local)
    except Unreachable as error:
        yield group.problem(subject, error.message, "check the proxy's log")
        return
    if remaining.is_missing:
        observation = "cannot be checked: the header RateLimit does not arrive"
        yield group.warning(subject, observation, "configure the proxy to pass that header on unchanged")
    elif remaining.is_uncountable:
        yield group.ok(subject, "cannot be checked: rates.peek is used up, or too high to see single requests")
    elif remaining.is_forgery_believed:
        observation = "can be forged: X-Forwarded-For is passed on as the client sent it, so rate limits do not work"
        yield group.problem(subject, observation, FORWARD)
    elif remaining.is_shared_with_proxy:
        observation = "do not arrive: all clients look like the proxy, and share one client's rate limits"
        trust = "" if config.server.trusted_proxies else ', and [server] trusted_proxies = ["127.0.0.1"]'
        yield group.problem(subject, observation, f"{FORWARD}{trust}")
    elif local is None:
        observation = "cannot be forged; whether they arrive can only be checked on the server's machine"
        yield group.ok(subject, observation)
    else:
        yield group.ok(subject, "arrive, and cannot be forged")


def _measure(server: HttpProbe, local: HttpProbe | None) -> Remaining:
    before = [_peek(server) for _ in range(PEEKS)]
    if local is not None:
        for _ in range(PEEKS):
            _peek(local)
    return Remaining(before, _peek(server), _peek(server, {"X-Forwarded-For": FORGED_ADDRESS}))


def _peek(server: HttpProbe, headers: dict[str, str] | None = None) -> int:
    """Peek at a link that does not exist; return the remaining peeks, -1 if the response has no such header."""
    link_id = "".join(choice(ALPHABET) for _ in range(12))
    match = REMAINING.search(server.get(f"/api/v1/secrets/{link_id}/meta", headers or {}).get("ratelimit"))
    return int(match[1]) if match else -1


def body_limit(group: CheckGroup, server: HttpProbe, payload_bytes: int, pause_seconds: float) -> Iterator[Finding]:
    """Check that the largest secret arrives, even from a client whose connection stalls for a while."""
    size = payload_bytes * 4 // 3 + 1024
    subject = f"a request of {size:,} bytes"
    try:
        response = _upload(server, size, pause_seconds)
    except FAILURES as error:
        fix = "raise the proxy's limits for the size and the duration of a request body"
        yield group.problem(subject, f"is cut off: {server.describe(error)}", fix)
        return
    code = _error_code(response)
    if code in EXPECTED_CODES:
        yield group.ok(subject, f"arrives, even with a pause of {pause_seconds:g} s")
    elif response.status == http.client.REQUEST_ENTITY_TOO_LARGE and not code:
        fix = f"client_max_body_size {-(-size // 2**20) + 1}m (nginx), or a smaller limits.payload_bytes"
        yield group.problem(subject, "is refused as too large before it reaches the server", fix)
    elif code:
        fix = "restart the server if its configuration has changed; try again later if it is busy"
        yield group.problem(subject, f"is refused by the server: {response.status} {code}", fix)
    else:
        fix = "check the proxy's log, its body size limit and its timeouts"
        yield group.problem(subject, f"gets status {response.status}, but not from the server", fix)


def _error_code(response: ProbeResponse) -> str:
    """Return the server's error code, "" if the response is not the server's."""
    try:
        problem = json.loads(response.body) if "problem+json" in response.get("content-type") else {}
    except ValueError:
        return ""
    return str(problem.get("code", "")) if isinstance(problem, dict) else ""


def _upload(server: HttpProbe, size: int, pause_seconds: float) -> ProbeResponse:
    """Send a long body that is not a valid request, in two halves. Raises OSError or HTTPException.

    A proxy may refuse the request before it has all of it: then the response is there although sending failed.
    """
    body = b'{"doctor": "' + b"A" * (size - 14) + b'"}'
    connection = server.connect()
    try:
        connection.putrequest("POST", f"{server.root}/api/v1/secrets")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            connection.send(body[: size // 2])
            time.sleep(pause_seconds)
            connection.send(body[size // 2 :])
        except OSError:
            return read_response(connection.getresponse())
        return read_response(connection.getresponse())
    finally:
        connection.close()

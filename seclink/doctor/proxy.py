"""What a proxy does to requests: whose address the appliance sees, and how long and how slow a body may be."""

import http.client
import json
import re
import time
from collections.abc import Iterator
from secrets import choice

from seclink.config.schema import Config
from seclink.doctor.findings import CheckGroup, Finding
from seclink.domain.tokens import ALPHABET
from seclink.errors import Unreachable
from seclink.ops.http_probe import HttpProbe, ProbeResponse, reason, seen

LEFT = re.compile(r'"peek";r=(\d+)')
CLAIMED = "192.0.2.77"  # nobody's: RFC 5737
LOOKS = 3
# What the server says to such a body once it has it, or before it wants it.
ARRIVED = ("bad_request", "key_required", "rate_limited")
LOCAL = {"Host": "localhost"}
HOW = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for (nginx); Caddy and Traefik do it by themselves"


def clients(part: CheckGroup, config: Config, server: HttpProbe, here: HttpProbe | None) -> Iterator[Finding]:
    """Whether the appliance tells one visitor from another, and believes nobody about who they are.

    Looks count against the rate `peek` of whoever the appliance takes the visitor for. Looks past the proxy count
    against this machine: where those are missing outside, it takes everybody for the proxy.
    """
    looked = "the clients' addresses"
    try:
        own = [_left(server) for _ in range(LOOKS)]
        for each in [here] * LOOKS if here is not None else []:
            _left(each, LOCAL)
        after, claimed = _left(server), _left(server, {"X-Forwarded-For": CLAIMED})
    except Unreachable as error:
        yield part.problem(looked, error.message, "look into the proxy's log")
        return
    if min(*own, after, claimed) < 0:
        said = "cannot be told: the header RateLimit does not arrive"
        yield part.warning(looked, said, "have the proxy leave it alone")
    elif own[0] - own[-1] < LOOKS - 1:  # used up, or filled again at once
        yield part.ok(looked, "cannot be told: rates.peek is used up for now, or too high to count by")
    elif claimed > after + 1:
        said = "are what visitors say they are: X-Forwarded-For is handed on as it came, and no rate holds anybody"
        yield part.problem(looked, said, HOW)
    elif own[-1] - after >= LOOKS:
        said = "do not arrive: everybody is taken for the proxy, and shares one client's rates"
        trusted = "" if config.server.trusted_proxies else ', and [server] trusted_proxies = ["127.0.0.1"]'
        yield part.problem(looked, said, f"{HOW}{trusted}")
    elif here is None:
        yield part.ok(looked, "cannot be forged; whether they arrive can be told only where the server runs")
    else:
        yield part.ok(looked, "arrive, and cannot be forged")


def body_limit(part: CheckGroup, server: HttpProbe, payload_bytes: int, pause_seconds: float) -> Iterator[Finding]:
    """Whether the largest secret arrives, also from somebody whose line stops for a while."""
    size = payload_bytes * 4 // 3 + 1024
    looked = f"a request of {size:,} bytes"
    try:
        answer = _upload(server, size, pause_seconds)
    except (OSError, http.client.HTTPException) as error:
        fix = "raise the proxy's limits for the size and the duration of a body"
        yield part.problem(looked, f"is cut off: {reason(error)}", fix)
        return
    code = _code(answer)
    if code in ARRIVED:
        yield part.ok(looked, f"arrives, with a pause of {pause_seconds:g} s in it")
    elif answer.status == http.client.REQUEST_ENTITY_TOO_LARGE and not code:
        fix = f"client_max_body_size {-(-size // 2**20) + 1}m (nginx), or a smaller limits.payload_bytes"
        yield part.problem(looked, "is refused as too large before it reaches the server", fix)
    elif code:
        fix = "restart the server, if its configuration is another one; try again later, if it is busy"
        yield part.problem(looked, f"is refused by the server: {answer.status} {code}", fix)
    else:
        fix = "look into the proxy's log: its limits for a body, its timeouts"
        yield part.problem(looked, f"is answered {answer.status} by something else than the server", fix)


def _code(answer: ProbeResponse) -> str:
    """The server's own word for a refusal; "" where somebody else refused."""
    try:
        said = json.loads(answer.body) if "problem+json" in answer.first("content-type") else {}
    except ValueError:
        return ""
    return str(said.get("code", "")) if isinstance(said, dict) else ""


def _left(server: HttpProbe, headers: dict[str, str] | None = None) -> int:
    """What is left of the rate after one more look at a link that is not there; -1 where nobody says."""
    link = "".join(choice(ALPHABET) for _ in range(12))
    found = LEFT.search(server.get(f"/api/v1/secrets/{link}/meta", headers or {}).first("ratelimit"))
    return int(found[1]) if found else -1


def _upload(server: HttpProbe, size: int, pause_seconds: float) -> ProbeResponse:
    """A long body that is no valid request, in two halves. Raises OSError, HTTPException.

    Who refuses it may do so before it is sent: then the answer is there although sending failed.
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
            return seen(connection.getresponse())
        return seen(connection.getresponse())
    finally:
        connection.close()

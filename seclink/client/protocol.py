"""One request to a server and its response, without any I/O.

A call is a generator. It yields an `HttpRequest` to send or a `float` of seconds to wait, and receives an
`HttpResponse`, or `ConnectionLost` if there was none. A socket, an event loop or a test drives it.

Only a request that is harmless to repeat is repeated: one that reads, or that has an Idempotency-Key. It is attempted
three times if connections are lost, responses are broken, or the server is busy or restarting; an error response is
final.
"""

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar, get_args

from seclink.errors import (
    BY_CODE,
    BadRequest,
    ClientError,
    Fault,
    FaultCode,
    Gone,
    Limit,
    PasscodeWrong,
    PayloadTooLarge,
    RateLimited,
    SecLinkError,
    Unreachable,
)

T = TypeVar("T")

RETRY_SECONDS = (0.2, 1.0)
"""The pauses before the second and the third attempt."""

MAX_RETRY_SECONDS = 5
"""A busy server's Retry-After is obeyed up to this limit; with a longer one the call fails, and the caller decides."""

MAX_BOUND = 2**53
"""A limit of a fault beyond this is ignored: a hostile server may send any number."""

MAX_BYTES = 2**20
"""The size of a response, except for payloads: parsed, JSON takes up to thirty times as much memory."""

MAX_DEPTH = 20
MAX_FAULTS = 50

PROXY_PAUSE_SECONDS = 60
"""How long to wait after a proxy's error 429 that names no time."""

_CODE = re.compile(r"[a-z_]{1,40}")
_DETAIL_CHARS = 500
_REDIRECTS = range(300, 400)
_NOT_READY = (502, 503, 504)
_LOGIN = "a proxy or the network in between asks for a login"
_REFUSED = "a proxy or firewall in between refuses the request"
_SLOW = "the request was too slow for a proxy in between"
_REASONS = {401: _LOGIN, 403: _REFUSED, 407: _LOGIN, 408: _SLOW, 451: _REFUSED, 511: _LOGIN}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`body` is sent as JSON unless it is None. `repeatable`: sending it twice has the same effect as once.
    `max_bytes` bounds the body of a successful response.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = False
    max_bytes: int = MAX_BYTES

    def content(self) -> bytes | None:
        # JSON escapes to ASCII, so a lone surrogate is rejected by the server instead of crashing the client.
        return None if self.body is None else json.dumps(self.body).encode()

    @property
    def origin(self) -> str:
        return "/".join(self.url.split("/", 3)[:3])


Body = bytes | bytearray


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Body = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """No complete response: refused, cut off or timed out. The request may or may not have arrived."""

    reason: str


Step = HttpRequest | float
Outcome = HttpResponse | ConnectionLost | None
Flow = Generator[Step, Outcome, T]


def exchange(
    request: HttpRequest,
    read: Callable[[Mapping[str, Any]], T],
    decode: Callable[[Body], Mapping[str, Any]] | None = None,
) -> Flow[T]:
    """Send the request until `read` accepts the JSON object of a response, and return its result.

    `decode` reads the object, by default with all its members. Raises the exception of an error response, or
    Unreachable.
    """
    for delay in (*RETRY_SECONDS, None):
        outcome = yield request
        try:
            return read(_data(request, outcome, decode or _json_object))
        except SecLinkError as error:
            failure = error
        except (KeyError, TypeError, ValueError, OverflowError):
            failure = Unreachable(f"{request.origin} sent a response that is not SecLink's")
        if delay is None or not request.repeatable or not _is_transient(outcome):
            break
        if (pause := max(delay, _requested_pause(outcome))) > MAX_RETRY_SECONDS:
            break
        yield pause
    raise failure


def _is_transient(outcome: Outcome) -> bool:
    """Return whether the same request may soon succeed: no response, a broken one, or a server that is not ready."""
    return not isinstance(outcome, HttpResponse) or outcome.status in _NOT_READY or outcome.status < 300


def _data(request: HttpRequest, outcome: Outcome, decode: Callable[[Body], Mapping[str, Any]]) -> Mapping[str, Any]:
    if not isinstance(outcome, HttpResponse):
        reason = outcome.reason if isinstance(outcome, ConnectionLost) else "nothing was sent"
        raise Unreachable(f"{request.origin} cannot be reached: {reason}")
    if outcome.status in (202, 204):
        return {}
    if 200 <= outcome.status < 300:
        return decode(outcome.body)
    raise error_of(request, outcome)


def error_of(request: HttpRequest, response: HttpResponse) -> SecLinkError:
    """Return the exception for an error response, also for one of something between here and SecLink."""
    try:
        problem = _json_object(response.body)
        code = problem["code"]
    except (KeyError, ValueError):
        return _not_seclink(request, response)
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        return _not_seclink(request, response)
    detail = _text(problem.get("detail") or problem.get("title"))
    kind = BY_CODE.get(code, SecLinkError)
    if issubclass(kind, ClientError):  # a server never sends these codes
        return _not_seclink(request, response)
    if issubclass(kind, BadRequest | PayloadTooLarge):
        return kind(detail, _faults(problem.get("errors")))
    if issubclass(kind, PasscodeWrong):
        return kind(detail, _bound(problem.get("attemptsLeft")) or 0)
    if issubclass(kind, Gone):
        return kind(detail, _text(problem.get("state")), _bound(problem.get("endedAt")))
    if issubclass(kind, RateLimited):
        return kind(detail, _retry_after(response) or 1)
    return kind(detail)


def _not_seclink(request: HttpRequest, response: HttpResponse) -> SecLinkError:
    """Return the exception for an error that is not SecLink's: of a proxy, or because this is another server."""
    origin, status = request.origin, response.status
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return PayloadTooLarge(f"The text is too long for a proxy at or before {origin} (status 413)")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = f"A proxy at or before {origin} got too many requests (status 429)"
        return RateLimited(message, _retry_after(response) or PROXY_PAUSE_SECONDS)
    if status in _REDIRECTS:
        target = response.headers.get("location", "another address")[:200]
        return Unreachable(f"{origin} redirects to {target}: use the server's address there")
    if status in _NOT_READY:
        return Unreachable(f"{origin} responds, but the SecLink behind it does not ({status})")
    phrase = next((f" {known.phrase}" for known in HTTPStatus if known == status), "")
    reason = _REASONS.get(status, "is this its address, or is a proxy in between?")
    return Unreachable(f"{origin} responds with {status}{phrase}, but not as SecLink does: {reason}")


def _json_object(body: Body) -> Mapping[str, Any]:
    try:
        data = json.loads(body, parse_constant=_not_json)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(data, dict) or _depth(data) > MAX_DEPTH:
        raise ValueError("not an object, or nested too deeply")
    return data


def _not_json(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _depth(data: Any) -> int:
    """Return how deeply a value is nested, or a number beyond the maximum."""
    level, depth = [data], 0
    while level and depth <= MAX_DEPTH:
        level = [item for value in level for item in _items(value)]
        depth += 1
    return depth


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _text(value: Any) -> str:
    """Return a text of a server on one line, shortened: it is shown to people."""
    return " ".join(value[:_DETAIL_CHARS].split()) if isinstance(value, str) else ""


def _faults(errors: Any) -> tuple[Fault, ...]:
    """Read the faults as far as they have the right types: an older server sends no code, a newer one other codes."""
    return (
        tuple(_fault(item) for item in errors[:MAX_FAULTS] if isinstance(item, dict))
        if isinstance(errors, list)
        else ()
    )


def _fault(item: Mapping[str, Any]) -> Fault:
    code: FaultCode = next((code for code in get_args(FaultCode) if code == item.get("code")), "invalid")
    bounds = item.get("limit")
    limit = Limit(_bound(bounds.get("min")), _bound(bounds.get("max"))) if isinstance(bounds, dict) else None
    return Fault(_text(item.get("field")), _text(item.get("message")), code, limit)


def _bound(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < MAX_BOUND else None


def _retry_after(response: HttpResponse) -> int:
    text = response.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _requested_pause(outcome: Outcome) -> int:
    return _retry_after(outcome) if isinstance(outcome, HttpResponse) else 0

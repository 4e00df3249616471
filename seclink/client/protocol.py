"""One question to a server and its answer, without doing any I/O.

A call is a generator: it yields a `HttpRequest` to be sent or a `float` of seconds to wait, and is sent an
`HttpResponse`, or `ConnectionLost` where none came. What drives it (a socket, an event loop, a test) is not known here.

Only a request that is harmless to repeat is repeated: reads, and what carries an Idempotency-Key. It is tried
three times over lost connections, broken answers and servers that are busy or restarting; a refusal is final
at once.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
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
    RateLimited,
    SecLinkError,
    Unreachable,
)

T = TypeVar("T")

WAITS = (0.2, 1.0)
"""Seconds before the second and the third try."""

LONGEST_WAIT = 5
"""A Retry-After of a busy server is kept up to so many seconds; a longer one is the caller's to decide."""

_DETAIL_CHARS = 500
_MOVED = range(300, 400)
_NOT_READY = (502, 503, 504)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`body` is sent as JSON where it is not None.

    `repeatable`: sending it twice does no more than sending it once.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = False

    def content(self) -> bytes | None:
        # Escaped to ASCII: a lone surrogate is then the server's to refuse, not a crash of ours.
        return None if self.body is None else json.dumps(self.body).encode()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """No whole answer came back: refused, cut, timed out. Whether the request arrived is not known."""

    reason: str


Step = HttpRequest | float
Outcome = HttpResponse | ConnectionLost | None
Flow = Generator[Step, Outcome, T]


def exchange(request: HttpRequest, read: Callable[[Mapping[str, Any]], T]) -> Flow[T]:
    """Ask until there is an answer that `read` understands.

    Raises what the server refused with, or Unreachable.
    """
    for wait in (*WAITS, None):
        outcome = yield request
        try:
            return read(_content(request, outcome))
        except SecLinkError as error:
            failure = error
        except (KeyError, TypeError, ValueError, OverflowError):
            failure = Unreachable(f"{_origin(request)} sent an answer that is not SecLink's")
        if wait is None or not request.repeatable or not _passes(outcome):
            break
        if (pause := max(wait, _asked_pause(outcome))) > LONGEST_WAIT:
            break
        yield pause
    raise failure


def _passes(outcome: Outcome) -> bool:
    """Whether the same request may succeed in a moment: no answer, a broken one, a server not ready."""
    return not isinstance(outcome, HttpResponse) or outcome.status in _NOT_READY or outcome.status < 300


def _content(request: HttpRequest, outcome: Outcome) -> Mapping[str, Any]:
    if not isinstance(outcome, HttpResponse):
        reason = outcome.reason if isinstance(outcome, ConnectionLost) else "nothing was sent"
        raise Unreachable(f"{_origin(request)} cannot be reached: {reason}")
    if outcome.status in (202, 204):
        return {}
    if 200 <= outcome.status < 300:
        return _object(outcome.body)
    raise refusal(request, outcome)


def refusal(request: HttpRequest, answer: HttpResponse) -> SecLinkError:
    """The exception an answer that is not a success stands for.

    Unreachable where it is not SecLink speaking.
    """
    try:
        problem = _object(answer.body)
        code = str(problem["code"])
    except (KeyError, ValueError):
        return Unreachable(_stranger(request, answer))
    detail = str(problem.get("detail") or problem.get("title") or "")[:_DETAIL_CHARS]
    kind = BY_CODE.get(code, SecLinkError)
    if issubclass(kind, ClientError):  # not a server's to say
        return Unreachable(_stranger(request, answer))
    if issubclass(kind, BadRequest):
        return kind(detail, _faults(problem.get("errors")))
    if issubclass(kind, PasscodeWrong):
        return kind(detail, _whole(problem.get("attemptsLeft")) or 0)
    if issubclass(kind, Gone):
        return kind(detail, str(problem.get("state") or ""), _whole(problem.get("endedAt")))
    if issubclass(kind, RateLimited):
        return kind(detail, _retry_after(answer) or 1)
    return kind(detail)


def _stranger(request: HttpRequest, answer: HttpResponse) -> str:
    origin = _origin(request)
    if answer.status in _MOVED:
        elsewhere = answer.headers.get("location", "elsewhere")[:200]
        return f"{origin} sends callers on to {elsewhere}: give the server's address as it is there"
    if answer.status in _NOT_READY:
        return f"{origin} is there, but SecLink behind it is not ({answer.status})"
    return f"{origin} answers {answer.status}, but not as SecLink does: is this its address?"


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def _faults(errors: Any) -> tuple[Fault, ...]:
    """Read the faults as far as they have the right types: an older server sends no code, a newer one other codes."""
    return tuple(_fault(item) for item in errors if isinstance(item, dict)) if isinstance(errors, list) else ()


def _fault(item: Mapping[str, Any]) -> Fault:
    code: FaultCode = next((code for code in get_args(FaultCode) if code == item.get("code")), "invalid")
    bounds = item.get("limit")
    limit = Limit(_whole(bounds.get("min")), _whole(bounds.get("max"))) if isinstance(bounds, dict) else None
    return Fault(str(item.get("field", "")), str(item.get("message", ""))[:_DETAIL_CHARS], code, limit)


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _retry_after(answer: HttpResponse) -> int:
    said = answer.headers.get("retry-after", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0


def _asked_pause(outcome: Outcome) -> int:
    return _retry_after(outcome) if isinstance(outcome, HttpResponse) else 0


def _origin(request: HttpRequest) -> str:
    return "/".join(request.url.split("/", 3)[:3])

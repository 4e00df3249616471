"""One request to a server and its response, without any I/O.

Only a request that is harmless to repeat is repeated: one that reads, or that has an Idempotency-Key. It is attempted
three times if connections are lost, responses are broken, or the server is busy or restarting; an error response is
final. A chunk of files is attempted for ten minutes.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from seclink.client.error_responses import NOT_READY, error_of, json_object, retry_after
from seclink.client.steps import Body, ConnectionLost, Flow, HttpRequest, HttpResponse, Outcome
from seclink.errors import (
    ClientError,
    DigestMismatch,
    RateLimited,
    RequestTimeout,
    SecLinkError,
    StorageFull,
    Superseded,
    Unreachable,
)

T = TypeVar("T")

RETRY_SECONDS = (0.2, 1.0)
"""The pauses before the second and the third attempt."""

MAX_RETRY_SECONDS = 5
"""A busy server's Retry-After is obeyed up to this limit; with a longer one the call fails, and the caller decides."""

CHUNK_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, *[30.0] * 19)
"""The pauses before a chunk of files is attempted again: ten minutes. The server ends an upload after sixty."""

MAX_CHUNK_PAUSE = 60
"""A Retry-After for a chunk is obeyed up to this limit; with a longer one it is attempted earlier."""

_BROKEN_OFF = (DigestMismatch, RateLimited, RequestTimeout, Superseded)  # of a chunk, which may then be sent again


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
            return _result(request, outcome, read, decode or json_object)
        except SecLinkError as error:
            failure = error
        if delay is None or not request.repeatable or not _is_transient(outcome):
            break
        if (pause := max(delay, _requested_pause(outcome))) > MAX_RETRY_SECONDS:
            break
        yield pause
    raise failure


def transfer(request: HttpRequest) -> Flow[Body]:
    """Send the request for a chunk of files until it succeeds, with growing pauses, and return the response's body.

    Raises the exception of an error response that no pause cures, or after ten minutes the last one.
    """
    for delay in (*CHUNK_PAUSES, None):
        outcome = yield request
        try:
            return _result(request, outcome, _body, lambda body: {"body": body})
        except SecLinkError as error:
            failure = error
        if delay is None or not (_is_transient(outcome) or _is_broken_off(failure)):
            break
        yield max(delay, min(_requested_pause(outcome), MAX_CHUNK_PAUSE))
    raise failure


def _body(data: Mapping[str, Any]) -> Body:
    body: Body = data["body"]
    return body


def _is_broken_off(error: SecLinkError) -> bool:
    """Return whether a chunk may soon be transferred although the server refused it."""
    is_servers_fault = error.status >= 500 and not isinstance(error, StorageFull | ClientError)
    return is_servers_fault or isinstance(error, _BROKEN_OFF)


def _result(
    request: HttpRequest,
    outcome: Outcome,
    read: Callable[[Mapping[str, Any]], T],
    decode: Callable[[Body], Mapping[str, Any]],
) -> T:
    try:
        return read(_data(request, outcome, decode))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Unreachable(f"{request.origin} sent a response that is not SecLink's") from None


def _is_transient(outcome: Outcome) -> bool:
    """Return whether the same request may soon succeed: no response, a broken one, or a server that is not ready."""
    return not isinstance(outcome, HttpResponse) or outcome.status in NOT_READY or outcome.status < 300


def _data(request: HttpRequest, outcome: Outcome, decode: Callable[[Body], Mapping[str, Any]]) -> Mapping[str, Any]:
    if not isinstance(outcome, HttpResponse):
        reason = outcome.reason if isinstance(outcome, ConnectionLost) else "nothing was sent"
        raise Unreachable(f"{request.origin} cannot be reached: {reason}")
    if outcome.status in (202, 204):
        return {"body": b""}
    if 200 <= outcome.status < 300:
        return decode(outcome.body)
    raise error_of(request, outcome)


def _requested_pause(outcome: Outcome) -> int:
    return retry_after(outcome) if isinstance(outcome, HttpResponse) else 0

"""Refusals as `application/problem+json` (RFC 9457): one shape for everything, made in one place.

Members: type, title, status, detail, code, requestId; errors where members of a request, or parts of
the server, were at fault; state
and endedAt where a secret is gone; attemptsLeft after a wrong passcode. Nothing of the request, no path and no
SQL is repeated.
"""

from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from seclink.errors import (
    BadRequest,
    Busy,
    Fault,
    Gone,
    Internal,
    MethodNotAllowed,
    NotFound,
    PasscodeWrong,
    PayloadTooLarge,
    RateLimited,
    SecLinkError,
    StorageFailed,
)
from seclink.telemetry.log import Log
from seclink.web.asgi import Message
from seclink.web.cors import CORS
from seclink.web.middleware import CustomError
from seclink.web.security_headers import Header

MEDIA_TYPE = b"application/problem+json"
_BY_STATUS: dict[int, type[SecLinkError]] = {
    each.status: each for each in (BadRequest, NotFound, MethodNotAllowed, PayloadTooLarge, Internal)
}


def render(error: SecLinkError, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of a refusal."""
    problem: dict[str, Any] = {
        "type": f"urn:seclink:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "requestId": request_id,
    }
    headers = [(b"content-type", MEDIA_TYPE)]
    if isinstance(error, BadRequest | PayloadTooLarge | StorageFailed) and error.faults:
        problem["errors"] = [_fault(fault) for fault in error.faults]
    if isinstance(error, Gone):
        problem["state"] = error.state
        if error.ended_at is not None:
            problem["endedAt"] = error.ended_at
    if isinstance(error, PasscodeWrong):
        problem["attemptsLeft"] = error.attempts_left
    headers += retry_headers(error)
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    body = msgspec.json.encode(problem)
    headers.append((b"content-length", b"%d" % len(body)))
    return error.status, headers, body


def _fault(fault: Fault) -> dict[str, Any]:
    """The JSON of a fault; `limit` and its bounds are left out where there are none."""
    item: dict[str, Any] = {"field": fault.field, "message": fault.message, "code": fault.code}
    if fault.limit:
        item["limit"] = {name: bound for name, bound in fault.limit._asdict().items() if bound is not None}
    return item


def retry_headers(error: SecLinkError) -> list[Header]:
    """When it may be tried again, where that is known."""
    if isinstance(error, RateLimited):
        return [(b"retry-after", b"%d" % error.retry_after)]
    return [(b"retry-after", b"1")] if isinstance(error, Busy | StorageFailed) else []


class Problems:
    """Litestar's exception handler. 5xx are logged; `debug` shows refusals too. `notice` is asked before `render`."""

    def __init__(self, log: Log, notice: CustomError = lambda scope, error: None) -> None:
        self._log, self._notice = log, notice

    def __call__(self, request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
        error = exception if isinstance(exception, SecLinkError) else _translated(exception)
        state = request.scope.get("state") or {}
        request_id = str(state.get("request_id", ""))
        if error.status >= 500:
            cause = exception.__cause__ or exception
            self._log.error("failed", code=error.code, request=request_id, detail=type(cause).__name__)
        else:
            self._log.debug("refused", code=error.code, status=error.status, request=request_id)
        status, headers, body = self._notice(cast(Message, request.scope), error) or render(error, request_id)
        given = {name.decode(): value.decode() for name, value in headers} | CORS
        allow = getattr(exception, "headers", None) or {}
        return Response(body, status_code=status, headers={**given, **allow}, media_type=given["content-type"])


def _translated(exception: Exception) -> SecLinkError:
    """What the framework raised, in our words; never its own text."""
    if isinstance(exception, MemoryError):  # it is others' requests that hold it, and not for long
        return Busy()
    status = exception.status_code if isinstance(exception, HTTPException) else 500
    return _BY_STATUS.get(status, Internal if status >= 500 else BadRequest)()

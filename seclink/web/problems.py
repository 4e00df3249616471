"""Error responses as `application/problem+json` (RFC 9457), all of one shape.

Members: type, title, status, detail, code, requestId; errors for members of a request, or parts of the server, at
fault; state and endedAt if a secret is gone; attemptsLeft after a wrong passcode. Values from the request, paths and
SQL are never repeated.
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
    error.status: error for error in (BadRequest, NotFound, MethodNotAllowed, PayloadTooLarge, Internal)
}


def render(error: SecLinkError, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of an error response."""
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
    """Return the JSON of a fault, without bounds that are unknown."""
    item: dict[str, Any] = {"field": fault.field, "message": fault.message, "code": fault.code}
    if fault.limit:
        item["limit"] = {name: bound for name, bound in fault.limit._asdict().items() if bound is not None}
    return item


def retry_headers(error: SecLinkError) -> list[Header]:
    """Return the header that tells when to repeat the request, if that can help."""
    if isinstance(error, RateLimited):
        return [(b"retry-after", b"%d" % error.retry_after)]
    return [(b"retry-after", b"1")] if isinstance(error, Busy | StorageFailed) else []


class Problems:
    """Litestar's exception handler. It logs 5xx, and what clients can cause at will at level debug.

    `custom_error` is tried before the response of this module.
    """

    def __init__(self, log: Log, custom_error: CustomError = lambda scope, error: None) -> None:
        self._log, self._custom_error = log, custom_error

    def __call__(self, request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
        error = exception if isinstance(exception, SecLinkError) else _translated(exception)
        state = request.scope.get("state") or {}
        request_id = str(state.get("request_id", ""))
        if error.status >= 500 and not is_at_will(exception):
            cause = exception.__cause__ or exception
            self._log.error("failed", code=error.code, request=request_id, detail=type(cause).__name__)
        else:
            self._log.debug("refused", code=error.code, status=error.status, request=request_id)
        custom = self._custom_error(cast(Message, request.scope), error)
        status, headers, body = custom or render(error, request_id)
        named = {name.decode(): value.decode() for name, value in headers} | CORS
        allow = getattr(exception, "headers", None) or {}  # Allow, in Litestar's 405
        return Response(body, status_code=status, headers={**named, **allow}, media_type=named["content-type"])


def is_at_will(error: BaseException) -> bool:
    """Return whether any client can cause the error whenever it likes: by exceeding its share or by going away.

    An OSError without a number comes from a library whose connection is gone, not from the operating system.
    """
    is_disconnect = isinstance(error, ConnectionError) or (isinstance(error, OSError) and error.errno is None)
    return is_disconnect or isinstance(error, Busy)


def _translated(exception: Exception) -> SecLinkError:
    """Return our error for an exception of the framework, whose text may repeat input."""
    if isinstance(exception, MemoryError):  # other requests use the memory, and not for long
        return Busy()
    status = exception.status_code if isinstance(exception, HTTPException) else 500
    return _BY_STATUS.get(status, Internal if status >= 500 else BadRequest)()

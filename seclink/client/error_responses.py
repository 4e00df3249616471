"""The exceptions for error responses, also for those of something between here and SecLink."""

import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, get_args

from seclink.client.steps import Body, HttpRequest, HttpResponse
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

MAX_BOUND = 2**53
"""A limit of a fault beyond this is ignored: a hostile server may send any number."""

MAX_DEPTH = 20
MAX_FAULTS = 50

PROXY_PAUSE_SECONDS = 60
"""How long to wait after a proxy's error 429 that names no time."""

NOT_READY = (502, 503, 504)

_CODE = re.compile(r"[a-z_]{1,40}")
_DETAIL_CHARS = 500
_REDIRECTS = range(300, 400)
_LOGIN = "a proxy or the network in between asks for a login"
_REFUSED = "a proxy or firewall in between refuses the request"
_SLOW = "the request was too slow for a proxy in between"
_REASONS = {401: _LOGIN, 403: _REFUSED, 407: _LOGIN, 408: _SLOW, 451: _REFUSED, 511: _LOGIN}


def error_of(request: HttpRequest, response: HttpResponse) -> SecLinkError:
    """Return the exception for an error response, also for one of something between here and SecLink."""
    try:
        problem = json_object(response.body)
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
        return kind(detail, retry_after(response) or 1)
    return kind(detail)


def _not_seclink(request: HttpRequest, response: HttpResponse) -> SecLinkError:
    """Return the exception for an error that is not SecLink's: of a proxy, or because this is another server."""
    origin, status = request.origin, response.status
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return PayloadTooLarge(f"The request is too large for a proxy at or before {origin} (status 413)")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        message = f"A proxy at or before {origin} got too many requests (status 429)"
        return RateLimited(message, retry_after(response) or PROXY_PAUSE_SECONDS)
    if status in _REDIRECTS:
        target = response.headers.get("location", "another address")[:200]
        return Unreachable(f"{origin} redirects to {target}: use the server's address there")
    if status in NOT_READY:
        return Unreachable(f"{origin} responds, but the SecLink behind it does not ({status})")
    phrase = next((f" {known.phrase}" for known in HTTPStatus if known == status), "")
    reason = _REASONS.get(status, "is this its address, or is a proxy in between?")
    return Unreachable(f"{origin} responds with {status}{phrase}, but not as SecLink does: {reason}")


def json_object(body: Body) -> Mapping[str, Any]:
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


def retry_after(response: HttpResponse) -> int:
    text = response.headers.get("retry-after", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

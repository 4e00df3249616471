"""A route as data: what it takes, answers and refuses. From one list come both the handlers and the OpenAPI
document, so the second is true.

The document is ours and not the framework's: that one knows nothing of what guards demand, and its pages load
scripts from elsewhere.
"""

from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Any, Literal, cast, get_args

import msgspec
from litestar import Request, Router
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from seclink import __version__
from seclink.domain import tokens
from seclink.errors import (
    BadRequest,
    Busy,
    FaultCode,
    Forbidden,
    HeadersTooLarge,
    Internal,
    KeyInvalid,
    KeyRequired,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    SecLinkError,
    StorageFailed,
    UnsupportedMediaType,
)
from seclink.telemetry.counters import Counters
from seclink.web.admission import AccessRule, Admission
from seclink.web.json_body import RequestContext, Response
from seclink.web.middleware import Receive

Handler = Callable[..., Awaitable[Response]]
PATTERNS = {"link_id": f"^({tokens.LINK_ID.pattern})$", "receipt_id": f"^{tokens.RECEIPT_ID.pattern}$"}
PARAMETERS: dict[str, dict[str, Any]] = {
    "Idempotency-Key": {
        "in": "header",
        "schema": {"type": "string", "minLength": 16, "maxLength": 128, "pattern": "^[!-~]+$"},
    },
    "SecLink-Access": {
        "in": "header",
        "schema": {"type": "string"},
        "description": "Proof of the link's key, base64url.",
    },
    "SecLink-Passcode": {"in": "header", "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}},
    "SecLink-Manage": {
        "in": "header",
        "schema": {"type": "string", "pattern": "^[!-~]*$"},
        "description": "The manage token.",
    },
    "status": {"in": "query", "schema": {"type": "string", "enum": ["active", "revealed", "burned", "expired"]}},
    "search": {"in": "query", "schema": {"type": "string", "maxLength": 200}},
    "page": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1}},
    "limit": {"in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}},
}


class Operation(Struct, frozen=True, kw_only=True):
    """One method on one path under a base. `errors` are those beyond what every such route may answer."""

    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    handler: Handler
    summary: str
    admission: AccessRule
    request_body: type[Struct] | None = None
    body_optional: bool = False
    response_body: type[Struct] | None = None
    status: int = 200
    headers: tuple[str, ...] = ()
    errors: tuple[type[SecLinkError], ...] = ()
    by_manage_token: bool = False
    description: str = ""


def router(path: str, operations: Iterable[Operation], admission: Admission, instruments: Counters) -> Router:
    """Handlers for the operations. What is not refused is timed, from here to its answer, body included.

    A plain function stands around each method, because Litestar copies handlers deeply and would copy the whole
    appliance; and it calls the guard itself, because Litestar copies the handler for each guard and request.
    """

    def handler(operation: Operation) -> Callable[[Request[Any, Any, Any]], Awaitable[Response]]:
        seconds = instruments.operation(path.rpartition("/")[2], operation.handler.__name__)

        async def handle(request: Request[Any, Any, Any]) -> Response:
            began = perf_counter()
            scope = cast("dict[str, Any]", request.scope)
            await admission.admit(scope, operation.admission)
            answer = await operation.handler(
                RequestContext(scope, cast(Receive, request.receive)), **scope["path_params"]
            )
            seconds.observe(perf_counter() - began)
            return answer

        return handle

    return Router(
        path,
        route_handlers=[
            # The answers carry their own status.
            HTTPRouteHandler(each.path, http_method=each.method, status_code=200)(handler(each))
            for each in operations
        ],
    )


def document(base: str, operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the operations."""
    listed = list(operations)
    kinds = [kind for each in listed for kind in (each.request_body, each.response_body) if kind is not None]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    refs = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, Any] = {}
    for each in listed:
        path = base + each.path.replace(":str}", "}")
        paths.setdefault(path, {})[each.method.lower()] = _described(each, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "SecLink", "version": __version__, "summary": "Hand a secret to one person, once."},
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM},
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "sk_live_..."},
                "manageToken": {"type": "apiKey", "in": "header", "name": "SecLink-Manage"},
            },
        },
    }


def _described(each: Operation, refs: dict[type[Struct], Any]) -> dict[str, Any]:
    names = [part[1:-5] for part in each.path.split("/") if part.startswith("{")]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": PATTERNS[name]}}
        for name in names
    ]
    query = each.admission.query or ()
    parameters += [{"name": name, "required": False, **PARAMETERS[name]} for name in (*each.headers, *query)]
    good: dict[str, Any] = {"description": each.summary}
    if each.response_body:
        good["content"] = {"application/json": {"schema": refs[each.response_body]}}
    described: dict[str, Any] = {
        "operationId": each.handler.__name__,
        "summary": each.summary,
        "parameters": parameters,
        "responses": {str(each.status): good, **_refusals(each)},
        "security": _security(each),
    }
    if each.description:
        described["description"] = each.description
    if each.request_body:
        content = {"application/json": {"schema": refs[each.request_body]}}
        described["requestBody"] = {"required": not each.body_optional, "content": content}
    return described


def _security(each: Operation) -> list[dict[str, list[str]]]:
    if each.by_manage_token:
        return [{"manageToken": []}, {"apiKey": []}]
    return [{"apiKey": []}] if each.admission.needs_key else [{}, {"apiKey": []}]


def _refusals(each: Operation) -> dict[str, Any]:
    errors: list[type[SecLinkError]] = [BadRequest, KeyInvalid, RateLimited, HeadersTooLarge, Internal, Busy]
    errors += [StorageFailed, *each.errors]
    errors += [Forbidden] if each.admission.scopes else []
    errors += [KeyRequired] if each.admission.needs_key else []
    if each.request_body:
        errors += [RequestTimeout, PayloadTooLarge, UnsupportedMediaType]
    codes: dict[int, list[str]] = {}
    for error in errors:
        codes.setdefault(error.status, []).append(error.code)
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": " or ".join(dict.fromkeys(names)), "content": content}
        for status, names in sorted(codes.items())
    }


_FAULT = {
    "type": "object",
    "description": "What is wrong with one member of the request, or with one part of the server.",
    "required": ["field", "message", "code"],
    "properties": {
        "field": {"type": "string", "description": "The member's name; empty for the request as a whole."},
        "message": {"type": "string", "description": "For people; may be reworded."},
        "code": {
            "type": "string",
            "description": f"For programs. One of {', '.join(get_args(FaultCode))}; later versions may add codes.",
        },
        "limit": {
            "type": "object",
            "description": "The bounds of the value, both included, where they are known: seconds for expiresIn, "
            "characters for texts, bytes for base64.",
            "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}},
        },
    },
}
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457",
    "required": ["type", "title", "status", "detail", "code", "requestId"],
    "properties": {
        **{name: {"type": "string"} for name in ("type", "title", "detail", "code", "requestId", "state")},
        **{name: {"type": "integer"} for name in ("status", "attemptsLeft", "endedAt")},
        "errors": {"type": "array", "items": _FAULT},
    },
}

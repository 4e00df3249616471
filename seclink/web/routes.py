"""The operations of an API as data, and the route handlers made from them. `openapi` describes the same operations."""

from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Any, Literal, NamedTuple, cast

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from seclink.errors import NavigationRefused, SecLinkError, UnsupportedMediaType
from seclink.telemetry.counters import Counters, Histogram
from seclink.web.admission import AccessRule, Admission
from seclink.web.asgi import Receive
from seclink.web.request import RequestContext
from seclink.web.response import Response

Handler = Callable[..., Awaitable[Response]]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
BINARY = "application/octet-stream"


class Operation(Struct, frozen=True, kw_only=True):
    """One method on one path below a base. `errors` lists those beyond the ones that every operation can return.

    With `takes_bytes` and `returns_bytes`, a body is not JSON but bytes.
    """

    method: Method
    path: str
    handler: Handler
    summary: str
    access_rule: AccessRule
    request_body: type[Struct] | None = None
    body_optional: bool = False
    response_body: type[Struct] | None = None
    status: int = 200
    headers: tuple[str, ...] = ()
    errors: tuple[type[SecLinkError], ...] = ()
    by_manage_token: bool = False
    takes_bytes: bool = False
    returns_bytes: bool = False
    description: str = ""


class _Timed(NamedTuple):
    operation: Operation
    duration: Histogram


def route_handlers(
    apis: Iterable[tuple[str, Iterable[Operation]]], admission: Admission, counters: Counters
) -> list[HTTPRouteHandler]:
    """Return handlers for the operations below each base. They admit a request, run its operation, and time successes.

    Litestar takes a millisecond to register a handler, most of a start. So paths with the same methods share one.
    """
    paths: dict[str, dict[Method, _Timed]] = {}
    for base, operations in apis:
        for operation in operations:
            duration = counters.operation(base.rpartition("/")[2], operation.handler.__name__)
            paths.setdefault(base + operation.path, {})[operation.method] = _Timed(operation, duration)
    groups: dict[tuple[Method, ...], dict[str, dict[Method, _Timed]]] = {}
    for path, by_method in paths.items():
        groups.setdefault(tuple(by_method), {})[path] = by_method
    return [_route_handler(methods, group, admission) for methods, group in groups.items()]


def _route_handler(
    methods: tuple[Method, ...], group: dict[str, dict[Method, _Timed]], admission: Admission
) -> HTTPRouteHandler:
    """Return the handler for a group of paths, each with all of the methods.

    It is a plain function, because Litestar deep-copies handlers and would copy the whole appliance with a bound
    method. It calls `admit` itself, because Litestar copies a handler once for each guard and request. Paths are whole:
    a Router would register every handler once more.
    """
    by_template = {path_template(path): by_method for path, by_method in group.items()}

    async def handle(request: Request[Any, Any, Any]) -> Response:
        began = perf_counter()
        scope = cast("dict[str, Any]", request.scope)
        operation, duration = by_template[scope["path_template"]][scope["method"]]
        actor = await admission.admit(scope, operation.access_rule)
        context = RequestContext(scope, cast(Receive, request.receive), actor)
        try:
            response = await operation.handler(context, **scope["path_params"])
        except (NavigationRefused, UnsupportedMediaType):
            admission.count_apart(scope, operation.access_rule)
            raise
        duration.observe(perf_counter() - began)
        return response

    # OPTIONS never comes this far; without it, Litestar would add a handler of its own to every path.
    # The real status is in the Response.
    return HTTPRouteHandler(list(group), http_method=[*methods, "OPTIONS"], status_code=200)(handle)


def path_template(path: str) -> str:
    """Return a path without the types of its parameters, as OpenAPI and the scope of a request have it."""
    return path.replace(":str}", "}")

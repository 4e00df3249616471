"""The operations of an API as data, and the route handlers made from them. `openapi` describes the same operations."""

from collections.abc import Awaitable, Callable, Iterable
from time import perf_counter
from typing import Any, Literal, cast

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from seclink.errors import SecLinkError
from seclink.telemetry.counters import Counters
from seclink.web.admission import AccessRule, Admission
from seclink.web.asgi import Receive
from seclink.web.request import RequestContext
from seclink.web.response import Response

Handler = Callable[..., Awaitable[Response]]


class Operation(Struct, frozen=True, kw_only=True):
    """One method on one path below a base. `errors` lists those beyond the ones that every operation can return."""

    method: Literal["GET", "POST", "PATCH", "DELETE"]
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
    description: str = ""


def route_handlers(
    base: str, operations: Iterable[Operation], admission: Admission, counters: Counters
) -> list[HTTPRouteHandler]:
    """Return handlers that admit each request, run the operation, and time the requests that succeed.

    Each method is wrapped in a plain function, because Litestar deep-copies handlers and would copy the whole appliance
    with a bound method. The wrapper calls `admit` itself, because Litestar copies a handler once for each guard and
    request. Paths are whole: a Router would register every handler once more, which doubles the time of a start.
    """

    def wrap(operation: Operation) -> Callable[[Request[Any, Any, Any]], Awaitable[Response]]:
        duration = counters.operation(base.rpartition("/")[2], operation.handler.__name__)

        async def handle(request: Request[Any, Any, Any]) -> Response:
            began = perf_counter()
            scope = cast("dict[str, Any]", request.scope)
            actor = await admission.admit(scope, operation.access_rule)
            context = RequestContext(scope, cast(Receive, request.receive), actor)
            response = await operation.handler(context, **scope["path_params"])
            duration.observe(perf_counter() - began)
            return response

        return handle

    return [
        # The real status is in the Response.
        HTTPRouteHandler(base + operation.path, http_method=operation.method, status_code=200)(wrap(operation))
        for operation in operations
    ]

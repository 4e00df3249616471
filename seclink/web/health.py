"""Health checks: `/healthz`, the process is alive, and `/readyz`, it can do its work.

They are open to strangers, so they name the part that fails and nothing more. They raise no error, because regular
polling would fill the log.
"""

from typing import Any

from litestar import HttpMethod, Request
from litestar.handlers import HTTPRouteHandler

from seclink.domain.health import HealthCheck
from seclink.errors import Fault, StorageFailed
from seclink.web import schemas
from seclink.web.cors import CORS_HEADERS
from seclink.web.problems import render
from seclink.web.response import Response, json_response

ALIVE, READY = PATHS = ("/healthz", "/readyz")
FAULTS = {
    "store": Fault("store", "does not accept writes", "not_writable"),
    "reaper": Fault("reaper", "has not finished a round lately", "late"),
}


def handlers(health: HealthCheck) -> list[HTTPRouteHandler]:
    async def healthz() -> Response:
        return alive()

    async def readyz(request: Request[Any, Any, Any]) -> Response:
        return await ready(health, str(request.scope["state"]["request_id"]))

    methods = (HttpMethod.GET, HttpMethod.HEAD)
    return [
        HTTPRouteHandler(ALIVE, http_method=methods, status_code=200)(healthz),
        HTTPRouteHandler(READY, http_method=methods, status_code=200)(readyz),
    ]


def alive() -> Response:
    return json_response(schemas.Health(status="alive"))


async def ready(health: HealthCheck, request_id: str) -> Response:
    failing = await health.failing()
    if not failing:
        # A full store is ready: the secrets in it can still be revealed.
        room, clock = "none" if await health.is_full() else "", "doubtful" if health.is_clock_doubtful else ""
        return json_response(schemas.Health(status="ready", room=room, clock=clock))
    error = StorageFailed("The server is not ready", tuple(FAULTS[part] for part in failing))
    status, headers, body = render(error, request_id)
    return Response(status, body, [*headers, *CORS_HEADERS])

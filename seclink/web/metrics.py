"""`/metrics`, in two places, each of them off unless the TOML wants it.

At the appliance's own address it answers holders of an API key with the scope `metrics`, which may do nothing else, or
`admin`. At an address of its own (`metrics.listen`) it asks for no key and answers the health checks, too: who gets
there is settled by where that address is. Pages of other sites may read neither.
"""

from typing import Any, cast

from litestar import Request
from litestar.handlers import HTTPRouteHandler

from seclink.errors import Busy, NotFound, SecLinkError
from seclink.model import Scope
from seclink.telemetry.prometheus import CONTENT_TYPE
from seclink.web import health
from seclink.web.admission import AccessRule, Admission
from seclink.web.asgi import Receive, Send
from seclink.web.metrics_collector import MetricsCollector
from seclink.web.middleware import Middleware
from seclink.web.problems import render
from seclink.web.response import Response

PATH = "/metrics"
ADMISSION = AccessRule(rate="peek", scopes=(Scope.METRICS, Scope.ADMIN), needs_key=True)
MAX_REQUESTS = 16


def handler(metrics: MetricsCollector, admission: Admission) -> HTTPRouteHandler:
    """For the appliance's own address."""

    async def show(request: Request[Any, Any, Any]) -> Response:
        await admission.admit(cast("dict[str, Any]", request.scope), ADMISSION)
        return await _exposition(metrics)

    return HTTPRouteHandler(PATH, http_method="GET", status_code=200)(show)


def metrics_app(metrics: MetricsCollector) -> Middleware:
    """For an address of its own: an ASGI application without a key, and with any Host, as scrapers call it by many."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        try:
            answer = await _answer(metrics, scope)
        except SecLinkError as error:
            status, headers, body = render(error, scope["state"]["request_id"])
            answer = Response(status, body, headers)
        await answer(scope, receive, send)

    return Middleware(app, render, max_body_bytes=1024, max_requests=MAX_REQUESTS, methods=("GET", "HEAD"))


async def _answer(metrics: MetricsCollector, scope: Any) -> Response:
    if scope["path"] == PATH:
        return await _exposition(metrics)
    if scope["path"] == health.ALIVE:
        return health.alive()
    if scope["path"] != health.READY:
        raise NotFound()
    if metrics.parts is None:
        raise Busy("The server is starting")
    return await health.ready(metrics.parts.health, scope["state"]["request_id"])


async def _exposition(metrics: MetricsCollector) -> Response:
    text = await metrics.text()
    return Response(200, text, [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(text))])


async def _live(receive: Receive, send: Send) -> None:
    """Nothing to start or to end."""
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return

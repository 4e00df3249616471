"""`/metrics`, at two addresses that are both off by default.

At the server's own address it needs an API key with the scope `metrics`, which permits nothing else, or `admin`. At an
address of its own (`metrics.listen`) it needs no key and includes the health checks: the network decides who reaches
that address. Pages of other sites can read neither, because there are no CORS headers.
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
ACCESS = AccessRule(rate="peek", scopes=(Scope.METRICS, Scope.ADMIN), needs_key=True)
MAX_REQUESTS = 16


def handler(metrics: MetricsCollector, admission: Admission) -> HTTPRouteHandler:
    """Return the handler for the server's own address."""

    async def show(request: Request[Any, Any, Any]) -> Response:
        await admission.admit(cast("dict[str, Any]", request.scope), ACCESS)
        return await _exposition(metrics)

    return HTTPRouteHandler(PATH, http_method="GET", status_code=200)(show)


def metrics_app(metrics: MetricsCollector) -> Middleware:
    """Return an application for a separate address: without a key, and with any Host, as scrapers use many names."""

    async def app(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        try:
            response = await _respond(metrics, scope)
        except SecLinkError as error:
            status, headers, body = render(error, scope["state"]["request_id"])
            response = Response(status, body, headers)
        await response(scope, receive, send)

    return Middleware(
        app,
        render,
        max_body_bytes=1024,
        max_requests=MAX_REQUESTS,
        methods=("GET", "HEAD"),
        any_host_paths=health.PATHS,
    )


async def _respond(metrics: MetricsCollector, scope: Any) -> Response:
    if scope["path"] == PATH:
        return await _exposition(metrics)
    if scope["path"] == health.ALIVE:
        return health.alive()
    if scope["path"] != health.READY:
        raise NotFound()
    if metrics.sources is None:
        raise Busy("The server is starting")
    return await health.ready(metrics.sources.health, scope["state"]["request_id"])


async def _exposition(metrics: MetricsCollector) -> Response:
    text = await metrics.text()
    return Response(200, text, [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", b"%d" % len(text))])


async def _lifespan(receive: Receive, send: Send) -> None:
    """Complete startup and shutdown; there is nothing to do."""
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return

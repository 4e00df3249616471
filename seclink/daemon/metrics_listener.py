"""The listener of metrics.listen: in the same process and loop, with connections and limits of its own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from seclink.errors import StartRefused
from seclink.server.serve import CannotListen, serve
from seclink.server.settings import Limits, ServerSettings
from seclink.telemetry.log import Log
from seclink.web.metrics import metrics_app
from seclink.web.metrics_collector import MetricsCollector

LIMITS = Limits(message_bytes=32_768, connections=32)


@contextlib.asynccontextmanager
async def metrics_listener(metrics: MetricsCollector, listener: socket.socket | None, log: Log) -> AsyncIterator[None]:
    """Serve the metrics for the duration of the block, if there is a listener. Raises StartRefused if it cannot."""
    if listener is None:
        yield
        return
    app, stop, is_up = metrics_app(metrics), asyncio.Event(), asyncio.Event()

    def ready(url: str) -> None:
        log.info("metrics_serving", url=url)
        is_up.set()

    settings = ServerSettings(app=app, render_error=app.render_http11, limits=LIMITS, grace_seconds=1.0)
    serving = asyncio.create_task(serve(settings, listener=listener, stop=stop, ready=ready))
    starting = asyncio.create_task(is_up.wait())
    await asyncio.wait((serving, starting), return_when=asyncio.FIRST_COMPLETED)
    starting.cancel()
    if serving.done():
        _raise_start_error(serving)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait((serving,))
        if error := serving.exception():
            log.error("metrics", detail=type(error).__name__)


def _raise_start_error(serving: asyncio.Task[None]) -> None:
    try:
        serving.result()
    except CannotListen as error:
        raise StartRefused(f"metrics.listen: {error}") from None

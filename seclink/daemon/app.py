"""The composition root: the only module that knows all parts. It creates them and passes them on by constructor."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, cast

from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler

from seclink.config.addresses import host_names, public_url
from seclink.config.schema import Config
from seclink.daemon.engine import Engine
from seclink.dialects import loader
from seclink.dialects.base import Dialect, DialectContext
from seclink.dialects.dispatch import DialectDispatcher
from seclink.domain.api_keys import ApiKeys
from seclink.domain.clock import Clock
from seclink.domain.vault import Vault
from seclink.errors import Fault, Internal, Limit, PayloadTooLarge, SecLinkError
from seclink.store.contract import Store
from seclink.telemetry.counters import Counters
from seclink.telemetry.log import Log
from seclink.web import health as health_web
from seclink.web import metrics as metrics_web
from seclink.web.admission import Admission
from seclink.web.asgi import App, Message
from seclink.web.assets import Assets
from seclink.web.cors import with_preflight
from seclink.web.documents import Documents
from seclink.web.error_page import ErrorPage
from seclink.web.files import STREAMED_BYTES, FilesApi
from seclink.web.metrics_collector import MetricsCollector
from seclink.web.middleware import CustomError, ErrorResponse, Middleware
from seclink.web.openapi import openapi_document
from seclink.web.origins import Origins
from seclink.web.pages import Pages
from seclink.web.problems import Problems, is_at_will, render
from seclink.web.receipts import ReceiptsApi
from seclink.web.response import Response, json_response
from seclink.web.routes import Operation, route_handlers
from seclink.web.secrets import SecretsApi
from seclink.web.security_headers import headers

BASE = "/api/v1"
CHUNK_PATH = re.compile(rf"{BASE}/uploads/[^/]+/chunks/[^/]+/?")


class Appliance(NamedTuple):
    """The parts that live as long as the process, and the ASGI application around them."""

    engine: Engine
    app: Middleware


def build(
    config: Config, assets: Assets, store: Store, log: Log, clock: Clock, metrics: MetricsCollector | None = None
) -> Appliance:
    """Build the whole appliance. The application's lifespan runs the reaper and, at the end, closes the store."""
    engine = Engine(config, store, log, clock, metrics)
    app = build_app(config, assets, engine)
    engine.reconfigure(config, lambda: app.in_flight)
    return Appliance(engine, app)


def build_app(config: Config, assets: Assets, engine: Engine) -> Middleware:
    """Build the application around an engine, which may already be running and is not changed.

    A reload calls this in a thread, because it takes as long as a start.
    """
    log, counters = engine.log, engine.metrics.counters
    vault = engine.vault.with_config(config)
    admission = Admission(ApiKeys(engine.store), engine.address_limiter, engine.key_limiter, config, engine.clock)
    origins = Origins(config, admission.is_trusted_proxy)
    dialects = _dialects(config, vault, admission, engine, assets, origins)
    dispatcher = DialectDispatcher(dialects, origins)

    def dialect_error(scope: Any, error: SecLinkError) -> ErrorResponse | None:
        counters.count_error(error)
        return dispatcher.render_error(scope, error)

    monitoring = (*health_web.PATHS, *([metrics_web.PATH] if config.metrics.enabled else []))
    operations = [
        *SecretsApi(vault, admission, engine.clock, origins).operations(),
        *ReceiptsApi(vault, admission, engine.clock).operations(),
        *FilesApi(vault, admission, engine.clock).operations(),
    ]
    openapi = openapi_document(BASE, operations)
    routes = [
        *_api_routes(operations, dialects, admission, counters),
        _openapi_handler(openapi),
        *health_web.handlers(engine.health),
        *([metrics_web.handler(engine.metrics, admission)] if config.metrics.enabled else []),
    ]
    api = cast(App, _framework(routes, Problems(log, dialect_error), engine))
    error_page = ErrorPage(assets)
    pages = Pages(assets, Documents(assets, openapi), api, monitoring, log, dialect_error, error_page)
    app = dispatcher.wrap(with_preflight(pages, BASE), api, partial(pages.show, "reveal"))

    def custom_error(scope: Any, error: SecLinkError) -> ErrorResponse | None:
        return dialect_error(scope, error) or error_page(scope, error)

    return _middleware(app, custom_error, monitoring, config, admission, log)


def _api_routes(
    operations: list[Operation], dialects: list[Dialect], admission: Admission, counters: Counters
) -> list[HTTPRouteHandler]:
    """Return the handlers of the native API and of every dialect."""
    apis = [(BASE, operations), *((dialect.prefix, list(dialect.operations())) for dialect in dialects)]
    return route_handlers(apis, admission, counters)


def _dialects(
    config: Config, vault: Vault, admission: Admission, engine: Engine, assets: Assets, origins: Origins
) -> list[Dialect]:
    """Load the enabled dialects and log the warnings about them."""
    context = DialectContext(
        vault=vault,
        admission=admission,
        clock=engine.clock,
        config=config,
        origins=origins,
        hosts=frozenset(host_names(config)),
        script=f"/static/{assets.version}/js/client.js",
    )
    dialects = loader.load(context)
    for dialect in dialects:
        risk, _ = dialect.options.warning
        if risk:
            engine.log.warning("dialect", path=dialect.prefix, detail=risk)
    return dialects


def _openapi_handler(openapi: dict[str, Any]) -> HTTPRouteHandler:
    response = json_response(openapi)

    @get(f"{BASE}/openapi.json")
    async def serve_openapi() -> Response:
        return response

    return serve_openapi


def _framework(routes: list[HTTPRouteHandler], problems: Problems, engine: Engine) -> Litestar:
    return Litestar(
        route_handlers=routes,
        exception_handlers={Exception: problems},
        lifespan=[engine.lifespan],
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,  # the middleware limits it, chunked or not
    )


def _middleware(
    app: App, custom_error: CustomError, monitoring: Iterable[str], config: Config, admission: Admission, log: Log
) -> Middleware:
    return Middleware(
        app,
        render,
        max_body_bytes=body_bytes(config),
        allowed_hosts=host_names(config),
        body_seconds=config.server.body_timeout,
        max_requests=config.server.requests,
        headers=headers(public_url(config)),
        holder_of=admission.holder,
        peer_holder=admission.peer_holder,
        is_urgent=_is_urgent,
        streamed_bytes=_chunk_bytes,
        custom_error=custom_error,
        too_large=_too_large(config),
        exempt_paths=monitoring,  # a busy server is alive: a monitor must not restart it
        any_host_paths=health_web.PATHS,  # probes use the addresses of machines and containers
        on_error=partial(_log_escaped, log),
    )


def _log_escaped(log: Log, error: BaseException, request_id: str) -> None:
    write = log.debug if is_at_will(error) else log.error
    write("failed", code=Internal.code, request=request_id, detail=type(error).__name__)


def _is_urgent(scope: Message) -> bool:
    """Return whether a request must be served however busy the server is: pages, their files, and burning."""
    method, path = scope["method"], scope["path"]
    return method == "DELETE" or path.endswith("/burn") or (method in ("GET", "HEAD") and "/api" not in path)


def _chunk_bytes(scope: Message) -> int:
    """Return the limit for the body of a chunk, 0 for other requests."""
    return STREAMED_BYTES if CHUNK_PATH.fullmatch(scope["path"]) else 0


def _too_large(config: Config) -> Callable[[Message], PayloadTooLarge]:
    """Return a function that makes the error for a body above the limit; it names a payload only where there is one."""
    max_bytes = config.limits.payload_bytes
    fault = Fault("encryptedBlob", f"must have at most {max_bytes} bytes", "too_long", Limit(max=max_bytes))
    payload = PayloadTooLarge(f"The payload of a secret may have at most {max_bytes} bytes", (fault,))
    body = PayloadTooLarge(f"The body of a request may have at most {body_bytes(config)} bytes")

    def error(scope: Message) -> PayloadTooLarge:
        path = scope["path"].rstrip("/")
        with_payload = path.endswith(f"{BASE}/secrets") or scope["method"] == "PATCH" or BASE not in path
        return payload if with_payload else body

    return error


def body_bytes(config: Config) -> int:
    """Return the size of the largest request body: a payload in base64, and all other members."""
    return config.limits.body_bytes

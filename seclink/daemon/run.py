"""The process of `seclink serve`, from its start to its stop."""

import asyncio
import contextlib
import errno
import faulthandler
import resource
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from seclink.config.addresses import public_url
from seclink.config.locate import ConfigSource
from seclink.config.parser import location_prefix
from seclink.config.schema import Config
from seclink.daemon.app import Appliance, build
from seclink.daemon.banner import banner
from seclink.daemon.listeners import bind_listener, bind_metrics_listener
from seclink.daemon.metrics_listener import metrics_listener
from seclink.daemon.readiness import readiness_problem
from seclink.daemon.reload import Reloader, freeze_gc, server_settings
from seclink.daemon.systemd import SystemdNotifier
from seclink.daemon.tls_renewal import TlsRenewal, load_certificate
from seclink.domain.clock import Clock
from seclink.errors import StartRefused, StoreUnusable
from seclink.server.certificate import Certificate
from seclink.server.serve import CannotListen, stop_on_signals
from seclink.server.serve import serve as serve_http
from seclink.server.settings import ServerSettings
from seclink.store import owner
from seclink.store.chunk_files import folder_of
from seclink.store.sqlite import SqliteStore
from seclink.telemetry.log import Log
from seclink.web.assets import load as load_assets

# A thread that waits for the interpreter lock asks for it after this long. With the default of 5 ms, a database thread
# would lose that time at every step while the event loop is busy.
SWITCH_SECONDS = 0.0005
CLOCK_BEHIND_MS = 60_000


class StartArguments(NamedTuple):
    """Everything a process is started with: `path` is the database's; `announce` prints the banner."""

    config: Config
    source: ConfigSource
    path: Path
    certificate: Certificate | None
    announce: Callable[[str], None]


def run(config: Config, source: ConfigSource, path: Path, announce: Callable[[str], None]) -> None:
    """Serve from the database at `path` until stopped; `announce` prints the banner. Raises StartRefused."""
    sys.setswitchinterval(SWITCH_SECONDS)
    faulthandler.enable()  # the watchdog's SIGABRT prints the line each thread was in, and no value of any variable
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would keep secrets that must be forgotten
    start = StartArguments(config, source, path, load_certificate(config.server, source.path), announce)
    with (
        bind_listener(config.server, source, path) as listener,
        bind_metrics_listener(config.metrics, source) or contextlib.nullcontext() as metrics_socket,
    ):
        try:
            asyncio.run(_run(start, listener, metrics_socket))
        except CannotListen as error:  # another program began to listen in the meantime
            raise StartRefused(str(error)) from None


async def _run(start: StartArguments, listener: socket.socket, metrics_socket: socket.socket | None) -> None:
    """Open the store, build the appliance, serve until stopped, and close the store."""
    log = Log(start.config.log)
    stop, hangup = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop, hangup)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: log_loop_error(log, context))
    store = await _open_store(start, log)
    try:
        assets = load_assets(start.config, public_url(start.config))
        appliance = build(start.config, assets, store, log, await _clock(store, log))
        freeze_gc()
        await Daemon(start, appliance, log, stop, hangup).serve(listener, metrics_socket)
    finally:
        await store.close()  # the lifespan has closed it, unless the start failed before
    log.info("stopped")


class Daemon:
    """The appliance with everything that runs beside it: reload, TLS renewal, systemd's watchdog, metrics listener.

    `stop` ends it; `hangup` reads the configuration and the certificate again.
    """

    def __init__(
        self, start: StartArguments, appliance: Appliance, log: Log, stop: asyncio.Event, hangup: asyncio.Event
    ) -> None:
        self._start, self._appliance, self._log = start, appliance, log
        self._stop, self._hangup = stop, hangup
        self._notifier = SystemdNotifier()
        self._reloader = Reloader(start.source, start.config, appliance.engine, self._notifier)
        self._renewal = TlsRenewal(start.certificate, log)

    async def serve(self, listener: socket.socket, metrics_socket: socket.socket | None) -> None:
        engine, app = self._appliance
        tasks = run_concurrently(
            self._notifier.feed_watchdog(lambda: readiness_problem(engine.health, self._start.path)),
            self._notify_stopping(),
            self._renewal.watch(),
            self._renewal.remind(),
        )
        async with tasks, metrics_listener(engine.metrics, metrics_socket, self._log):
            await serve_http(
                server_settings(app, self._start.config, engine.unsent),
                listener=listener,
                stop=self._stop,
                ready=self._ready,
                hangup=self._hangup,
                reload=self._reload,
                certificate=self._start.certificate,
            )

    def _ready(self, url: str) -> None:
        if not self._log.is_journal:
            self._start.announce(banner(self._start.config, self._start.path, self._start.source.path))
        self._log.info("started", url=url, path=str(self._start.path))
        self._notifier.ready(self._reloader.status())

    async def _reload(self) -> ServerSettings | None:
        await self._renewal.reload()
        return await self._reloader.reload()

    async def _notify_stopping(self) -> None:
        await self._stop.wait()
        self._notifier.stopping(self._reloader.config.server.shutdown_timeout)


async def _open_store(start: StartArguments, log: Log) -> SqliteStore:
    """Open the database, and log its upgrade if there was one. Raises StoreUnusable."""
    config = start.config
    keep_seconds = config.receipts.keep_days * 86400
    try:
        owner.become(start.path)
        store = await SqliteStore.open(
            start.path,
            keep_seconds=keep_seconds,
            max_bytes=config.store.max_bytes,
            files=folder_of(start.path, config.files.path) if config.files.path else None,
        )
    except StoreUnusable as error:
        prefix = location_prefix(start.source.path, "store", "path")
        raise StoreUnusable(f"{prefix}{error}", error.fault) from None
    if store.upgraded:
        detail = f"the database had schema version {store.upgraded.before}; a copy without contents is kept"
        log.warning("upgraded", detail=detail, path=str(store.upgraded.copy))
    if store.lost_files:
        detail = f"{store.lost_files} uploads of secrets have no file; those secrets are not revealed"
        log.error("files", detail=detail)
    return store


async def _clock(store: SqliteStore, log: Log) -> Clock:
    clock = Clock(await store.last_seen_at())
    if clock.behind_ms > CLOCK_BEHIND_MS:
        log.warning("clock", detail="the system clock is behind the time in the database, which is used instead")
    if clock.is_doubtful:
        days = clock.ahead_ms // 86_400_000
        detail = f"the system clock is {days} days ahead of the time in the database; no expired secret is erased"
        log.warning("clock", detail=f"{detail} until that is confirmed: see `seclink clock`")
    return clock


def log_loop_error(log: Log, context: dict[str, Any]) -> None:
    """Log the type of an error that no task handled; asyncio's own message may repeat data of a request."""
    error = context.get("exception")
    name = errno.errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    log.error("loop", detail=f"{type(error).__name__} {name}".rstrip())


@contextlib.asynccontextmanager
async def run_concurrently(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines as tasks for the duration of the block, then cancel them."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

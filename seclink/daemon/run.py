"""The process of `seclink serve`: its sockets, its store, its appliance, until it is stopped."""

import asyncio
import contextlib
import errno
import faulthandler
import os
import resource
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from seclink.config.addresses import public_url
from seclink.config.locate import ConfigSource
from seclink.config.parser import place
from seclink.config.schema import Config, ServerOptions
from seclink.daemon.app import build
from seclink.daemon.engine import Engine
from seclink.daemon.metrics_listener import metrics_listener
from seclink.daemon.reload import Reloader, freeze_gc, server_settings
from seclink.daemon.systemd import SystemdNotifier
from seclink.daemon.tls_renewal import TlsRenewal, load_certificate
from seclink.domain.clock import Clock
from seclink.errors import StartRefused, StoreUnusable
from seclink.ops.processes import server_process
from seclink.server.certificate import Certificate
from seclink.server.serve import CannotListen, bind, stop_on_signals
from seclink.server.serve import serve as serve_http
from seclink.server.settings import ServerSettings
from seclink.store.sqlite import SqliteStore
from seclink.telemetry.log import Log

# Threads that wait for the interpreter lock ask for it after this long; the default of 5 ms is what a database
# thread would lose at every step while the event loop is busy.
SWITCH_SECONDS = 0.0005
SPARE_BYTES = 2**20


def run(config: Config, source: ConfigSource, path: Path, announce: Callable[[str], None]) -> None:
    """Serve from the database at `path` until stopped; `announce` prints the banner. Raises StartRefused."""
    sys.setswitchinterval(SWITCH_SECONDS)
    faulthandler.enable()  # a watchdog's SIGABRT tells in which lines the threads were, and no value of any variable
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would keep what is to be forgotten
    tls = load_certificate(config.server, source.path)
    with _own(config.server, source, path) as own, _second(config, source) or contextlib.nullcontext() as second:
        try:
            asyncio.run(_serve(config, source, path, tls, own, second, announce))
        except CannotListen as error:  # somebody was first after all
            raise StartRefused(str(error)) from None


def _own(server: ServerOptions, source: ConfigSource, path: Path) -> socket.socket:
    """The address, had before anything is made: a start that is refused leaves no database behind."""
    try:
        return bind(server.host, server.port)
    except CannotListen as error:
        if process := server_process(path):
            raise StartRefused(f"{error}, and process {process} serves {path} already") from None
        name, told = ("host", source.host) if error.is_host else ("port", source.port)
        at = place(source.path, "server", name) if told is None else ""
        raise StartRefused(f"{at}{error}; choose another with --host or --port") from None


def _second(config: Config, source: ConfigSource) -> socket.socket | None:
    endpoint = config.metrics.listen
    try:
        return bind(endpoint.host, endpoint.port) if endpoint else None
    except CannotListen as error:
        raise StartRefused(f"{place(source.path, 'metrics', 'listen')}{error}") from None


async def _serve(
    config: Config,
    source: ConfigSource,
    path: Path,
    tls: Certificate | None,
    own: socket.socket,
    second: socket.socket | None,
    announce: Callable[[str], None],
) -> None:
    log, notify = Log(config.log), SystemdNotifier()
    stop, hangup = asyncio.Event(), asyncio.Event()
    stop_on_signals(stop, hangup)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: _tell(log, context))
    store = await _store(config, source, path)
    try:
        if store.upgraded:
            log.warning(
                "upgraded",
                detail=f"the database was of schema {store.upgraded.before}; what it was, without contents, is kept",
                path=str(store.upgraded.copy),
            )
        clock = Clock(await store.last_seen_at())
        if clock.behind_ms > 60_000:
            log.warning("clock", detail="the system clock is behind what was last seen; going on from there")
        engine, gate = build(config, store, log, clock)
        freeze_gc()
        reloading, renewal = Reloader(source, config, engine, notify), TlsRenewal(tls, log)

        async def reload() -> ServerSettings | None:
            await renewal.reload()
            return await reloading()

        def ready(url: str) -> None:
            if not log.is_journal:
                announce("\n".join(_welcome(config, path, source.path)))
            log.info("started", url=url, path=str(path))
            notify.ready(reloading.status())

        watching = notify.watch(lambda: _trouble(engine, path))
        beside = _beside(watching, _farewell(stop, notify, reloading), renewal.watch(), renewal.remind())
        async with beside, metrics_listener(engine.metrics, second, log):
            await serve_http(
                server_settings(gate, config),
                listener=own,
                stop=stop,
                ready=ready,
                hangup=hangup,
                reload=reload,
                certificate=tls,
            )
    finally:
        await store.close()  # the lifespan has closed it, unless the start failed before
    log.info("stopped")


async def _store(config: Config, source: ConfigSource, path: Path) -> SqliteStore:
    keep_seconds = config.receipts.keep_days * 86400
    try:
        return await SqliteStore.open(path, keep_seconds=keep_seconds, max_bytes=config.store.max_bytes)
    except StoreUnusable as error:
        raise StoreUnusable(f"{place(source.path, 'store', 'path')}{error}") from None


def _tell(log: Log, context: dict[str, Any]) -> None:
    """What went wrong in the loop itself, by its kind: asyncio's own words repeat what it was at work on."""
    error = context.get("exception")
    name = errno.errorcode.get(error.errno or 0, "") if isinstance(error, OSError) else ""
    log.error("loop", detail=f"{type(error).__name__} {name}".rstrip())


@contextlib.asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Goes on meanwhile."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _farewell(stop: asyncio.Event, notify: SystemdNotifier, reloading: Reloader) -> None:
    await stop.wait()
    notify.stopping(reloading.config.server.shutdown_timeout)


async def _trouble(engine: Engine, path: Path) -> str:
    """What keeps the appliance from its work, if a restart could mend it: that makes no room on a disk."""
    failing = await engine.health.failing()
    if "store" in failing and takes_nothing(path):
        return ""
    return f"Not ready: {' and '.join(failing)}" if failing else ""


def takes_nothing(path: Path) -> bool:
    """Whether the disk is full or has become read-only."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return bool(disk.f_flag & os.ST_RDONLY) or disk.f_bavail * disk.f_frsize < SPARE_BYTES


def _welcome(config: Config, path: Path, source: Path | None) -> list[str]:
    """What it serves, where the data is, and what to do next."""
    url = public_url(config)
    lines = [
        f"SecLink serves {url}",
        f"  data      {path}",
        f"  settings  {source or 'defaults; the command `config` shows them'}",
    ]
    is_open = config.access.create == "anyone"
    command = Path(sys.argv[0]).name if shutil.which("seclink") else sys.argv[0]
    lines.append(f"  creating  {'anyone' if is_open else 'holders of a key'}; `{command} key add ACCOUNT` makes a key")
    if is_open:
        lines.append(f"  try       echo hello | {command} create --server {url}")
    if url.startswith("http:"):
        lines.append("  TLS       none: set server.tls_cert, or a proxy with https in front and server.public_url")
    return lines

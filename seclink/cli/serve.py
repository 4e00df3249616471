"""`seclink serve`: the appliance, in the foreground, until it is told to stop."""

import asyncio
import gc
import shutil
import sys
from pathlib import Path

import click
import msgspec

from seclink.app import body_bytes, build, public_url
from seclink.cli.config import config_option, database, find, load
from seclink.clock import Clock
from seclink.config import Config
from seclink.errors import StartRefused
from seclink.log import Log
from seclink.server import CannotListen, Limits, stop_on_signals
from seclink.server import serve as serve_http
from seclink.store.sqlite import SqliteStore

# Threads that wait for the interpreter lock ask for it after this long; the default of 5 ms is what a database
# thread would lose at every step while the event loop is busy.
SWITCH_SECONDS = 0.0005


@click.command()
@click.option("--host", help="Address to listen on, instead of server.host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, instead of server.port.")
@config_option
def serve(host: str | None, port: int | None, config: Path | None) -> None:
    """Run the appliance. Ctrl-C or SIGTERM stops it, after finishing what is in flight."""
    settings = load(config)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, **given))
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        asyncio.run(_serve(settings, find(config), database(settings, config)))
    except CannotListen as error:
        raise StartRefused(f"{error}; choose another with --host or --port") from None


async def _serve(config: Config, source: Path | None, path: Path) -> None:
    log = Log(config.log)
    stop = asyncio.Event()
    stop_on_signals(stop)
    store = await SqliteStore.open(
        path, keep_seconds=config.receipts.keep_days * 86400, max_bytes=config.store.max_bytes
    )
    try:
        if store.upgraded:
            log.warning(
                "upgraded",
                detail=f"the database was of schema {store.upgraded.before}; what it was, without contents, is kept",
                path=str(store.upgraded.copy),
            )
        clock = Clock(await store.clock_mark())
        if clock.behind_ms > 60_000:
            log.warning("clock", detail="the system clock is behind what was last seen; going on from there")
        gate = build(config, store, log, clock)
        # What is there now stays until the end: looking through it again and again costs the slowest requests tens of
        # milliseconds. And requests leave few cycles, so the young are looked at less often.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

        def ready(url: str) -> None:
            click.echo("\n".join(_welcome(config, path, source)))
            log.info("started", url=url, path=str(path))

        await serve_http(
            gate,
            host=config.server.host,
            port=config.server.port,
            stop=stop,
            ready=ready,
            refuse=gate.raw,
            limits=Limits(message_bytes=2 * body_bytes(config), connections=2 * config.server.requests),
            grace_seconds=config.server.shutdown_timeout,
        )
    finally:
        await store.close()  # the lifespan has closed it, unless the start failed before
    log.info("stopped")


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
        lines.append("  TLS       none: put a reverse proxy with https in front and set server.public_url")
    return lines

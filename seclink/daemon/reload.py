"""Reading the configuration again while serving, all or nothing.

A new application is built around the running engine (in a thread, because it takes as long as a start) and replaces the
old one with one assignment. Requests in flight end in the old one. A configuration with an error changes nothing.
Options that are only read at the start keep their value, and the log names them.
"""

import asyncio
import gc
from urllib.parse import urlsplit

from seclink.config.addresses import public_url
from seclink.config.locate import ConfigSource
from seclink.config.options import changes
from seclink.config.schema import Config
from seclink.daemon.app import body_bytes, build_app
from seclink.daemon.engine import Engine
from seclink.daemon.systemd import SystemdNotifier
from seclink.domain.shares import Shares
from seclink.errors import ConfigError
from seclink.server.settings import Limits, ServerSettings
from seclink.web.assets import load as load_assets
from seclink.web.files import STREAMED_BYTES
from seclink.web.middleware import Middleware

FREEZE_DELAY_SECONDS = 1.0


class Reloader:
    """`config` is the configuration in effect."""

    def __init__(self, source: ConfigSource, config: Config, engine: Engine, notifier: SystemdNotifier) -> None:
        self.config = config
        self._source, self._engine, self._notifier, self._log = source, engine, notifier, engine.log
        self._status_suffix = ""

    async def reload(self) -> ServerSettings | None:
        """Return the settings for the next requests, or None if the configuration cannot be used; never raises."""
        self._notifier.reloading()
        try:
            return await self._apply()
        except ConfigError as error:
            first, *others = error.message.split("\n")
            self._report_failure(first, *others)
        except Exception as error:  # a bug, or a file that was deleted while it was read
            self._report_failure(type(error).__name__)
        finally:
            self._notifier.ready(self.status())
        return None

    def status(self) -> str:
        """Return the line for `systemctl status`."""
        return f"Serving {public_url(self.config)}{self._status_suffix}"

    async def _apply(self) -> ServerSettings:
        config = await asyncio.to_thread(self._source.read)
        changed = changes(self.config, config)
        for option in changed:
            if option.at_start:
                config = option.set(config, option.get(self.config))
        assets = await asyncio.to_thread(load_assets, config, public_url(config))
        app = await asyncio.to_thread(build_app, config, assets, self._engine)
        self._engine.reconfigure(config, lambda: app.in_flight)
        self.config = config
        self._report(
            applied=[str(option) for option in changed if not option.at_start],
            pending=[str(option) for option in changed if option.at_start],
        )
        asyncio.get_running_loop().call_later(FREEZE_DELAY_SECONDS, freeze_gc)
        return server_settings(app, config, self._engine.unsent)

    def _report(self, applied: list[str], pending: list[str]) -> None:
        self._status_suffix = f"; needs a restart for {', '.join(pending)}" if pending else ""
        self._log.info("reloaded", count=len(applied), detail=", ".join(applied) or None)
        if pending:
            self._log.warning("reloaded", detail=f"needs a restart: {', '.join(pending)}")

    def _report_failure(self, *problems: str) -> None:
        for problem in problems:
            self._log.error("not reloaded", detail=problem)
        self._status_suffix = f"; a new configuration was refused: {problems[0]}"


def server_settings(app: Middleware, config: Config, unsent: Shares) -> ServerSettings:
    return ServerSettings(
        app=app,
        render_error=app.render_http11,
        limits=Limits(
            message_bytes=2 * max(body_bytes(config), STREAMED_BYTES), connections=2 * config.server.requests
        ),
        grace_seconds=config.server.shutdown_timeout,
        holder_of=app.holder_of,
        peer_holder=app.peer_holder,
        unsent=unsent,
        root=urlsplit(public_url(config)).path.encode(),
    )


def freeze_gc() -> None:
    """Exclude the objects that exist now from garbage collection: they stay, and scanning them again and again costs
    the slowest requests tens of milliseconds. Requests leave few cycles, so young objects are scanned less often.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

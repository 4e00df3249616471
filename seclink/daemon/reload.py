"""Reading the configuration again while serving: whole or not at all.

A new application is made around the engine that runs (in a thread: it takes as long as the start) and takes the place
of the old one with one assignment. Requests in flight end in the old one. A file that is not right changes nothing;
what is only read at the start is named and stays.
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
from seclink.errors import ConfigError
from seclink.server.settings import Limits, ServerSettings
from seclink.web.middleware import Middleware


class Reloader:
    """`config` is what is in force."""

    def __init__(self, source: ConfigSource, config: Config, engine: Engine, notify: SystemdNotifier) -> None:
        self.config = config
        self._source, self._engine, self._notify, self._log = source, engine, notify, engine.log
        self._remark = ""

    async def __call__(self) -> ServerSettings | None:
        self._notify.reloading()
        try:
            return await self._reload()
        except ConfigError as error:
            first, *more = error.message.split("\n")
            self._refuse(first, *more)
        except Exception as error:  # a mistake of ours, or a file that went while it was read
            self._refuse(type(error).__name__)
        finally:
            self._notify.ready(self.status())
        return None

    def status(self) -> str:
        return f"Serving {public_url(self.config)}{self._remark}"

    async def _reload(self) -> ServerSettings:
        wanted = await asyncio.to_thread(self._source.read)
        changed = changes(self.config, wanted)
        for option in changed:
            if option.at_start:
                wanted = option.put(wanted, option.of(self.config))
        gate = await asyncio.to_thread(build_app, wanted, self._engine)
        self._engine.reconfigure(wanted, lambda: gate.in_flight)
        self.config = wanted
        self._say(
            [str(each) for each in changed if not each.at_start], [str(each) for each in changed if each.at_start]
        )
        asyncio.get_running_loop().call_later(SETTLED_SECONDS, freeze_gc)
        return server_settings(gate, wanted)

    def _say(self, done: list[str], left: list[str]) -> None:
        self._remark = f"; needs a restart for {', '.join(left)}" if left else ""
        self._log.info("reloaded", count=len(done), detail=", ".join(done) or None)
        if left:
            self._log.warning("reloaded", detail=f"needs a restart: {', '.join(left)}")

    def _refuse(self, *problems: str) -> None:
        for each in problems:
            self._log.error("not reloaded", detail=each)
        self._remark = f"; a new configuration was refused: {problems[0]}"


SETTLED_SECONDS = 1.0


def server_settings(gate: Middleware, config: Config) -> ServerSettings:
    return ServerSettings(
        app=gate,
        refuse=gate.render_http11,
        limits=Limits(message_bytes=2 * body_bytes(config), connections=2 * config.server.requests),
        grace_seconds=config.server.shutdown_timeout,
        root=urlsplit(public_url(config)).path.encode(),
    )


def freeze_gc() -> None:
    """What is there now stays: looking through it again and again costs the slowest requests tens of milliseconds. And
    requests leave few cycles, so the young are looked at less often.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)

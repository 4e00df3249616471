"""The whole application in this process, with a clock that tests set by hand."""

import contextlib
import io
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import httpx
from support.server import HIGH_RATES

from seclink.config.addresses import public_url
from seclink.config.parser import parse
from seclink.config.schema import Config
from seclink.daemon.app import build
from seclink.domain.api_keys import ApiKeys
from seclink.domain.clock import Clock
from seclink.model import Rate, Scope
from seclink.store.sqlite import SqliteStore
from seclink.telemetry.log import Log
from seclink.web.assets import Assets, load

START = 1_800_000_000_000  # an arbitrary instant, the same in every run


class HandClock(Clock):
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.ms = START
        super().__init__(0, wall=lambda: self.ms / 1000, monotonic=lambda: self.ms / 1000)

    def now(self) -> int:
        return self.ms

    def move(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class Appliance:
    """The whole application in this process, with a database of its own; `log` collects its log."""

    def __init__(self, config: Config, store: SqliteStore, clock: HandClock, path: Path, assets: Assets) -> None:
        self.config, self.store, self.clock, self.path = config, store, clock, path
        self.log = io.StringIO()
        self.engine, self.app = build(config, assets, store, Log(config.log, self.log), clock)
        self.http = self.client()

    def client(self, address: str = "192.0.2.1", **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 50000), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080/api/v1", **options)

    async def key(
        self, account: str = "acme", *scopes: str, ttl_seconds: int | None = None, rate: Rate | None = None
    ) -> str:
        granted = frozenset(Scope(scope) for scope in scopes or ("create", "manage"))
        return await ApiKeys(self.store).add(account, granted, ttl_seconds, rate, self.clock.now())


class MakeAppliance(Protocol):
    """The fixture `make_appliance`."""

    async def __call__(
        self,
        toml: str = HIGH_RATES,
        path: Path | None = None,
        clock: HandClock | None = None,
        assets: Assets | None = None,
    ) -> Appliance: ...


@lru_cache(64)
def loaded_assets(toml: str) -> Assets:
    """Return the files of the pages for a TOML text, read once: they take a third of the time of an appliance."""
    config = parse(toml, "test.toml")
    return load(config, public_url(config))


@contextlib.asynccontextmanager
async def appliances(folder: Path) -> AsyncIterator[MakeAppliance]:
    """Make appliances from TOML text, with their databases in the folder; close them all in the end."""
    async with contextlib.AsyncExitStack() as stack:
        count = 0

        async def make(
            toml: str = HIGH_RATES,
            path: Path | None = None,
            clock: HandClock | None = None,
            assets: Assets | None = None,
        ) -> Appliance:
            nonlocal count
            config = parse(toml, "test.toml")
            path = path or folder / f"seclink-{count}.db"
            count += 1
            store = await SqliteStore.open(
                path, keep_seconds=config.receipts.keep_days * 86400, max_bytes=config.store.max_bytes
            )
            stack.push_async_callback(store.close)
            appliance = Appliance(config, store, clock or HandClock(), path, assets or loaded_assets(toml))
            stack.push_async_callback(appliance.http.aclose)
            return appliance

        yield make

"""What the tests share: an appliance in this process with a clock set by hand, and real servers on real ports."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.appliance import Appliance, HandClock
from support.server import HIGH_RATES, Server

from seclink.config import parser as configuration
from seclink.store.sqlite import SqliteStore


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=float, default=0, metavar="MINUTES", help="how long the soak test goes on")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def make_appliance(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Callable[..., Any]]:
    """Makes appliances from TOML text; what is not said is default, but for rates nobody runs into."""
    made: list[Appliance] = []
    opened: list[SqliteStore] = []

    async def make(toml: str = HIGH_RATES, path: Path | None = None, clock: HandClock | None = None) -> Appliance:
        config = configuration.parse(toml, "test.toml")
        path = path or tmp_path / f"seclink-{len(made)}.db"
        store = await SqliteStore.open(
            path, keep_seconds=config.receipts.keep_days * 86400, max_bytes=config.store.max_bytes
        )
        opened.append(store)
        made.append(Appliance(config, store, clock or HandClock(), path))
        return made[-1]

    yield make
    for each in made:
        await each.http.aclose()
    for store in opened:
        await store.close()


@pytest.fixture
async def appliance(make_appliance: Callable[..., Any]) -> Appliance:
    made: Appliance = await make_appliance()
    return made


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers; started by hand, ended by the fixture."""
    made: list[Server] = []

    def make(toml: str = HIGH_RATES, **options: Any) -> Server:
        folder = tmp_path / f"server-{len(made)}"
        folder.mkdir()
        made.append(Server(folder, toml, **options))
        return made[-1]

    yield make
    for each in made:
        if each.process is not None and each.process.poll() is None:
            each.kill()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts servers that stay for all tests of a module; `beside` are files in their folder, by name."""
    with contextlib.ExitStack() as stack:

        def start(toml: str = HIGH_RATES, beside: dict[str, str] | None = None, **options: Any) -> Server:
            folder = tmp_path_factory.mktemp("server")
            for name, text in (beside or {}).items():
                (folder / name).write_text(text)
            running = Server(folder, toml, **options).start()
            stack.callback(running.stop)
            return running

        yield start


@pytest.fixture(scope="session")
def server_type() -> type[Server]:
    """For those who look to its folder and its end themselves."""
    return Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One real server for all tests that only talk to it."""
    running = Server(tmp_path_factory.mktemp("server")).start()
    yield running
    running.stop()

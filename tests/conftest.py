"""What the tests share: an appliance in this process with a clock set by hand, and real servers on real ports."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.server import HIGH_RATES, MakeServer, Serve, Server

if TYPE_CHECKING:
    from support.appliance import Appliance, MakeAppliance


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=float, default=0, metavar="MINUTES", help="how long the soak test goes on")


def pytest_configure(config: pytest.Config) -> None:
    """For `-m quick`: fewer examples, and files in memory, where SQLite's syncs cost nothing.

    All other runs have as many examples as a test says, and a real disk.
    """
    if config.option.markexpr != "quick":
        return
    from hypothesis import settings  # half a second, which a single unit file need not wait for

    settings.register_profile("quick", settings(), max_examples=20)
    settings.load_profile("quick")
    if os.access("/dev/shm", os.W_OK):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")


LONG = bool(os.environ.get("SECLINK_LONG"))
QUICK_FOLDERS = {"unit", "api", "client", "dialects"}
PROCESS_FIXTURES = {"make_server", "serve", "server", "server_type", "shell"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as quick the tests that start no other process and are not marked as slow."""
    for item in items:
        folder = item.path.relative_to(item.config.rootpath / "tests").parts[0]
        fixtures = set(getattr(item, "fixturenames", ()))
        if LONG or item.config.getoption("--soak"):
            item.add_marker(pytest.mark.timeout(0))
        if folder in QUICK_FOLDERS and not fixtures & PROCESS_FIXTURES and not item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.quick)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def make_appliance(tmp_path: Path, anyio_backend: str) -> AsyncIterator["MakeAppliance"]:
    """Make appliances from TOML text, with defaults except for high rates."""
    from support.appliance import appliances  # the whole application: too slow to import for every unit file

    async with appliances(tmp_path) as make:
        yield make


@pytest.fixture
async def appliance(make_appliance: "MakeAppliance") -> "Appliance":
    return await make_appliance()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Makes servers; started by hand, ended by the fixture."""
    made: list[Server] = []

    def make(toml: str = HIGH_RATES, **options: Any) -> Server:
        folder = tmp_path / f"server-{len(made)}"
        folder.mkdir()
        made.append(Server(folder, toml, **options))
        return made[-1]

    yield make
    for each in made:
        if each.is_running:
            each.kill()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
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

"""What the tests share: an appliance in this process with a clock set by hand, and real servers on real ports."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import free_port

from seclink.config import parser as configuration
from seclink.config.schema import Config
from seclink.daemon.app import build
from seclink.domain.api_keys import ApiKeys
from seclink.model import Rate, Scope
from seclink.store.sqlite import SqliteStore
from seclink.telemetry.log import Log

START = 1_800_000_000_000  # any instant will do, as long as it is always the same
PLENTY = '[rates]\ncreate = "1000000/hour"\nreveal = "1000000/hour"\npeek = "1000000/hour"\nkey = "1000000/hour"\n'


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=float, default=0, metavar="MINUTES", help="how long the soak test goes on")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class HandClock:
    """A clock that only moves when it is told to."""

    behind_ms = 0

    def __init__(self) -> None:
        self.ms = START

    def now(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def move(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class Appliance:
    """The whole application in this process, its database in a folder of its own; `log` collects what it writes."""

    def __init__(self, config: Config, store: SqliteStore, clock: HandClock, path: Path) -> None:
        self.config, self.store, self.clock, self.path = config, store, clock, path
        self.log = io.StringIO()
        self.app = build(config, store, Log(config.log, self.log), clock).app  # type: ignore[arg-type]
        self.http = self.client()

    def client(self, address: str = "192.0.2.1", **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, client=(address, 50000), raise_app_exceptions=False)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080/api/v1", **options)

    async def key(
        self, account: str = "acme", *scopes: str, ttl_seconds: int | None = None, rate: Rate | None = None
    ) -> str:
        held = frozenset(Scope(each) for each in scopes or ("create", "manage"))
        return await ApiKeys(self.store).add(account, held, ttl_seconds, rate, self.clock.now())


@pytest.fixture
async def make_appliance(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Callable[..., Any]]:
    """Makes appliances from TOML text; what is not said is default, but for rates nobody runs into."""
    made: list[Appliance] = []
    opened: list[SqliteStore] = []

    async def make(toml: str = PLENTY, path: Path | None = None, clock: HandClock | None = None) -> Appliance:
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


class Server:
    """`seclink serve` as a process and in a folder of its own. `toml` is its whole configuration but for the port."""

    def __init__(
        self, folder: Path, toml: str = PLENTY, *, prefix: tuple[str, ...] = (), env: dict[str, str] | None = None
    ) -> None:
        self.folder, self.prefix, self.env = folder, prefix, {**os.environ, **(env or {})}
        self.config = folder / "seclink.toml"
        self.config.write_text(toml)
        self.log_path = folder / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> "Server":
        command = [
            *self.prefix,
            sys.executable,
            "-m",
            "seclink",
            "serve",
            "--port",
            str(self.port),
            "--config",
            str(self.config),
        ]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=log, stderr=log)
        if wait:
            self.wait_until_up()
        return self

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended by itself ({self.process.returncode}):\n{self.log()}")
            try:
                if httpx.get(f"{self.url}/healthz", timeout=1).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError(f"the server did not come up:\n{self.log()}")

    def stop(self) -> int:
        """SIGTERM, and wait; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)

    def key(self, *scopes: str, account: str = "acme") -> str:
        """A fresh API key; create and manage, unless told otherwise."""
        options = [part for each in scopes for part in ("--scope", each)]
        return self.seclink("key", "add", account, *options, "--config", str(self.config)).stdout.decode().strip()

    def seclink(self, *arguments: str, input: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """The `seclink` command, in the server's folder."""
        return subprocess.run(
            [sys.executable, "-m", "seclink", *arguments],
            cwd=self.folder,
            env=self.env,
            input=input,
            capture_output=True,
            check=check,
            timeout=60,
        )

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers; started by hand, ended by the fixture."""
    made: list[Server] = []

    def make(toml: str = PLENTY, **options: Any) -> Server:
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

        def start(toml: str = PLENTY, beside: dict[str, str] | None = None, **options: Any) -> Server:
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

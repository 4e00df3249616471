"""Fixtures of the fault tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from api_client import ApiClient
from database_files import database_path, is_intact
from sockets import SmallServer, small_server
from support.server import HIGH_RATES, Server

LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
FakedClock = tuple[dict[str, str], Callable[[str], None]]


@pytest.fixture(scope="module")
def server() -> Iterator[SmallServer]:
    """The small application; it must also end well after everything a module did to it."""
    with small_server() as process:
        yield process
        process.popen.terminate()
        code, out, err = process.finish()
        assert (code, err) == (0, ""), out


@pytest.fixture(scope="module")
def appliance_server(server_type: type[Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`seclink serve` for all tests of a module that leave it whole; it must also end well."""
    server = server_type(tmp_path_factory.mktemp("appliance"), HIGH_RATES).start()
    yield server
    assert server.stop() == 0, server.log()
    assert is_intact(database_path(server.folder))


@pytest.fixture
def api(appliance_server: Server) -> Iterator[ApiClient]:
    with ApiClient(appliance_server) as api:
        yield api


@pytest.fixture
def faked(tmp_path: Path) -> FakedClock:
    """Return an environment with a fake wall clock, and a function that sets it, to `+1d` for example."""
    found = [Path(folder, "faketime", "libfaketimeMT.so.1") for folder in LIBRARIES]
    library = next((path for path in found if path.exists()), None)
    assert library is not None, "libfaketime is missing: install the package faketime"
    stamp = tmp_path / "faketime"
    stamp.write_text("+0\n")
    environment = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    def tell(text: str) -> None:
        stamp.write_text(f"{text}\n")

    return environment, tell

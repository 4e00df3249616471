"""Fixtures of the fault tests."""

from collections.abc import Iterator

import pytest
from api_client import ApiClient
from database_files import database_path, is_intact
from sockets import SmallServer, small_server
from support.server import HIGH_RATES, Server


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

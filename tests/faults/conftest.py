"""Fixtures of the fault tests."""

from collections.abc import Iterator
from typing import Any

import pytest
from appliances import PLENTY, Api, database, is_whole
from sockets import Process, running


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    """The small application; it must also end well after everything a module did to it."""
    with running() as process:
        yield process
        process.popen.terminate()
        code, out, err = process.finish()
        assert (code, err) == (0, ""), out


@pytest.fixture(scope="module")
def appliance_server(server_type: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`seclink serve` for all tests of a module that leave it whole; it must also end well."""
    server = server_type(tmp_path_factory.mktemp("appliance"), PLENTY).start()
    yield server
    assert server.stop() == 0, server.log()
    assert is_whole(database(server.folder))


@pytest.fixture
def api(appliance_server: Any) -> Iterator[Api]:
    with Api(appliance_server) as api:
        yield api

"""Fixtures of the fault tests."""

from collections.abc import Iterator

import pytest
from sockets import Process, running


@pytest.fixture(scope="module")
def server() -> Iterator[Process]:
    """The small application; it must also end well after everything a module did to it."""
    with running() as process:
        yield process
        process.popen.terminate()
        code, out, err = process.finish()
        assert (code, err) == (0, ""), out

"""Fixtures of the client's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from peer import Caller, Peer
from support.ports import free_port
from terminal import Shell


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, peer: Peer) -> Caller:
    return Caller(request.param, peer)


@pytest.fixture
def unused_tcp_port() -> int:
    return free_port()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    for terminal in shell.terminals:
        terminal.close()

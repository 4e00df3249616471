"""The notifications to the service manager, over a real socket."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import TIMEOUT_SECONDS

from seclink.daemon.systemd import SystemdNotifier


class Manager:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.bind(address)

    def receive(self) -> list[str]:
        return self.socket.recv(4096).decode().split("\n")


@pytest.fixture(params=["file", "abstract"])
def manager_and_environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Manager, dict[str, str]]]:
    """A manager, and the environment variables it sets."""
    name = f"seclink-{os.getpid()}-{time.monotonic_ns()}"
    is_file = request.param == "file"
    manager = Manager(str(tmp_path / name) if is_file else f"\0{name}")
    yield manager, {"NOTIFY_SOCKET": str(tmp_path / name) if is_file else f"@{name}"}
    manager.socket.close()


def test_every_state_is_sent(manager_and_environment: tuple[Manager, dict[str, str]]) -> None:
    manager, environment = manager_and_environment
    notify = SystemdNotifier(environment)
    notify.ready("Answering http://localhost:8080")
    assert manager.receive() == ["READY=1", "STATUS=Answering http://localhost:8080"]
    before = time.monotonic_ns() // 1000
    notify.reloading()
    name, at = manager.receive()
    assert (name, at.partition("=")[0]) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before <= int(at.partition("=")[2]) <= time.monotonic_ns() // 1000
    notify.stopping(10)
    assert manager.receive() == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=25000000"]


def test_watchdog_is_fed_while_there_is_no_problem(manager_and_environment: tuple[Manager, dict[str, str]]) -> None:
    """OPS-05: a server that hangs or cannot write is not kept alive."""
    manager, environment = manager_and_environment
    problems = iter(["", "", "storage", "storage", ""])
    is_hanging = asyncio.Event()

    async def problem() -> str:
        current = next(problems, None)
        if current is None:
            is_hanging.set()
            await asyncio.Event().wait()  # hangs from here on
        return current or ""

    async def run() -> None:
        watching = asyncio.create_task(SystemdNotifier({**environment, "WATCHDOG_USEC": "3000"}).feed_watchdog(problem))
        await is_hanging.wait()
        watching.cancel()

    asyncio.run(run())
    messages = [manager.receive() for _ in range(5)]
    assert messages == [["WATCHDOG=1"], ["WATCHDOG=1"], ["STATUS=storage"], ["WATCHDOG=1"], ["STATUS=Ready again"]]
    manager.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.receive()


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": ""}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}],
)
def test_watchdog_of_another_process_is_not_fed(environment: dict[str, str]) -> None:
    assert SystemdNotifier(environment).watchdog_seconds == 0


def test_watchdog_of_this_process_is_fed() -> None:
    assert SystemdNotifier({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_seconds == 60


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody", "/dev/null", "x" * 500])
def test_missing_manager_is_not_an_error(address: str) -> None:
    SystemdNotifier({"NOTIFY_SOCKET": address}).ready("up")
    SystemdNotifier({}).ready("up")

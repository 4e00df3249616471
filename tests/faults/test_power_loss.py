"""A power cut at every sync and every answer, replayed: CR-02.

The real server runs a scenario under strace; then the disk is rebuilt as a power cut might have left it at each point,
and the real store opens it. What becomes of unsynced sectors is a sample, always the same for the same recording;
SECLINK_LONG=1 records more and draws seven times as many.
"""

import hashlib
import itertools
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import strace_log
from database_files import wait_until_truncated
from fault_injection import LONG, needs_strace, require_program
from powercut import Disk, write_state
from recording_client import Action, RecordingClient, expected_secrets, find_faults
from strace_log import DiskEvent
from support.altered_constants import with_constants
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

pytestmark = [pytest.mark.anyio, needs_strace]
CLIENTS, ROUNDS = (4, 3) if LONG else (2, 2)
CHANCES = 14 if LONG else 2
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of small databases: not on the disk


async def test_power_cut_undoes_no_acknowledged_write(make_server: MakeServer, tmp_path: Path) -> None:
    """CR-02: no damage, no create lost, no view or payload back, no passcode try forgotten, no trace of what ended."""
    events, done = record(make_server, tmp_path)
    faults, count = await replay(cuts(events), events, done, CHANCES)
    print(
        f"\nCR-02: {len(done)} answers, {len(events)} events, {count} disks after a cut: {dict(faults) or 'no fault'}"
    )
    assert count > 300
    assert not faults


async def test_power_cut_undoes_writes_if_commits_are_not_synced(make_server: MakeServer, tmp_path: Path) -> None:
    """CR-02, the negative control: with synchronous=NORMAL the same replay finds creates lost and secrets back."""
    events, done = record(make_server, tmp_path, synchronous=1)
    faults, count = await replay(itertools.islice(cuts(events), 0, None, 4), events, done, 0)
    print(f"\nCR-02, synchronous=NORMAL: {count} disks after a cut: {dict(faults)}")
    assert faults["lost"] > 10
    assert faults["came back"] > 5


def record(make_server: MakeServer, folder: Path, **pragmas: int) -> tuple[list[DiskEvent], list[Action]]:
    """A first start, some rounds of work with the log emptied in between, a stop, a second start, and work again."""
    require_program("strace")
    constants = {f"seclink.store.connection.PRAGMAS.{name}": value for name, value in pragmas.items()}
    server = make_server(HIGH_RATES)
    events, done = list[DiskEvent](), list[Action]()
    for number, rounds in enumerate((ROUNDS, 1)):
        log = folder / f"strace-{number}"
        server.prefix = strace_log.strace_command(log)
        if constants:
            server.prefix += with_constants(constants)
        server.start()
        for _ in range(rounds):
            done += work(server)
            wait_until_truncated(server.folder)
        assert server.stop() == 0, server.log()
        later = events[-1].ended + 1 if events else 0
        more = strace_log.read_events(log, server.folder, "seclink.db", server.process.pid)
        events += [each._replace(began=each.began + later, ended=each.ended + later) for each in more]
    return events, done


def work(server: Server) -> list[Action]:
    clients = [RecordingClient(server) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=client.work) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    for client in clients:
        client.api.http.close()
    assert {len(client.actions) for client in clients} == {14}
    return [action for client in clients for action in client.actions]


async def replay(
    cuts: Iterable[tuple[int, Disk]], events: list[DiskEvent], actions: list[Action], samples: int
) -> tuple[Counter[str], int]:
    """Return the number of faults after power cuts by kind, and the number of different disks checked."""
    responded_at = {event.name: event.at for event in events if event.kind == "response"}
    faults, seen = Counter[str](), set[bytes]()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        for now, disk in cuts:
            acknowledged = sum(instant <= now for instant in responded_at.values())
            for state in disk.states(str(now), samples):
                digest = digest_of(acknowledged, state)
                if digest not in seen:
                    seen.add(digest)
                    write_state(state, Path(name))
                    faults.update(
                        await find_faults(Path(name, "seclink.db"), expected_secrets(actions, responded_at, now))
                    )
    return faults, len(seen)


def digest_of(acknowledged: int, state: dict[str, bytes]) -> bytes:
    sha = hashlib.sha256(b"%d" % acknowledged)
    for name, content in sorted(state.items()):
        sha.update(b"%s %d " % (name.encode(), len(content)) + content)
    return sha.digest()


def cuts(events: list[DiskEvent]) -> Iterator[tuple[int, Disk]]:
    """Yield the disk just before every sync, when most is pending, and just after every response."""
    disk = Disk()
    for event in events:
        if event.kind == "sync":
            yield event.at - 1, disk
        disk.apply(event)
        if event.kind == "response":
            yield event.at, disk

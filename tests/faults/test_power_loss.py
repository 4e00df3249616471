"""A power cut at every sync and every answer, replayed: CR-02.

The real server runs a scenario under strace; then the disk is rebuilt as a power cut might have left it at each point,
and the real store opens it. What becomes of unsynced sectors is a sample, always the same for the same recording;
SECLINK_LONG=1 records more and draws seven times as many.
"""

import hashlib
import itertools
import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import recording
from appliances import ALTERED, LONG, PATIENCE, PLENTY, need, wait_until_swept, without_strace
from powercut import Disk, lay
from recording import Event
from witness import Client, Done, faults_of, known

pytestmark = [pytest.mark.anyio, without_strace]
CLIENTS, ROUNDS = (4, 3) if LONG else (2, 2)
CHANCES = 14 if LONG else 2
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # thousands of small databases: not on the disk


async def test_power_cut_undoes_nothing_that_was_acknowledged(make_server: Callable[..., Any], tmp_path: Path) -> None:
    """CR-02: no damage, no create lost, no view or payload back, no passcode try forgotten, no trace of what ended."""
    events, done = record(make_server, tmp_path)
    faults, count = await replay(cuts(events), events, done, CHANCES)
    print(
        f"\nCR-02: {len(done)} answers, {len(events)} events, {count} disks after a cut: {dict(faults) or 'no fault'}"
    )
    assert count > 300
    assert not faults


async def test_power_cut_undoes_much_where_commits_are_not_synced(
    make_server: Callable[..., Any], tmp_path: Path
) -> None:
    """CR-02, the negative control: with synchronous=NORMAL the same replay finds creates lost and secrets back."""
    events, done = record(make_server, tmp_path, synchronous=1)
    faults, count = await replay(itertools.islice(cuts(events), 0, None, 4), events, done, 0)
    print(f"\nCR-02, synchronous=NORMAL: {count} disks after a cut: {dict(faults)}")
    assert faults["lost"] > 10
    assert faults["came back"] > 5


def record(make_server: Callable[..., Any], folder: Path, **pragmas: int) -> tuple[list[Event], list[Done]]:
    """A first start, some rounds of work with the log emptied in between, a stop, a second start, and work again."""
    need("strace")
    altered = {f"seclink.store.connection.PRAGMAS.{name}": value for name, value in pragmas.items()}
    server = make_server(PLENTY)
    events, done = list[Event](), list[Done]()
    for number, rounds in enumerate((ROUNDS, 1)):
        log = folder / f"strace-{number}"
        server.prefix = recording.strace(log)
        if altered:
            server.prefix += (sys.executable, str(ALTERED), json.dumps(altered))
        server.start()
        for _ in range(rounds):
            done += work(server)
            wait_until_swept(server.folder)
        assert server.stop() == 0, server.log()
        later = events[-1].ended + 1 if events else 0
        more = recording.read(log, server.folder, "seclink.db", server.process.pid)
        events += [each._replace(began=each.began + later, ended=each.ended + later) for each in more]
    return events, done


def work(server: Any) -> list[Done]:
    clients = [Client(server) for _ in range(CLIENTS)]
    threads = [threading.Thread(target=each.work) for each in clients]
    for each in threads:
        each.start()
    for each in threads:
        each.join(PATIENCE)
    for each in clients:
        each.api.http.close()
    assert {len(each.done) for each in clients} == {14}
    return [each for client in clients for each in client.done]


async def replay(
    cut: Iterable[tuple[int, Disk]], events: list[Event], done: list[Done], chances: int
) -> tuple[Counter[str], int]:
    """What is wrong after cuts, by kind, and how many different disks were looked at."""
    places = {each.name: each.at for each in events if each.kind == "answer"}
    faults, seen = Counter[str](), set[bytes]()
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        for now, disk in cut:
            told = sum(at <= now for at in places.values())
            for state in disk.states(str(now), chances):
                digest = digest_of(told, state)
                if digest not in seen:
                    seen.add(digest)
                    lay(state, Path(name))
                    faults.update(await faults_of(Path(name, "seclink.db"), known(done, places, now)))
    return faults, len(seen)


def digest_of(told: int, state: dict[str, bytes]) -> bytes:
    sha = hashlib.sha256(b"%d" % told)
    for name, content in sorted(state.items()):
        sha.update(b"%s %d " % (name.encode(), len(content)) + content)
    return sha.digest()


def cuts(events: list[Event]) -> Iterator[tuple[int, Disk]]:
    """The disk just before each sync is done, when most is pending, and just after each answer has left."""
    disk = Disk()
    for event in events:
        if event.kind == "sync":
            yield event.at - 1, disk
        disk.take(event)
        if event.kind == "answer":
            yield event.at, disk

"""The nth write, sync or cut of a disk fails, for every n of a small scenario: CR-03.

By default every sync and every cut fails once, and every seventh write; SECLINK_LONG=1 fails every one, with either
error.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from appliances import (
    ALTERED,
    LONG,
    PATIENCE,
    PLENTY,
    database,
    failing,
    need,
    wait_until_ready,
    wait_until_swept,
    without_strace,
)
from witness import Client, Done, Secret, faults_of

pytestmark = [pytest.mark.anyio, without_strace]
STEPS = {"pwrite64": 1 if LONG else 7, "fdatasync,fsync": 1, "ftruncate": 1}
ERRORS = ("EIO", "ENOSPC") if LONG else ("EIO",)
MOST = 400  # more calls than any of these scenarios makes


class Refused(Exception):
    """The server said that it cannot; whether it happened is not known."""


class Careful(Client):
    """A client that may be refused, and keeps what must be true of each secret as it goes."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self.secrets: dict[str, Secret] = {}

    def ask(self, verb: str, secret: str, told: Any, method: str, path: str, status: int, **more: Any) -> Any:
        answer = self.api.http.request(method, path, **more)
        if answer.status_code != status:
            assert answer.status_code in (503, 507), answer.text
            assert answer.json()["code"] in ("storage", "storage_full")
            assert "encryptedBlob" not in answer.text
        said = answer.json() if answer.content else {}
        is_told = answer.status_code == status
        if verb != "create":
            self.secrets[secret].take(Done(verb, secret, told, "", ""), is_told)
        elif is_told:
            self.secrets[said["linkId"]] = Secret(*told)
        if not is_told:
            raise Refused
        return said

    def attempt(self, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except Refused:
            return None

    def settle(self) -> None:
        """View what is left of each, and compare."""
        for link_id, secret in self.secrets.items():
            found = [self.api.reveal(link_id).status_code for _ in range(secret.most + 1)]
            assert set(found) <= {200, 410}
            assert secret.fewest <= found.count(200) <= secret.most
        self.secrets.clear()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("calls", STEPS)
async def test_call_that_fails_once_costs_no_acknowledged_secret(
    make_server: Callable[..., Any], tmp_path: Path, calls: str, error: str
) -> None:
    """CR-03: whichever it is; nothing is lost or back, now or after a kill, and the server goes on by itself."""
    need("strace")
    quick = json.dumps({"seclink.store.wal_checkpoint.INTERVAL_SECONDS": 0.1})
    server = make_server(PLENTY + '[log]\nlevel = "error"\n', prefix=(sys.executable, str(ALTERED), quick)).start()
    client = Careful(server)
    failed = 0
    for number in range(1, MOST, STEPS[calls]):
        count = scenario(client, calls, f"{error}:when={number}")
        faults = await faults_of(copy(server, tmp_path / "copy"), client.secrets)
        assert not faults, number
        wait_until_ready(client.api)
        client.settle()
        failed += count
        if not count:
            break
    else:
        raise AssertionError("it never came to an end")
    assert failed >= 2
    client.api.http.close()
    assert server.stop() == 0, server.log()
    print(f"\nCR-03: {calls} {error}: {failed} failed, one at a time")


def scenario(client: Careful, calls: str, error: str) -> int:
    """Before, while and after one call fails: how often one did."""
    viewed, burned, twice = client.create(), client.create(20_000), client.create(views=2)
    wait_until_swept(client.server.folder)
    with failing(client.server.process.pid, calls, error) as failures:
        client.attempt(client.view, viewed)
        client.attempt(client.create)
        client.attempt(client.burn, burned)
        client.attempt(client.create, 20_000)
        client.attempt(client.view, twice)
        client.attempt(client.change, twice)
        wait_until_swept(client.server.folder)
    return failures.count


def copy(server: Any, folder: Path) -> Path:
    """The files as a kill would leave them now."""
    folder.mkdir(exist_ok=True)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        for end in ("", "-wal"):
            shutil.copy(f"{database(server.folder)}{end}", folder)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    return folder / "seclink.db"


@pytest.mark.parametrize("files", ["none", "left by a kill"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("calls", STEPS)
async def test_start_on_a_disk_that_fails_says_so_and_leaves_everything(
    make_server: Callable[..., Any], tmp_path: Path, files: str, calls: str, error: str
) -> None:
    """CR-03: a first start, and one with a log to recover; where one call fails, the next start works."""
    need("strace")
    server, folder = make_server(), tmp_path / "files"
    folder.mkdir()
    server.config.write_text(f'[store]\npath = "{folder}/seclink.db"\n')
    secrets = killed(server) if files != "none" else {}
    before = {each: each.read_bytes() for each in folder.iterdir()}
    for number in range(1, MOST, STEPS[calls]):
        for each in folder.iterdir():
            each.unlink()
        for each, content in before.items():
            each.write_bytes(content)
        done = start(folder / "seclink.db", f"{calls}:error={error}:when={number}")
        assert done.returncode == 0 or re.fullmatch(rb"/[^\n]*seclink.db: [^\n]*\n", done.stderr), done.stderr
        assert not await faults_of(folder / "seclink.db", deepcopy(secrets)), number
        if b"(INJECTED)" not in done.stdout:
            break
    else:
        raise AssertionError("it never came to an end")


def killed(server: Any) -> dict[str, Secret]:
    """Some acknowledged ends and changes, all in the log, none in the file; and what must be true of the secrets."""
    server.start()
    client = Careful(server)
    kept, viewed, burned = client.create(), client.create(20_000), client.create()
    client.view(viewed)
    client.burn(burned)
    client.change(kept)
    client.api.http.close()
    server.kill()
    return client.secrets


OPEN = """
import asyncio, sys
from pathlib import Path
from seclink.errors import StoreUnusable
from seclink.store.sqlite import SqliteStore
async def start():
    store = await SqliteStore.open(Path(sys.argv[1]), keep_seconds=86400, max_bytes=2**30)
    await store.close()
try:
    asyncio.run(start())
except StoreUnusable as error:
    sys.exit(str(error))
"""


def start(path: Path, inject: str) -> subprocess.CompletedProcess[bytes]:
    """What every start does first: open, check, recover, bring up to date. On stdout is what strace says."""
    calls = f"trace={inject.partition(':')[0]}"
    traced = ["strace", "-f", "-o", "/dev/stdout", "-e", calls, "-e", f"inject={inject}"]
    return subprocess.run([*traced, sys.executable, "-c", OPEN, str(path)], capture_output=True, timeout=PATIENCE)

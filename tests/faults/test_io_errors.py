"""The nth write, sync or cut of a disk fails, for every n of a small scenario: CR-03.

By default every sync and every cut fails once, and every seventh write; SECLINK_LONG=1 fails every one, with either
error.
"""

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
from api_client import wait_until_ready
from database_files import database_path, wait_until_truncated
from fault_injection import LONG, failing_calls, needs_strace, require_program
from recording_client import Action, ExpectedSecret, RecordingClient, find_faults
from support.altered_constants import with_constants
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

pytestmark = [pytest.mark.anyio, needs_strace]
STEPS = {"pwrite64": 1 if LONG else 7, "fdatasync,fsync": 1, "ftruncate": 1}
ERRORS = ("EIO", "ENOSPC") if LONG else ("EIO",)
MOST = 400  # more calls than any of these scenarios makes


class Refused(Exception):
    """The server returned an error; the action may or may not have had an effect."""


class Careful(RecordingClient):
    """A client that tolerates errors, and keeps the expected state of every secret."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.secrets: dict[str, ExpectedSecret] = {}

    def ask(self, verb: str, secret: str, detail: Any, method: str, path: str, status: int, **options: Any) -> Any:
        response = self.api.http.request(method, path, **options)
        is_acknowledged = response.status_code == status
        if not is_acknowledged:
            assert response.status_code in (503, 507), response.text
            assert response.json()["code"] in ("storage", "storage_full")
            assert "encryptedBlob" not in response.text
        content = response.json() if response.content else {}
        if verb != "create":
            self.secrets[secret].apply(Action(verb, secret, detail, "", ""), is_acknowledged)
        elif is_acknowledged:
            self.secrets[content["linkId"]] = ExpectedSecret(*detail)
        if not is_acknowledged:
            raise Refused
        return content

    def attempt(self, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except Refused:
            return None

    def settle(self) -> None:
        """Take all views of every secret, and compare their number with the expected one."""
        for link_id, secret in self.secrets.items():
            statuses = [self.api.reveal(link_id).status_code for _ in range(secret.max_views + 1)]
            assert set(statuses) <= {200, 410}
            assert secret.min_views <= statuses.count(200) <= secret.max_views
        self.secrets.clear()


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("calls", STEPS)
async def test_failing_system_call_loses_no_acknowledged_secret(
    make_server: MakeServer, tmp_path: Path, calls: str, error: str
) -> None:
    """CR-03: whichever it is; nothing is lost or back, now or after a kill, and the server goes on by itself."""
    require_program("strace")
    prefix = with_constants({"seclink.store.wal_checkpoint.INTERVAL_SECONDS": 0.1})
    server = make_server(HIGH_RATES + '[log]\nlevel = "error"\n', prefix=prefix).start()
    client = Careful(server)
    failed = 0
    for number in range(1, MOST, STEPS[calls]):
        count = scenario(client, calls, f"{error}:when={number}")
        faults = await find_faults(copy(server, tmp_path / "copy"), client.secrets)
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
    wait_until_truncated(client.server.folder)
    with failing_calls(client.server.process.pid, calls, error) as failures:
        client.attempt(client.view, viewed)
        client.attempt(client.create)
        client.attempt(client.burn, burned)
        client.attempt(client.create, 20_000)
        client.attempt(client.view, twice)
        client.attempt(client.change, twice)
        wait_until_truncated(client.server.folder)
    return failures.count


def copy(server: Server, folder: Path) -> Path:
    """The files as a kill would leave them now."""
    folder.mkdir(exist_ok=True)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        for end in ("", "-wal"):
            shutil.copy(f"{database_path(server.folder)}{end}", folder)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    return folder / "seclink.db"


@pytest.mark.parametrize("files", ["none", "left by a kill"])
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("calls", STEPS)
async def test_start_on_a_failing_disk_is_refused_and_changes_nothing(
    make_server: MakeServer, tmp_path: Path, files: str, calls: str, error: str
) -> None:
    """CR-03: a first start, and one with a log to recover; where one call fails, the next start works."""
    require_program("strace")
    server, folder = make_server(), tmp_path / "files"
    folder.mkdir()
    server.config.write_text(f'[store]\npath = "{folder}/seclink.db"\n')
    secrets = killed(server) if files != "none" else {}
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for number in range(1, MOST, STEPS[calls]):
        for path in folder.iterdir():
            path.unlink()
        for each, content in before.items():
            each.write_bytes(content)
        done = start(folder / "seclink.db", f"{calls}:error={error}:when={number}")
        assert done.returncode == 0 or re.fullmatch(rb"/[^\n]*seclink.db: [^\n]*\n", done.stderr), done.stderr
        assert not await find_faults(folder / "seclink.db", deepcopy(secrets)), number
        if b"(INJECTED)" not in done.stdout:
            break
    else:
        raise AssertionError("it never came to an end")


def killed(server: Server) -> dict[str, ExpectedSecret]:
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
    return subprocess.run(
        [*traced, sys.executable, "-c", OPEN, str(path)], capture_output=True, timeout=TIMEOUT_SECONDS
    )

"""Chunks on their way: two requests for the same one, ends in the middle, crashes, and the folder after them."""

import asyncio
import contextlib
import errno
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from api_helpers import check_problem, create, manage
from file_helpers import (
    SMALL,
    attached,
    begin,
    by,
    content,
    create_with_files,
    download,
    granted,
    put,
    reveal_files,
    upload,
)
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES

from seclink.domain import uploads
from seclink.errors import StoreUnusable
from seclink.model import CHUNK_BYTES, Actor
from seclink.store.chunk_files import THREADS, ChunkFolder
from seclink.store.sqlite import SqliteStore
from seclink.web.asgi import Message

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MIN_FREE_BYTES", 0)


class Call:
    """A request whose body and response a test passes piece by piece."""

    def __init__(
        self, appliance: Appliance, method: str, path: str, headers: dict[str, str], client: str = "192.0.2.1"
    ) -> None:
        self.body: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.may_send = asyncio.Event()
        self.has_sent = asyncio.Event()
        fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {
            **{"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""},
            **{"headers": [(b"host", b"localhost:8080"), *fields], "client": (client, 1), "http_version": "1.1"},
            **{"scheme": "http", "root_path": "", "asgi": {"version": "3.0"}, "server": ("localhost", 8080)},
        }
        self.task = asyncio.ensure_future(appliance.app(scope, self.body.get, self._send))

    def send_piece(self, piece: bytes, *, is_last: bool = False) -> None:
        self.body.put_nowait({"type": "http.request", "body": piece, "more_body": not is_last})

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    def received(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "http.response.body":
            self.has_sent.set()
            await self.may_send.wait()


def putting(appliance: Appliance, begun: dict[str, Any], size: int = SMALL, client: str = "192.0.2.1") -> Call:
    headers = by(begun, **{"Content-Type": "application/octet-stream", "Content-Length": str(size)})
    call = Call(appliance, "PUT", f"/api/v1/uploads/{begun['uploadId']}/chunks/0", headers, client)
    call.may_send.set()
    return call


async def test_newer_request_for_a_chunk_breaks_the_older_off(appliance: Appliance) -> None:
    begun = await begin(appliance.http)
    older = putting(appliance, begun)
    older.send_piece(content(seed=2)[:100])
    await asyncio.sleep(0)  # let it begin
    newest = [putting(appliance, begun) for _ in range(3)]
    for call in newest:
        call.send_piece(content(), is_last=True)
    await asyncio.gather(older.task, *(call.task for call in newest))
    assert older.status == 409
    assert b"superseded" in older.received()
    assert newest[-1].status == 204
    secret = await create(appliance.http, **attached(begun))
    assert await download(appliance.http, await reveal_files(appliance.http, secret)) == content()


async def test_request_that_ends_early_counts_nothing(appliance: Appliance) -> None:
    begun = await begin(appliance.http)
    call = putting(appliance, begun)
    call.send_piece(content()[:-1])
    call.body.put_nowait({"type": "http.disconnect"})
    await call.task
    assert (await appliance.http.get(f"/uploads/{begun['uploadId']}", headers=by(begun))).json()["received"] == []


async def test_one_client_has_sixteen_calls_that_send_chunks(appliance: Appliance) -> None:
    begun = [await begin(appliance.http) for _ in range(17)]
    calls = [putting(appliance, each_upload) for each_upload in begun]
    for call in calls:
        call.send_piece(content()[:10])
    await asyncio.wait([calls[16].task])
    assert (calls[16].status, b"busy" in calls[16].received()) == (503, True)
    elsewhere = appliance.client("192.0.2.7")
    assert (await put(elsewhere, begun[16], 0, content())).status_code == 204
    await elsewhere.aclose()
    for call in calls[:16]:
        call.send_piece(content()[10:], is_last=True)
    await asyncio.gather(*(call.task for call in calls))
    assert [call.status for call in calls[:16]] == [204] * 16


@pytest.mark.parametrize(("address", "most"), [("198.51.100.{}", 128), ("2001:db8:0:{}::1", 64)])
async def test_slow_bodies_of_eight_clients_leave_room(make_appliance: MakeAppliance, address: str, most: int) -> None:
    """RL-11: eight addresses, or eight networks of a /48, with 17 bodies each that do not go on."""
    appliance = await make_appliance(HIGH_RATES)
    secret, begun = await create_with_files(appliance.http), await begin(appliance.http)
    revealed = await reveal_files(appliance.http, secret)
    slow = []
    for number in range(8):
        client = appliance.client(address.format(number))
        for _ in range(17):
            slow.append(putting(appliance, await begin(client), client=address.format(number)))
            slow[-1].send_piece(content()[:10])
        await client.aclose()
    await asyncio.wait([slow[-1].task])  # the last one has no place
    assert (await put(appliance.http, begun, 0, content())).status_code == 204
    assert await download(appliance.http, revealed) == content()
    for call in slow:
        call.body.put_nowait({"type": "http.disconnect"})
    await asyncio.gather(*(call.task for call in slow))
    assert sum(bool(call.sent) and call.status == 503 for call in slow) == 8 * 17 - most


async def test_anonymous_senders_leave_a_quarter_of_the_calls_to_accounts(appliance: Appliance) -> None:
    """RL-11: though the chunks of an account's upload come without its key."""
    state, anonymous = appliance.engine._files, await begin(appliance.http)
    of_account = await begin(appliance.http, key=await appliance.key())
    found = await appliance.store.uploads.find(anonymous["uploadId"])
    assert found is not None
    with contextlib.ExitStack() as held:
        for number in range(12):
            for _ in range(16):
                held.enter_context(state.sending_slot(Actor(client=f"198.51.100.{number}"), found))
        check_problem(await put(appliance.http, anonymous, 0, content()), 503, "busy")
        assert (await put(appliance.http, of_account, 0, content())).status_code == 204
    assert (await put(appliance.http, anonymous, 0, content())).status_code == 204


async def test_sender_who_burns_stops_a_transfer(appliance: Appliance) -> None:
    data = content(CHUNK_BYTES)
    secret = await create_with_files(appliance.http, data)
    revealed = await reveal_files(appliance.http, secret)
    call = Call(appliance, "GET", "/api/v1/files/0", granted(revealed))
    await call.has_sent.wait()
    assert (await appliance.http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret))).status_code == 204
    call.may_send.set()
    await call.task
    assert call.status == 200
    assert len(call.received()) < len(data)
    assert '"failed"' not in appliance.log.getvalue()


async def test_other_end_of_a_grant_does_not_stop_a_transfer(appliance: Appliance) -> None:
    data = content(CHUNK_BYTES)
    one, other = await create_with_files(appliance.http, data), await create_with_files(appliance.http)
    revealed = await reveal_files(appliance.http, one)
    call = Call(appliance, "GET", "/api/v1/files/0", granted(revealed))
    await call.has_sent.wait()
    gone = await appliance.http.delete("/files", headers=granted(await reveal_files(appliance.http, other)))
    assert gone.status_code == 204
    call.may_send.set()
    await call.task
    assert call.received() == data


@pytest.mark.parametrize("method", ["write", "sync", "create"])
async def test_full_disk_is_told_and_counts_nothing(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """At each step that writes, and the same upload goes on once there is room."""

    async def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    begun = await begin(appliance.http)
    with monkeypatch.context() as patch:
        patch.setattr(type(appliance.store.uploads.files), method, full)
        if method == "create":
            check_problem(await appliance.http.post("/uploads", json={"size": SMALL}), 507, "files_full")
        else:
            check_problem(await put(appliance.http, begun, 0, content()), 507, "files_full")
    await appliance.engine.reaper.reap_all()
    assert (await appliance.store.uploads.usage(appliance.clock.now())).uploads == 1
    assert (await put(appliance.http, begun, 0, content())).status_code == 204


# The folder


def folder_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.files")


async def reopened(path: Path) -> SqliteStore:
    return await SqliteStore.open(path, keep_seconds=86400, max_bytes=2**30)


async def test_start_erases_what_the_other_side_does_not_know(make_appliance: MakeAppliance, tmp_path: Path) -> None:
    """a file without its row, and an unattached row without its file."""
    appliance = await make_appliance(path=tmp_path / "a.db")
    begun, waiting = await upload(appliance.http), await create_with_files(appliance.http)
    kept = await upload(appliance.http)
    folder = folder_of(appliance.path)
    first = (await appliance.store.uploads.find(begun["uploadId"])).file  # type: ignore[union-attr]
    await appliance.store.close()
    (folder / first).unlink()
    (folder / ("f" * 32)).write_bytes(b"orphan")
    store = await reopened(appliance.path)
    assert await store.uploads.find(begun["uploadId"]) is None
    assert await store.uploads.find(kept["uploadId"]) is not None
    assert len(list(folder.iterdir())) == 2
    assert store.lost_files == 0
    file, _ = await store.uploads.attached_file(waiting["linkId"]) or ("", 0)
    await store.close()
    (folder / file).rename(tmp_path / "elsewhere")
    store = await reopened(appliance.path)
    assert store.lost_files == 1  # a secret waits for it: the folder may come back
    await store.close()
    (tmp_path / "elsewhere").rename(folder / file)
    store = await reopened(appliance.path)
    assert store.lost_files == 0
    await store.close()


async def test_folder_must_be_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def refused(folder: Path, reason: str) -> None:
        with pytest.raises(StoreUnusable, match=reason):
            await SqliteStore.open(path, keep_seconds=1, max_bytes=2**30, files=folder)

    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "notes.txt").touch()
    await refused(tmp_path / "shared", "contains other files")
    (tmp_path / "link").symlink_to(tmp_path / "shared")
    await refused(tmp_path / "link", "cannot be opened")
    (tmp_path / "file").touch()
    await refused(tmp_path / "file", "cannot be opened")
    await refused(tmp_path / "missing" / "files", "cannot be opened")
    (tmp_path / "open").mkdir(mode=0o755)
    store = await SqliteStore.open(path, keep_seconds=1, max_bytes=2**30, files=tmp_path / "open")
    assert (tmp_path / "open").stat().st_mode & 0o777 == 0o700
    with pytest.raises(StoreUnusable, match="another SecLink server"):
        await SqliteStore.open(tmp_path / "b.db", keep_seconds=1, max_bytes=2**30, files=tmp_path / "open")
    await store.close()


async def test_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(StoreUnusable, match=f"belongs to user {user}"):
        ChunkFolder.open(tmp_path / "theirs", is_needed=True)


async def test_link_in_the_folder_is_never_followed(appliance: Appliance, tmp_path: Path) -> None:
    secret = await create_with_files(appliance.http)
    [file] = folder_of(appliance.path).iterdir()
    precious = tmp_path / "precious"
    precious.write_bytes(content(seed=9))
    file.unlink()
    file.symlink_to(precious)
    response = await appliance.http.post(f"/secrets/{secret['linkId']}/reveal", json={"files": True})
    check_problem(response, 503, "storage")
    begun = await begin(appliance.http)
    other = next(path for path in folder_of(appliance.path).iterdir() if path != file)
    other.unlink()
    other.symlink_to(precious)
    check_problem(await put(appliance.http, begun, 0, content()), 503, "storage")
    assert precious.read_bytes() == content(seed=9)


async def test_a_folder_is_created_for_the_first_file_only(appliance: Appliance) -> None:
    await create(appliance.http)
    assert not folder_of(appliance.path).exists()
    await begin(appliance.http)
    assert folder_of(appliance.path).stat().st_mode & 0o777 == 0o700


# Open files


def open_files() -> set[str]:
    return {f"{path.name} {path.readlink()}" for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


async def cancel_while_held(files: ChunkFolder, work: Coroutine[Any, Any, Any], times: int) -> None:
    """Start the work, cancel it before a thread has begun it, and let it end."""
    release = threading.Event()
    for _ in range(THREADS):
        files._threads.submit(release.wait)
    task = asyncio.ensure_future(work)
    try:
        for _ in range(times):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        is_waiting = not task.done()
    finally:
        release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_waiting


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelled_open_leaves_no_file_open(tmp_path: Path, times: int) -> None:
    files = ChunkFolder.open(tmp_path / "files", is_needed=True)
    await files.create("a" * 32)
    before = open_files()
    await cancel_while_held(files, files.open_file("a" * 32), times)
    assert open_files() == before
    await cancel_while_held(files, files.open_file("b" * 32), times)  # which is not there
    files.close()


@pytest.mark.parametrize("times", [1, 3])
async def test_file_is_never_closed_under_a_write(tmp_path: Path, times: int) -> None:
    """Cancelled, also several times, the caller closes the file only after the thread has let go of it."""
    files = ChunkFolder.open(tmp_path / "files", is_needed=True)
    await files.create("a" * 32)

    file = await files.open_file("a" * 32, writable=True)
    await cancel_while_held(files, files.write(file, 0, b"whole"), times)
    os.close(file)
    assert (tmp_path / "files" / ("a" * 32)).read_bytes() == b"whole"
    files.close()


async def test_ended_request_leaves_no_file_open(appliance: Appliance) -> None:
    """A download that the server ends in the middle, as at its stop."""
    revealed = await reveal_files(appliance.http, await create_with_files(appliance.http, content(CHUNK_BYTES)))
    before = open_files()
    call = Call(appliance, "GET", "/api/v1/files/0", granted(revealed))
    await call.has_sent.wait()
    assert open_files() != before
    call.task.cancel()
    await asyncio.wait([call.task])
    assert open_files() == before

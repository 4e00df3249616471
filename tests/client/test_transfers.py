"""The transfer of files, sync and async alike: retries, damage, lies of the server, and files that change."""

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from files_peer import MAX_BYTES, Calls, FilesCaller, FilesPeer, problem

from seclink.client.downloads import SaveState
from seclink.errors import (
    BadRequest,
    ClientError,
    FilesFull,
    FilesNotAllowed,
    FilesTooLarge,
    NotAuthentic,
    SecLinkError,
    SourceChanged,
    Unreachable,
    UploadUnknown,
)
from seclink.format.file_stream import CHUNK_BYTES

BIG = bytes(range(256)) * (CHUNK_BYTES // 128) + b"end"  # three chunks


@pytest.fixture
def peer() -> FilesPeer:
    return FilesPeer()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, peer: FilesPeer) -> FilesCaller:
    return FilesCaller(request.param, peer)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    path.write_bytes(BIG)
    return path


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def create(call: FilesCaller, *files: Any, **options: Any) -> Any:
    return call.run(lambda client: client("create", "", files=files, **options))


def save(call: FilesCaller, link: str, folder: Path) -> Any:
    async def work(client: Calls) -> Any:
        secret = await client("reveal", link)
        return await client.save(secret.files, folder)

    return call.run(work)


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


# Sending


@pytest.mark.parametrize(
    "failure",
    [
        lambda: problem(503, "busy", {"retry-after": "999"}),
        lambda: problem(500, "internal"),
        lambda: problem(409, "superseded"),
        lambda: problem(400, "digest_mismatch"),
        lambda: problem(408, "request_timeout"),
        lambda: httpx.ReadError("reset"),
        lambda: httpx.Response(504, text="timeout"),
    ],
    ids=["busy", "internal", "superseded", "digest", "slow", "reset", "proxy"],
)
def test_chunk_is_sent_again(
    call: FilesCaller, peer: FilesPeer, source: Path, there: Path, failure: Callable[[], Any]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method != "PUT" or len(call.waited) >= 3:
            return FilesPeer.respond(peer, request)
        result = failure()
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, httpx.Response)
        return result

    peer.respond = answer  # type: ignore[method-assign]
    created = create(call, source)
    assert call.waited == ([60, 60, 60] if "retry-after" in getattr(failure(), "headers", {}) else [0.5, 1.0, 2.0])
    assert [path.read_bytes() for path in save(call, created.link, there)] == [BIG]


def test_chunk_is_given_up_after_ten_minutes_and_the_upload_with_it(
    call: FilesCaller, peer: FilesPeer, source: Path
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            raise httpx.ConnectError("refused")
        return FilesPeer.respond(peer, request)

    peer.respond = answer  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        create(call, source)
    assert 590 < sum(call.waited) < 610
    assert peer.paths[-1] == f"DELETE /uploads/{'u' * 20}"


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(507, "files_full", FilesFull), (404, "upload_unknown", UploadUnknown)]
)
def test_refused_chunk_ends_the_upload(
    call: FilesCaller, peer: FilesPeer, source: Path, status: int, code: str, kind: type[SecLinkError]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return problem(status, code) if request.method == "PUT" else FilesPeer.respond(peer, request)

    peer.respond = answer  # type: ignore[method-assign]
    with pytest.raises(kind):
        create(call, source)
    assert call.waited == []
    assert peer.paths[-1].startswith("DELETE /uploads/")


def test_limits_are_told_before_anything_is_sent(call: FilesCaller, peer: FilesPeer, tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(FilesTooLarge, match=r"at most 1,073\.7 MB"):
        create(call, tmp_path / "sparse")
    with pytest.raises(BadRequest, match="1 to 100 files, not 101"):
        create(call, *([tmp_path / "sparse"] * 101))
    with pytest.raises(BadRequest, match="Only a text"):
        create(call, tmp_path / "sparse", type="neogram")
    with pytest.raises(FileNotFoundError):
        create(call, tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        create(call, tmp_path)
    peer.limits["allowed"] = False
    with pytest.raises(FilesNotAllowed):
        create(call, tmp_path / "sparse")
    assert {*peer.paths} == {"GET /uploads"}


def test_pipe_is_bounded_by_the_limit(call: FilesCaller, peer: FilesPeer) -> None:
    peer.limits["maxBytes"] = 1000
    with Path("/dev/zero").open("rb") as zeros, pytest.raises(FilesTooLarge):
        create(call, ("endless", Pipe(zeros)))
    assert {*peer.paths} == {"GET /uploads"}


class Pipe(io.RawIOBase):
    """A stream that cannot be sought, and gives a little at a time."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(min(len(buffer), 65_535))
        buffer[: len(piece)] = piece
        return len(piece)


def test_pipe_arrives_whole(call: FilesCaller, there: Path) -> None:
    created = create(call, ("from a pipe", Pipe(io.BytesIO(BIG))), ("empty", Pipe(io.BytesIO())))
    assert [path.read_bytes() for path in save(call, created.link, there)] == [BIG, b""]


def shorten(path: Path) -> None:
    os.truncate(path, 100)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 1))


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(BIG)
    other.replace(path)


@pytest.mark.parametrize("moment", [0, 1, 2])
@pytest.mark.parametrize("change", [shorten, touch, replace, Path.unlink])
def test_file_that_changes_is_refused_and_the_upload_given_up(
    call: FilesCaller, peer: FilesPeer, source: Path, change: Callable[[Path], None], moment: int
) -> None:
    peer.on_chunk = lambda number: change(source) if number == moment else None
    with pytest.raises(SourceChanged, match=r"big\.bin could not be sent as it was at first"):
        create(call, source, ("other", io.BytesIO(b"x")))
    assert peer.paths[-1] == f"DELETE /uploads/{'u' * 20}"
    assert "POST /secrets" not in peer.paths


def test_stream_that_changes_is_refused(call: FilesCaller, peer: FilesPeer) -> None:
    stream = io.BytesIO(BIG)
    peer.on_chunk = lambda number: (stream.seek(0, os.SEEK_END), stream.write(b"more"), None)[-1]
    with pytest.raises(SourceChanged):
        create(call, ("stream", stream))
    assert "POST /secrets" not in peer.paths


def test_upload_of_a_refused_secret_is_given_up(call: FilesCaller, peer: FilesPeer, source: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        is_create = request.url.path.endswith("/secrets")
        return problem(400, "bad_request") if is_create else FilesPeer.respond(peer, request)

    peer.respond = answer  # type: ignore[method-assign]
    with pytest.raises(BadRequest):
        create(call, source, hours=1)
    assert peer.paths[-2:] == ["POST /secrets", f"DELETE /uploads/{'u' * 20}"]


def test_upload_is_resumed_from_what_the_server_has(call: FilesCaller, peer: FilesPeer, source: Path) -> None:
    begun: list[Any] = []

    def stop(number: int) -> None:
        raise httpx.ReadError("killed")

    async def work(client: Calls) -> Any:
        peer.on_chunk = stop
        with pytest.raises(Unreachable):
            await client("upload", [source], on_begin=begun.append)
        peer.on_chunk = lambda number: None
        assert [*peer.chunks] == [0]
        before = len(peer.paths)
        shown: list[tuple[int, int]] = []
        upload = await client("upload", [source], resume=begun[0], progress=lambda *step: shown.append(step))
        assert [done for done, _ in shown] == [CHUNK_BYTES, 2 * CHUNK_BYTES, shown[0][1]]
        assert [path for path in peer.paths[before:] if path.startswith("PUT")] == [
            f"PUT /uploads/{'u' * 20}/chunks/{number}" for number in (1, 2)
        ]
        return await client("create", "text", upload=upload)

    assert call.run(work).link
    touch(source)
    with pytest.raises(SourceChanged, match="not the files of the upload"):
        call.run(lambda client: client("upload", [source], resume=begun[0]))


def test_key_of_the_stream_is_never_sent(call: FilesCaller, peer: FilesPeer, source: Path) -> None:
    """PC-08"""
    begun: list[Any] = []
    call.run(lambda client: client("upload", [source], on_begin=begun.append))
    key = begun[0].header.members()["stream"]["key"]
    wire = b"".join(repr((r.url, r.headers)).encode() + r.content for r in peer.requests)
    assert key.encode() not in wire
    assert begun[0].header.key not in wire
    assert key not in repr(begun[0])
    assert begun[0].token not in repr(begun[0])


# Saving


DAMAGE: dict[str, Callable[[dict[int, bytes]], dict[int, bytes]]] = {
    "flipped": lambda chunks: chunks | {1: chunks[1][:500] + bytes([chunks[1][500] ^ 1]) + chunks[1][501:]},
    "flipped in the last": lambda chunks: chunks | {2: chunks[2][:-1] + bytes([chunks[2][-1] ^ 1])},
    "swapped": lambda chunks: chunks | {0: chunks[1], 1: chunks[0]},
    "doubled": lambda chunks: chunks | {1: chunks[0]},
    "cut": lambda chunks: chunks | {1: chunks[1][:-1]},
    "longer": lambda chunks: chunks | {2: chunks[2] + b"x"},
    "empty": lambda chunks: chunks | {0: b""},
    "last as first": lambda chunks: chunks | {0: chunks[2]},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_before_the_file_has_a_name(
    call: FilesCaller, peer: FilesPeer, source: Path, there: Path, damage: str
) -> None:
    """SAVE-03"""
    link = create(call, source).link
    peer.chunks = DAMAGE[damage](peer.chunks)
    with pytest.raises((NotAuthentic, Unreachable)):
        save(call, link, there)
    assert tree(there) == set()
    assert not [path for path in peer.paths if path == "DELETE /files"]


@pytest.mark.parametrize("body", [b"", b"<html>a login page</html>", b"x" * 4_194_332], ids=["empty", "page", "noise"])
def test_damaged_chunk_is_downloaded_again(
    call: FilesCaller, peer: FilesPeer, source: Path, there: Path, body: bytes
) -> None:
    """SAVE-07"""
    link = create(call, source).link

    def answer(request: httpx.Request) -> httpx.Response:
        is_damaged = request.url.path.endswith("/files/1") and len(call.waited) < 3
        return httpx.Response(200, content=body) if is_damaged else FilesPeer.respond(peer, request)

    peer.respond = answer  # type: ignore[method-assign]
    assert [path.read_bytes() for path in save(call, link, there / "new" / "folder")] == [BIG]
    assert call.waited == [0.5, 1.0, 2.0]


def test_saving_goes_on_after_lasting_damage(call: FilesCaller, peer: FilesPeer, source: Path, there: Path) -> None:
    """SAVE-07"""
    link, state = create(call, source).link, SaveState()
    whole, peer.chunks = peer.chunks, DAMAGE["flipped"](peer.chunks)

    async def work(client: Calls) -> Any:
        secret = await client("reveal", link)
        with pytest.raises(NotAuthentic, match="arrive damaged"):
            await client.save(secret.files, there, state=state)
        assert (there / "big.bin.part").read_bytes() == BIG[:CHUNK_BYTES]
        peer.chunks = whole
        before = len(peer.paths)
        assert [path.read_bytes() for path in await client.save(secret.files, there, state=state)] == [BIG]
        assert peer.paths[before:] == ["GET /files/1", "GET /files/2", "DELETE /files"]

    call.run(work)


@pytest.mark.parametrize("change", [{"size": 1}, {"chunks": 2}, {"chunks": 4}, {"grant": "é"}, {"size": True}])
def test_lies_about_the_size_are_noticed_before_anything_is_downloaded(
    call: FilesCaller, peer: FilesPeer, source: Path, there: Path, change: dict[str, Any]
) -> None:
    link = create(call, source).link
    files = {"size": peer.size, "chunks": 3, "grant": "g", "grantExpiresAt": 1}
    peer.changes = {"files": files | change}
    with pytest.raises((NotAuthentic, Unreachable)):
        save(call, link, there)
    peer.changes = {"files": None}
    with pytest.raises(NotAuthentic, match="does not have the files"):
        save(call, link, there)
    assert not [path for path in peer.paths if "/files" in path]


def test_chunk_is_downloaded_again_and_many_small_files_at_once(
    call: FilesCaller, peer: FilesPeer, there: Path
) -> None:
    """SAVE-04"""
    link = create(call, *((f"{number}.txt", io.BytesIO(b"x" * number)) for number in range(100))).link

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and len(call.waited) < 2:
            return problem(503, "storage")
        return FilesPeer.respond(peer, request)

    peer.respond = answer  # type: ignore[method-assign]
    assert [path.stat().st_size for path in save(call, link, there)] == [*range(100)]
    assert [path for path in peer.paths if "/files" in path] == ["GET /files/0"] * 3 + ["DELETE /files"]


def test_files_are_released_once_each_is_saved(call: FilesCaller, peer: FilesPeer, there: Path) -> None:
    """SAVE-02"""

    async def work(client: Calls) -> None:
        secret = await client("reveal", link)
        await client.save(secret.files[1], there)
        assert "DELETE /files" not in peer.paths
        await client.save(secret.files[0], there)
        assert peer.paths[-1] == "DELETE /files"

    link = create(call, ("a", io.BytesIO(b"1")), ("b", io.BytesIO(b"2"))).link
    call.run(work)


def test_nothing_is_overwritten(call: FilesCaller, there: Path) -> None:
    link = create(call, ("a.txt", io.BytesIO(b"new")), ("a.txt", io.BytesIO(b"newer")), ("b", io.BytesIO(b"b"))).link
    (there / "a.txt").write_text("old")
    (there / "a.txt.part").write_text("somebody's")
    (there / "b").symlink_to(there / "target")
    saved = save(call, link, there)
    assert [path.name for path in saved] == ["a (2).txt", "a (2) (2).txt", "b (2)"]
    assert [path.read_text() for path in saved] == ["new", "newer", "b"]
    assert (there / "a.txt").read_text() == "old"
    assert (there / "a.txt.part").read_text() == "somebody's"
    assert not (there / "target").exists()


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/../../x", "..", "a/./x"])
def test_no_name_leads_outside(call: FilesCaller, peer: FilesPeer, there: Path, name: str) -> None:
    """What a sender's own client refuses or cleans, and what is in the header all the same."""
    try:
        link = create(call, (name, io.BytesIO(b"x"))).link
    except BadRequest:
        return
    saved = save(call, link, there)
    assert all(path.is_relative_to(there) and ".." not in path.parts for path in saved)
    assert tree(there.parent) == {"there", *(f"there/{name}" for name in tree(there))}


def test_links_in_the_folder_are_not_followed(call: FilesCaller, there: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (there / "notes").symlink_to(outside)
    link = create(call, ("notes/a.txt", io.BytesIO(b"x"))).link
    with pytest.raises(ClientError, match="notes is a file or a link"):
        save(call, link, there)
    assert tree(outside) == set()


def test_full_disk_leaves_nothing_and_ends_nothing(
    call: FilesCaller, peer: FilesPeer, source: Path, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = create(call, source).link
    write, calls = os.write, list[int]()

    def full(descriptor: int, piece: bytes) -> int:
        calls.append(len(piece))
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, piece)

    async def work(client: Calls) -> None:
        secret = await client("reveal", link)
        with pytest.raises(OSError, match=r"No space left on device: .*/big\.bin\.part"):
            await client.save(secret.files, there)
        assert tree(there) == set()
        assert [path.read_bytes() for path in await client.save(secret.files, there)] == [BIG]

    monkeypatch.setattr("seclink.client.saving.os.write", full)
    call.run(work)


def test_secret_with_files_is_told_to_who_takes_none(call: FilesCaller, peer: FilesPeer, source: Path) -> None:
    link = create(call, source).link
    call.run(lambda client: client("reveal", link))
    assert peer.requests[-1].headers["seclink-files"] == "1"
    call.run(lambda client: client("reveal", link, with_files=False))
    assert "seclink-files" not in peer.requests[-1].headers


def test_secret_is_opened_again_from_its_response(
    call: FilesCaller, peer: FilesPeer, source: Path, there: Path
) -> None:
    async def work(client: Calls) -> None:
        created = await client("create", "text", files=[source], password="told by phone")
        response = (await client("reveal", created.link, "told by phone")).response
        before = len(peer.requests)
        with pytest.raises(NotAuthentic):
            await client("reopen", created.link, response, "another")
        with pytest.raises(NotAuthentic):
            await client("reopen", created.link, {}, "told by phone")
        secret = await client("reopen", created.link, response, "told by phone")
        assert len(peer.requests) == before
        assert (secret.text, [file.name for file in secret.files]) == ("text", ["big.bin"])
        assert [path.read_bytes() for path in await client.save(secret.files, there)] == [BIG]

    call.run(work)

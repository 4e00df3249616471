"""Files through the Python client and a real server."""

import asyncio
import io
import random
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.altered_constants import with_constants
from support.server import HIGH_RATES, Serve, Server

from seclink import AsyncClient, Client
from seclink.errors import FilesNotAllowed, FilesTooLarge, Gone, HasFiles, SourceChanged
from seclink.format.file_stream import CHUNK_BYTES

BIG = random.Random(1).randbytes(2 * CHUNK_BYTES + 300)
LIMITS = "[files]\nclient_bytes = 1_000_000_000\n"


@pytest.fixture(scope="module")
def files_server(serve: Serve) -> Server:
    return serve(HIGH_RATES + LIMITS, prefix=with_constants({"seclink.domain.uploads.MIN_FREE_BYTES": 0}))


@pytest.fixture
def client(files_server: Server) -> Iterator[Client]:
    with Client(files_server.url, "") as client:
        yield client


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def test_files_arrive_as_they_were(client: Client, tmp_path: Path, there: Path) -> None:
    (tmp_path / "big.bin").write_bytes(BIG)
    files: list[Any] = [tmp_path / "big.bin", ("notes/é.txt", io.BytesIO(b"hello")), ("empty", io.BytesIO())]
    created = client.create("see the files", files=files)
    secret = client.reveal(created.link)
    assert secret.text == "see the files"
    assert [(file.folder, file.name, file.size) for file in secret.files] == [
        ("", "big.bin", len(BIG)),
        ("notes", "é.txt", 5),
        ("", "empty", 0),
    ]
    assert secret.files[1].open().read() == b"hello"
    assert b"".join(secret.files[0]) == BIG
    paths = secret.files.save(there)
    assert [path.read_bytes() for path in paths] == [BIG, b"hello", b""]
    assert [path.relative_to(there).as_posix() for path in paths] == ["big.bin", "notes/é.txt", "empty"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}
    with pytest.raises(Gone):
        secret.files[0].save(there)


def test_files_through_the_async_client(files_server: Server, there: Path) -> None:
    async def run() -> None:
        async with AsyncClient(files_server.url, "") as client:
            created = await client.create("", files=[("big.bin", io.BytesIO(BIG))])
            secret = await client.reveal(created.link)
            [file] = secret.files
            assert b"".join([piece async for piece in file]) == BIG
            assert (await file.save(there)).read_bytes() == BIG
            with pytest.raises(Gone):
                await secret.files.save(there)

    asyncio.run(run())


def test_one_of_two_readers_has_the_files(files_server: Server, client: Client, there: Path) -> None:
    """ONE-01"""
    link = client.create("", files=[("big.bin", io.BytesIO(BIG))]).link

    def read(_: int) -> list[Path]:
        with Client(files_server.url, "") as reader:
            try:
                return reader.reveal(link).files.save(there)
            except Gone:
                return []

    with ThreadPoolExecutor() as threads:
        [path] = [path for paths in threads.map(read, range(4)) for path in paths]
    assert path.read_bytes() == BIG
    assert [*there.iterdir()] == [path]


def test_sender_who_burns_ends_the_download(client: Client, there: Path) -> None:
    """SAVE-05"""
    created = client.create("", files=[("big.bin", io.BytesIO(BIG))])
    files = client.reveal(created.link).files

    def burn(done: int, total: int) -> None:
        if done == CHUNK_BYTES:
            client.delete(created.receipt_id, created.manage_token)

    with pytest.raises(Gone):
        files.save(there, progress=burn)
    assert [*there.iterdir()] == []


def test_reader_who_takes_no_files_spends_no_view(client: Client) -> None:
    link = client.create("", files=[("a", io.BytesIO(b"x"))]).link
    with pytest.raises(HasFiles):
        client.reveal(link, with_files=False)
    assert client.reveal(link).files.size == 1


def test_limits_of_the_server_are_told(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(2000))
    server = serve(HIGH_RATES + "[files]\nmax_bytes = 1024\n")
    with (
        Client(server.url, "") as client,
        pytest.raises(FilesTooLarge, match=r"at most 1,024 bytes.*; an API key may have more"),
    ):
        client.create("", files=[tmp_path / "a"])
    server = serve(HIGH_RATES + '[files]\ncreate = "nobody"\n')
    with Client(server.url, "") as client, pytest.raises(FilesNotAllowed):
        client.create("", files=[tmp_path / "a"])


def test_nothing_is_left_of_a_file_that_changed(client: Client, files_server: Server, tmp_path: Path) -> None:
    source, begun = tmp_path / "big.bin", list[Any]()
    source.write_bytes(BIG)

    def change(done: int, total: int) -> None:
        source.write_bytes(b"x")

    with pytest.raises(SourceChanged):
        client.upload([source], on_begin=begun.append, progress=change)
    address = f"{files_server.url}/api/v1/uploads/{begun[0].id}"
    assert httpx.get(address, headers={"SecLink-Upload": begun[0].token}).json()["code"] == "upload_unknown"

"""The folder that files are saved in, which other users may change meanwhile."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from seclink.client.saving import OutputFolder, PartFile
from seclink.errors import ClientError
from seclink.format.file_name import SavedName

NAME = SavedName("", "a.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[OutputFolder]:
    with OutputFolder(tmp_path / "new" / "folder") as output:
        yield output


@pytest.fixture
def part(folder: OutputFolder) -> Iterator[PartFile]:
    with closing(folder.create(NAME)) as file:
        file.write(b"whole")
        yield file


def test_only_a_whole_file_of_this_user_is_the_saved_one(
    folder: OutputFolder, part: PartFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SAVE-08"""
    path = part.path.rename(folder.path / "a.txt")
    assert folder.find(NAME, part.name, part.inode, 5) == path
    assert folder.find(NAME, part.name, part.inode, 6) is None
    assert folder.find(NAME, part.name, part.inode + 1, 5) is None
    user = os.geteuid()
    monkeypatch.setattr("seclink.client.saving.os.geteuid", lambda: user + 1)
    assert folder.find(NAME, part.name, part.inode, 5) is None


def test_folder_and_link_are_not_the_saved_file(folder: OutputFolder) -> None:
    """SAVE-08"""
    (folder.path / "a.txt").mkdir()
    status = (folder.path / "a.txt").stat()
    assert folder.find(NAME, "a.txt.part", status.st_ino, status.st_size) is None
    (folder.path / "a.txt").rmdir()
    (folder.path / "a.txt").symlink_to("12345")
    assert folder.find(NAME, "a.txt.part", (folder.path / "a.txt").lstat().st_ino, 5) is None


def test_part_of_another_is_not_gone_on_with(
    folder: OutputFolder, part: PartFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SAVE-08"""
    name, inode = part.name, part.inode
    monkeypatch.setattr("seclink.client.saving.fcntl.flock", lambda descriptor, flags: None)
    assert folder.reopen(NAME, name, inode, 4) is None
    assert folder.reopen(NAME, name, inode + 1, 5) is None
    again = folder.reopen(NAME, name, inode, 5)
    assert again is not None
    again.close()
    part.discard()
    os.mkfifo(part.path)
    assert folder.reopen(NAME, name, part.path.stat().st_ino, 5) is None
    reader = os.open(part.path, os.O_RDONLY | os.O_NONBLOCK)
    assert folder.reopen(NAME, name, part.path.stat().st_ino, 5) is None
    os.close(reader)


@pytest.mark.parametrize("has_links", [True, False])
def test_exchanged_part_gets_no_name(
    folder: OutputFolder, part: PartFile, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """SAVE-08: another user exchanges the part in the moment before it gets its name."""
    (folder.path / "forged").write_bytes(b"forged")
    link, rename = os.link, os.rename

    def exchange(function: Any) -> Any:
        def exchanged(*arguments: Any, **options: Any) -> None:
            (folder.path / "forged").replace(part.path)
            function(*arguments, **options)

        return exchanged

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", exchange(link) if has_links else refuse)
    monkeypatch.setattr(os, "rename", rename if has_links else exchange(rename))
    with pytest.raises(ClientError, match="was replaced by another program"):
        part.commit()
    assert not (folder.path / "a.txt").exists()

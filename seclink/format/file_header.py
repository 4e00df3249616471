"""The members `files` and `stream` of an envelope's header: the files of a secret and their stream's key.

    {"type": "text", "size", "files": [{"name", "folder"?, "mediaType", "size"}, ...], "stream": {"key", "size"}}

There are 1 to 100 files, and `stream.size` is the sum of their sizes. Both members come together and only with type
text. Anything else is `NotAuthentic`: a reader does not guess what a sender meant.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seclink.errors import NotAuthentic

MAX_FILES = 100
MAX_STREAM_BYTES = 2**53 - 1  # the largest whole number that JavaScript counts exactly


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file. `name` is as its sender wrote it, to be cleaned for the system that it is saved on."""

    name: str
    size: int
    media_type: str = ""
    folder: str | None = None


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The files of a secret, in the order of their bytes, and the 32 bytes of their stream's key."""

    files: Sequence[FileEntry]
    key: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def members(self) -> dict[str, Any]:
        """Return the members for the header of an envelope."""
        stream = {"key": _encoded(self.key), "size": self.size}
        return {"files": [_members(file) for file in self.files], "stream": stream}


def read(header: Mapping[str, Any]) -> FileHeader | None:
    """Return the files that a header names, None if it names none. Raise NotAuthentic."""
    if "files" not in header and "stream" not in header:
        return None
    try:
        files, stream = header["files"], header["stream"]
        result = FileHeader(tuple(_file(members) for members in files), _key(stream["key"]))
        size = _size(stream["size"])
    except (KeyError, TypeError, ValueError):
        raise NotAuthentic from None
    if header["type"] != "text" or not 1 <= len(result.files) <= MAX_FILES or size != result.size:
        raise NotAuthentic
    return result


def _members(file: FileEntry) -> dict[str, Any]:
    folder = {} if file.folder is None else {"folder": file.folder}
    return {"name": file.name, **folder, "mediaType": file.media_type, "size": file.size}


def _file(members: Any) -> FileEntry:
    folder = _folder(members["folder"]) if "folder" in members else None
    return FileEntry(_text(members["name"]), _size(members["size"]), _text(members["mediaType"]), folder)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _folder(value: Any) -> str:
    """Return a relative path: never absolute, without backslashes, and with no empty, `.` or `..` component."""
    if "\\" in _text(value) or any(part in ("", ".", "..") for part in value.split("/")):
        raise ValueError
    return str(value)


def _size(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_STREAM_BYTES:  # bool is an int in Python
        raise ValueError
    return value


def _key(value: Any) -> bytes:
    key = base64.b64decode(_text(value) + "=", altchars=b"-_", validate=True)
    if len(key) != 32 or _encoded(key) != value:
        raise ValueError
    return key


def _encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()

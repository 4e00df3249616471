"""The names under which a reader saves files, alike here and in `static/js/file-name.js`.

A sender chooses the names, so they must neither lead out of the folder nor mislead whoever reads them. They are the
same on every system: what only Windows refuses is cleaned everywhere.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

from seclink.format.file_header import FileEntry

MAX_NAME_BYTES = 200
MAX_FOLDER_BYTES = 600  # with a name and the reader's own folder, less than any system's longest path

_NAMELESS = "unnamed"
_MAX_EXTENSION_BYTES = 32
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# Control, bidi and format characters and fillers. A joiner or a variant stays behind what it changes.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_JOINERS = "\u200c\u200d" + "".join(map(chr, range(0xFE00, 0xFE10)))
_LEADING_DOTS = re.compile(r"^\.+")
_SEPARATORS = re.compile(r'[<>:"/\\|?*]')
_SPACES = " \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\xb9\xb2\xb3]) *(\.|$)", re.ASCII | re.IGNORECASE
)


class SavedName(NamedTuple):
    """The place of a saved file: a folder as a relative path with `/`, empty for none, and the name in it."""

    folder: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}" if self.folder else self.name


def saved_names(files: Sequence[FileEntry]) -> list[SavedName]:
    """Return the name for each file. No two are the same path, also where upper and lower case are not told apart."""
    folders = [cleaned_folder(file.folder or "") for file in files]
    used = {_folded(path) for folder in folders for path in _with_parents(folder)}
    saved = []
    for folder, file in zip(folders, files, strict=True):
        name = cleaned_name(file.name)
        options = (SavedName(folder, numbered(name, number)) for number in count(1))
        choice = next(option for option in options if _folded(option.path) not in used)
        used.add(_folded(choice.path))
        saved.append(choice)
    return saved


def cleaned_name(name: str) -> str:
    """Return a name that every system takes: one component, never empty, and visible, also in lists of files."""
    visible = _SEPARATORS.sub("_", _HIDDEN.sub("", well_formed(name)))
    cleaned = _trimmed(_cut(_LEADING_DOTS.sub("_", _trimmed(visible))))
    return _trimmed(_cut(f"_{cleaned}")) if _RESERVED.match(cleaned) else cleaned


def cleaned_folder(folder: str) -> str:
    """Return a relative path with each component cleaned, without the innermost ones if it is too long."""
    path = ""
    for part in folder.split("/") if folder else ():
        longer = f"{path}/{cleaned_name(part)}" if path else cleaned_name(part)
        if len(longer.encode()) > MAX_FOLDER_BYTES:
            break
        path = longer
    return path


def well_formed(text: str) -> str:
    """Return a text that has a UTF-8 form."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def numbered(name: str, number: int) -> str:
    """Return the name that a file gets if `number - 1` others have it already, like `a (2).txt`."""
    return name if number == 1 else _cut(name, f" ({number})")


def _trimmed(name: str) -> str:
    return name.lstrip(_SPACES + _JOINERS).rstrip(f"{_SPACES}.") or _NAMELESS


def _cut(name: str, suffix: str = "") -> str:
    """Return a name with a suffix before its extension, short enough: what is cut off is the end of its stem."""
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) > _MAX_EXTENSION_BYTES:
        stem, dot, extension = name, "", ""
    end = suffix + dot + extension
    return stem.encode()[: MAX_NAME_BYTES - len(end.encode())].decode(errors="ignore") + end


def _with_parents(folder: str) -> Iterator[str]:
    parts = folder.split("/") if folder else []
    for end in range(1, len(parts) + 1):
        yield "/".join(parts[:end])


def _folded(path: str) -> str:
    # Not `casefold`, which browsers do not have. Some systems do not tell composed and decomposed letters apart either.
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).upper().lower())

"""Names of saved files, whatever a sender wrote; which name becomes which is in the vectors (XSS-02)."""

import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

from hypothesis import given
from hypothesis import strategies as st

from seclink.format.file_header import FileEntry
from seclink.format.file_name import saved_names

LETTERS = st.sampled_from(
    [*"aAbé. /\\:\0\n\u202e\ud83d\u200b\u200d\ufe0f\U000e0041", "con", "NUL", "\xb9", "ß", "e\u0301", "🔑", "x" * 70]
)
TEXTS = st.lists(LETTERS, max_size=8).map("".join) | st.text(max_size=20)
FILES = st.lists(st.builds(FileEntry, name=TEXTS, size=st.just(0), folder=st.none() | TEXTS), max_size=12)


@given(FILES)
def test_saved_names_stay_inside_and_apart(files: list[FileEntry]) -> None:
    paths = [saved.path for saved in saved_names(files)]
    assert len({path.upper().lower() for path in paths}) == len(files)
    places = {path.upper().lower() for path in paths}
    for path in paths:
        parts = path.split("/")
        assert all(0 < len(part.encode()) <= 200 and part == part.strip().rstrip(".") for part in parts), path
        assert not any(
            unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in "\u200b\U000e0041" for letter in path
        ), path
        assert not any(part.startswith(".") for part in parts), path
        assert PurePosixPath(path).parts == PureWindowsPath(path).parts == tuple(parts), path
        assert not any(PureWindowsPath(part).is_reserved() for part in parts), path
        assert not any("/".join(parts[:end]).upper().lower() in places for end in range(1, len(parts))), path


@given(FILES)
def test_saved_names_are_clean_already(files: list[FileEntry]) -> None:
    saved = saved_names(files)
    assert saved_names([FileEntry(name, 0, folder=folder or None) for folder, name in saved]) == saved

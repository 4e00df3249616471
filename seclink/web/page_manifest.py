"""The manifest of the pages: the SHA-256 of each of their files, in the format of `sha256sum`.

It is computed from the files on demand, so it cannot be out of date. Two installations, or this list and a wheel's
RECORD, can be compared line by line. The fingerprint identifies the whole list and fits into a page's footer.
"""

import hashlib
from pathlib import Path

FINGERPRINT_DIGITS = 16


def manifest(folder: Path) -> str:
    """Return a line for each file in the folder, sorted by path; hidden files are left out."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = sorted(path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts))
    return "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def fingerprint(manifest: str) -> str:
    """Return the first digits of the SHA-256 of the list."""
    return hashlib.sha256(manifest.encode()).hexdigest()[:FINGERPRINT_DIGITS]

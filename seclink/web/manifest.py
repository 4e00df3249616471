"""What the pages are made of: the SHA-256 of every file of theirs, as `sha256sum` writes and checks it.

It is made from the files whenever it is wanted, so it cannot be out of date. Two installations, or a wheel's own RECORD
and this list, are compared line by line; the fingerprint stands for all of it and fits into a page's footer.
"""

import hashlib
from pathlib import Path

FINGERPRINT_DIGITS = 16


def manifest(folder: Path) -> str:
    """A line for every file of the folder, sorted by their paths below it; what is hidden does not count."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = sorted(path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts))
    return "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def fingerprint(manifest: str) -> str:
    """The first digits of the SHA-256 of the list itself."""
    return hashlib.sha256(manifest.encode()).hexdigest()[:FINGERPRINT_DIGITS]

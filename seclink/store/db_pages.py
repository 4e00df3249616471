"""The pages of the file: how many hold something, and what payloads are filled up to."""

import sqlite3

PAGE_FILL, OVERFLOW = 3900, 4092  # of pages of 4,096 bytes


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something; freed pages do not count, they are used again first."""
    pages, free, size = db.execute(
        "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return int(pages - free) * int(size)


def whole_pages(iv: bytes, payload: bytes) -> bytes:
    """The payload with zeros behind it, so that no two share a page of the file.

    Where they do, SQLite moves living ones about as their neighbours go, and leaves copies in the gaps of pages that
    no secure_delete comes back to. 3,900 bytes and a page's worth of overflow at a time fill a leaf each.
    """
    size = len(iv) + len(payload)
    return payload + bytes(PAGE_FILL - size if size <= PAGE_FILL else -(size - PAGE_FILL) % OVERFLOW)

"""The pages of the database file: how many are in use, and the padding of payloads to whole pages."""

import sqlite3

PAGE_FILL, OVERFLOW = 3900, 4092  # bytes of a payload on its leaf page and on each overflow page, of 4,096


def used_bytes(db: sqlite3.Connection) -> int:
    """Return the bytes of the pages in use. Freed pages do not count: they are used again before the file grows."""
    pages, free, size = db.execute(
        "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return int(pages - free) * int(size)


def pad_to_whole_pages(iv: bytes, payload: bytes) -> bytes:
    """Return the payload padded with zeros so that no two payloads share a page of the file.

    If they do, SQLite moves live ones about when their neighbours are deleted, and leaves copies in the gaps of pages
    that secure_delete does not come back to. 3,900 bytes fill a leaf page, and each 4,092 more an overflow page.
    """
    size = len(iv) + len(payload)
    return payload + bytes(PAGE_FILL - size if size <= PAGE_FILL else -(size - PAGE_FILL) % OVERFLOW)

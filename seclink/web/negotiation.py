"""Content negotiation: gzip, language, a page or data."""

from functools import lru_cache
from typing import Any

MAX_BYTES = 200  # of a header that is read: no honest one is longer, and the caches below stay small


def accepts_gzip(scope: Any) -> bool:
    return _accepts_gzip(_first(scope, b"accept-encoding"))


def language(scope: Any, known: tuple[str, ...]) -> str:
    """Return the language of `?lang=` if it is known, else the best of Accept-Language, else the first known one."""
    for pair in scope["query_string"].split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"lang":
            code: str = value.decode("latin-1")
            if code in known:
                return code
    return _best(_first(scope, b"accept-language"), known)


def wants_page(scope: Any) -> bool:
    """Return True if a browser requests a page, outside of the API."""
    return not scope["path"].startswith("/api/") and b"text/html" in _first(scope, b"accept").lower()


def _first(scope: Any, name: bytes) -> bytes:
    for key, value in scope["headers"]:
        if key == name:
            first: bytes = value[:MAX_BYTES]
            return first
    return b""


@lru_cache(256)
def _accepts_gzip(value: bytes) -> bool:
    qualities = _qualities(value)
    return qualities.get("gzip", qualities.get("*", 0)) > 0


@lru_cache(1024)
def _best(value: bytes, known: tuple[str, ...]) -> str:
    best, best_quality = next(iter(known)), 0.0
    for name, quality in _qualities(value).items():
        code = name.partition("-")[0]
        if code in known and quality > best_quality:
            best, best_quality = code, quality
    return best


def _qualities(value: bytes) -> dict[str, float]:
    """Return the names of a header like `a, b;q=0.5` with their quality, which is 0 if it is malformed."""
    qualities: dict[str, float] = {}
    for item in value.decode("latin-1").lower().split(","):
        name, _, parameters = item.partition(";")
        _, _, quality = parameters.replace(" ", "").partition("q=")
        try:
            qualities[name.strip()] = float(quality or 1)
        except ValueError:
            qualities[name.strip()] = 0
    return qualities

"""What a client would like to have: packed or not, in which language, as a page or as data."""

from collections.abc import Collection
from functools import lru_cache
from typing import Any

MOST_BYTES = 200  # of a wish that is listened to; nobody honest says more, and what is remembered stays small


def accepts_gzip(scope: Any) -> bool:
    return _accepts_gzip(_first(scope, b"accept-encoding"))


def language(scope: Any, known: tuple[str, ...]) -> str:
    """`?lang=` where there is such a language, else the best of Accept-Language, else the first known."""
    for pair in scope["query_string"].split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"lang":
            asked: str = value.decode("latin-1")
            if asked in known:
                return asked
    return _best(_first(scope, b"accept-language"), known)


def wants_page(scope: Any) -> bool:
    """It is a person's browser that asks, and not for an address of the API."""
    return not scope["path"].startswith("/api/") and b"text/html" in _first(scope, b"accept").lower()


def _first(scope: Any, name: bytes) -> bytes:
    for key, value in scope["headers"]:
        if key == name:
            wish: bytes = value[:MOST_BYTES]
            return wish
    return b""


@lru_cache(256)
def _accepts_gzip(value: bytes) -> bool:
    wishes = _wishes(value)
    return wishes.get("gzip", wishes.get("*", 0)) > 0


@lru_cache(1024)
def _best(value: bytes, known: Collection[str]) -> str:
    wishes = _wishes(value)
    best, best_quality = next(iter(known)), 0.0
    for name, quality in wishes.items():
        found = next((each for each in known if name.partition("-")[0] == each), None)
        if found is not None and quality > best_quality:
            best, best_quality = found, quality
    return best


def _wishes(value: bytes) -> dict[str, float]:
    """`a, b;q=0.5` as names and how much they are wanted; what cannot be read is not wanted."""
    wishes: dict[str, float] = {}
    for each in value.decode("latin-1").lower().split(","):
        name, _, parameters = each.partition(";")
        _, _, quality = parameters.replace(" ", "").partition("q=")
        try:
            wishes[name.strip()] = float(quality or 1)
        except ValueError:
            wishes[name.strip()] = 0
    return wishes

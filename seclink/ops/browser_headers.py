"""The request headers of a Chromium, in its order, so that a server cannot tell `seclink verify` by them.

`tests/browser` compares them with those of a real one.
"""

from pathlib import PurePosixPath
from urllib.parse import urlsplit

_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
_BRANDS, _MOBILE, _PLATFORM = '"Not:A-Brand";v="8", "Chromium";v="156"', "?0", '"Linux"'
_LAST = {"Accept-Encoding": "gzip, deflate, br, zstd", "Accept-Language": "en-US,en;q=0.9"}
_IMAGE = "image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
_PAGE = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
# Extension -> what it is fetched as, how, and what is accepted.
_KINDS = {
    ".css": ("style", "no-cors", "text/css,*/*;q=0.1"),
    ".js": ("script", "cors", "*/*"),
    ".svg": ("image", "no-cors", _IMAGE),
    ".png": ("image", "no-cors", _IMAGE),
    ".ico": ("image", "no-cors", _IMAGE),
}
NAVIGATION = {
    "Connection": "keep-alive",
    "sec-ch-ua": _BRANDS,
    "sec-ch-ua-mobile": _MOBILE,
    "sec-ch-ua-platform": _PLATFORM,
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": _AGENT,
    "Accept": _PAGE,
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-User": "?1",
    "Sec-Fetch-Dest": "document",
    **_LAST,
}


def subresource(url: str) -> dict[str, str]:
    """Return the headers with which a page of the same origin loads a file, by the kind of file."""
    parts = urlsplit(url)
    kind, mode, accept = _KINDS.get(PurePosixPath(parts.path).suffix, ("empty", "cors", "*/*"))
    return {
        "Connection": "keep-alive",
        **({"Origin": f"{parts.scheme}://{parts.netloc}"} if kind == "script" else {}),
        "sec-ch-ua-platform": _PLATFORM,
        "User-Agent": _AGENT,
        "sec-ch-ua": _BRANDS,
        "sec-ch-ua-mobile": _MOBILE,
        "Accept": accept,
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": mode,
        "Sec-Fetch-Dest": kind,
        **_LAST,
    }


BROWSER = subresource("")

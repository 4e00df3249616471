"""Comparing a server's pages with the installed release: byte for byte and header for header.

Everything a browser may load is fetched as a browser does: every page in every language, every file the pages load, at
once or later, and the module for other sites. The expected bytes are rendered by the installed release from the
settings that the pages declare (`page_settings.py`), and the expected headers are those the installed release sends. A
server may still send other bytes to other clients: this check detects changes, and proves nothing.
"""

import re
from collections.abc import Iterable, Iterator
from secrets import choice

from msgspec import Struct

from seclink.config.schema import Config
from seclink.domain.tokens import ALPHABET
from seclink.errors import ConfigError
from seclink.ops.browser_headers import NAVIGATION, subresource
from seclink.ops.http_probe import HttpProbe, ProbeResponse
from seclink.ops.page_settings import VERSION, settings_from_page
from seclink.web.assets import FOLDER, Assets, load
from seclink.web.documents import INDEX, NAMES, document
from seclink.web.documents import PREFIX as DOCS
from seclink.web.page_manifest import fingerprint, manifest
from seclink.web.pages import files, pages
from seclink.web.resource import Resource
from seclink.web.security_headers import Header, headers

FINGERPRINT = re.compile(rb"<code>([0-9a-f]{16})</code>")
HSTS = "strict-transport-security"
# A proxy may set these: they describe the connection, the size and age of the response, and the proxy itself.
PROXY_HEADERS = frozenset(
    (
        *("accept-ranges", "age", "alt-svc", "cf-cache-status", "cf-ray", "connection", "content-encoding"),
        *("content-length", "date", "etag", "keep-alive", "last-modified", "server", "transfer-encoding", "via"),
        *("x-cache", "x-request-id", "x-served-by"),
    )
)
CONTEXT_BYTES, MAX_SHOWN = 20, 300


class Difference(Struct, frozen=True):
    """One difference: the path of the page or file, and what differs."""

    path: str
    description: str


class PageComparison(Struct, frozen=True):
    """`expected` and `actual` are fingerprints, the latter as shown on the start page and possibly empty; `config`
    holds the settings that the pages declare.
    """

    address: str
    expected: str
    actual: str
    config: Config
    responses: int
    bytes: int
    differences: tuple[Difference, ...]


def verify_pages(server: HttpProbe) -> PageComparison:
    """Fetch and compare everything. Raises Unreachable."""
    start_page = server.get("/?lang=en", NAVIGATION)
    differences: list[Difference] = []
    config = Config()
    try:
        config, assets = settings_from_page(start_page.body, server.address, lambda path: _load(server, path).body)
    except ConfigError as error:
        differences += [Difference("/", problem) for problem in error.message.split("\n")]
        assets = load(config, server.address)
    responses, size = 1, len(start_page.body)
    version = VERSION.search(start_page.body)
    actual_version = version[1].decode() if version else assets.version
    for path, request_headers, expected in _expected(assets, server.address):
        # Another version means other URLs: compare the files all the same, or every one of them would be missing.
        path = path.replace(f"/static/{assets.version}/", f"/static/{actual_version}/")
        response = server.get(path, request_headers)
        differences += _differences(path, response, expected, headers(server.address))
        responses, size = responses + 1, size + len(response.body)
    shown = FINGERPRINT.search(start_page.body)
    return PageComparison(
        address=server.address,
        expected=fingerprint(manifest(FOLDER)),
        actual=shown[1].decode() if shown else "",
        config=config,
        responses=responses,
        bytes=size,
        differences=tuple(differences),
    )


def _load(server: HttpProbe, path: str) -> ProbeResponse:
    return server.get(path, subresource(server.address + path))


def _expected(assets: Assets, address: str) -> Iterator[tuple[str, dict[str, str], Resource]]:
    """Yield the path, the request headers and the expected response of every page and file."""
    for (name, language), page in pages(assets).items():
        yield f"{_page_path(name)}?lang={language}", NAVIGATION, page
    for path, file in files(assets).items():
        yield path, subresource(address + path), file
    for name in (INDEX, *NAMES):  # the reference is made from the routes, which only a server has
        yield f"{DOCS}/{name}", NAVIGATION, document(name, assets)


def _page_path(page: str) -> str:
    """Return an example path of a page: the pages of all secrets are the same bytes, and so are those of receipts."""
    token = "".join(choice(ALPHABET) for _ in range(20))
    return {"create": "/", "reveal": f"/{token[:12]}", "receipt": f"/receipt/{token}"}.get(page, f"/nothing/{token}")


def _differences(
    path: str, response: ProbeResponse, expected: Resource, common_headers: Iterable[Header]
) -> Iterator[Difference]:
    if response.status != expected.status:
        location = response.get("location")[:MAX_SHOWN]
        target = f" and redirects to {location}" if location else ""
        yield Difference(path, f"returns status {response.status} instead of {expected.status}{target}")
    for description in header_differences(response, [*common_headers, *expected.headers]):
        yield Difference(path, description)
    if response.body != expected.body:
        yield Difference(path, _first_difference(response.body, expected.body))


def header_differences(response: ProbeResponse, expected_headers: Iterable[Header]) -> Iterator[str]:
    """Describe every header that is missing, repeated, changed or added.

    Of two expected headers with the same name the later one counts, as in the middleware.
    """
    expected = {name.decode(): value.decode() for name, value in expected_headers}
    for name, value in expected.items():
        if name in PROXY_HEADERS:
            continue
        values = response.get_all(name)
        if len(values) > 1:
            yield f"the header {name} is sent {len(values)} times"
        elif not values:
            yield f"the header {name} is missing"
        elif not _is_equivalent(name, values[0], value):
            yield f"the header {name} is {values[0][:MAX_SHOWN]!r} instead of {value!r}"
    for name in dict.fromkeys(name for name, _ in response.headers):
        if name not in expected and name not in PROXY_HEADERS and name != HSTS:
            yield f"the header {name} was added: {response.get(name)[:MAX_SHOWN]!r}"


def _is_equivalent(name: str, actual: str, expected: str) -> bool:
    if name == HSTS:  # a proxy may promise more
        age, min_age = (re.search(r"max-age=\"?(\d{1,12})", value) for value in (actual, expected))
        return bool(age and min_age and int(age[1]) >= int(min_age[1]))
    if name == "vary":
        return _tokens(expected) <= _tokens(actual)
    return actual == expected


def _tokens(value: str) -> set[str]:
    return {token.strip().lower() for token in value.split(",")}


def _first_difference(actual: bytes, expected: bytes) -> str:
    pairs = enumerate(zip(actual, expected, strict=False))
    at = next((n for n, (one, other) in pairs if one != other), min(len(actual), len(expected)))
    actual_part, expected_part = (body[max(0, at - CONTEXT_BYTES) : at + CONTEXT_BYTES] for body in (actual, expected))
    return (
        f"differs from byte {at} on ({len(actual)} bytes instead of {len(expected)}):"
        f" {actual_part!r} instead of {expected_part!r}"
    )

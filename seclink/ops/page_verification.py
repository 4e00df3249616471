"""Whether a server's pages are those of the installed release: byte for byte and header for header.

What a browser would be sent is fetched as a browser would: every page in every language, every file they load, at once
or later, and the module that other sites may use. What should have come is made by the installed release itself from
the settings the pages declare (`page_settings.py`), and has the headers the installed release gives it. A server
may still send somebody else something else: this detects, and proves nothing.
"""

import re
from collections.abc import Iterable, Iterator
from secrets import choice

from msgspec import Struct

from seclink.config.schema import Config
from seclink.domain.tokens import ALPHABET
from seclink.errors import ConfigError
from seclink.ops.http_probe import BROWSER, NAVIGATION, HttpProbe, ProbeResponse
from seclink.ops.page_settings import VERSION, settings_from_page
from seclink.web.assets import FOLDER, Assets, load
from seclink.web.manifest import fingerprint, manifest
from seclink.web.pages import Resource, files, pages
from seclink.web.security_headers import Header, headers

FINGERPRINT = re.compile(rb"<code>seclink verify: ([0-9a-f]{16})</code>")
HSTS = "strict-transport-security"
# What stands between may say these: about the connection, the answer's size and age, and who handed it on.
HARMLESS = frozenset(
    (
        *("accept-ranges", "age", "alt-svc", "cf-cache-status", "cf-ray", "connection", "content-encoding"),
        *("content-length", "date", "etag", "keep-alive", "last-modified", "server", "transfer-encoding", "via"),
        *("x-cache", "x-request-id", "x-served-by"),
    )
)
AROUND, SHOWN = 20, 300


class Difference(Struct, frozen=True):
    """Where, as a path, and what is other than it should be."""

    path: str
    what: str


class PageComparison(Struct, frozen=True):
    """`expected` and `actual` are fingerprints, the latter as the start page says it; `config` is what they declare."""

    address: str
    expected: str
    actual: str
    config: Config
    answers: int
    bytes: int
    differences: tuple[Difference, ...]


def verify_pages(server: HttpProbe) -> PageComparison:
    """Raises Unreachable."""
    first = server.get("/?lang=en", NAVIGATION)
    found: list[Difference] = []
    config = Config()
    try:
        config, assets = settings_from_page(first.body, server.address, lambda path: server.get(path).body)
    except ConfigError as error:
        found += [Difference("/", each) for each in error.message.split("\n")]
        assets = load(config, server.address)
    answers, size = 1, len(first.body)
    version = VERSION.search(first.body)
    actual = version[1].decode() if version else assets.version
    for path, given, wanted in _expected(assets):
        path = path.replace(f"/static/{assets.version}/", f"/static/{actual}/")  # so that files can be compared at all
        seen = server.get(path, given)
        found += _differences(path, seen, wanted, headers(server.address))
        answers, size = answers + 1, size + len(seen.body)
    said = FINGERPRINT.search(first.body)
    return PageComparison(
        address=server.address,
        expected=fingerprint(manifest(FOLDER)),
        actual=said[1].decode() if said else "",
        config=config,
        answers=answers,
        bytes=size,
        differences=tuple(found),
    )


def _expected(assets: Assets) -> Iterator[tuple[str, dict[str, str], Resource]]:
    """What to ask for, how, and what should come."""
    for (name, language), page in pages(assets).items():
        yield f"{_address(name)}?lang={language}", NAVIGATION, page
    for path, file in files(assets).items():
        yield path, BROWSER, file


def _address(page: str) -> str:
    """Some address of a page: those of secrets and receipts are all the same."""
    drawn = "".join(choice(ALPHABET) for _ in range(20))
    return {"create": "/", "reveal": f"/{drawn[:12]}", "receipt": f"/receipt/{drawn}"}.get(page, f"/nothing/{drawn}")


def _differences(path: str, seen: ProbeResponse, wanted: Resource, always: Iterable[Header]) -> Iterator[Difference]:
    if seen.status != wanted.status:
        to = f" and leads to {seen.first('location')[:SHOWN]}" if seen.first("location") else ""
        yield Difference(path, f"answers {seen.status} instead of {wanted.status}{to}")
    for what in header_differences(seen, [*always, *wanted.headers]):
        yield Difference(path, what)
    if seen.body != wanted.body:
        yield Difference(path, _first_difference(seen.body, wanted.body))


def header_differences(seen: ProbeResponse, wanted: Iterable[Header]) -> Iterator[str]:
    """`wanted`: of two with the same name the later one counts, as in the gate."""
    expected = {name.decode(): value.decode() for name, value in wanted}
    for name, value in expected.items():
        if name in HARMLESS:
            continue
        came = seen.all(name)
        if len(came) > 1:
            yield f"the header {name} comes {len(came)} times"
        elif not came:
            yield f"the header {name} is missing"
        elif not _is_as_good(name, came[0], value):
            yield f"the header {name} is {came[0][:SHOWN]!r} instead of {value!r}"
    for name in dict.fromkeys(name for name, _ in seen.headers):
        if name not in expected and name not in HARMLESS and name != HSTS:
            yield f"the header {name} was added: {seen.first(name)[:SHOWN]!r}"


def _is_as_good(name: str, came: str, wanted: str) -> bool:
    if name == HSTS:  # what stands in front may promise more
        age, least = (re.search(r"max-age=\"?(\d{1,12})", each) for each in (came, wanted))
        return bool(age and least and int(age[1]) >= int(least[1]))
    if name == "vary":
        return _names(wanted) <= _names(came)
    return came == wanted


def _names(value: str) -> set[str]:
    return {each.strip().lower() for each in value.split(",")}


def _first_difference(came: bytes, wanted: bytes) -> str:
    at = next((n for n, (one, other) in enumerate(zip(came, wanted, strict=False)) if one != other), None)
    at = min(len(came), len(wanted)) if at is None else at
    actual, expected = (each[max(0, at - AROUND) : at + AROUND] for each in (came, wanted))
    return (
        f"is not the same from byte {at} on ({len(came)} bytes, not {len(wanted)}): {actual!r} instead of {expected!r}"
    )

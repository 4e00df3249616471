"""What the pages are made of is written down, and the pages themselves say what they load. HDR-03."""

import base64
import hashlib
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from seclink.config.parser import parse
from seclink.config.schema import Config
from seclink.web import assets
from seclink.web.manifest import fingerprint, manifest

LOADS = ("stylesheet", "modulepreload")


class Loaded(HTMLParser):
    """What a page has a browser fetch and run: pairs of address and integrity."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag == "script" or (tag == "link" and given.get("rel") in LOADS):
            self.found.append((given.get("src") or given.get("href") or "", given.get("integrity")))


def test_manifest_is_what_sha256sum_checks(tmp_path: Path) -> None:
    listed = tmp_path / "manifest"
    listed.write_text(manifest(assets.FOLDER))
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", str(listed)],
        cwd=assets.FOLDER,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


def test_manifest_lists_every_file_that_is_served() -> None:
    listed = {line.split("  ", 1)[1] for line in manifest(assets.FOLDER).splitlines()}
    served = assets.load(Config(), "http://localhost:8080").files.keys()
    assert served < listed
    assert listed - served == {"create.html", "missing.html", "receipt.html", "reveal.html"}


def test_fingerprint_changes_with_any_byte_and_any_name(tmp_path: Path) -> None:
    seen = set()
    for name, content in (("a.js", b"x"), ("a.js", b"y"), ("b.js", b"y"), ("c/b.js", b"y"), (".hidden.js", b"y")):
        folder = tmp_path / str(len(seen))
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
        seen.add(fingerprint(manifest(folder)))
    assert len(seen) == 5
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in seen)


@pytest.mark.parametrize("toml", ["", '[branding]\naccent = "#123456"\n'])
def test_every_page_says_what_the_bytes_are_that_it_loads(toml: str) -> None:
    """HDR-03: also where the operator's colour is in the style."""
    loaded = assets.load(parse(toml, "test.toml"), "https://secrets.example.org/below")
    root = f"/below/static/{loaded.version}/"
    for (page, _), content in loaded.pages.items():
        found = Loaded(content).found
        assert len(found) > (0 if page == "missing" else 10)
        for address, integrity in found:
            digest = hashlib.sha256(loaded.files[address.removeprefix(root)]).digest()
            assert integrity == f"sha256-{base64.b64encode(digest).decode()}", (page, address)


def test_page_that_loads_what_is_not_there_stops_the_start() -> None:
    page = '<link rel="stylesheet" href="{{base}}/static/{{version}}/css/none.css">'
    with pytest.raises(ValueError, match=r"css/none\.css"):
        assets.with_integrity(page, {})


def test_footer_shows_the_fingerprint() -> None:
    shown = f"<code>seclink verify: {fingerprint(manifest(assets.FOLDER))}</code>".encode()
    pages = assets.load(Config(), "http://localhost:8080").pages
    assert all(shown in content for (page, _), content in pages.items() if page != "missing")

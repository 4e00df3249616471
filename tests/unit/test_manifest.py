"""The manifest lists the files of the pages, and the pages carry the integrity of what they load. HDR-03."""

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
from seclink.web.page_manifest import fingerprint, manifest

LOADS = ("stylesheet", "modulepreload")


class Subresources(HTMLParser):
    """The scripts and styles that a page loads: pairs of URL and integrity."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.pairs: list[tuple[str, str | None]] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "script" or (tag == "link" and values.get("rel") in LOADS):
            self.pairs.append((values.get("src") or values.get("href") or "", values.get("integrity")))


def test_manifest_passes_sha256sum(tmp_path: Path) -> None:
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
    made = {name for name in served if re.fullmatch(r"i18n/\w+/\w+\.js", name)}  # from those in i18n/
    assert made
    assert served - made < listed
    templates = ("create", "document", "error", "missing", "receipt", "reveal")
    assert listed - served == {f"{name}.html" for name in templates}


def test_fingerprint_changes_with_any_byte_and_any_name(tmp_path: Path) -> None:
    fingerprints: set[str] = set()
    for name, content in (("a.js", b"x"), ("a.js", b"y"), ("b.js", b"y"), ("c/b.js", b"y"), (".hidden.js", b"y")):
        folder = tmp_path / str(len(fingerprints))
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
        fingerprints.add(fingerprint(manifest(folder)))
    assert len(fingerprints) == 5
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in fingerprints)


@pytest.mark.parametrize("toml", ["", '[branding]\naccent = "#123456"\n'])
def test_pages_carry_the_integrity_of_their_subresources(toml: str) -> None:
    """HDR-03: also with the operator's colour in the style."""
    loaded = assets.load(parse(toml, "test.toml"), "https://secrets.example.org/below")
    root = f"/below/static/{loaded.version}/"
    for (page, _), content in loaded.pages.items():
        pairs = Subresources(content).pairs
        assert len(pairs) > (0 if page == "missing" else 10)
        for address, integrity in pairs:
            digest = hashlib.sha256(loaded.files[address.removeprefix(root)]).digest()
            assert integrity == f"sha256-{base64.b64encode(digest).decode()}", (page, address)


def test_missing_subresource_stops_the_start() -> None:
    page = '<link rel="stylesheet" href="{{base}}/static/{{version}}/css/none.css">'
    with pytest.raises(ValueError, match=r"css/none\.css"):
        assets.with_integrity(page, {})


def test_footer_shows_the_fingerprint() -> None:
    shown = f"<code>{fingerprint(manifest(assets.FOLDER))}</code>".encode()
    pages = assets.load(Config(), "http://localhost:8080").pages
    assert all(shown in content for (page, _), content in pages.items() if page != "missing")

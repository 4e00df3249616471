"""A dialect is one module, one opener and one row in each of two tables: a copy of the package gets a toy dialect this
way, and it works from its own route to the page.

Besides these, a real dialect is described in dialects.md and in systemd/seclink.toml, which other tests require.
"""

import base64
import filecmp
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from page_actions import text_of, visit
from playwright.sync_api import Page, expect
from support.server import Serve, Server

import seclink

PACKAGE = Path(seclink.__file__).parent
TOY = Path(__file__).parents[1] / "dialects/toy"
PLENTY = '[rates]\ncreate = "1000000/hour"\nreveal = "1000000/hour"\npeek = "1000000/hour"\n'
TEXT = "a toy ✓ <b>in</b> a box"

MODULES = {"dialects/toy.py": TOY / "toy.py", "static/js/openers/toy.js": TOY / "toy.js"}
ROWS = {
    "config/dialects.py": (
        "DIALECTS = (\n",
        '    DialectRow(name="toy", implementation="toy:Toy", id_pattern="[A-Za-z0-9]{7}", page="/t/{id}"),\n',
    ),
    "static/js/formats.js": (
        "export const FORMATS = [\n",
        '  { format: "toy", id: "[A-Za-z0-9]{7}", page: "/t/{id}", load: () => import("./openers/toy.js") },\n',
    ),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package that has the toy dialect."""
    root = tmp_path_factory.mktemp("root")
    copy = shutil.copytree(PACKAGE, root / "seclink", ignore=shutil.ignore_patterns("__pycache__"))
    for name, source in MODULES.items():
        shutil.copy(source, copy / name)
    for name, (head, row) in ROWS.items():
        before, match, after = (copy / name).read_text().partition(head)
        assert match, f"{name} has no table"
        (copy / name).write_text(before + head + row + after)
    return root


@pytest.fixture(scope="module")
def environment(root: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture(scope="module")
def server(serve: Serve, environment: dict[str, str]) -> Server:
    return serve(PLENTY, env=environment)


def create(server: Server, **members: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/toy/things", json=members)


def seal(text: str) -> tuple[str, str]:
    """Return the sealed text and the fragment, as the toy's client would."""
    key, iv = os.urandom(32), os.urandom(12)
    sealed = iv + AESGCM(key).encrypt(iv, text.encode(), None)
    return base64.b64encode(sealed).decode(), base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def differences(comparison: filecmp.dircmp[str], below: str = "") -> Iterator[str]:
    yield from (below + name for name in (*comparison.left_only, *comparison.right_only, *comparison.diff_files))
    for name, folder in comparison.subdirs.items():
        yield from differences(folder, f"{below}{name}/")


def test_nothing_else_had_to_be_touched(root: Path) -> None:
    comparison = filecmp.dircmp(PACKAGE, root / "seclink", ignore=["__pycache__"])
    assert set(differences(comparison)) == {*MODULES, *ROWS}


def test_its_link_opens_in_the_page_and_spends_a_view(page: Page, server: Server) -> None:
    sealed, fragment = seal(TEXT)
    response = create(server, sealed=sealed)
    assert response.status_code == 201
    link = f"{server.url}/toy/t/{response.json()['thing']}"
    visit(page, f"{link}#{fragment}")
    expect(page.locator("#passcode-field")).to_be_hidden()
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(TEXT)
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    meta = httpx.get(f"{server.url}/api/v1/secrets/toy.{response.json()['thing']}/meta")
    assert (meta.status_code, meta.json()["code"]) == (410, "gone")


def test_an_incomplete_link_spends_nothing(page: Page, server: Server) -> None:
    sealed, fragment = seal(TEXT)
    thing = create(server, sealed=sealed).json()["thing"]
    visit(page, f"{server.url}/toy/t/{thing}#{fragment[:-1]}")
    expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    meta = httpx.get(f"{server.url}/api/v1/secrets/toy.{thing}/meta").json()
    assert (meta["format"], meta["viewsLeft"]) == ("toy", 1)


def test_errors_are_in_its_own_envelope(server: Server) -> None:
    refused = create(server, sealed="x", times=0)
    assert (refused.status_code, refused.json()) == (
        400,
        {"broken": "bad_request", "parts": {"times": "must be 1 to 1000, or null for any number"}},
    )
    missing = create(server, Sealed="x")
    assert (missing.status_code, missing.json()["parts"].keys()) == (400, {"sealed"})
    unknown = httpx.get(f"{server.url}/toy/nothing")
    assert (unknown.status_code, unknown.json()) == (404, {"broken": "not_found", "parts": {}})


def test_toml_switches_it_off(serve: Serve, environment: dict[str, str]) -> None:
    server = serve("[dialects.toy]\nenabled = false\n", env=environment)
    response = create(server, sealed="x")
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    options = server.seclink("config", "--defaults").stdout.decode()
    assert "[dialects.toy]\n" in options

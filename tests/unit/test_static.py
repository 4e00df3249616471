"""The shipped files of the pages, read as text: they name nothing elsewhere, nothing that is not there, and no way for
markup to become code.
"""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import seclink
from seclink.config.schema import Config
from seclink.web import assets

FOLDER = Path(seclink.__file__).parent / "static"
SCRIPTS = sorted(FOLDER.rglob("*.js"))
HTML = sorted(FOLDER.glob("*.html"))
TEXT = [each for each in sorted(FOLDER.rglob("*")) if each.suffix in (".js", ".css", ".html", ".svg")]
HERE = "{{base}}/static/{{version}}/"
# A namespace is a name, no address; the others are words in a sentence, an example and no requests.
NAMES = ("http://www.w3.org/2000/svg", "http://localhost", "https://host")


def name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def code(path: Path) -> str:
    """A script without its comments."""
    return re.sub(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", "", path.read_text(), flags=re.S)


class Elements(HTMLParser):
    """Every start tag of a page, with its attributes and the texts of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style"):
            self.raw.append(data.strip())


def static_imports(path: Path) -> set[str]:
    """The modules that a script loads by itself, as paths below the folder."""
    named = re.findall(r"^(?:import|export)\s(?:[^;\"]*?\sfrom\s)?\s*\"([^\"]+)\"", code(path), re.M)
    return {name((path.parent / each).resolve()) for each in named}


def imports(path: Path) -> set[str]:
    """The same, and those that it may load later."""
    later = re.findall(r"\bimport\(\"([^\"]+)\"\)", code(path))
    return static_imports(path) | {name((path.parent / each).resolve()) for each in later}


@pytest.mark.parametrize("path", TEXT, ids=name)
def test_no_file_names_another_server(path: Path) -> None:
    """HDR-02"""
    text = code(path) if path.suffix == ".js" and path.parent.name != "i18n" else path.read_text()
    for found in re.finditer(r"(?:\b[a-z]+:|[\"'(=\s])//[\w\[][\w.:\[-]*[^\s\"'`)]*", text):
        said = found[0].lstrip("\"'(= \n")
        assert said.startswith(NAMES), said


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_no_script_can_turn_text_into_markup_or_code(path: Path) -> None:
    """XSS-05: the lint beside the policy that would refuse it."""
    banned = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|createContextualFragment|setHTML",
        r"\beval\b|new Function|\bFunction\(|setTimeout\(\s*[\"'`]|setInterval\(\s*[\"'`]|javascript:|trustedTypes",
        r"localStorage|sessionStorage|indexedDB|document\.cookie|\bcaches\.|serviceWorker|new (Shared)?Worker\(",
        r"setAttribute\(\s*[\"']on|createElement\(\s*[\"'](script|iframe|object|embed|style|base)",
    )
    for each in banned:
        assert not re.search(each, code(path)), each


@pytest.mark.parametrize("path", HTML, ids=name)
def test_no_page_holds_script_or_style_of_its_own(path: Path) -> None:
    """XSS-05, HDR-04"""
    page = Elements(path.read_text())
    assert not any(page.raw)
    for tag, attributes in page.found:
        assert tag not in ("style", "iframe", "object", "embed", "base", "frame", "applet")
        assert not [each for each in attributes if each.startswith("on") or each in ("style", "srcdoc", "action")]
        assert tag != "script" or (attributes.get("type") == "module" and attributes.get("src"))
        assert (attributes.get("http-equiv") or "").lower() in ("", "x-ua-compatible")


@pytest.mark.parametrize("path", HTML, ids=name)
def test_every_file_a_page_names_is_there(path: Path) -> None:
    page = path.read_text()
    named = re.findall(r"(?:href|src)=\"([^\"]*)\"", page)
    for each in named:
        if each.startswith(HERE):
            assert (FOLDER / each.removeprefix(HERE).replace("{{lang}}", "en")).is_file(), each
        else:
            assert each in ("{{base}}/", "{{logo}}"), each


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_every_module_a_script_imports_is_there(path: Path) -> None:
    for each in imports(path):
        assert (FOLDER / each).is_file(), each


@pytest.mark.parametrize("path", HTML, ids=name)
def test_page_preloads_exactly_what_its_script_is_going_to_import(path: Path) -> None:
    """One round trip for all modules; a preload nobody imports would be weight for nothing."""
    page = path.read_text()
    entry = [each.removeprefix(HERE) for each in re.findall(r"<script type=\"module\" src=\"([^\"]*)\"", page)]
    reached: set[str] = set()
    waiting = list(entry)
    while waiting:
        module = waiting.pop()
        reached.add(module)
        waiting += static_imports(FOLDER / module) - reached
    preloaded = [each.removeprefix(HERE) for each in re.findall(r"rel=\"modulepreload\" href=\"([^\"]*)\"", page)]
    wanted = reached - set(entry) | ({"i18n/{{lang}}.js"} if entry else set())
    assert sorted(preloaded) == sorted(wanted)


def test_pages_fill_in_every_language() -> None:
    """A text that is not there stops the start, so loading them is the test."""
    loaded = assets.load(Config(), "https://secrets.example.org")
    assert loaded.languages[0] == "en"
    assert {page for page, _ in loaded.pages} == {"create", "reveal", "receipt", "missing"}
    for (page, language), content in loaded.pages.items():
        text = content.decode()
        assert f'<html lang="{language}"' in text
        assert "{{" not in text
        assert not re.search(r'data-t="[^"]*"[^>]*></', text), page

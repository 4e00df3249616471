"""Lint of the files of the pages: no other servers, no missing files, no way for text to become markup or code."""

import re
from html.parser import HTMLParser
from pathlib import Path

import seclink
from seclink.config.schema import Config
from seclink.web import assets

FOLDER = Path(seclink.__file__).parent / "static"
SCRIPTS = sorted(FOLDER.rglob("*.js"))
HTML = sorted(FOLDER.glob("*.html"))
TEXTS = [path for path in sorted(FOLDER.rglob("*")) if path.suffix in (".js", ".css", ".html", ".svg")]
PREFIX = "{{base}}/static/{{version}}/"
# A namespace is not requested; the others are examples in texts.
HARMLESS = ("http://www.w3.org/2000/svg", "http://localhost", "https://host")


def name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def code(path: Path) -> str:
    """Return a script without its comments."""
    return re.sub(r"/\*.*?\*/|(?<![:\"'`])//[^\n]*", "", path.read_text(), flags=re.S)


class Elements(HTMLParser):
    """The start tags of a page with their attributes, and the content of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style"):
            self.inline.append(data.strip())


def static_imports(path: Path) -> set[str]:
    """Return the modules that a script imports at its start, as paths below the folder."""
    targets = re.findall(r"^(?:import|export)\s(?:[^;\"]*?\sfrom\s)?\s*\"([^\"]+)\"", code(path), re.M)
    return {name((path.parent / target).resolve()) for target in targets}


def imports(path: Path) -> set[str]:
    """Return these modules, and those that it can import later."""
    targets = re.findall(r"\bimport\(\"([^\"]+)\"\)", code(path))
    return static_imports(path) | {name((path.parent / target).resolve()) for target in targets}


def test_files_name_no_other_server() -> None:
    """HDR-02"""
    for path in TEXTS:
        text = code(path) if path.suffix == ".js" and path.parent.name != "i18n" else path.read_text()
        for match in re.finditer(r"(?:\b[a-z]+:|[\"'(=\s])//[\w\[][\w.:\[-]*[^\s\"'`)]*", text):
            url = match[0].lstrip("\"'(= \n")
            assert url.startswith(HARMLESS), f"{name(path)}: {url}"


def test_scripts_cannot_turn_text_into_markup_or_code() -> None:
    """XSS-05: the lint beside the policy that also blocks it."""
    banned = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|DOMParser|createContextualFragment|setHTML",
        r"\beval\b|new Function|\bFunction\(|setTimeout\(\s*[\"'`]|setInterval\(\s*[\"'`]|javascript:|trustedTypes",
        r"localStorage|sessionStorage|indexedDB|document\.cookie|\bcaches\.|serviceWorker|new (Shared)?Worker\(",
        r"setAttribute\(\s*[\"']on|createElement\(\s*[\"'](script|iframe|object|embed|style|base)",
    )
    assert len(SCRIPTS) > 20
    workers = r"serviceWorker|trustedTypes"
    for path in SCRIPTS:
        for pattern in banned:
            text = code(path).replace("serviceWorker?.getRegistrations", "")  # which registers none
            if path.name == "worker-download.js":  # the policy allows it one script
                text = re.sub(workers, "", text)
            match = re.search(pattern, text)
            assert not match, f"{name(path)}: {match}"


def test_pages_have_no_inline_script_or_style() -> None:
    """XSS-05, HDR-04"""
    assert len(HTML) > 3
    for path in HTML:
        page = Elements(path.read_text())
        assert not any(page.inline), name(path)
        for tag, attributes in page.tags:
            where = f"{name(path)}: <{tag}> {attributes}"
            assert tag not in ("style", "iframe", "object", "embed", "base", "frame", "applet"), where
            assert not [key for key in attributes if key.startswith("on") or key in ("style", "srcdoc", "action")], (
                where
            )
            assert tag != "script" or (attributes.get("type") == "module" and attributes.get("src")), where
            assert (attributes.get("http-equiv") or "").lower() in ("", "x-ua-compatible"), where


def test_files_named_by_pages_exist() -> None:
    for path in HTML:
        for url in re.findall(r"(?:href|src)=\"([^\"]*)\"", path.read_text()):
            if "/i18n/" in url:
                assert url == f"{PREFIX}i18n/{path.stem}/{{{{lang}}}}.js"
            elif url.startswith(PREFIX):
                file = FOLDER / url.removeprefix(PREFIX)
                assert file.is_file(), f"{name(path)}: {url}"
            else:
                assert url in ("{{base}}/", "{{base}}/docs", "{{logo}}"), f"{name(path)}: {url}"


def test_modules_imported_by_scripts_exist() -> None:
    for path in SCRIPTS:
        for module in imports(path):
            assert (FOLDER / module).is_file(), f"{name(path)}: {module}"


def test_pages_preload_exactly_the_modules_they_import() -> None:
    """One round trip for all modules; a preload that is not imported would be wasted weight."""
    for path in HTML:
        page = path.read_text()
        entries = [url.removeprefix(PREFIX) for url in re.findall(r"<script type=\"module\" src=\"([^\"]*)\"", page)]
        reached: set[str] = set()
        queue = list(entries)
        while queue:
            module = queue.pop()
            reached.add(module)
            queue += static_imports(FOLDER / module) - reached
        preloads = [url.removeprefix(PREFIX) for url in re.findall(r"rel=\"modulepreload\" href=\"([^\"]*)\"", page)]
        expected = reached - set(entries) | ({f"i18n/{path.stem}/{{{{lang}}}}.js"} if entries else set())
        assert sorted(preloads) == sorted(expected), name(path)


def test_pages_fill_in_every_language() -> None:
    """Loading raises for a missing text."""
    loaded = assets.load(Config(), "https://secrets.example.org")
    assert loaded.languages[0] == "en"
    assert {page for page, _ in loaded.pages} == {"create", "reveal", "receipt", "missing"}
    for (page, language), content in loaded.pages.items():
        text = content.decode()
        assert f'<html lang="{language}"' in text
        assert "{{" not in text
        assert not re.search(r'data-t="[^"]*"[^>]*></', text), page

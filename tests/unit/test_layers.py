"""The layers of `support/layers.py` hold, and the server never loads what could open a secret."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support.layers import (
    FENCES,
    LAZY,
    MAY_IMPORT,
    as_markdown,
    crossings,
    imports,
    is_under,
    libraries,
    modules,
    package,
    permissions,
)
from support.waiting import TIMEOUT_SECONDS

OPENS_SECRETS = ("seclink.format", "seclink.client", "cryptography", "httpx")
HEAVY = ("client", "domain", "format", "store", "web")


def test_packages_import_only_their_permissions() -> None:
    forbidden = {
        module: names
        for module in modules()
        if (names := {name for name in imports(module) if not is_under(name, permissions(module))})
    }
    assert not forbidden


def test_every_permission_is_used() -> None:
    """A row describes the code as it is, or nobody reads it."""
    for row, names in MAY_IMPORT.items():
        imported = set().union(*(imports(module) for module in modules() if is_under(module, (row,))))
        assert not {name for name in names if not any(is_under(target, (name,)) for target in imported)}, row


def test_every_package_has_a_row() -> None:
    assert {package(module) for module in modules()} == {package(row) for row in MAY_IMPORT}


def test_libraries_stay_behind_their_fences() -> None:
    for library, fences in FENCES.items():
        users = {module for module in modules() if library in libraries(module)}
        assert not {user for user in users if not is_under(user, fences)}, library
        assert not {fence for fence in fences if not any(is_under(user, (fence,)) for user in users)}, library


def test_dialect_imports_no_other_dialect() -> None:
    frame = {"dialects", "dialects.base", "dialects.loader", "dialects.dispatch"}
    dialects = {name for name in modules() if package(name) == "dialects"} - frame
    assert not {name for name in dialects if imports(name) & dialects}


def test_modules_import_in_no_circle() -> None:
    edges = {module: imports(module) for module in modules()}
    edges["__init__"] = frozenset()  # its one import happens when the client is first used
    finished: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above[above.index(module) :], module))
        if module not in finished:
            for name in edges[module]:
                visit(name, (*above, module))
            finished.add(module)

    for module in edges:
        visit(module, ())


def test_packages_import_in_no_circle() -> None:
    """The tree says who lives below whom: no package reaches itself through others."""
    arrows = crossings()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join((*above, name))
        for source, target in arrows:
            if source == name != "__init__":
                visit(target, (*above, name))

    for row in MAY_IMPORT:
        visit(row, ())


def test_init_files_are_thin() -> None:
    """They import and name, and define nothing."""
    for module, tree in modules().items():
        if module != "__init__" and any(name.startswith(f"{module}.") for name in modules()):
            kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            assert not [node for node in tree.body if isinstance(node, kinds)], module


def test_root_holds_only_what_all_share() -> None:
    at_root = {name for name in modules() if "." not in name and not any(m.startswith(f"{name}.") for m in modules())}
    assert at_root == {"__init__", "__main__", "errors", "model"}


def test_no_import_hides_in_a_function() -> None:
    for module, tree in modules().items():
        if is_under(module, LAZY):
            continue
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                assert not [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)], module


def test_tables_are_printed_for_documents() -> None:
    lines = as_markdown().splitlines()
    assert all(any(line.startswith(f"| {row} |") for line in lines) for row in (*MAY_IMPORT, *FENCES))


def loaded_by(code: str, tmp_path: Path, said: str = "") -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`, which said that it got through."""
    script = f"import sys\n{code}\nprint('LOADED', *sorted(sys.modules))\n"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    assert said in ended.stdout, ended.stderr
    return set(ended.stdout.rpartition("LOADED ")[2].split())


SERVE = """
import os, re, signal, threading, urllib.request, json, socket, time
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
base = f"http://127.0.0.1:{port}"

def ask(path, sent=None):
    data = None if sent is None else json.dumps(sent).encode()
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=120))

def look():
    for path in ("/", "/AbCdEfGhIjKl", "/receipt/" + "x" * 20):
        page = urllib.request.urlopen(base + path, timeout=120).read().decode()
        files = set(re.findall(r'"(/static/[^"]+)"', page))
        assert len(files) > 5, page
        for file in files:
            assert urllib.request.urlopen(base + file, timeout=120).read()

def use():
    try:
        while True:
            try:
                ask("/healthz")
                break
            except OSError:
                time.sleep(0.02)
        digest = "0" * 64
        sent = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "1hour", "passcodeHash": digest}
        made = ask("/api/v1/secrets", sent)
        ask("/api/v1/secrets/" + made["linkId"] + "/reveal", {"passcodeHash": digest})
        ask("/api/v1/openapi.json")
        look()
        print("USED")
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=use).start()
from seclink.cli.main import cli
try:
    cli(["serve", "--port", str(port)], prog_name="seclink", standalone_mode=False)
except SystemExit:
    pass
"""


@pytest.mark.slow
def test_serving_loads_nothing_that_could_open_a_secret(tmp_path: Path) -> None:
    """Zero knowledge: a server that has created and revealed a secret, and served its pages, has never imported the
    means to read it.
    """
    loaded = loaded_by(SERVE, tmp_path, said="USED")
    assert {"seclink.domain.vault", "seclink.web.pages"} <= loaded
    assert not {name for name in loaded if is_under(name, OPENS_SECRETS)}
    assert "seclink.dialects.scrt_link" in loaded
    assert "seclink.dialects.seecret" not in loaded  # off: its clients leave the sealing to the server


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_neither_server_nor_client(tmp_path: Path, arguments: list[str]) -> None:
    call = f"cli({arguments!r}, prog_name='seclink')"
    code = f"from seclink.cli.main import cli\ntry:\n    {call}\nexcept SystemExit:\n    pass"
    heavy = ("litestar", "uvicorn", "argon2", "cryptography", "httpx", *(f"seclink.{name}" for name in HEAVY))
    assert not {name for name in loaded_by(code, tmp_path) if is_under(name, heavy)}


def test_importing_the_package_loads_nothing_of_it(tmp_path: Path) -> None:
    loaded = {each for each in loaded_by("import seclink", tmp_path) if each.startswith("seclink")}
    assert loaded == {"seclink"}

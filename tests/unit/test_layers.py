"""Who may import whom, what stays behind which fence, and that the server never loads what could open a secret."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import seclink

ROOT = Path(seclink.__file__).parent

DIALECT = {
    "dialects.seam", "errors", "model", "policy", "tokens", "web.bodies", "web.cors", "web.gate", "web.guards",
    "web.operations",
}  # fmt: skip

# Module or package -> what of ours it may import. A package's modules may import each other.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "model": set(),
    "limiter": {"model"},
    "tokens": set(),
    "clock": set(),
    "instruments": {"errors"},
    "exposition": {"instruments"},
    "health": {"clock", "errors", "log", "reaper", "vault"},
    "metrics": {
        "__init__", "clock", "errors", "exposition", "health", "instruments", "passcodes", "policy", "store.base",
    },
    "envelope": {"errors"},
    "link": {"errors"},
    "quantities": {"model"},
    "values": {"model", "quantities"},
    "sections": {"errors", "values"},
    "foreign": {"quantities"},
    "config": {"errors", "foreign", "model", "quantities", "sections", "values"},
    "options": {"config", "quantities", "sections", "values"},
    "outside": {"errors"},
    "running": set(),
    "traces": {"running"},
    "doctor": {
        "config", "doctor", "errors", "likeness", "outside", "passcodes", "running", "store.inspection",
        "store.opening", "store.trail", "tokens",
    },
    "erasure": {"errors", "outside", "store.inspection", "traces"},
    "declared": {"config", "errors", "quantities", "web.assets"},
    "likeness": {
        "config", "declared", "errors", "manifest", "outside", "tokens", "web.assets", "web.headers", "web.pages",
    },
    "log": {"config"},
    "manifest": set(),
    "notify": set(),
    "passcodes": {"errors", "instruments"},
    "replay": {"errors"},
    "aside": {"errors"},
    "policy": {"config", "errors", "model", "tokens"},
    "store": set(),
    "store.base": {"errors", "instruments", "model"},
    "store.figures": {"errors"},
    "store.schema": set(),
    "store.files": set(),
    "store.audit": set(),
    "store.trail": {"store.audit", "store.inspection", "store.opening", "store.upgrade"},
    "store.keys": {"model", "store.audit"},
    "store.copies": {"store.files", "store.schema"},
    "store.upgrade": {"store.pages", "store.schema"},
    "store.pages": set(),
    "store.opening": {"errors", "store.copies", "store.schema", "store.upgrade"},
    "store.inspection": {"store.opening", "store.upgrade"},
    "store.backup": {"errors", "store.audit", "store.copies", "store.files", "store.opening", "store.upgrade"},
    "store.reads": {"model"},
    "store.tries": {"errors", "model"},
    "store.writes": {"errors", "model", "store.audit", "store.pages", "store.tries"},
    "store.writer": {"errors", "model", "store.audit", "store.opening", "store.pages", "store.writes"},
    "store.looks": {"errors"},
    "store.commits": {"instruments", "store.opening", "store.writer"},
    "store.sqlite": {
        "errors", "model", "store.audit", "store.base", "store.commits", "store.copies", "store.figures", "store.keys",
        "store.looks", "store.opening", "store.reads", "store.tries", "store.writer", "store.writes",
    },
    "keyring": {"errors", "model", "store.base", "tokens"},
    "questions": {"errors", "model", "passcodes", "policy", "store.base", "tokens"},
    "receipts": {
        "clock", "config", "errors", "log", "model", "passcodes", "policy", "questions", "store.base",
    },
    "vault": {
        "aside", "config", "errors", "limiter", "log", "model", "passcodes", "policy", "questions", "receipts",
        "replay", "store.base", "tokens",
    },
    "reaper": {"errors", "instruments", "log", "vault"},
    "server": {"errors"},
    "web.headers": set(),
    "web.body": {"errors"},
    "web.gate": {"errors", "web.body", "web.headers"},
    "web.cors": {"web.gate"},
    "web.negotiation": set(),
    "web.visits": {"errors"},
    "web.assets": {"config", "manifest", "policy"},
    "web.pages": {
        "errors", "log", "tokens", "web.assets", "web.cors", "web.gate", "web.headers", "web.negotiation",
        "web.problems",
    },
    "web": {
        "exposition", "health", "instruments", "metrics",
        "__init__", "clock", "config", "errors", "keyring", "limiter", "log", "model", "policy", "reaper", "tokens",
        "vault",
    },
    # A dialect sees neither another one nor the store, and seecret alone what could open a secret.
    "dialects": {"config", "dialects.seam", "foreign"},
    "dialects.seam": {
        "clock", "config", "errors", "model", "policy", "tokens", "vault", "web.bodies", "web.guards", "web.operations",
    },
    "dialects.door": {"dialects.seam", "errors", "web.cors", "web.gate", "web.guards", "web.problems"},
    "dialects.scrt_link": DIALECT,
    "dialects.sharokey": DIALECT,
    "dialects.enigmacrypt": DIALECT | {"web.visits"},  # one of its calls spends a view
    "dialects.seecret": DIALECT | {"envelope", "web.forms"},
    "client": {"__init__", "envelope", "errors", "link"},
    "engine": {
        "clock", "config", "health", "limiter", "log", "metrics", "passcodes", "reaper", "store.base", "vault",
    },
    "app": {
        "clock", "config", "dialects", "engine", "errors", "keyring", "log", "metrics", "store.base", "vault", "web",
    },
    "cli": {
        "exposition", "metrics", "web.metrics",
        "__init__", "app", "cli", "client", "clock", "config", "engine", "errors", "keyring", "link", "log", "model",
        "notify", "options", "quantities", "sections", "web.gate",
        "server", "store.backup", "store.copies", "store.sqlite", "store.trail", "likeness", "manifest", "outside",
        "doctor", "erasure", "running", "store.inspection", "traces", "web.assets",
    },
    "__init__": {"client"},
    "__main__": {"cli"},
}  # fmt: skip

FENCES: dict[str, set[str]] = {
    "litestar": {"app", "web", "dialects"},
    "aiosqlite": {"store.commits", "store.looks", "store.sqlite"},
    "sqlite3": {
        "store.audit",
        "store.backup",
        "store.commits",
        "store.copies",
        "store.inspection",
        "store.looks",
        "store.opening",
        "store.pages",
        "store.reads",
        "store.sqlite",
        "store.trail",
        "store.tries",
        "store.upgrade",
        "store.writer",
        "store.writes",
    },
    "argon2": {"passcodes"},
    "httpx": {"client"},
    "cryptography": {"envelope"},
    "uvicorn": {"server"},
    "httptools": {"server"},
    "click": {"cli"},
    "segno": {"cli"},
}

# The only places that may import inside a function: what is loaded when first used.
LAZY = {"__init__", "cli"}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): ast.parse(path.read_text()) for path in ROOT.rglob("*.py")}


def imported(node: ast.AST) -> set[str]:
    """What an import statement names, as modules: ours without the leading `seclink.`, others by their top package."""
    if isinstance(node, ast.Import):
        names = {each.name for each in node.names}
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports are not used here"
        base = node.module or ""
        names = {f"{base}.{each.name}" if is_module(f"{base}.{each.name}") else base for each in node.names}
    else:
        return set()
    ours = {each for each in names if each.split(".")[0] == "seclink"}
    return {each.partition(".")[2] or "__init__" for each in ours} | {f"={each.split('.')[0]}" for each in names - ours}


def is_module(dotted: str) -> bool:
    return dotted.startswith("seclink.") and dotted.removeprefix("seclink.") in MODULES


def imports(module: str) -> set[str]:
    return set().union(*(imported(node) for node in ast.walk(MODULES[module])))


def is_under(module: str, names: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def rule(module: str) -> tuple[str, set[str]]:
    """The most particular line of the table."""
    parts = module.split(".")
    name = next(".".join(parts[:n]) for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in MAY_IMPORT)
    return name, MAY_IMPORT[name]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_module_imports_only_what_its_layer_may(module: str) -> None:
    name, allowed = rule(module)
    ours = {each for each in imports(module) if not each.startswith("=")}
    foreign = {
        each
        for each in ours
        if not is_under(each, allowed | ({name} if name in ("web", "client", "cli", "server") else set()))
    }
    assert not foreign, f"{module} may not import {foreign}"


def test_table_names_only_modules_there_are() -> None:
    named = set(MAY_IMPORT) | {each for allowed in MAY_IMPORT.values() for each in allowed}
    assert not {each for each in named if not any(is_under(module, {each}) for module in MODULES)}


@pytest.mark.parametrize("package", FENCES)
def test_package_stays_behind_its_fence(package: str) -> None:
    users = {module for module in MODULES if f"={package}" in imports(module)}
    assert not {each for each in users if not is_under(each, FENCES[package])}


def test_there_are_no_cycles() -> None:
    edges = {module: {each for each in imports(module) if each in MODULES} - {module} for module in MODULES}
    edges["__init__"] = set()  # its one import happens when the client is first used
    edges["cli"] = {each for each in edges["cli"] if not each.startswith("cli.")} | {"cli.terminal"}
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above[above.index(module) :], module))
        if module not in done:
            for each in edges[module]:
                visit(each, (*above, module))
            done.add(module)

    for module in edges:
        visit(module, ())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_import_hides_in_a_function(module: str) -> None:
    if is_under(module, LAZY):
        return
    for function in ast.walk(MODULES[module]):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function))


def loaded_by(code: str, tmp_path: Path, said: str = "") -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`, which said that it got through."""
    script = f"import sys\n{code}\nprint('LOADED', *sorted(sys.modules))\n"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
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
    return json.load(urllib.request.urlopen(request, timeout=5))

def look():
    for path in ("/", "/AbCdEfGhIjKl", "/receipt/" + "x" * 20):
        page = urllib.request.urlopen(base + path, timeout=5).read().decode()
        files = set(re.findall(r'"(/static/[^"]+)"', page))
        assert len(files) > 5, page
        for file in files:
            assert urllib.request.urlopen(base + file, timeout=5).read()

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
from seclink.cli import cli
try:
    cli(["serve", "--port", str(port)], prog_name="seclink", standalone_mode=False)
except SystemExit:
    pass
"""


def test_serving_loads_nothing_that_could_open_a_secret(tmp_path: Path) -> None:
    """Zero knowledge: a server that has created and revealed a secret, and served its pages, has never imported the
    means to read it.
    """
    loaded = loaded_by(SERVE, tmp_path, said="USED")
    assert {"seclink.vault", "seclink.web.pages"} <= loaded
    assert not {"seclink.envelope", "seclink.link", "seclink.client", "cryptography", "httpx"} & loaded
    assert "seclink.dialects.scrt_link" in loaded
    assert "seclink.dialects.seecret" not in loaded  # off: its clients leave the sealing to the server


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_neither_server_nor_client(tmp_path: Path, arguments: list[str]) -> None:
    code = (
        f"from seclink.cli import cli\ntry:\n    cli({arguments!r}, prog_name='seclink')\nexcept SystemExit:\n    pass"
    )
    heavy = {"litestar", "httpx", "cryptography", "argon2", "uvicorn", "seclink.envelope", "seclink.vault"}
    assert not heavy & loaded_by(code, tmp_path)


def test_importing_the_package_loads_nothing_of_it(tmp_path: Path) -> None:
    loaded = {each for each in loaded_by("import seclink", tmp_path) if each.startswith("seclink")}
    assert loaded == {"seclink"}

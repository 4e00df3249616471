"""The layers: the packages that each package may import, and the packages that may import each library.

`python tests/support/layers.py` prints the tables as Markdown, with the number of imports that cross each arrow;
`tests/unit/test_layers.py` holds the code to them.
"""

import ast
from functools import cache
from pathlib import Path

import seclink

ROOT = Path(seclink.__file__).parent

# Package or module -> the packages or modules of ours it may import besides its own package. A row of a module adds to
# that of its package. The version in `seclink/__init__.py` is free to all.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "model": (),
    "format": ("errors",),
    "client": ("errors", "format"),
    "config": ("errors", "model"),
    "telemetry": ("config", "errors"),
    "store": ("errors", "model", "telemetry.counters"),
    "domain": ("config", "errors", "model", "store.contract", "telemetry"),
    "web": ("config", "domain", "errors", "model", "store.contract", "telemetry"),
    "dialects": ("config", "domain", "errors", "model", "web"),
    "dialects.seecret": ("format",),  # its clients leave the sealing to the server
    "server": ("domain.shares", "errors"),
    "ops": ("config", "domain.tokens", "errors", "store.inspect", "web"),
    "daemon": ("config", "dialects", "domain", "errors", "ops.processes", "server", "store", "telemetry", "web"),
    "doctor": ("config", "domain", "errors", "ops", "store"),
    "cli": (
        "client", "config", "daemon", "doctor", "domain.api_keys", "domain.clock", "errors", "format", "model", "ops",
        "server.certificate", "store", "telemetry.prometheus", "web",
    ),
    "__init__": ("client",),
    "__main__": ("cli",),
}  # fmt: skip

# Library -> the packages or modules that may import it.
FENCES: dict[str, tuple[str, ...]] = {
    "litestar": ("daemon.app", "web"),
    "aiosqlite": ("store",),
    "sqlite3": ("store",),
    "argon2": ("domain.passcodes",),
    "httpx": ("client",),
    "httpcore": ("client.deadline",),
    "cryptography": ("format",),
    "uvicorn": ("server",),
    "httptools": ("server",),
    "click": ("cli",),
    "segno": ("cli",),
}

# The only places that import inside a function: code that is loaded when it is first used.
LAZY = ("__init__", "cli")


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module, parsed, by its dotted name without `seclink.`; an `__init__` goes by its package's name."""
    return {_name(path): ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


@cache
def imports(module: str) -> frozenset[str]:
    """Return the modules of ours that a module imports anywhere in its code."""
    return frozenset(
        name
        for node in ast.walk(modules()[module])
        for name in _imported(node)
        if name in modules() and name not in (module, "__init__")
    )


@cache
def libraries(module: str) -> frozenset[str]:
    """Return the top-level packages of others that a module imports."""
    return frozenset(
        name.removeprefix("=") for node in ast.walk(modules()[module]) for name in _imported(node) if name[0] == "="
    )


def package(module: str) -> str:
    """Return the first part of a dotted name: the package, or the module itself at the root."""
    return module.partition(".")[0]


def is_under(module: str, names: tuple[str, ...]) -> bool:
    """Return whether a module is one of the named, or in one of them."""
    return any(module == name or module.startswith(f"{name}.") for name in names)


def permissions(module: str) -> tuple[str, ...]:
    """Return everything that the table allows a module to import."""
    return (package(module), *(name for row, names in MAY_IMPORT.items() if is_under(module, (row,)) for name in names))


def crossings() -> dict[tuple[str, str], int]:
    """Return the number of imports from each package into each other one."""
    counts: dict[tuple[str, str], int] = {}
    for module in modules():
        for imported in imports(module):
            arrow = package(module), package(imported)
            if arrow[0] != arrow[1]:
                counts[arrow] = counts.get(arrow, 0) + 1
    return counts


def as_markdown() -> str:
    """Return both tables as Markdown."""
    counts = crossings()
    lines = ["| package | may import (imports today) |", "|---|---|"]
    for row, names in MAY_IMPORT.items():
        targets = (f"{name} ({counts.get((package(row), package(name)), 0)})" for name in names)
        lines.append(f"| {row} | {', '.join(targets) or 'nothing of ours'} |")
    lines += ["", "| library | only in |", "|---|---|"]
    lines += [f"| {library} | {', '.join(names)} |" for library, names in FENCES.items()]
    return "\n".join(lines)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _imported(node: ast.AST) -> set[str]:
    """Return the modules that an import statement names: ours without `seclink.`, others as `=library`."""
    if isinstance(node, ast.Import):
        names = {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports are not used here"
        base = node.module or ""
        names = {
            dotted if (dotted := f"{base}.{alias.name}").removeprefix("seclink.") in modules() else base
            for alias in node.names
        }
    else:
        return set()
    ours = {name for name in names if package(name) == "seclink"}
    return {name.partition(".")[2] or "__init__" for name in ours} | {f"={package(name)}" for name in names - ours}


if __name__ == "__main__":
    print(as_markdown())

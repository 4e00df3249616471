"""The words of the code: docstrings open with a verb or a noun, names are nouns, and no two classes share a name."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import seclink

ROOT = Path(seclink.__file__).parent
MODULES = {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}
SCRIPTS = {path: path.read_text() for path in sorted((ROOT / "static/js").rglob("*.js"))}

# A clause in place of a verb or a noun.
CLAUSE = re.compile(
    r"(What|Who|Whoever|Whose|Whom|Whatever|Whether|None of|Nobody|Somebody|Those|How|Where|As|Of|Its|There|Not)\b"
)
# Participles and pronouns that do not say what the thing is.
VAGUE = (
    "each", "said", "told", "found", "given", "wanted", "sent", "asked", "made", "left", "kept", "seen", "taken",
    "held", "came", "whom", "whose", "most", "least", "further",
)  # fmt: skip


def docstrings() -> Iterator[str]:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for tree in MODULES.values():
        yield from (text for node in ast.walk(tree) if isinstance(node, kinds) and (text := ast.get_docstring(node)))


def bound_names() -> Iterator[str]:
    """Yield every name that a module binds: variables, arguments, functions."""
    for tree in MODULES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
            elif isinstance(node, ast.arg):
                yield node.arg
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name


def test_docstrings_open_with_a_verb_or_a_noun() -> None:
    comments = [text for script in SCRIPTS.values() for text in re.findall(r"/\*\*[\s*]*([^*]*)", script)]
    assert [text for text in (*docstrings(), *comments) if CLAUSE.match(text)] == []


def test_names_say_what_the_thing_is() -> None:
    assert [name for name in bound_names() if name.strip("_") in VAGUE] == []
    binding = re.compile(rf"\b(?:const|let|function)\s+(?:{'|'.join(VAGUE)})\b|\b(?:{'|'.join(VAGUE)})\s*=>")
    assert [match for script in SCRIPTS.values() for match in binding.findall(script)] == []


def test_no_two_classes_share_a_name() -> None:
    names = Counter(node.name for tree in MODULES.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert not {name for name, count in names.items() if count > 1}

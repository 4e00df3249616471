"""Generated passcodes: four words that are short, common, and easy to say and to spell.

The pages use the same lists, `static/words/`, one for each of their languages; the command line speaks English. A list
has 1024 words, so four of them, drawn independently, have 40 bits of entropy. That is plenty for a passcode: an attempt
needs the link's key, and the server counts the attempts.
"""

import functools
import re
from collections.abc import Callable
from unicodedata import normalize


@functools.cache
def lists() -> dict[str, tuple[str, ...]]:
    from importlib.resources import files  # slower to import than the files are to read, and rarely needed

    folder = files("seclink").joinpath("static/words")
    return {file.name.removesuffix(".txt"): tuple(file.read_text("utf-8").split()) for file in folder.iterdir()}


def words() -> tuple[str, ...]:
    return lists()["en"]


def passcode(choice: Callable[[tuple[str, ...]], str]) -> str:
    """Return four words joined by `-`; `choice` picks one of a tuple, like `secrets.choice`."""
    return "-".join(choice(words()) for _ in range(4))


def passcode_candidates(typed: str) -> list[str]:
    """Return the passcodes to try, in order, for a typed one.

    A generated passcode that was dictated may have lost its dashes or small letters, or may have spaces between its
    digits: it is tried in its generated form first, then as it was typed, as in `static/js/dictated-passcode.js`.
    """
    digits = re.sub(r"[\s-]", "", typed)
    if re.fullmatch("[0-9]{6}", digits):
        return list(dict.fromkeys((digits, typed)))
    spoken = [word for word in re.split(r"[\s,-]+", normalize("NFC", typed).lower()) if word]
    if len(spoken) != 4 or not any(set(spoken) <= set(listed) for listed in lists().values()):
        return [typed]
    return list(dict.fromkeys(("-".join(spoken), typed)))

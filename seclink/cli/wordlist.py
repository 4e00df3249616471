"""Generated passcodes: four words that are short, common, and easy to say and to spell.

The page uses the same list, `static/words.txt`. It has more than 1024 words, so four of them, drawn independently, have
at least 40 bits of entropy. That is plenty for a passcode: an attempt needs the link's key, and the server counts the
attempts.
"""

import functools
import re
from collections.abc import Callable

FOUR_WORDS = re.compile(r"\s*([a-z]+)[\s,-]+([a-z]+)[\s,-]+([a-z]+)[\s,-]+([a-z]+)\s*")


@functools.cache
def words() -> tuple[str, ...]:
    from importlib.resources import files  # slower to import than the file is to read, and rarely needed

    return tuple(files("seclink").joinpath("static/words.txt").read_text("ascii").split())


def passcode(choice: Callable[[tuple[str, ...]], str]) -> str:
    """Return four words joined by `-`; `choice` picks one of a tuple, like `secrets.choice`."""
    return "-".join(choice(words()) for _ in range(4))


def passcode_candidates(typed: str) -> list[str]:
    """Return the passcodes to try, in order, for a typed one.

    A generated passcode that was dictated may have lost its dashes or small letters: it is tried in its generated form
    first, then as it was typed.
    """
    match = FOUR_WORDS.fullmatch(typed.lower())
    if not match or not set(match.groups()) <= set(words()):
        return [typed]
    return list(dict.fromkeys(("-".join(match.groups()), typed)))

"""The words generated passcodes are made of: short, common, easy to say and to spell.

They stand in `static/words.txt`, where the page draws from them, too. Any four of them, drawn independently, are at
least 40 bits, since there are more than 1024. That is plenty for a passcode: the link's key is needed to try even one,
and the server counts the tries.
"""

import functools
import re
from collections.abc import Callable

FOUR_WORDS = re.compile(r"\s*([a-z]+)[\s,-]+([a-z]+)[\s,-]+([a-z]+)[\s,-]+([a-z]+)\s*")


@functools.cache
def words() -> tuple[str, ...]:
    from importlib.resources import files  # costs more than the file; only a generated passcode pays for it

    return tuple(files("seclink").joinpath("static/words.txt").read_text("ascii").split())


def passcode(choice: Callable[[tuple[str, ...]], str]) -> str:
    """Four words to be read out on the phone; `choice` picks one of a tuple, as `secrets.choice` does."""
    return "-".join(choice(words()) for _ in range(4))


def heard(passcode: str) -> list[str]:
    """What is to be tried of a passcode that was typed, in order: four of our words as they are generated, whatever
    came of dashes and small letters on the phone, then as it was typed.
    """
    found = FOUR_WORDS.fullmatch(passcode.lower())
    if not found or not set(found.groups()) <= set(words()):
        return [passcode]
    return list(dict.fromkeys(("-".join(found.groups()), passcode)))

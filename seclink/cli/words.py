"""The words generated passcodes are made of: short, common, easy to say and to spell.

They stand in `static/words.txt`, where the page draws from them, too. Any four of them, drawn independently, are at
least 40 bits, since there are more than 1024. That is plenty for a passcode: the link's key is needed to try even one,
and the server counts the tries.
"""

import functools
from collections.abc import Callable


@functools.cache
def words() -> tuple[str, ...]:
    from importlib.resources import files  # costs more than the file; only a generated passcode pays for it

    return tuple(files("seclink").joinpath("static/words.txt").read_text("ascii").split())


def passcode(choice: Callable[[tuple[str, ...]], str]) -> str:
    """Four words to be read out on the phone; `choice` picks one of a tuple, as `secrets.choice` does."""
    return "-".join(choice(words()) for _ in range(4))

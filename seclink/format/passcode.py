"""Passcodes as people type and paste them, alike here and in `static/js/passcode.js`.

A passcode is refused where a secret is created if nobody could type or see it: with control characters, invisible ones
or half of a surrogate pair, of spaces alone, or too long. So a reader drops those characters, which come from files and
other pages. The format itself takes every passcode, and normalizes it to NFC.
"""

import unicodedata

from seclink.errors import Fault, Limit

MAX_CHARACTERS = 200

_JOINER, _EMOJI_STYLE = "\u200d", "\ufe0f"
_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Zl", "Zp")
_BLANK_LETTERS = "\u034f\u115f\u1160\u2800\u3164\uffa0"
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‛′ʼ", "'"),
        **dict.fromkeys("“”„‟″", '"'),
        **dict.fromkeys("‐‑‒–—−", "-"),
        "…": "...",
        **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},  # full-width forms of ASCII
    }
)


def fault(passcode: str) -> Fault | None:
    """Return why a secret cannot be created with this passcode, which is not empty."""
    if any(unicodedata.category(character) == "Cs" for character in passcode):
        return Fault("passcode", "has half of a character", "not_unicode")
    if not passcode or all(unicodedata.category(character) == "Zs" for character in passcode):
        return Fault("passcode", "has nothing but spaces", "required")
    if hidden := next((c for index, c in enumerate(passcode) if _is_invisible(passcode, index)), ""):
        return Fault("passcode", f"has an invisible character, U+{ord(hidden):04X}", "control_characters")
    if _length(passcode) > MAX_CHARACTERS:
        return Fault("passcode", f"has more than {MAX_CHARACTERS} characters", "too_long", Limit(max=MAX_CHARACTERS))
    return None


def cleaned(passcode: str) -> str:
    """Return a typed passcode without what `fault` refuses: line ends, zero-width and bidi marks, and the like."""
    return "".join(c for index, c in enumerate(passcode) if not _is_invisible(passcode, index))


def plainer(passcode: str) -> str:
    """Return the passcode that may be meant by a cleaned one.

    Without spaces around it, with ordinary spaces, and with ASCII for full-width forms, curly quotes and long dashes.
    """
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in passcode)
    return spaced.translate(_PLAIN).strip(" ")


def _is_invisible(text: str, index: int) -> bool:
    character = text[index]
    if character == _JOINER and index:  # visible between two emoji: it makes them one
        before, after = text[index - 1], text[index + 1 : index + 2]
        is_emoji = before == _EMOJI_STYLE or unicodedata.category(before) in ("So", "Sk")
        if is_emoji and after and unicodedata.category(after) == "So":
            return False
    return character in _BLANK_LETTERS or unicodedata.category(character) in _INVISIBLE_CATEGORIES


def _length(passcode: str) -> int:
    """Count characters as people do: a letter with its marks, an emoji with its parts, and a flag are one each."""
    count, before, is_half_flag = 0, "", False
    for character in unicodedata.normalize("NFC", passcode):
        is_regional = "\U0001f1e6" <= character <= "\U0001f1ff"
        is_part = (
            unicodedata.category(character).startswith("M")
            or "\U0001f3fb" <= character <= "\U0001f3ff"
            or _JOINER in (character, before)
            or (is_regional and is_half_flag)
        )
        is_half_flag = is_regional and not is_half_flag
        count += not is_part or not before
        before = character
    return count

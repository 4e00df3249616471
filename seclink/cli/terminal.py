"""What is particular about a terminal: what may be shown on it, and how to ask without echoing or losing
anything.

A prompt speaks on stderr or /dev/tty, never on stdout, which belongs to the answer.
"""

import getpass
import os
import sys
import termios
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from seclink.errors import ClientError

_TTY = Path("/dev/tty")
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSAFE_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")


def printable(text: str, keep: str = "") -> str:
    """Text that can neither steer a terminal nor fake its order: controls become escapes, those in `keep`
    stay.
    """
    if text.isascii() and text.isprintable():  # nearly always, and soon told
        return text
    return "".join(c if c in keep or _is_safe(c) else c.encode("unicode_escape").decode() for c in text)


def _is_safe(character: str) -> bool:
    return character not in _REORDERING and unicodedata.category(character) not in _UNSAFE_CATEGORIES


def require_stdout() -> None:
    """Called before anything that cannot be had twice is asked for. Without stdout Python has None for it."""
    if sys.stdout is None:
        raise ClientError("stdout is closed, so there is nowhere to write to; nothing was asked of the server")


def abandon_stdout() -> None:
    """After a failed write: Python flushes stdout once more on its way out, and that must not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def has_terminal() -> bool:
    """Whether somebody can be asked, even while stdin and stdout are pipes."""
    try:
        with _TTY.open("rb"):
            return True
    except OSError:
        return False


def ask_passcode(prompt: str = "Passcode") -> str:
    """Asked on the terminal itself, not echoed. A usage error where there is no terminal."""
    if not has_terminal():
        raise click.UsageError("there is no terminal to ask for the passcode on")
    try:
        answer = getpass.getpass(f"{prompt}: ")
    except EOFError:
        raise click.Abort from None
    if not answer:
        raise click.UsageError("the passcode is empty")
    return answer


def read_secret() -> bytes:
    """All of stdin. Typed on a terminal it is not echoed, and Ctrl-D on a line of its own ends it.

    One line loses the newline that ends it, which `echo` and Enter add to a password. Several lines are kept
    byte for byte: the last newline of a key file is part of the key.
    """
    if not sys.stdin.isatty():
        return without_line_end(sys.stdin.buffer.read())
    with _no_echo():
        click.echo("Type or paste the secret; it is not shown. Ctrl-D on an empty line ends it.", err=True)
        return without_line_end(sys.stdin.buffer.read())


def without_line_end(data: bytes) -> bytes:
    if data.count(b"\n") == 1 and data.endswith(b"\n"):
        return data.removesuffix(b"\n").removesuffix(b"\r")
    return data


@contextmanager
def _no_echo() -> Iterator[None]:
    stream = sys.stdin.fileno()
    before = termios.tcgetattr(stream)
    silent = [*before]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(stream, termios.TCSAFLUSH, silent)
    try:
        yield
    finally:
        termios.tcsetattr(stream, termios.TCSAFLUSH, before)


def local_time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M %Z")


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as their widest cell, the last one free. Cells must be printable."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows)

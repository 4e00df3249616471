"""Safe output to a terminal, tables, and prompts that neither echo nor lose anything.

Prompts go to stderr or /dev/tty, never to stdout, which carries the command's result.
"""

import getpass
import os
import sys
import termios
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from seclink.errors import ClientError

_TTY = Path("/dev/tty")
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSAFE_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")


def printable(text: str, keep: str = "") -> str:
    """Return text that can neither control a terminal nor reorder what it shows: control characters become escapes,
    except those in `keep`.
    """
    if text.isascii() and text.isprintable():  # the usual case, and fast
        return text
    return "".join(c if c in keep or _is_safe(c) else c.encode("unicode_escape").decode() for c in text)


def _is_safe(character: str) -> bool:
    return character not in _REORDERING and unicodedata.category(character) not in _UNSAFE_CATEGORIES


def require_stdout() -> None:
    """Raise ClientError if stdout is closed, before something is requested that cannot be requested twice."""
    if sys.stdout is None:
        raise ClientError("stdout is closed, so the result cannot be written; no request was sent to the server")


def abandon_stdout() -> None:
    """Discard further output after a failed write: Python flushes stdout when it exits, and that would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def has_terminal() -> bool:
    """Return whether the user can be prompted, even while stdin and stdout are pipes."""
    try:
        with _TTY.open("rb"):
            return True
    except OSError:
        return False


def ask_passcode(prompt: str = "Passcode") -> str:
    """Prompt for a passcode on the terminal itself, without echo. Raises UsageError without a terminal."""
    if not has_terminal():
        raise click.UsageError("there is no terminal to ask for the passcode")
    try:
        passcode = getpass.getpass(f"{prompt}: ")
    except EOFError:
        raise click.Abort from None
    if not passcode:
        raise click.UsageError("the passcode is empty")
    return passcode


def confirm(question: str) -> bool:
    """Ask on the terminal itself; Enter means yes."""
    click.echo(f"{question} [Y/n] ", nl=False, err=True)
    with _TTY.open() as terminal:
        answer = terminal.readline()
    if not answer:
        raise click.Abort
    return answer.strip().lower() not in ("n", "no")


def read_secret() -> bytes:
    """Read all of stdin. On a terminal it is not echoed, and Ctrl-D on an empty line ends it.

    A single line loses its final newline, which `echo` or Enter adds to a password. Several lines are kept byte for
    byte: the last newline of a key file is part of the key.
    """
    if not sys.stdin.isatty():
        return without_line_end(sys.stdin.buffer.read())
    with _no_echo():
        click.echo("Type or paste the secret (it is not shown). Ctrl-D on an empty line ends it.", err=True)
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


def table(rows: Sequence[tuple[str, ...]], indent: str = "") -> str:
    """Return rows as aligned columns. Cells must be printable."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join((indent + "  ".join(map(str.ljust, row, widths))).rstrip() for row in rows)

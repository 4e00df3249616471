"""`seclink get`: write a link's secret to stdout and everything else to stderr, or show facts without revealing it."""

import base64
import contextlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial

import click

from seclink.cli import terminal
from seclink.cli.connection import RemoteServer, connection
from seclink.cli.details import show_details, show_meta
from seclink.cli.display import local_time
from seclink.cli.profile import Profile
from seclink.cli.receipts import EXPOSED, receipt_in, with_scheme
from seclink.cli.receiving import Receiving
from seclink.cli.terminal import printable
from seclink.cli.wordlist import passcode_candidates
from seclink.client.client import Client
from seclink.client.models import RevealedSecret, instant
from seclink.client.received_files import ReceivedFiles
from seclink.client.reveals import RawNotOpened
from seclink.errors import (
    ClientError,
    Gone,
    HasFiles,
    LinkIncomplete,
    NotFound,
    PasscodeRequired,
    PasscodeWrong,
    SecLinkError,
    Unreachable,
)
from seclink.format import passcode as passcodes
from seclink.format.link import key_of
from seclink.format.pasted_link import parse

Reveal = Callable[[str | None], RevealedSecret[ReceivedFiles]]
"""(passcode) -> the opened secret."""

_URL = re.compile(r"https?(:|[%=-](25)*3A)", re.IGNORECASE)  # perhaps escaped


@click.command()
@click.argument("target", metavar="LINK|RECEIPT|ID|-")
@click.option("--passcode", metavar="P", help="The passcode. Default: ask on the terminal if it is needed.")
@click.option("--output", metavar="DIR", help="The folder to save the secret's files in; nothing there is overwritten.")
@click.option("--resume", is_flag=True, help="Go on with saving after a break. No view is spent.")
@click.option("--details-only", is_flag=True, help="Show facts about a link or receipt; reveals nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --details-only: print JSON.")
@connection(is_login_optional=True)
def get(
    target: str,
    passcode: str | None,
    output: str | None,
    resume: bool,
    details_only: bool,
    as_json: bool,
    at: RemoteServer,
) -> None:
    """Open the secret of LINK, or show the details of RECEIPT, or of a LINK or its ID.

    With -, the first line of stdin is the link and the second line, if any, the passcode. Use it on a shared machine,
    where other users can see arguments. The secret is written to stdout byte for byte; on a terminal, control
    characters are shown as escapes. If stdout cannot be written after the secret was revealed, the secret is saved to
    a file beside the client's own, and stderr names it.
    """
    if target == "-":
        target, passcode = _from_stdin(passcode)
    target = with_scheme(at, target)
    receipt_id, is_link = receipt_in(target), bool(_URL.search(target))
    details_only = details_only or bool(receipt_id)  # a receipt has nothing but details
    if as_json and not details_only:
        raise click.UsageError("--json needs --details-only")
    if resume and not output:
        raise click.UsageError("--resume needs --output")
    if not is_link and not details_only:
        raise click.UsageError("that is not a link; for a receipt or a link's ID add --details-only")
    with at.client() as client:
        if not details_only:
            terminal.require_stdout()
            _say_target(target)
            if output:
                _save_files(client, Receiving(at, target, output, resume=resume), passcode, at.profile, resume)
                return
            _show_note(client, target)
            _output(_reveal(partial(client.reveal, target, with_files=False), passcode), at.profile)
        elif is_link and not receipt_id:
            show_meta(client.meta(target), as_json)
        else:
            show_details(client, target, at, as_json)


def _save_files(client: Client, receiving: Receiving, passcode: str | None, profile: Profile, is_resumed: bool) -> None:
    if not is_resumed:
        _show_note(client, receiving.link)
        receiving.check_room(client)
    if receiving.needs_passcode and not passcode:
        passcode = terminal.ask_passcode()
    secret = _reveal(partial(receiving.reveal, client), passcode)
    if secret.type != "file":
        _output(secret, profile)
    receiving.save(secret)


def _from_stdin(passcode: str | None) -> tuple[str, str | None]:
    lines = [line.removesuffix("\r") for line in sys.stdin.read().split("\n") if line.strip()]
    if not lines:
        raise click.UsageError("stdin has no link")
    # A link that was broken into lines is one if its key's checksum says so.
    end = next((end for end in range(1, len(lines) + 1) if _is_whole("\n".join(lines[:end]))), 1)
    return "\n".join(lines[:end]).strip(), passcode or (lines[end] if len(lines) > end else None)


def _is_whole(text: str) -> bool:
    try:
        return bool(key_of(parse(text).fragment))
    except LinkIncomplete:
        return False


def _say_target(text: str) -> None:
    """Say that servers may have seen the key, and where the link leads if it is not all of the text."""
    with contextlib.suppress(LinkIncomplete):  # revealing handles this
        link = parse(text)
        if link.is_exposed:
            advice = "replace what is in the secret, such as a password"
            click.echo(f"warning: {EXPOSED}; {advice}. It leads to {printable(link.base)}", err=True)
        elif not text.lower().lstrip("<\"' \n").startswith(link.base):
            click.echo(f"the link leads to {printable(link.base)}", err=True)


def _show_note(client: Client, link: str) -> None:
    """Show the sender's note, before a view is spent."""
    try:
        key_of(parse(link).fragment)
        note = client.meta(link).public_note
    except (Gone, NotFound, Unreachable):
        raise
    except SecLinkError:  # an incomplete or raw link, or too many requests: revealing handles these
        return
    if note:
        click.echo(f"note from the sender: {printable(note)}", err=True)


def _reveal(reveal: Reveal, passcode: str | None) -> RevealedSecret[ReceivedFiles]:
    try:
        return _reveal_with_prompt(reveal, passcode)
    except HasFiles:
        message = "This secret contains files. Run again with --output DIR to save them; no view was spent"
        raise HasFiles(message) from None
    except RawNotOpened as error:
        # The view is spent, so the payload cannot be fetched again and must not be lost.
        payload = {"encryptedBlob": _base64(error.blob), "iv": _base64(error.iv)}
        click.echo(json.dumps(payload, indent=2), err=True)
        raise


def _reveal_with_prompt(reveal: Reveal, passcode: str | None) -> RevealedSecret[ReceivedFiles]:
    """Reveal with the passcode of the option, or prompt for it as often as the server allows."""
    is_prompting = False
    # Each is tried only if the one before it was wrong.
    candidates: Sequence[str | None] = passcode_candidates(passcodes.cleaned(passcode)) if passcode else [None]
    while True:
        try:
            return reveal(candidates[0])
        except PasscodeRequired:
            if not terminal.has_terminal():
                raise
        except PasscodeWrong as error:
            if candidates[1:] and error.attempts_left:
                candidates = candidates[1:]
                continue
            if not is_prompting or not error.attempts_left:
                raise _with_hint(error, passcode or "") from None
            click.echo(f"The passcode is wrong; attempts left: {error.attempts_left}", err=True)
        candidates, is_prompting = _candidates(terminal.ask_passcode()), True


def _with_hint(error: PasscodeWrong, typed: str) -> PasscodeWrong:
    """Return the error with what may be too much in the passcode of the option."""
    doubt, _ = _doubt(passcodes.cleaned(typed))
    return PasscodeWrong(f"{error.message}. {doubt}" if doubt else error.message, error.attempts_left)


def _candidates(typed: str) -> Sequence[str]:
    """Return the passcodes to try. Ask, instead of spending an attempt, where a space or look-alike may be too much."""
    passcode = passcodes.cleaned(typed)
    candidates, (doubt, question) = passcode_candidates(passcode), _doubt(passcode)
    if candidates[1:] or not doubt:
        return candidates
    question = f"{doubt}. {question}"
    return [passcodes.plainer(passcode) if terminal.confirm(question) else passcode]


def _doubt(passcode: str) -> tuple[str, str]:
    """Return what may be too much in a cleaned passcode, "" if nothing, and the question whether to change it."""
    if passcodes.plainer(passcode) in ("", passcode):
        return "", ""
    if passcodes.plainer(passcode.strip()) == passcode.strip():
        return "The passcode starts or ends with a space", "Try it without?"
    look_alikes = "The passcode has characters that only look like the usual ones, such as curly quotes"
    return look_alikes, "Try the usual ones?"


def _output(secret: RevealedSecret[ReceivedFiles], profile: Profile) -> None:
    try:
        _write(secret.body)
    except OSError:
        terminal.abandon_stdout()
        click.echo(f"seclink: the secret was revealed but could not be written; {_rescue(secret, profile)}", err=True)
        raise
    if sys.stderr is not None and sys.stderr.isatty():
        click.echo(_epilogue(secret), err=True)


def _write(body: bytes) -> None:
    if sys.stdout.isatty():
        shown = printable(body.decode(errors="backslashreplace"), keep="\n\t")
        end = "" if shown.endswith("\n") else "\n"
        # A terminal's encoding may lack characters; an exception here would lose the secret.
        body = (shown + end).encode(sys.stdout.encoding, "backslashreplace")
    remaining = memoryview(body)
    while remaining:  # with PYTHONUNBUFFERED, write() may write only a part and returns its size
        remaining = remaining[sys.stdout.buffer.write(remaining) :]
    sys.stdout.buffer.flush()


def _rescue(secret: RevealedSecret[ReceivedFiles], profile: Profile) -> str:
    """Save a revealed secret that could not be written, and return what became of it."""
    try:
        return f"it is saved in {profile.rescue(secret.body)}"
    except ClientError as error:
        loss = "it is lost" if secret.views_left == 0 else "this view is lost, but the link still opens"
        return f"{loss}: {error}"


def _epilogue(secret: RevealedSecret[ReceivedFiles]) -> str:
    name = f"file {printable(str(secret.header.get('name', '')))!r}; " if secret.type == "file" else ""
    if secret.views_left == 0:
        if len(secret.files):
            hint = f"the server keeps the files until they are saved, at most until {_grant_end(secret)}"
            return f"(that was the last view; {hint})"
        return f"({name}that was the last view: the server has erased the secret)"
    expires = local_time(secret.expires_at)
    if secret.views_left is None:
        return f"({name}the link can be opened again until {expires})"
    return f"({name}views left: {secret.views_left}, until {expires})"


def _grant_end(secret: RevealedSecret[ReceivedFiles]) -> str:
    """Return until when the files can be saved."""
    ends_at = secret.response["files"]["grantExpiresAt"]
    try:
        return local_time(instant(ends_at))
    except ValueError:  # any number, from a hostile server
        return str(ends_at)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

"""`seclink get`: a link's secret to stdout and all else to stderr, or what can be known without revealing it."""

import base64
import json
import sys
from collections.abc import Sequence

import click

from seclink.cli import terminal
from seclink.cli.connection import RemoteServer, connection
from seclink.cli.profile import Profile
from seclink.cli.terminal import printable
from seclink.cli.wordlist import heard
from seclink.client.client import Client
from seclink.client.models import ReceiptInfo, RevealedSecret, SecretInfo
from seclink.client.receipts import RECEIPT_ID
from seclink.client.secrets import RawNotOpened
from seclink.errors import ClientError, Gone, NotFound, PasscodeRequired, PasscodeWrong, SecLinkError, Unreachable
from seclink.format.link import key_of, parse


@click.command()
@click.argument("what", metavar="LINK|RECEIPT|-")
@click.option("--passcode", metavar="P", help="Asked for on the terminal when it is needed and not given.")
@click.option("--details-only", is_flag=True, help="Show what is known about a receipt or link; reveals nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --details-only: print them as JSON.")
@connection
def get(what: str, passcode: str | None, details_only: bool, as_json: bool, at: RemoteServer) -> None:
    """Reveal the secret of LINK, or show the details of RECEIPT.

    With - the link is the first line of stdin, and the passcode, if there is one, the second: neither need be
    an argument that others on this machine can see. The secret's bytes go to stdout as they are; on a
    terminal control characters are shown as escapes. Where stdout cannot be written after the secret was
    revealed, it is kept in a file beside the client's own, which stderr names.
    """
    if what == "-":
        what, passcode = _from_stdin(passcode)
    is_link = "://" in what
    details_only = details_only or bool(RECEIPT_ID.fullmatch(what))  # with a receipt, there is nothing else to be had
    if as_json and not details_only:
        raise click.UsageError("--json goes with --details-only")
    if not is_link and not details_only:
        raise click.UsageError("that is not a link; for a receipt add --details-only")
    with at.client() as client:
        if not details_only:
            terminal.require_stdout()
            _show_note(client, what)
            _hand_over(_reveal(client, what, passcode), at.profile)
        elif is_link:
            _show_meta(client.meta(what), as_json)
        else:
            _show_receipt(client.get_details(what, at.manage_token(what)), as_json)


def _from_stdin(passcode: str | None) -> tuple[str, str | None]:
    lines = [line for line in sys.stdin.read().splitlines() if line.strip()]
    if not lines:
        raise click.UsageError("stdin has no link")
    return lines[0].strip(), passcode or (lines[1] if len(lines) > 1 else None)


def _show_note(client: Client, link: str) -> None:
    """What the sender wrote for the reader, who is to see it before anything is spent."""
    try:
        key_of(parse(link).fragment)
        note = client.meta(link).public_note
    except (Gone, NotFound, Unreachable):
        raise
    except SecLinkError:  # a mangled or a raw link, or too many questions: revealing knows what to do or say
        return
    if note:
        click.echo(f"note from the sender: {printable(note)}", err=True)


def _reveal(client: Client, link: str, passcode: str | None) -> RevealedSecret:
    try:
        return _reveal_asking(client, link, passcode)
    except RawNotOpened as error:
        # It is spent and cannot be asked for again: what came must not be lost.
        rest = {"encryptedBlob": _base64(error.blob), "iv": _base64(error.iv)}
        click.echo(json.dumps(rest, indent=2), err=True)
        raise


def _reveal_asking(client: Client, link: str, passcode: str | None) -> RevealedSecret:
    """A passcode that was given is tried as it is, one that is typed as often as the server allows."""
    is_asking = False
    passcodes: Sequence[str | None] = [passcode]  # the next is tried only where the one before was wrong
    while True:
        try:
            return client.reveal(link, passcodes[0])
        except PasscodeRequired:
            if not terminal.has_terminal():
                raise
        except PasscodeWrong as error:
            if not is_asking or not error.attempts_left:
                raise
            if passcodes[1:]:
                passcodes = passcodes[1:]
                continue
            click.echo(f"The passcode is wrong; tries left: {error.attempts_left}", err=True)
        passcodes, is_asking = heard(terminal.ask_passcode()), True


def _hand_over(secret: RevealedSecret, profile: Profile) -> None:
    try:
        _write(secret.body)
    except OSError:
        terminal.abandon_stdout()
        click.echo(f"seclink: the secret was revealed but could not be written; {_kept(secret, profile)}", err=True)
        raise
    if sys.stderr is not None and sys.stderr.isatty():
        click.echo(_epilogue(secret), err=True)


def _write(body: bytes) -> None:
    if sys.stdout.isatty():
        shown = printable(body.decode(errors="backslashreplace"), keep="\n\t")
        end = "" if shown.endswith("\n") else "\n"
        # A terminal of few characters shows the others as escapes: failing here would cost the secret.
        body = (shown + end).encode(sys.stdout.encoding, "backslashreplace")
    left = memoryview(body)
    while left:  # with PYTHONUNBUFFERED a pipe takes what fits, and says so only by its count
        left = left[sys.stdout.buffer.write(left) :]
    sys.stdout.buffer.flush()


def _kept(secret: RevealedSecret, profile: Profile) -> str:
    try:
        return f"it is kept in {profile.keep(secret.body)}"
    except ClientError as error:
        lost = "it is lost" if secret.views_left == 0 else "that view is lost, but the link still opens"
        return f"{lost}: {error}"


def _epilogue(secret: RevealedSecret) -> str:
    name = f"file {printable(str(secret.header.get('name', '')))!r}; " if secret.type == "file" else ""
    if secret.views_left == 0:
        return f"({name}that was the last view: the server has erased it)"
    if secret.views_left is None:
        return f"({name}can be revealed again until {terminal.local_time(secret.expires_at)})"
    return f"({name}views left: {secret.views_left}, until {terminal.local_time(secret.expires_at)})"


def _show_meta(meta: SecretInfo, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dict(meta.raw), indent=2))
        return
    rows = [
        ("expires", terminal.local_time(meta.expires_at)),
        ("views left", "any number" if meta.views_left is None else str(meta.views_left)),
        ("passcode", "required" if meta.passcode_required else "none"),
        ("note", printable(meta.public_note or "-")),
    ]
    click.echo(terminal.table(rows))


def _show_receipt(receipt: ReceiptInfo, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dict(receipt.raw), indent=2))
        return
    rows = [
        ("receipt", receipt.receipt_id),
        ("state", receipt.state),
        ("views", f"{receipt.views} of {receipt.max_views or 'any number'}"),
        ("expires", terminal.local_time(receipt.expires_at)),
        ("passcode", "required" if receipt.passcode_required else "none"),
        ("label", receipt.label or "-"),
        ("note", receipt.public_note or "-"),
        *((event.type, terminal.local_time(event.at)) for event in receipt.events),
    ]
    click.echo(terminal.table([(printable(name), printable(value)) for name, value in rows]))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

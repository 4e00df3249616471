"""`seclink create`: seal a secret from an argument, a pipe or the terminal, and print its link."""

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from seclink.cli import terminal, wordlist
from seclink.cli.connection import RemoteServer, connection
from seclink.cli.display import local_time
from seclink.cli.durations import DURATION
from seclink.cli.error_text import RequestedOptions, in_options
from seclink.cli.sending import Sending, chosen_files
from seclink.cli.terminal import printable
from seclink.client.models import CreatedSecret
from seclink.client.secrets import SecretType
from seclink.client.session import is_at
from seclink.errors import BadRequest, ClientError, PayloadTooLarge
from seclink.format import passcode as passcodes
from seclink.format.pasted_link import parse

LONGEST_SECONDS = 365 * 86400
"""No server lets a secret live longer; tokens that may still be needed are kept when it chose the lifetime."""


def _text(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Reject a value that is not UTF-8: Python decodes such bytes of an argument to lone surrogates."""
    if value is not None and not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise click.BadParameter("is not UTF-8 text")
    return value


@click.command()
@click.argument("text", required=False)
@click.option(
    "--hours",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Lifetime in hours; by default as long as the server suggests, usually 7 days.",
)
@click.option(
    "--expires", type=DURATION, metavar="7d", help="Lifetime, like 90s, 15m, 24h, 7d or 2w; not with --hours."
)
@click.option(
    "--views",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=1,
    show_default=True,
    help="How often the link can be opened.",
)
@click.option(
    "--passcode", callback=_text, metavar="P", help="A passcode to open the link; tell it on another channel."
)
@click.option("--ask-passcode", is_flag=True, help="Ask for the passcode, without echo.")
@click.option("--generate-passcode", is_flag=True, help="Generate a passcode of four words, easy to say on the phone.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["text", "redirect", "neogram"]),
    default="text",
    show_default=True,
    help="A text, a URL that the browser follows, or a message that types itself out.",
)
@click.option(
    "--note", callback=_text, metavar="N", help="Shown to the recipient before opening; the server can read it."
)
@click.option(
    "--label",
    "--description",
    "label",
    callback=_text,
    metavar="L",
    help="Shown only to you, in lists; the server can read it.",
)
@click.option(
    "--file", "paths", multiple=True, metavar="PATH", help="A file to send, beside TEXT or alone; - is stdin."
)
@click.option("--name", callback=_text, metavar="N", help="The name of the --file, needed for stdin.")
@click.option("--folder", "folders", multiple=True, metavar="DIR", help="A folder whose files to send, without links.")
@click.option("--resume", is_flag=True, help="Go on with the upload of these files, after a break.")
@click.option("--restart", is_flag=True, help="Upload these files anew, and give up what was sent before a break.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--qr", is_flag=True, help="Also show the link as a QR code.")
@connection()
def create(
    text: str | None,
    hours: float | None,
    expires: int | None,
    views: int,
    passcode: str | None,
    ask_passcode: bool,
    generate_passcode: bool,
    kind: SecretType,
    note: str | None,
    label: str | None,
    paths: tuple[str, ...],
    name: str | None,
    folders: tuple[str, ...],
    resume: bool,
    restart: bool,
    as_json: bool,
    qr: bool,
    at: RemoteServer,
) -> None:
    """Create a secret from TEXT and print its link; on a terminal also its expiry, receipt and generated passcode.

    Without TEXT, or with -, the secret is read from stdin: from a pipe, or typed without echo. A single line loses its
    final newline; several lines are kept byte for byte. Beside files, TEXT may be missing.
    """
    if expires is not None and hours is not None:
        raise click.UsageError("--hours and --expires cannot be combined")
    terminal.require_stdout()
    passcode = _passcode(passcode, ask_passcode, generate_passcode)
    files = chosen_files(paths, folders, name)
    if (resume or restart) and not files:
        raise click.UsageError(f"{'--resume' if resume else '--restart'} needs the --file or --folder of the upload")
    if resume and restart:
        raise click.UsageError("--resume and --restart cannot be combined")
    if files and kind != "text":
        raise click.UsageError(f"--type {kind} cannot have files")
    body = _body(text, paths, has_files=bool(files))
    sending = Sending(at, files, resume=resume, restart=restart) if files else None
    with at.client() as client, sending.hint() if sending else contextlib.nullcontext():
        upload = sending.upload(client) if sending else None
        try:
            created = client.create(
                body,
                hours,
                views,
                label,
                passcode,
                type=kind,
                note=note,
                expires_in=expires,
                upload=upload,
            )
        except (BadRequest, PayloadTooLarge) as error:
            lifetime = ("--hours", (hours or 0) * 3600) if expires is None else ("--expires", expires)
            texts = {"--note": note, "--label": label}
            raise in_options(error, RequestedOptions(lifetime, texts, len(body))) from None
    _remember(at, created)
    base = parse(created.link).base
    if not is_at(at.server, base):
        click.echo(printable(f"warning: {at.server} gives the link another address: it leads to {base}"), err=True)
    _show(created, passcode if generate_passcode else None, as_json)
    if sending:
        sending.finish()
    if qr:
        _show_qr_code(created.link, sys.stdout if sys.stdout.isatty() and not as_json else sys.stderr)


def _body(text: str | None, paths: Sequence[str], *, has_files: bool) -> bytes:
    if text is None and has_files:
        return b""
    if text == "-" and "-" in paths:
        raise click.UsageError("stdin cannot be both the text and a file")
    body = terminal.read_secret() if text is None or text == "-" else os.fsencode(text)
    if not (body or has_files):
        raise click.UsageError("the secret is empty: give it as TEXT, through a pipe, or type it")
    return body


def _show_qr_code(link: str, stream: TextIO) -> None:
    import segno  # needed for --qr only

    segno.make(link, error="l").terminal(stream, border=2, compact=True)


def _passcode(passcode: str | None, ask: bool, generate: bool) -> str | None:
    if (passcode is not None) + ask + generate > 1:
        raise click.UsageError("--passcode, --ask-passcode and --generate-passcode cannot be combined")
    if passcode == "":
        raise click.UsageError("the passcode is empty")
    if generate:
        return wordlist.passcode(secrets.choice)
    if ask:
        passcode = terminal.ask_passcode()
        if passcode != terminal.ask_passcode("Repeat it"):
            raise click.UsageError("the passcodes differ")
    if passcode is not None and (fault := passcodes.fault(passcode)):
        raise click.UsageError(f"the passcode {fault.message}; nobody could type it to open the link")
    return passcode


def _remember(at: RemoteServer, created: CreatedSecret) -> None:
    """Save the manage token if there is no API key, as nothing else opens the receipt.

    The secret exists already, so a failure here must not hide its link.
    """
    if at.key:
        return
    try:
        created_at_ms = created.expires_at_ms - (created.lifetime or LONGEST_SECONDS) * 1000
        at.profile.remember(at.server, created.receipt_id, created.manage_token, created.expires_at_ms, created_at_ms)
    except ClientError as error:
        click.echo(f"seclink: the receipt is not saved, so `seclink delete` will not find it: {error}", err=True)


def _show(created: CreatedSecret, generated: str | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_facts(created, generated), indent=2))
    elif sys.stdout.isatty():
        click.echo(_summary(created, generated))
    else:
        click.echo(created.link)
        if generated:
            click.echo(f"passcode: {generated}", err=True)


def _facts(created: CreatedSecret, generated: str | None) -> dict[str, object]:
    facts = {
        "link": created.link,
        "linkId": created.link_id,
        "receiptId": created.receipt_id,
        "manageToken": created.manage_token,
        "expiresAt": created.expires_at_ms,
        "maxViews": created.views,
    }
    return facts | ({"passcode": generated} if generated else {})


def _summary(created: CreatedSecret, generated: str | None) -> str:
    rows: list[tuple[str, ...]] = [
        ("expires", local_time(created.expires_at)),
        ("views", "unlimited" if created.views is None else str(created.views)),
        ("receipt", created.receipt_id),
    ]
    rows += [("passcode", f"{generated}    tell it on another channel")] if generated else []
    # The link has a line of its own, so that a double or triple click selects all of it.
    return "\n".join(["", created.link, "", terminal.table(rows, indent="  "), ""])

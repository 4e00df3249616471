"""`seclink create`: seal what is given, typed or piped, and print its link."""

import json
import os
import re
import secrets
import sys
from typing import TextIO

import click
from click.core import ParameterSource

from seclink.cli import terminal, wordlist
from seclink.cli.connection import RemoteServer, connection
from seclink.cli.error_text import RequestedOptions, in_options
from seclink.client.models import CreatedSecret
from seclink.client.secrets import SecretType
from seclink.errors import BadRequest, ClientError, PayloadTooLarge

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


def duration(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """`90m`, `12h`, `7d`, `2w` as seconds."""
    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,9})([mhdw])", value.strip().lower())
    if found is None:
        raise click.BadParameter("a lifetime is written 90m, 12h, 7d or 2w")
    return int(found[1]) * _UNITS[found[2]]


def _text(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """What a shell hands over need not be text."""
    if value is not None and not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
        raise click.BadParameter("is not text in UTF-8")
    return value


@click.command()
@click.argument("text", required=False)
@click.option(
    "--hours", type=click.FloatRange(0, min_open=True), metavar="N", default=24, show_default=True, help="Lifetime."
)
@click.option("--expires", callback=duration, metavar="7d", help="Lifetime as 90m, 12h, 7d or 2w instead.")
@click.option(
    "--views", type=click.IntRange(1, 1000), metavar="N", default=1, show_default=True, help="Times it can be revealed."
)
@click.option("--passcode", callback=_text, metavar="P", help="Wanted for revealing; tell it on another channel.")
@click.option("--ask-passcode", is_flag=True, help="Ask for it, without echo.")
@click.option("--generate-passcode", is_flag=True, help="Make one of four words to read out on the phone.")
@click.option("--type", "kind", type=click.Choice(["text", "redirect", "neogram"]), default="text", show_default=True)
@click.option(
    "--note", callback=_text, metavar="N", help="Shown to the recipient before revealing; the server can read it."
)
@click.option("--label", callback=_text, metavar="L", help="Shown to you alone, in lists; the server can read it.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--qr", is_flag=True, help="Show the link as a QR code, too.")
@connection
@click.pass_context
def create(
    ctx: click.Context,
    text: str | None,
    hours: float,
    expires: int | None,
    views: int,
    passcode: str | None,
    ask_passcode: bool,
    generate_passcode: bool,
    kind: SecretType,
    note: str | None,
    label: str | None,
    as_json: bool,
    qr: bool,
    at: RemoteServer,
) -> None:
    """Seal TEXT and print its link: on a terminal with all that is worth knowing, through a pipe alone.

    Without TEXT, or with -, the secret is read from stdin: from a pipe, or typed without echo. One line loses
    its final newline, several lines are kept byte for byte.
    """
    hours_given = ctx.get_parameter_source("hours") is not ParameterSource.DEFAULT
    if expires is not None and hours_given:
        raise click.UsageError("--hours and --expires exclude each other")
    terminal.require_stdout()
    chosen = _passcode(passcode, ask_passcode, generate_passcode)
    body = terminal.read_secret() if text is None or text == "-" else os.fsencode(text)
    if not body:
        raise click.UsageError("there is nothing to seal: the input is empty")
    with at.client() as client:
        # A day nobody asked for is no reason to fail where the server keeps nothing that long.
        unasked = expires is None and not hours_given
        try:
            created = client.create(
                body, hours, views, label, chosen, type=kind, note=note, expires_in=expires, or_longest=unasked
            )
        except (BadRequest, PayloadTooLarge) as error:
            lifetime = ("--hours", hours * 3600) if expires is None else ("--expires", expires)
            texts = {"--note": note, "--label": label}
            raise in_options(error, RequestedOptions(lifetime, texts, len(body))) from None
    _remember(at, created)
    if unasked and created.lifetime < hours * 3600:
        click.echo(_shortened(created), err=True)
    _show(created, chosen if generate_passcode else None, as_json)
    if qr:
        _draw(created.link, sys.stdout if sys.stdout.isatty() and not as_json else sys.stderr)


def _shortened(created: CreatedSecret) -> str:
    until = terminal.local_time(created.expires_at)
    return f"seclink: this server keeps nothing for 24 hours; the secret expires {until}, the latest it allows"


def _draw(link: str, stream: TextIO) -> None:
    import segno  # only --qr pays for it

    segno.make(link, error="l").terminal(stream, border=2, compact=True)


def _passcode(given: str | None, ask: bool, generate: bool) -> str | None:
    if (given is not None) + ask + generate > 1:
        raise click.UsageError("--passcode, --ask-passcode and --generate-passcode exclude each other")
    if given == "":
        raise click.UsageError("the passcode is empty")
    if generate:
        return wordlist.passcode(secrets.choice)
    if ask:
        given = terminal.ask_passcode()
        if given != terminal.ask_passcode("Once more"):
            raise click.UsageError("the passcodes differ")
    return given


def _remember(at: RemoteServer, created: CreatedSecret) -> None:
    """Without a key the manage token is all that opens the receipt.

    The secret exists: failing here must not hide it.
    """
    if at.key:
        return
    try:
        at.profile.remember(at.server, created.receipt_id, created.manage_token, created.expires_at_ms)
    except ClientError as error:
        click.echo(f"seclink: the receipt is not remembered, so `seclink delete` will not know it: {error}", err=True)


def _show(created: CreatedSecret, generated: str | None, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_facts(created, generated), indent=2))
    elif sys.stdout.isatty():
        click.echo(_card(created, generated))
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


def _card(created: CreatedSecret, generated: str | None) -> str:
    rows = [("expires", terminal.local_time(created.expires_at))]
    rows += [("views", "any number" if created.views is None else str(created.views))]
    rows += [("receipt", created.receipt_id)]
    rows += [("passcode", f"{generated}    tell it on another channel")] if generated else []
    # The link stands alone on its line, so that a double or triple click takes it whole.
    return "\n".join(["", created.link, "", *(f"  {name:<9} {value}" for name, value in rows), ""])

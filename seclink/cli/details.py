"""The facts of `seclink get --details-only`, which reveal nothing."""

import json
from collections.abc import Iterator

import click

from seclink.cli import terminal
from seclink.cli.connection import RemoteServer
from seclink.cli.display import counted, files_size, local_time
from seclink.cli.receipts import find_receipt
from seclink.cli.terminal import printable
from seclink.client.client import Client
from seclink.client.models import Json, ReceiptInfo, SecretInfo
from seclink.errors import NotFound
from seclink.format.link import LINK_ID


def show_details(client: Client, id: str, at: RemoteServer, as_json: bool) -> None:
    """Show a receipt; for a link's id that is not the caller's own, what everybody may know."""
    try:
        receipt = client.get_details(*find_receipt(client, at, id))
    except NotFound:
        if not LINK_ID.fullmatch(id):
            raise
        show_meta(client.meta(f"{at.server}/{id}"), as_json)
    else:
        _show_receipt(receipt, as_json)


def show_meta(meta: SecretInfo, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dict(meta.raw), indent=2))
        return
    rows = [
        ("expires", local_time(meta.expires_at)),
        ("views left", "unlimited" if meta.views_left is None else str(meta.views_left)),
        ("passcode", "required" if meta.passcode_required else "none"),
        *_files_row(meta.raw),
        ("note", printable(meta.public_note or "-")),
    ]
    click.echo(terminal.table(rows))


def _files_row(facts: Json) -> Iterator[tuple[str, str]]:
    if size := files_size(facts):
        yield "files", size


def _lock_rows(receipt: ReceiptInfo) -> Iterator[tuple[str, str]]:
    if receipt.locked_until is not None:
        yield "locked", f"for everybody until {local_time(receipt.locked_until)}; see `seclink unlock`"
    elif receipt.locked_clients:
        yield "locked", f"for {counted(receipt.locked_clients, 'client')}; see `seclink unlock`"


def _show_receipt(receipt: ReceiptInfo, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dict(receipt.raw), indent=2))
        return
    rows = [
        ("receipt", receipt.receipt_id),
        ("state", receipt.state),
        ("views", f"{receipt.views} of {receipt.max_views}" if receipt.max_views else f"{receipt.views}, unlimited"),
        ("expires", local_time(receipt.expires_at)),
        ("passcode", "required" if receipt.passcode_required else "none"),
        *_files_row(receipt.raw),
        *_lock_rows(receipt),
        ("label", receipt.label or "-"),
        ("note", receipt.public_note or "-"),
        *((event.type, local_time(event.at)) for event in receipt.events),
    ]
    click.echo(terminal.table([(printable(name), printable(value)) for name, value in rows]))

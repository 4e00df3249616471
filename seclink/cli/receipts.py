"""`seclink list`, `delete`, `unlock` and `stats`: the sender's commands."""

import contextlib
import json
import re

import click
from click.shell_completion import CompletionItem

from seclink.cli import terminal
from seclink.cli.connection import RemoteServer, connection
from seclink.cli.display import files_size, local_time
from seclink.cli.profile import Profile
from seclink.cli.terminal import printable
from seclink.client.client import Client
from seclink.client.models import AccountStats, ReceiptInfo
from seclink.client.receipts import RECEIPT_ID
from seclink.client.session import is_at
from seclink.errors import LinkIncomplete, NotFound
from seclink.format.link import LINK_ID
from seclink.format.pasted_link import parse, parse_receipt

MAX_TRIED_TOKENS = 100
_BARE_LINK = re.compile(r"[a-z0-9.-]+(:[0-9]+)?(/\S*)?/[a-z0-9_]+#", re.IGNORECASE)

EXPOSED = "this link was rewritten on its way, and servers may have seen its key"


@click.command("list")
@click.option("--status", type=click.Choice(["active", "revealed", "burned", "expired"]), help="Only this state.")
@click.option("--search", metavar="S", help="Only receipts with S in their label or note.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True, help="Page to show.")
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Receipts per page.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's response as JSON.")
@connection()
def list_(status: str | None, search: str | None, page: int, limit: int, as_json: bool, at: RemoteServer) -> None:
    """List the receipts of your account, newest first. Needs an API key."""
    with at.client() as client:
        receipts = client.list_secrets(status, search, page, limit)
    if as_json:
        click.echo(json.dumps(dict(receipts.raw), indent=2))
        return
    if receipts.items:
        click.echo(terminal.table([("RECEIPT", "STATE", "VIEWS", "EXPIRES", "FILES", "LABEL"), *map(_row, receipts)]))
    pages = receipts.pagination
    click.echo(f"page {pages.current_page} of {max(pages.last_page, 1)}, {pages.total} in total", err=True)


@click.command()
@click.argument("target", metavar="RECEIPT|LINK|ID", shell_complete=lambda _, __, typed: _complete_receipt(typed))
@connection()
def delete(target: str, at: RemoteServer) -> None:
    """Burn the secret of RECEIPT, an id or a receipt's link, or of LINK or its ID.

    The server erases it, and its link no longer opens.
    """
    target = with_scheme(at, target)
    with at.client() as client:
        receipt, token = find_receipt(client, at, target)
        client.delete(receipt, token)
    click.echo(f"{receipt_in(receipt) or receipt} is burned", err=True)


@click.command()
@click.argument("target", metavar="RECEIPT|LINK|ID", shell_complete=lambda _, __, typed: _complete_receipt(typed))
@connection()
def unlock(target: str, at: RemoteServer) -> None:
    """Let the readers of RECEIPT, or of LINK or its ID, try the passcode again.

    The server forgets the wrong passcodes, which lock whoever tried them, or everybody for a while.
    """
    target = with_scheme(at, target)
    with at.client() as client:
        receipt, token = find_receipt(client, at, target)
        client.unlock(receipt, token)
    click.echo(f"{receipt_in(receipt) or receipt} is unlocked", err=True)


def find_receipt(client: Client, at: RemoteServer, text: str) -> tuple[str, str | None]:
    """Return the receipt that a text names, as the client takes it, and the manage token that it needs, if any.

    A secret's link names no receipt, and only its id is sent. Without an API key, the saved manage tokens are tried.
    """
    link_id = "" if receipt_in(text) else _link_id_in(text)
    if not link_id:
        return text, manage_token(at, text)
    if at.key:
        return link_id, None
    for token in at.profile.manage_tokens(at.server)[:MAX_TRIED_TOKENS]:
        with contextlib.suppress(NotFound):
            return client.get_details(link_id, token).receipt_id, token
    raise NotFound(f"No key is set, and this link was not created from here on {at.server}")


def with_scheme(at: RemoteServer, text: str) -> str:
    """Return a link of the caller's server with the http:// or https:// that it may lack.

    Raises UsageError for a link of another server without one: which of both is right, only its sender knows.
    """
    scheme, _, address = at.server.partition("://")
    if text.lower().startswith(f"{address}/"):
        return f"{scheme}://{text}"
    if _BARE_LINK.match(text):
        raise click.UsageError("that link does not begin with https:// or http://; put https:// in front of it")
    return text


def _link_id_in(text: str) -> str:
    """Return the link id that a text is, or that is in its link; "" for another text."""
    if LINK_ID.fullmatch(text):
        return text
    try:
        return parse(text).link_id
    except LinkIncomplete:
        return ""


def receipt_in(text: str) -> str:
    """Return the receipt id that a text is, or that is in its link; "" for another text."""
    if RECEIPT_ID.fullmatch(text):
        return text
    try:
        return parse_receipt(text).receipt_id
    except LinkIncomplete:
        return ""


def manage_token(at: RemoteServer, text: str) -> str | None:
    """Return the saved manage token of a receipt, None if its link has one or leads to another server."""
    with contextlib.suppress(LinkIncomplete):
        link = parse_receipt(text)
        if link.is_exposed:
            click.echo(f"warning: {EXPOSED}. It leads to {printable(link.base)}", err=True)
        if link.manage_token or not is_at(at.server, link.base):
            return None
    return at.manage_token(receipt_in(text) or text)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the server's response as JSON.")
@connection()
def stats(as_json: bool, at: RemoteServer) -> None:
    """Show the counts of your account. Needs an API key."""
    with at.client() as client:
        counts = client.get_stats()
    click.echo(json.dumps(dict(counts.raw), indent=2) if as_json else terminal.table(_stats_rows(counts)))


def _stats_rows(stats: AccountStats) -> list[tuple[str, ...]]:
    counts = {
        "total": stats.total_secrets,
        "active": stats.active_secrets,
        "revealed": stats.revealed_secrets,
        "burned": stats.burned_secrets,
        "expired": stats.expired_secrets,
        "views": stats.total_views,
        "with passcode": stats.secrets_with_passcode,
        "created today": stats.created_today,
        "this week": stats.created_this_week,
        "this month": stats.created_this_month,
    }
    return [(name, str(count)) for name, count in counts.items() if count is not None]


def _row(receipt: ReceiptInfo) -> tuple[str, ...]:
    views, expires = f"{receipt.views}/{receipt.max_views or '∞'}", local_time(receipt.expires_at)
    cells = (receipt.receipt_id, receipt.state, views, expires, files_size(receipt.raw) or "-", receipt.label or "")
    return tuple(printable(cell) for cell in cells)


def _complete_receipt(incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(receipt) for receipt in Profile().receipt_ids() if receipt.startswith(incomplete)]

"""`seclink list`, `delete` and `stats`: the sender's side."""

import json

import click
from click.shell_completion import CompletionItem

from seclink.cli import terminal
from seclink.cli.connection import RemoteServer, connection
from seclink.cli.profile import Profile
from seclink.cli.terminal import printable
from seclink.client.models import ReceiptInfo

_COUNTS = {
    "total": "totalSecrets",
    "active": "activeSecrets",
    "revealed": "revealedSecrets",
    "burned": "burnedSecrets",
    "expired": "expiredSecrets",
    "views": "totalViews",
    "with passcode": "secretsWithPasscode",
    "created today": "createdToday",
    "this week": "createdThisWeek",
    "this month": "createdThisMonth",
}


@click.command("list")
@click.option("--status", type=click.Choice(["active", "revealed", "burned", "expired"]), help="Only those.")
@click.option("--search", metavar="S", help="Only those with S in their label or note.")
@click.option("--page", type=click.IntRange(1), default=1, show_default=True)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Receipts per page.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection
def list_(status: str | None, search: str | None, page: int, limit: int, as_json: bool, at: RemoteServer) -> None:
    """List the receipts of your API key, newest first."""
    with at.client() as client:
        receipts = client.list_secrets(status, search, page, limit)
    if as_json:
        click.echo(json.dumps(dict(receipts.raw), indent=2))
        return
    if receipts.items:
        click.echo(terminal.table([("RECEIPT", "STATE", "VIEWS", "EXPIRES", "LABEL"), *map(_row, receipts)]))
    pages = receipts.pagination
    click.echo(f"page {pages.current_page} of {max(pages.last_page, 1)}, {pages.total} in all", err=True)


@click.command()
@click.argument("receipt", metavar="RECEIPT", shell_complete=lambda _, __, typed: _remembered(typed))
@connection
def delete(receipt: str, at: RemoteServer) -> None:
    """Burn the secret of RECEIPT: it is erased, and its link finds it gone."""
    with at.client() as client:
        client.delete(receipt, at.manage_token(receipt))
    click.echo(f"{receipt} is burned", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@connection
def stats(as_json: bool, at: RemoteServer) -> None:
    """Show the counts of your API key's account."""
    with at.client() as client:
        counts = dict(client.get_stats().raw)
    if as_json:
        click.echo(json.dumps(counts, indent=2))
    else:
        rows = [(name, str(counts[each])) for name, each in _COUNTS.items() if isinstance(counts.get(each), int)]
        click.echo(terminal.table(rows))


def _row(receipt: ReceiptInfo) -> tuple[str, ...]:
    views = f"{receipt.views}/{receipt.max_views or '∞'}"
    cells = (
        receipt.receipt_id,
        receipt.state,
        views,
        terminal.local_time(receipt.expires_at),
        receipt.label or "",
    )
    return tuple(printable(cell) for cell in cells)


def _remembered(incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(each) for each in Profile().receipt_ids() if each.startswith(incomplete)]

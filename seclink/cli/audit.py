"""`seclink audit`: print the audit trail and verify its chain of digests.

Entries go to stdout, the result of the verification to stderr. Exit status: 0 the trail is intact, 1 it is not.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from seclink.cli import display
from seclink.cli.config import config_option, own_database
from seclink.cli.durations import DURATION
from seclink.cli.terminal import printable
from seclink.config.locate import load
from seclink.store.audit_reader import AuditReader, MarkPruned, TrailBroken, TrailEntry, parse_mark

NOT_INTACT, MAX_BREAKS = 1, 10
INTERVAL_SECONDS = 0.5
TIME, EVENT, ACCOUNT, RECEIPT = 20, 11, 12, 20  # column widths: fixed, since entries are printed as they are read
HEADING = f"{'TIME':{TIME}}  {'EVENT':{EVENT}}  {'ACCOUNT':{ACCOUNT}}  {'RECEIPT':{RECEIPT}}  DETAIL"
Show = Callable[[TrailEntry], None]


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Print new entries as they are added, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print entries as JSON, one per line.")
@click.option("--since", type=DURATION, help="Print only entries younger than 24h or 2w; all are verified.")
@click.option("--account", metavar="NAME", help="Print only entries about or by this account.")
@click.option("--mark", metavar="MARK", help="An earlier end of the trail; entries up to it must be unchanged.")
@config_option
def audit(
    follow: bool, as_json: bool, since: int | None, account: str | None, mark: str | None, config_path: Path | None
) -> None:
    """Print who created, revealed, burned or failed to open which secret, and verify that no entry was changed.

    Each entry contains a digest of itself and of all entries before it. A mark, saved where the server cannot write,
    also shows whether the end was cut off or the whole trail was replaced; the server logs a mark every hour. Exit
    status: 0 if the trail is intact, 1 if it is not or the mark is too old to tell.
    """
    trail = AuditReader(own_database(load(config_path), config_path), _mark(mark))
    show = _filtered(_as_json if as_json else _headed(_as_text), account, _instant(since))
    is_intact = _print(trail, show)
    if is_intact and mark is None:
        click.echo("without --mark: entries cut off at the end would not be noticed", err=True)
    if is_intact:
        click.echo(printable(_summary(trail)), err=True)
    if follow and is_intact:
        is_intact = _follow(trail, show)
        if is_intact:
            click.echo(printable(_summary(trail)), err=True)
    if not is_intact:
        sys.exit(NOT_INTACT)


def _print(trail: AuditReader, show: Show) -> bool:
    """Show all new entries, also those after a break in the chain. Return False if there is a break."""
    is_intact = True
    for _ in range(MAX_BREAKS):
        try:
            for item in trail.new():
                show(item)
        except TrailBroken as broken:
            sys.stdout.flush()
            verdict = "CANNOT TELL" if isinstance(broken, MarkPruned) else "NOT INTACT"
            click.echo(printable(f"{verdict}: {broken}"), err=True)
            if not trail.skip(broken):
                return False
            is_intact = False
        else:
            return is_intact
    return False


def _follow(trail: AuditReader, show: Show) -> bool:
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            sys.stdout.flush()
            time.sleep(INTERVAL_SECONDS)
            if not _print(trail, show):
                return False
    return True


def _filtered(show: Show, account: str | None, since: int) -> Show:
    def show_matching(item: TrailEntry) -> None:
        if item.entry.at >= since and account in (None, item.entry.account, item.entry.by):
            show(item)

    return show_matching


def _headed(show: Show) -> Show:
    """Print the heading before the first entry."""
    headings = [HEADING]

    def show_headed(item: TrailEntry) -> None:
        while headings:
            click.echo(headings.pop())
        show(item)

    return show_headed


def _as_json(item: TrailEntry) -> None:
    entry = msgspec.to_builtins(item.entry)
    click.echo(json.dumps({"seq": item.position.seq, **entry, "digest": item.position.digest}))


def _as_text(item: TrailEntry) -> None:
    entry = item.entry
    is_own_create = entry.event == "created" and entry.by == entry.account
    by = f"by {entry.by}" if entry.by is not None and not is_own_create else None
    detail = " ".join(text for text in (entry.detail, by) if text)
    cells = (f"{display.utc_time(entry.at):{TIME}}", f"{entry.event:{EVENT}}", f"{entry.account or '-':{ACCOUNT}}")
    click.echo(printable("  ".join((*cells, f"{entry.receipt or '-':{RECEIPT}}", detail)).rstrip()))


def _summary(trail: AuditReader) -> str:
    head, first = trail.progress.head, trail.progress.first
    assert head is not None  # noqa: S101  an audit trail without its first digest raises TrailBroken
    if first is None:
        reason = f"all entries up to {head.seq:,} were pruned" if head.seq else "no entries yet"
        return f"the audit trail is empty: {reason}, mark {head.mark}"
    return f"intact: entries {first:,} to {head.seq:,}, mark {head.mark}"


def _mark(text: str | None) -> tuple[int, str] | None:
    try:
        return None if text is None else parse_mark(text)
    except ValueError:
        raise click.BadParameter(
            "write the mark as it was printed: a number, a colon and 32 hexadecimal digits", param_hint="--mark"
        ) from None


def _instant(since: int | None) -> int:
    return -(2**63) if since is None else int(time.time() - since) * 1000

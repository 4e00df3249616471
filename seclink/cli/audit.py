"""`seclink audit`: who created, revealed, burned or failed to open what and when, and whether that was changed since.

Entries go to stdout, what is to be said of them to stderr. Exit status: 0 the chain is whole, 1 it is not.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from seclink.cli.config import config_option
from seclink.cli.terminal import printable
from seclink.config.locate import existing_database, load
from seclink.config.types import parse_duration
from seclink.store.audit_reader import AuditReader, Broken, Outdated, TrailEntry, parse_checkpoint

BROKEN, MOST_BREAKS = 1, 10
EVERY_SECONDS = 0.5
WHEN, EVENT, ACCOUNT, RECEIPT = 20, 11, 12, 20  # columns
HEADING = f"{'WHEN':{WHEN}}  {'WHAT':{EVENT}}  {'WHOSE':{ACCOUNT}}  {'RECEIPT':{RECEIPT}}  HOW"
Show = Callable[[TrailEntry], None]


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print entries as JSON, one in a line.")
@click.option("--since", metavar="DURATION", help="Only what is younger, like 24h; all of it is checked.")
@click.option("--account", metavar="NAME", help="Only what that account's secrets, keys or doings are.")
@click.option("--mark", metavar="MARK", help="An earlier end of the trail: entries up to there must still be the same.")
@config_option
def audit(
    follow: bool, as_json: bool, since: str | None, account: str | None, mark: str | None, config: Path | None
) -> None:
    """Print who created, revealed, burned or failed to open what, and when; and check that nothing of it was changed.

    Each entry carries a digest of itself and all before it. A mark, noted where the server cannot write, also tells
    whether the end was cut off or all was made anew; the server's log names one every hour. Ends with 0 if the trail
    is whole, 1 if it is not.
    """
    trail = AuditReader(existing_database(load(config), config), _mark(mark))
    show = _filtered(_as_json if as_json else _headed(_as_text), account, _instant(since))
    is_whole = _print(trail, show)
    if is_whole:
        click.echo(printable(_summary(trail)), err=True)
    if follow and is_whole:
        is_whole = _follow(trail, show)
        if is_whole:
            click.echo(printable(_summary(trail)), err=True)
    if not is_whole:
        sys.exit(BROKEN)


def _print(trail: AuditReader, show: Show) -> bool:
    """What there is, also behind what does not fit; whether all of it did."""
    is_whole = True
    for _ in range(MOST_BREAKS):
        try:
            for each in trail.new():
                show(each)
        except Broken as broken:
            sys.stdout.flush()
            said = "CANNOT TELL" if isinstance(broken, Outdated) else "NOT WHOLE"
            click.echo(printable(f"{said}: {broken}"), err=True)
            if not trail.skip(broken):
                return False
            is_whole = False
        else:
            return is_whole
    return False


def _follow(trail: AuditReader, show: Show) -> bool:
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            sys.stdout.flush()
            time.sleep(EVERY_SECONDS)
            if not _print(trail, show):
                return False
    return True


def _filtered(show: Show, account: str | None, since: int) -> Show:
    def some(told: TrailEntry) -> None:
        if told.entry.at >= since and account in (None, told.entry.account, told.entry.by):
            show(told)

    return some


def _headed(show: Show) -> Show:
    """With a heading before the first."""
    headings = [HEADING]

    def one(told: TrailEntry) -> None:
        while headings:
            click.echo(headings.pop())
        show(told)

    return one


def _as_json(told: TrailEntry) -> None:
    entry = msgspec.to_builtins(told.entry)
    click.echo(json.dumps({"seq": told.head.seq, **entry, "digest": told.head.digest}))


def _as_text(told: TrailEntry) -> None:
    entry = told.entry
    is_own_create = entry.event == "created" and entry.by == entry.account
    by = f"by {entry.by}" if entry.by is not None and not is_own_create else None
    how = " ".join(each for each in (entry.detail, by) if each)
    cells = (f"{_time(entry.at):{WHEN}}", f"{entry.event:{EVENT}}", f"{entry.account or '-':{ACCOUNT}}")
    click.echo(printable("  ".join((*cells, f"{entry.receipt or '-':{RECEIPT}}", how)).rstrip()))


def _time(at: int) -> str:
    try:
        return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # nothing that a server has written
        return str(at)


def _summary(trail: AuditReader) -> str:
    head, first = trail.progress.head, trail.progress.first
    assert head is not None  # noqa: S101  a trail without any beginning is Broken
    if first is None:
        what = f"nothing is in the trail any more: all up to entry {head.seq:,} has left it" if head.seq else ""
        return f"{what or 'nothing is in the trail yet'}, mark {head.checkpoint}"
    return f"whole: entries {first:,} to {head.seq:,}, mark {head.checkpoint}"


def _mark(text: str | None) -> tuple[int, str] | None:
    try:
        return None if text is None else parse_checkpoint(text)
    except ValueError:
        raise click.BadParameter(
            "write it as it was printed: a number, a colon, 32 letters", param_hint="--mark"
        ) from None


def _instant(since: str | None) -> int:
    try:
        return -(2**63) if since is None else int(time.time() - parse_duration(since)) * 1000
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None

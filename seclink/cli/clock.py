"""`seclink clock`: compare the system clock with the time in the database, and accept it.

Exit status: 0 if they agree, 1 if the server would wait with erasing or goes by the database's time.
"""

import sys
import time
from pathlib import Path

import click

from seclink.cli.config import config_option, own_database
from seclink.cli.display import utc_time
from seclink.config.locate import load
from seclink.domain.clock import MAX_JUMP_MS, NEW_STORE
from seclink.store import clock_mark

IN_DOUBT = 1
LAST_DATE_MS = 253_402_300_799_000  # of the year 9999


@click.command()
@click.option("--accept", is_flag=True, help="The system clock is right: go by it from now on.")
@config_option
def clock(accept: bool, config_path: Path | None) -> None:
    """Compare the system clock with the latest time that the database has seen.

    If the clock is more than a day ahead, the server erases no expired secret: a wrong clock would erase all of them
    for ever. That ends with --accept; by itself, if the clock is at most a year ahead, once a time server has confirmed
    it or the server has run for a day. If the clock is behind, --accept needs a stopped server, and secrets that
    expired meanwhile may be active again until they are erased.
    """
    path = own_database(load(config_path), config_path)
    now = int(time.time() * 1000)
    last_seen_at = clock_mark.read(path)
    if accept:
        clock_mark.accept(path, now)
        last_seen_at = now
    click.echo(f"system clock  {utc_time(now)}\ndatabase      {utc_time(min(last_seen_at, LAST_DATE_MS))}")
    ahead = now - last_seen_at if last_seen_at > NEW_STORE else 0
    if abs(ahead) <= MAX_JUMP_MS:
        click.echo("they agree")
        return
    days = f"{abs(ahead) // 86_400_000:,} days"
    state = "no expired secret is erased" if ahead > 0 else "the server goes by the database's time"
    click.echo(f"the system clock is {days} {'ahead' if ahead > 0 else 'behind'}: {state}")
    click.echo("if the system clock is right: seclink clock --accept")
    sys.exit(IN_DOUBT)

"""`seclink key add | list | revoke`: run beside the server or without it, on the same database."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click

from seclink.cli.config import config_option
from seclink.config.locate import database, existing_database, find, load
from seclink.config.types import parse_duration, parse_rate, to_toml
from seclink.domain.api_keys import ApiKeys
from seclink.errors import NotFound, StoreUnusable
from seclink.model import ApiKey, Rate, Scope
from seclink.store.sqlite import SqliteStore

T = TypeVar("T")
ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


class _Duration(click.ParamType[int]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Rate(click.ParamType[Rate]):
    name = "rate"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Rate:
        try:
            return parse_rate(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def key() -> None:
    """Make, list and revoke API keys. Works while the server runs, and at once."""


@key.command()
@click.argument("account")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(each) for each in Scope]),
    help="What it may do; repeat for several. create and manage, unless you say otherwise.",
)
@click.option("--expires", type=_Duration(), help="When it ends, like 90d. Never, unless you say otherwise.")
@click.option(
    "--rate", type=_Rate(), help="How often it may be used, like 500/hour. As rates.key, unless you say otherwise."
)
@config_option
def add(account: str, scopes: tuple[str, ...], expires: int | None, rate: Rate | None, config: Path | None) -> None:
    """Make a key for ACCOUNT and print it, and nothing else. It cannot be shown again."""
    if not ACCOUNT.fullmatch(account):
        raise click.BadParameter("write 1 to 64 letters, digits or . _ @ + -", param_hint="ACCOUNT")
    held = frozenset(Scope(each) for each in scopes or ("create", "manage"))
    click.echo(_with_keyring(config, lambda keyring, now: keyring.add(account, held, expires, rate, now), True))


@key.command("list")
@config_option
def list_keys(config: Path | None) -> None:
    """List all keys by their beginnings."""
    rows = [("KEY", "ACCOUNT", "SCOPES", "RATE", "CREATED", "STATE")]

    async def listed(keyring: ApiKeys, now: int) -> None:
        rows.extend(_row(each, now) for each in await keyring.all())

    _with_keyring(config, listed)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@key.command()
@click.argument("prefix")
@config_option
def revoke(prefix: str, config: Path | None) -> None:
    """Revoke the key that begins with PREFIX, as `seclink key list` shows it."""
    if len(prefix) < len("sk_live_") + 4:
        raise click.BadParameter("give the beginning as `seclink key list` shows it", param_hint="PREFIX")
    # Somebody may paste the whole key: what is kept of it is only its beginning.
    shown = prefix[: len("sk_live_") + 6]
    revoked = _with_keyring(config, lambda keyring, now: keyring.revoke(shown, now))
    if not revoked:
        raise NotFound(f"No live key begins with {shown}")
    for each in revoked:
        click.echo(f"revoked {each.prefix}... of {each.account}", err=True)


def _with_keyring(path: Path | None, work: Callable[[ApiKeys, int], Awaitable[T]], may_create: bool = False) -> T:
    settings = load(path)
    file = database(settings, path) if may_create else existing_database(settings, path)
    if not file.exists():
        if find(path) is None:  # the wrong folder, more likely than a server to come: its keys would be worth nothing
            raise StoreUnusable(
                f"{file}: there is no such database, and no TOML file here;"
                " name the server's with --config, or start it here first"
            )
        click.echo(f"made a new database: {file}", err=True)

    async def run() -> T:
        store = await SqliteStore.open(
            file,
            keep_seconds=settings.receipts.keep_days * 86400,
            max_bytes=settings.store.max_bytes,
            exclusive=False,
        )
        try:
            return await work(ApiKeys(store), int(time.time() * 1000))
        finally:
            await store.close()

    return asyncio.run(run())


def _row(each: ApiKey, now: int) -> tuple[str, str, str, str, str, str]:
    rate = to_toml(each.rate).strip('"') if each.rate else "-"
    state = "revoked" if each.revoked_at else "live" if each.is_live(now) else "expired"
    if state == "live" and each.expires_at:
        state = f"until {_day(each.expires_at)}"
    return each.prefix + "...", each.account, ",".join(sorted(each.scopes)), rate, _day(each.created_at), state


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")

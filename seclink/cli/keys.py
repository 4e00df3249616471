"""`seclink key add | list | revoke`: manage API keys in the database, with or without a running server."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from seclink.cli import terminal
from seclink.cli.config import config_option, own_database
from seclink.cli.display import utc_date
from seclink.cli.durations import DURATION
from seclink.config.locate import find, load
from seclink.config.option_types import format_rate, parse_rate
from seclink.domain.api_keys import ApiKeys
from seclink.errors import NotFound, StoreUnusable
from seclink.model import ApiKey, Rate, Scope
from seclink.store.sqlite import SqliteStore

T = TypeVar("T")
ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


class _Rate(click.ParamType[Rate]):
    name = "rate"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Rate:
        try:
            return parse_rate(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group()
def key() -> None:
    """Add, list and revoke API keys. Takes effect at once, also while the server runs."""


@key.command()
@click.argument("account")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(scope) for scope in Scope]),
    help="A permission of the key; repeat for several. Default: create and manage.",
)
@click.option("--expires", type=DURATION, help="Lifetime of the key, like 90d or 2w. Default: unlimited.")
@click.option("--rate", type=_Rate(), help="Rate limit of the key, like 500/hour. Default: rates.key.")
@config_option
def add(
    account: str, scopes: tuple[str, ...], expires: int | None, rate: Rate | None, config_path: Path | None
) -> None:
    """Create an API key for ACCOUNT and print only the key. It cannot be shown again."""
    if not ACCOUNT.fullmatch(account):
        raise click.BadParameter("write 1 to 64 letters, digits or . _ @ + -", param_hint="ACCOUNT")
    allowed = frozenset(Scope(scope) for scope in scopes or ("create", "manage"))
    click.echo(_with_api_keys(config_path, lambda keys, now: keys.add(account, allowed, expires, rate, now), True))


@key.command("list")
@config_option
def list_keys(config_path: Path | None) -> None:
    """List all API keys by their prefixes."""

    async def rows(keys: ApiKeys, now: int) -> list[tuple[str, ...]]:
        return [_row(api_key, now) for api_key in await keys.all()]

    heading = ("KEY", "ACCOUNT", "SCOPES", "RATE", "CREATED", "STATE")
    click.echo(terminal.table([heading, *_with_api_keys(config_path, rows)]))


@key.command()
@click.argument("prefix")
@config_option
def revoke(prefix: str, config_path: Path | None) -> None:
    """Revoke an API key. PREFIX is the beginning of the key, as `seclink key list` shows it."""
    if len(prefix) < len("sk_live_") + 4:
        raise click.BadParameter("write the prefix as `seclink key list` shows it", param_hint="PREFIX")
    stored = prefix[: len("sk_live_") + 6]  # the user may paste the whole key
    revoked = _with_api_keys(config_path, lambda keys, now: keys.revoke(stored, now))
    if not revoked:
        raise NotFound(f"No live key begins with {stored}")
    for api_key in revoked:
        click.echo(f"revoked {api_key.prefix}... of {api_key.account}", err=True)


def _with_api_keys(
    config_path: Path | None, work: Callable[[ApiKeys, int], Awaitable[T]], may_create: bool = False
) -> T:
    """Open the database, with `may_create` a new one if there is none, and return the result of `work(keys, now)`."""
    config = load(config_path)
    file = own_database(config, config_path, may_create=may_create)
    if not file.exists():
        if find(config_path) is None:  # most likely the wrong folder, whose database no server will ever open
            raise StoreUnusable(
                f"{file}: there is no such database, and no TOML file in this folder;"
                " name the server's TOML with --config, or start the server here first"
            )
        click.echo(f"created a new database: {file}", err=True)

    async def run() -> T:
        store = await SqliteStore.open(
            file,
            keep_seconds=config.receipts.keep_days * 86400,
            max_bytes=config.store.max_bytes,
            exclusive=False,
        )
        try:
            return await work(ApiKeys(store), int(time.time() * 1000))
        finally:
            await store.close()

    return asyncio.run(run())


def _row(key: ApiKey, now: int) -> tuple[str, ...]:
    rate = format_rate(key.rate) if key.rate else "-"
    state = "revoked" if key.revoked_at else "live" if key.is_live(now) else "expired"
    if state == "live" and key.expires_at:
        state = f"until {utc_date(key.expires_at)}"
    return f"{key.prefix}...", key.account, ",".join(sorted(key.scopes)), rate, utc_date(key.created_at), state

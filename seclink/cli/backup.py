"""`seclink backup` and `seclink restore`: what a server knows, into a file and back, but for the secrets themselves."""

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from seclink.cli.config import config_option
from seclink.cli.terminal import printable
from seclink.config.locate import database, existing_database, load
from seclink.errors import StoreUnusable
from seclink.store import backup as store
from seclink.store.backup import Restored
from seclink.store.snapshot import Inventory

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@config_option
def backup(file: Path, config: Path | None) -> None:
    """Save accounts, keys and receipts into a new FILE, while the server runs. The secrets' contents are not in it."""
    path = existing_database(load(config), config)
    began = time.monotonic()
    try:
        inventory = store.save(path, file, int(time.time() * 1000))
    except OSError as error:  # of a part of it, under a name of its own
        raise StoreUnusable(f"{file}: cannot be written: {error.strerror}") from None
    click.echo("\n".join(map(printable, _saved(file, inventory, time.monotonic() - began))))


@click.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Do it though there is a database; what waits in it ends.")
@config_option
def restore(file: Path, replace: bool, config: Path | None) -> None:
    """Make a new database of FILE, a backup, while no server runs. Every secret that waited has ended in it."""
    settings = load(config)
    path = database(settings, config)
    keep_ms = settings.receipts.keep_days * 86_400_000
    restored = store.restore(file, path, int(time.time() * 1000), keep_ms, replace=replace)
    click.echo("\n".join(map(printable, _told(file, path, restored, settings.receipts.keep_days))))


def _saved(file: Path, inventory: Inventory, seconds: float) -> list[str]:
    return [
        f"saved {file}: {inventory.bytes:,} bytes in {seconds:.2f} s, readable for you alone",
        *_holds(inventory),
        "left out",
        f"  contents, notes, labels and hashes; a restore ends what waits: {_count(inventory.waiting, 'secret')} now",
        "  passcode tries, the TOML file, TLS keys",
    ]


def _told(file: Path, path: Path, restored: Restored, keep_days: int) -> list[str]:
    inventory = restored.inventory
    lines = [
        f"restored {path} from {file}, as of {_instant(inventory.seen)}",
        *_holds(inventory),
        f"  {_count(restored.ended, 'secret')} that waited: ended now, as receipts say",
    ]
    if restored.kept is not None and restored.is_raw:
        lines += [
            f"moved aside {restored.kept}",
            "  it could not be read and may hold secrets' contents, which nobody erases: delete it when you are done",
        ]
    elif restored.kept is not None:
        lines += [
            f"replaced a database in which {_count(restored.lost, 'secret')} waited; overwritten",
            f"  without contents it is in {restored.kept}, which the server deletes after {keep_days} days",
        ]
    if restored.kept is None or restored.is_raw:
        lines.append(
            "keys revoked since then are live again: look through `seclink key list` before you start the server"
        )
    return lines


def _holds(inventory: Inventory) -> list[str]:
    return [
        f"  {_count(inventory.receipts, 'receipt')}",
        f"  {_count(inventory.keys, 'live API key')} of {_count(inventory.accounts, 'account')}",
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _instant(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

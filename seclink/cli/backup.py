"""`seclink backup` and `seclink restore`: save and restore a database without the contents of its secrets."""

import time
from pathlib import Path

import click

from seclink.cli.config import config_option
from seclink.cli.display import counted, utc_time
from seclink.cli.terminal import printable
from seclink.config.locate import database, existing_database, load, resolve
from seclink.errors import StoreUnusable
from seclink.store import backup as store
from seclink.store.backup import Restored
from seclink.store.snapshot import Inventory

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@config_option
def backup(file: Path, config_path: Path | None) -> None:
    """Save accounts, API keys and receipts to a new FILE, also while the server runs.

    The contents of the secrets are not in it: a restored secret has ended.
    """
    path, file = existing_database(load(config_path), config_path), resolve(file)
    began = time.monotonic()
    try:
        inventory = store.save(path, file, int(time.time() * 1000))
    except OSError as error:  # it names the temporary file
        raise StoreUnusable(f"{file}: cannot be written: {error.strerror}") from None
    click.echo("\n".join(map(printable, _backup_lines(file, inventory, time.monotonic() - began))))


@click.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Replace an existing database; its active secrets end.")
@config_option
def restore(file: Path, replace: bool, config_path: Path | None) -> None:
    """Create a database from the backup FILE. The server must not be running.

    Secrets that were active when the backup was made have ended in it.
    """
    config = load(config_path)
    path, file = database(config, config_path), resolve(file)
    keep_ms = config.receipts.keep_days * 86_400_000
    restored = store.restore(file, path, int(time.time() * 1000), keep_ms, replace=replace)
    click.echo("\n".join(map(printable, _restore_lines(file, path, restored, config.receipts.keep_days))))


def _backup_lines(file: Path, inventory: Inventory, seconds: float) -> list[str]:
    active = counted(inventory.active, "active secret")
    return [
        f"saved {file}: {inventory.bytes:,} bytes in {seconds:.2f} s, readable only by you",
        *_inventory_lines(inventory),
        "not included",
        f"  contents, notes, labels and hashes of secrets; a restore of this file ends {active}",
        "  counts of wrong passcodes, the TOML file, TLS keys",
    ]


def _restore_lines(file: Path, path: Path, restored: Restored, keep_days: int) -> list[str]:
    lines = [
        f"restored {path} from {file}, as of {utc_time(restored.inventory.last_seen_at)}",
        *_inventory_lines(restored.inventory),
        f"  {counted(restored.ended, 'active secret')} ended, as the receipts show",
    ]
    if restored.previous is not None and restored.is_raw:
        lines += [
            f"moved the old database to {restored.previous}",
            "  it could not be read and may contain secrets, which are not erased: delete it when you are done",
        ]
    elif restored.previous is not None:
        lines += [
            f"overwrote a database with {counted(restored.lost, 'active secret')}",
            f"  a copy without contents is in {restored.previous}; the server deletes it after {keep_days} days",
        ]
    if restored.previous is None or restored.is_raw:
        lines.append(
            "API keys revoked since the backup are valid again: check `seclink key list` before you start the server"
        )
    return lines


def _inventory_lines(inventory: Inventory) -> list[str]:
    return [
        f"  {counted(inventory.receipts, 'receipt')}",
        f"  {counted(inventory.keys, 'live API key')} of {counted(inventory.accounts, 'account')}",
    ]

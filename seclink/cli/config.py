"""`seclink config`, and the option `--config` of every server-side command."""

from pathlib import Path

import click

from seclink.config.locate import database, existing_database, find, load
from seclink.config.options import defaults as all_defaults
from seclink.config.options import render
from seclink.config.schema import Config

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The TOML file. Default: $SECLINK_CONFIG, ./seclink.toml or /etc/seclink/seclink.toml.",
)


def own_database(config: Config, toml: Path | None, *, may_create: bool = False) -> Path:
    """Return the path of the database, after becoming its owner for good if this is root. Raises StoreUnusable."""
    path = (database if may_create else existing_database)(config, toml)
    from seclink.store import owner  # imports sqlite3, which commands that open no database do not need

    owner.become(path)
    return path


@click.command()
@click.option("--check", is_flag=True, help="Print nothing on success; the exit status is 1 if the file has problems.")
@click.option("--defaults", is_flag=True, help="Print every option at its default, commented out.")
@config_option
def config(config_path: Path | None, check: bool, defaults: bool) -> None:
    """Print the configuration in force as commented TOML."""
    if defaults:
        click.echo(all_defaults(), nl=False)
        return
    loaded = load(config_path)
    if not check:
        click.echo(f"# {find(config_path) or 'all defaults: there is no file'}\n\n{render(loaded)}", nl=False)

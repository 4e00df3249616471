"""`seclink config`, and where every server-side command finds its configuration."""

import os
from pathlib import Path

import click

from seclink.config import Config, render
from seclink.config import load as load_file

PLACES = (Path("seclink.toml"), Path("/etc/seclink/seclink.toml"))

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The TOML file. Else $SECLINK_CONFIG, ./seclink.toml, /etc/seclink/seclink.toml, or defaults.",
)


def find(given: Path | None) -> Path | None:
    """The file to read: as given, else $SECLINK_CONFIG, else the first place that has one. None: defaults."""
    if given is not None:
        return given
    named = os.environ.get("SECLINK_CONFIG")
    if named:
        return Path(named)
    return next((each for each in PLACES if each.exists()), None)


def load(given: Path | None) -> Config:
    """Raises ConfigError."""
    return load_file(find(given))


def database(config: Config, given: Path | None) -> Path:
    """The database's absolute path: what is relative lies beside the TOML, wherever the command is run from."""
    source = find(given)
    folder = source.parent if source is not None and source.is_file() else Path()
    return (folder / config.store.path).resolve()


@click.command()
@config_option
def config(config: Path | None) -> None:
    """Print the configuration in force as commented TOML."""
    found = find(config)
    click.echo(f"# {found or 'all defaults: no file was found'}\n\n{render(load(config))}", nl=False)

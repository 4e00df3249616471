"""`seclink config`, and where every server-side command finds its configuration and the database."""

import os
from pathlib import Path

import click
from msgspec.structs import replace

from seclink.config import Config
from seclink.config import load as load_file
from seclink.errors import StoreUnusable
from seclink.options import defaults as all_defaults
from seclink.options import render

INSTALLED = Path("/etc/seclink/seclink.toml")
PLACES = (Path("seclink.toml"), INSTALLED)
STATE = Path("/var/lib/seclink")  # /etc holds no data, and is read-only to the service and the container

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
    """The database's absolute path: what is relative lies beside the TOML, wherever the command is run from, or in
    /var/lib/seclink where that is the one in /etc.
    """
    return (_data_folder(find(given)) / config.store.path).resolve()


def existing_database(config: Config, given: Path | None) -> Path:
    """As `database`, for what makes none. Raises StoreUnusable."""
    path = database(config, given)
    if not path.exists():
        raise StoreUnusable(f"{path}: there is no such database; name the server's TOML with --config")
    return path


def told(config: Config, host: str | None, port: int | None) -> Config:
    """The configuration with what `seclink serve` was told on its command line in its place."""
    said = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return replace(config, server=replace(config.server, **said))


def _data_folder(source: Path | None) -> Path:
    if source is None:
        return Path()
    if source.resolve() == INSTALLED.resolve():
        return STATE
    return source.parent if source.is_file() else Path()


@click.command()
@click.option("--check", is_flag=True, help="Print nothing; the exit status says whether the file is right.")
@click.option("--defaults", is_flag=True, help="Print every option at its default instead, commented out.")
@config_option
def config(config: Path | None, check: bool, defaults: bool) -> None:
    """Print the configuration in force as commented TOML."""
    if defaults:
        click.echo(all_defaults(), nl=False)
        return
    found = find(config)
    settings = load(config)
    if not check:
        click.echo(f"# {found or 'all defaults: no file was found'}\n\n{render(settings)}", nl=False)

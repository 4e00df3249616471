"""`seclink config`, and the option `--config` of every server-side command."""

from pathlib import Path

import click

from seclink.config.locate import find, load
from seclink.config.options import defaults as all_defaults
from seclink.config.options import render

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The TOML file. Else $SECLINK_CONFIG, ./seclink.toml, /etc/seclink/seclink.toml, or defaults.",
)


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

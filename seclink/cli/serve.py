"""`seclink serve`: run the server in the foreground until it is stopped."""

from pathlib import Path

import click

from seclink.cli.config import config_option
from seclink.config.locate import ConfigSource, database, find
from seclink.daemon.run import run


@click.command()
@click.option("--host", help="Address to listen on instead of server.host.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on instead of server.port.")
@config_option
def serve(host: str | None, port: int | None, config_path: Path | None) -> None:
    """Run the server. Ctrl-C or SIGTERM stops it after the requests in flight; SIGHUP makes it read the TOML again."""
    source = ConfigSource(find(config_path), host, port)
    config = source.read()
    run(config, source, database(config, config_path), announce=click.echo)

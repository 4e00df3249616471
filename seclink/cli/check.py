"""`seclink check`: whether the server responds, for a container's health check.

It runs every few seconds, so it imports as little as possible.
"""

import contextlib
import http.client
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import click

from seclink.cli.config import config_option
from seclink.config.addresses import local_url
from seclink.config.locate import database, load, with_overrides
from seclink.config.schema import Config
from seclink.errors import SecLinkError
from seclink.ops.http_probe import HttpProbe, ProbeFailed
from seclink.ops.processes import command_line, server_process

TIMEOUT_SECONDS = 5.0
SERVE = click.Command(
    "serve", params=[click.Option(["--host"]), click.Option(["--port"], type=int), click.Option(["--config"])]
)


class CheckFailed(SecLinkError):
    code, title = "check", "The server has a problem"


@click.command()
@click.option("--url", help="The server to check instead of the configured one.")
@config_option
def check(url: str | None, config_path: Path | None) -> None:
    """Check that the server responds. Prints nothing if it does; exit status 1 otherwise."""
    path = None
    if url is None:
        config = load(config_path)
        path = database(config, config_path)
        url = local_url(as_served(config, path).server)
    host = _parse_url(url).netloc
    try:
        # An expired certificate is no reason to restart a server, so the local one's is not verified.
        with HttpProbe(url, is_local=path is not None, timeout_seconds=TIMEOUT_SECONDS) as server:
            status = server.get("/healthz", {}).status
    except ProbeFailed as error:
        hint = silent_server_hint(path, "--url") if path else ""
        raise CheckFailed(f"{host} does not respond: {error.detail}{hint}") from None
    if status != http.client.OK:
        raise CheckFailed(f"{host} returned status {status}")


def _parse_url(url: str) -> SplitResult:
    with contextlib.suppress(ValueError):  # the port is not a number
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    raise click.UsageError("--url must be https://HOST or http://HOST:PORT")


def as_served(config: Config, path: Path) -> Config:
    """Return the configuration with the --host and --port of the server that runs with this database, if any."""
    process = server_process(path)
    try:
        arguments = command_line(process) if process else []
        options = SERVE.make_context("serve", arguments[arguments.index("serve") + 1 :], resilient_parsing=True).params
    except (OSError, ValueError):  # no server, or one that this user may not inspect
        return config
    return with_overrides(config, options["host"], options["port"])


def silent_server_hint(path: Path, option: str) -> str:
    """Return a further line for the error if a server runs with this database and yet does not respond."""
    process = server_process(path)
    if process is None:
        return ""
    return f"\n  process {process} serves {path}; unless it has just started, give its address with {option}"

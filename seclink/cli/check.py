"""`seclink check`: whether the server answers, for a container's health check. Loads next to nothing: it runs often."""

import contextlib
import http.client
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

from seclink.cli.config import config_option
from seclink.config.addresses import local_url
from seclink.config.locate import database, load, with_overrides
from seclink.config.schema import Config
from seclink.errors import SecLinkError
from seclink.ops.http_probe import reason, unchecked
from seclink.ops.processes import arguments, server_of

SECONDS = 5.0
SERVE = click.Command(
    "serve", params=[click.Option(["--host"]), click.Option(["--port"], type=int), click.Option(["--config"])]
)


class NotWell(SecLinkError):
    code, title = "check", "The server is not well"


@click.command()
@click.option("--url", help="The server to ask, instead of the one that is configured.")
@config_option
def check(url: str | None, config: Path | None) -> None:
    """Ask the server whether it lives. Prints nothing if so; exit status 1 otherwise."""
    path = None
    if url is None:
        settings = load(config)
        path = database(settings, config)
        url = local_url(as_served(settings, path).server)
    address = _parts(url)
    try:
        status = _ask(address, is_here=path is not None)
    except (OSError, http.client.HTTPException) as error:
        hint = unanswered(path, "--url") if path else ""
        raise NotWell(f"{address.netloc} does not answer: {reason(error)}{hint}") from None
    if status != http.client.OK:
        raise NotWell(f"{address.netloc} answers {status}")


def _parts(url: str) -> SplitResult:
    with contextlib.suppress(ValueError):  # a port that is none
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    raise click.UsageError("--url is written https://HOST or http://HOST:PORT")


def _ask(address: SplitResult, *, is_here: bool) -> int:
    """What is configured is an address, which need not be a name that the server answers to; localhost is. And a
    certificate that has ended is no reason to restart what serves.
    """
    host, port = address.hostname or "", address.port
    if address.scheme == "https":
        context = unchecked() if is_here else ssl.create_default_context()
        made: Any = http.client.HTTPSConnection(host, port, timeout=SECONDS, context=context)
    else:
        made = http.client.HTTPConnection(host, port, timeout=SECONDS)
    with contextlib.closing(made) as connection:
        headers = {"Host": "localhost"} if is_here else {}
        connection.request("GET", f"{address.path.rstrip('/')}/healthz", headers=headers)
        return int(connection.getresponse().status)


def as_served(config: Config, path: Path) -> Config:
    """The configuration as the server of this database has it: one that runs here may have been told another address
    on its command line.
    """
    process = server_of(path)
    try:
        words = arguments(process) if process else []
        said = SERVE.make_context("serve", words[words.index("serve") + 1 :], resilient_parsing=True).params
    except (OSError, ValueError):  # no server, or none that we may look at
        return config
    return with_overrides(config, said["host"], said["port"])


def unanswered(path: Path, option: str) -> str:
    """A further line for whoever got no answer though there is a server."""
    process = server_of(path)
    if process is None:
        return ""
    return f"\n  process {process} serves {path}; if it has not just started, name where it listens with {option}"

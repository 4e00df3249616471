"""`seclink check`: whether the server answers, for a container's health check. Loads next to nothing: it runs often."""

import contextlib
import http.client
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from seclink.cli.config import config_option, load
from seclink.config import Server
from seclink.errors import SecLinkError
from seclink.outside import unchecked

SECONDS = 5.0
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what listens everywhere listens here, too


class NotWell(SecLinkError):
    code, title = "check", "The server is not well"


@click.command()
@click.option("--url", help="The server to ask, instead of the one that is configured.")
@config_option
def check(url: str | None, config: Path | None) -> None:
    """Ask the server whether it lives. Prints nothing if so; exit status 1 otherwise."""
    address = urlsplit(url or configured(load(config).server))
    if address.scheme not in ("http", "https") or not address.hostname:
        raise click.UsageError("--url must begin with http:// or https://")
    # What is configured is an address, which need not be a name that the server answers to; localhost is.
    headers = {} if url else {"Host": "localhost"}
    port = address.port
    try:
        if address.scheme == "https":
            # And a certificate that has ended is no reason to restart what serves.
            context = ssl.create_default_context() if url else unchecked()
            made: Any = http.client.HTTPSConnection(address.hostname, port, timeout=SECONDS, context=context)
        else:
            made = http.client.HTTPConnection(address.hostname, port, timeout=SECONDS)
        with contextlib.closing(made) as connection:
            connection.request("GET", f"{address.path.rstrip('/')}/healthz", headers=headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotWell(f"{address.netloc} does not answer: {error or type(error).__name__}") from None
    if status != http.client.OK:
        raise NotWell(f"{address.netloc} answers {status}")


def configured(server: Server) -> str:
    host = HERE.get(server.host, server.host)
    scheme = "http" if server.tls_cert is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}"

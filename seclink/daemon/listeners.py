"""The sockets of `seclink serve`, bound before anything else so that a refused start leaves no database behind."""

import socket
from pathlib import Path

from seclink.config.locate import ConfigSource
from seclink.config.parser import location_prefix
from seclink.config.schema import MetricsOptions, ServerOptions
from seclink.errors import StartRefused
from seclink.ops.processes import server_process
from seclink.server.serve import CannotListen, bind


def bind_listener(server: ServerOptions, source: ConfigSource, database: Path) -> socket.socket:
    """Bind server.host and server.port. Raises StartRefused, with the line of the TOML that names the address."""
    try:
        return bind(server.host, server.port)
    except CannotListen as error:
        if process := server_process(database):
            raise StartRefused(f"{error}, and process {process} already serves {database}") from None
        option, override = ("host", source.host) if error.is_host else ("port", source.port)
        prefix = location_prefix(source.path, "server", option) if override is None else ""
        raise StartRefused(f"{prefix}{error}; choose another with --host or --port") from None


def bind_metrics_listener(metrics: MetricsOptions, source: ConfigSource) -> socket.socket | None:
    """Bind metrics.listen, if set. Raises StartRefused."""
    try:
        return bind(metrics.listen.host, metrics.listen.port) if metrics.listen else None
    except CannotListen as error:
        raise StartRefused(f"{location_prefix(source.path, 'metrics', 'listen')}{error}") from None

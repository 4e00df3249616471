"""The metrics that `seclink status` reads, and the advice to a user who gets none."""

import time
from pathlib import Path

import click
from click.core import ParameterSource

from seclink.cli.check import as_served, silent_server_hint
from seclink.cli.connection import RemoteServer
from seclink.cli.metrics_snapshot import Reading
from seclink.config.addresses import local_metrics_url, local_url
from seclink.config.locate import database, find, load
from seclink.errors import Forbidden, KeyInvalid, NotFound, SecLinkError, Unreachable
from seclink.ops.http_probe import HttpProbe, ProbeFailed
from seclink.ops.processes import server_process
from seclink.telemetry.prometheus import parse

TIMEOUT_SECONDS = 5.0
MAX_METRICS_BYTES = 2**20


def find_source(config_path: Path | None, at: RemoteServer) -> "MetricsEndpoint":
    """Return the server named on the command line, else the one that this machine's TOML describes.

    The TOML comes before $SECLINK_SERVER and the login, because an administrator who is logged in at another server
    still asks for the status of this one. Without a server here, those two are used.
    """
    context = click.get_current_context()
    origin = context.get_parameter_source("server")
    if origin is ParameterSource.COMMANDLINE:
        return MetricsEndpoint(at.server, at.key)
    config = load(config_path)
    path = database(config, config_path)
    if config.metrics.listen is not None:
        return MetricsEndpoint(local_metrics_url(config.metrics.listen), "", hint=_listener_hint(path))
    if config_path is None and (origin is ParameterSource.ENVIRONMENT or at.profile.login()[0]):
        name = "$SECLINK_SERVER" if origin is ParameterSource.ENVIRONMENT else "`seclink login`"
        hint = f"\n  this is the server of {name}; for the one on this machine, name its TOML with --config"
        return MetricsEndpoint(at.server, at.key, hint=hint)
    address = local_url(as_served(config, path).server)
    return MetricsEndpoint(
        address,
        _key_for(address, at),
        toml=str(find(config_path) or "seclink.toml"),
        silent_hint=silent_server_hint(path, "--server"),
        is_local=True,
    )


def _key_for(address: str, at: RemoteServer) -> str:
    """Return the key, unless it belongs to another server: the one of the login, or of $SECLINK_SERVER beside it."""
    context = click.get_current_context()
    origins = {context.get_parameter_source("server"), context.get_parameter_source("key")}
    if at.server == address:
        return at.key
    return "" if origins == {ParameterSource.ENVIRONMENT} else context.params["key"] or ""


def _listener_hint(path: Path) -> str:
    """Return a further line for the error if nothing responds at metrics.listen."""
    process = server_process(path)
    if process is None:
        return f"\n  no server on this machine has {path} open"
    return f"\n  process {process} serves {path}; restart it if metrics.listen was set after it started"


class MetricsEndpoint:
    """A server's metrics and the key to read them.

    `toml` is the file that configures them. `hint` is a further line for every error, `silent_hint` one for a server
    that does not respond; both begin with a newline. `is_local` is that of HttpProbe.
    """

    def __init__(
        self,
        address: str,
        key: str,
        *,
        toml: str = "its TOML file",
        hint: str = "",
        silent_hint: str = "",
        is_local: bool = False,
    ) -> None:
        self.name, self._key, self._toml = address, key, toml
        self._hint, self._silent_hint = hint, silent_hint
        self._server = HttpProbe(
            address, is_local=is_local, timeout_seconds=TIMEOUT_SECONDS, max_bytes=MAX_METRICS_BYTES
        )

    def read(self) -> Reading:
        """Fetch the metrics, on a new connection. Raises Unreachable, NotFound, KeyInvalid, Forbidden."""
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            response = self._server.send("GET", "/metrics", key)
        except ProbeFailed as error:
            raise Unreachable(f"{error.message}{self._hint}{self._silent_hint}") from None
        if response.status != 200:
            raise self._status_error(response.status)
        try:
            return Reading(parse(response.body.decode()), time.time())
        except ValueError:
            message = f"{self.name} did not return SecLink's metrics: is this its address?{self._hint}"
            raise Unreachable(message) from None

    def _status_error(self, status: int) -> SecLinkError:
        listen = f'metrics.listen = "127.0.0.1:9464" in {self._toml}'
        if status == 404:
            fix = f"set {listen} and restart the server; or set metrics.enabled = true and use a key"
            return NotFound(f"{self.name} serves no metrics. To change that, {fix}{self._hint}")
        if status in (401, 403):
            error = Forbidden if status == 403 else KeyInvalid
            key = "with this key" if self._key else "without a key"
            fix = f"use a key of `seclink key add NAME --scope metrics`, or set {listen}, which needs no key"
            return error(f"{self.name} does not serve its metrics {key}: {fix}{self._hint}")
        return Unreachable(f"{self.name} returned status {status}, not SecLink's metrics{self._hint}")

"""Where `seclink status` looks, and how: at a server's `/metrics`, and what is said where there is nothing to see."""

import http.client
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from seclink.cli.check import as_served, unanswered
from seclink.cli.connection import RemoteServer
from seclink.cli.metrics_snapshot import Reading
from seclink.config.addresses import local_metrics_url, local_url
from seclink.config.locate import database, find, load
from seclink.errors import Forbidden, KeyInvalid, NotFound, SecLinkError, Unreachable
from seclink.ops.http_probe import unchecked
from seclink.ops.processes import server_of
from seclink.telemetry.prometheus import parse

TIMEOUT_SECONDS = 5.0
MOST_BYTES = 4 * 2**20


def find_source(config: Path | None, at: RemoteServer) -> "MetricsEndpoint":
    """What is on the command line counts most, then what this machine's TOML says: whoever has its server here and
    works with another one means this one.
    """
    given = click.get_current_context()
    kind = given.get_parameter_source("server")
    if kind is ParameterSource.COMMANDLINE:
        return MetricsEndpoint(at.server, at.key)
    settings = load(config)
    path = database(settings, config)
    if settings.metrics.listen is not None:
        return MetricsEndpoint(local_metrics_url(settings.metrics.listen), "", hint=_unheard(path))
    if config is None and (kind is ParameterSource.ENVIRONMENT or at.profile.login()[0]):
        origin = "$SECLINK_SERVER" if kind is ParameterSource.ENVIRONMENT else "`seclink login`"
        hint = f"\n  it is the server of {origin}; for this machine's, name its TOML with --config"
        return MetricsEndpoint(at.server, at.key, hint=hint)
    address = local_url(as_served(settings, path).server)
    silent = unanswered(path, "--server")
    return MetricsEndpoint(
        address, _key_for(address, at), toml=str(find(config) or "seclink.toml"), silent=silent, is_here=True
    )


def _key_for(address: str, at: RemoteServer) -> str:
    """The key, unless it is for another server: the one that was logged in at, or that stands beside it in the
    environment.
    """
    given = click.get_current_context()
    kinds = {given.get_parameter_source("server"), given.get_parameter_source("key")}
    if at.server == address:
        return at.key
    return "" if kinds == {ParameterSource.ENVIRONMENT} else given.params["key"] or ""


def _unheard(path: Path) -> str:
    """Why nobody may answer at metrics.listen."""
    process = server_of(path)
    if process is None:
        return f"\n  no server of this machine has {path} open"
    return f"\n  process {process} serves {path}; restart it if metrics.listen was written since it started"


class MetricsEndpoint:
    """Where metrics are read, and with which key. `toml` is the file that could change it, `hint` a line for whoever
    does not see any, `silent` one for where nobody answers. What `is_here` is asked past its name.
    """

    def __init__(
        self,
        address: str,
        key: str,
        *,
        toml: str = "its TOML file",
        hint: str = "",
        silent: str = "",
        is_here: bool = False,
    ) -> None:
        self.name, self._key, self._toml, self._is_here = address, key, toml, is_here
        self._hint, self._silent = hint, silent
        self._parts = urlsplit(address)

    def read(self) -> Reading:
        """Raises Unreachable, NotFound, KeyInvalid, Forbidden."""
        try:
            status, body = self._get(f"{self._parts.path.rstrip('/')}/metrics")
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            reason = f"no answer within {TIMEOUT_SECONDS:.0f} s" if isinstance(error, TimeoutError) else reason
            raise Unreachable(f"{self.name} cannot be reached: {reason}{self._hint}{self._silent}") from None
        if status != 200:
            raise self._refusal(status)
        try:
            return Reading(parse(body.decode()), time.time())
        except ValueError:
            said = f"{self.name} answers, but not with SecLink's metrics: is this its address?{self._hint}"
            raise Unreachable(said) from None

    def _get(self, path: str) -> tuple[int, bytes]:
        """A redirect is not followed: the key is for this server alone."""
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        if self._is_here:
            headers["Host"] = "localhost"
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "https":
            context = unchecked() if self._is_here else None
            asking: Any = http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)
        else:
            asking = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        try:
            asking.request("GET", path, headers=headers)
            answer = asking.getresponse()
            return answer.status, answer.read(MOST_BYTES)
        finally:
            asking.close()

    def _refusal(self, status: int) -> SecLinkError:
        if status == 404:
            wanted = (
                f'metrics.listen = "127.0.0.1:9464" in {self._toml} and a restart; or metrics.enabled = true and a key'
            )
            return NotFound(f"{self.name} shows no metrics. What it takes: {wanted}{self._hint}")
        if status in (401, 403):
            kind, given = Forbidden if status == 403 else KeyInvalid, "with this key" if self._key else "without a key"
            wanted = (
                f"one of `seclink key add NAME --scope metrics`, or metrics.listen in {self._toml}, which needs none"
            )
            return kind(f"{self.name} does not show its metrics {given}. What it takes: {wanted}{self._hint}")
        return Unreachable(f"{self.name} answers {status}, but not with SecLink's metrics{self._hint}")

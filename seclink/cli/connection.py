"""Which server a command talks to, and as whom: options first, then the environment, then what `login`
remembered.

The remembered key goes to the remembered server only: `--server` elsewhere asks there as nobody.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from click.core import ParameterSource

from seclink.cli.profile import Profile
from seclink.client.client import Client
from seclink.client.session import DEFAULT_SERVER, server_address
from seclink.errors import BadRequest, KeyInvalid, NotFound

_WRONG = "and is unknown there, revoked or expired"
_FROM: dict[ParameterSource | None, str] = {
    ParameterSource.COMMANDLINE: f"it came from --key, {_WRONG}",
    ParameterSource.ENVIRONMENT: f"it came from SECLINK_API_KEY, {_WRONG}",
}
_REMEMBERED = f"it was remembered by `seclink login`, {_WRONG}: log in with another one"


@dataclass(frozen=True, slots=True)
class RemoteServer:
    server: str
    key: str = field(repr=False)
    profile: Profile
    key_from: str = ""

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Asks there. KeyInvalid says where the key came from."""
        try:
            with Client(self.server, self.key) as client:
                yield client
        except KeyInvalid as error:
            raise KeyInvalid(f"{error.message}\n  {self.key_from}".rstrip()) from None

    def manage_token(self, receipt_id: str) -> str | None:
        """The remembered one; NotFound where neither it nor a key could open the receipt, without asking."""
        token = self.profile.manage_token(self.server, receipt_id)
        if token is None and not self.key:
            message = f"No key is set, and this receipt was not created from here on {self.server}"
            raise NotFound(message)
        return token


def connection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --server and --key, and passes a `RemoteServer` as `at`."""

    @click.option(
        "--server",
        metavar="URL",
        envvar="SECLINK_SERVER",
        show_envvar=True,
        callback=_address,
        help="The appliance; else as logged in, else http://127.0.0.1:8080.",
    )
    @click.option(
        "--key",
        metavar="KEY",
        envvar="SECLINK_API_KEY",
        show_envvar=True,
        help="An API key; other users of this machine can see arguments, so rather log in.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, server: str | None, key: str | None, **kwargs: Any) -> Any:
        source = click.get_current_context().get_parameter_source("key")
        return command(*args, at=_connect(server, key, _FROM.get(source, _REMEMBERED)), **kwargs)

    return wrapped


def _connect(server: str | None, key: str | None, key_from: str) -> RemoteServer:
    profile = Profile()
    known_server, known_key = profile.login()
    chosen = server or known_server or DEFAULT_SERVER
    if key is None:
        key = known_key if chosen == known_server else None
    return RemoteServer(chosen, key or "", profile, key_from)


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return server_address(value) if value else None
    except BadRequest as error:
        raise click.BadParameter(error.faults[0].message) from None

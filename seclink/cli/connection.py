"""Which server a command talks to, and as whom: options first, then the environment, then what `login`
remembered.

The remembered key goes to the remembered server only: `--server` elsewhere asks there as nobody.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click

from seclink.cli.profile import Profile
from seclink.client import Client
from seclink.client.session import DEFAULT_SERVER, server_address
from seclink.errors import BadRequest, NotFound


@dataclass(frozen=True, slots=True)
class Connection:
    server: str
    key: str = field(repr=False)
    profile: Profile

    def client(self) -> Client:
        return Client(self.server, self.key)

    def manage_token(self, receipt_id: str) -> str | None:
        """The remembered one; NotFound where neither it nor a key could open the receipt, without asking."""
        token = self.profile.manage_token(self.server, receipt_id)
        if token is None and not self.key:
            message = f"No key is set, and this receipt was not created from here on {self.server}"
            raise NotFound(message)
        return token


def connection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --server and --key, and passes a `Connection` as `at`."""

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
        return command(*args, at=_connect(server, key), **kwargs)

    return wrapped


def _connect(server: str | None, key: str | None) -> Connection:
    profile = Profile()
    known_server, known_key = profile.login()
    chosen = server or known_server or DEFAULT_SERVER
    if key is None:
        key = known_key if chosen == known_server else None
    return Connection(chosen, key or "", profile)


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return server_address(value) if value else None
    except BadRequest as error:
        raise click.BadParameter(error.fields[0][1]) from None

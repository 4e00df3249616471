"""The server and the API key of a command: from the options, else the environment, else the login.

The key of the login is sent only to the server of the login: with another `--server`, no key is sent.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
from click.core import ParameterSource

from seclink.cli.profile import Profile
from seclink.cli.terminal import printable
from seclink.client.client import Client
from seclink.client.session import DEFAULT_SERVER, server_address
from seclink.errors import BadRequest, ClientError, KeyInvalid, NotFound

_REASON = "and is unknown to the server, revoked or expired"
_KEY_HINTS: dict[ParameterSource | None, str] = {
    ParameterSource.COMMANDLINE: f"it came from --key, {_REASON}",
    ParameterSource.ENVIRONMENT: f"it came from SECLINK_API_KEY, {_REASON}",
}
_LOGIN_HINT = f"it was saved by `seclink login`, {_REASON}: log in with another key"


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A server's URL and the API key for it, "" for none. `key_hint` explains where the key came from."""

    server: str
    key: str = field(repr=False)
    profile: Profile
    key_hint: str = ""

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Connect to the server. If the API key is rejected, the error also explains where it came from."""
        try:
            with Client(self.server, self.key) as client:
                yield client
        except KeyInvalid as error:
            raise KeyInvalid(f"{error.message}\n  {self.key_hint}".rstrip()) from None

    def manage_token(self, receipt_id: str) -> str | None:
        """Return the saved manage token, None if there is only an API key.

        Raises NotFound without either, since the server would refuse the request.
        """
        token = self.profile.manage_token(self.server, receipt_id)
        if token is None and not self.key:
            message = f"No key is set, and this receipt was not created from here on {self.server}"
            raise NotFound(message)
        return token


Command = Callable[..., Any]


def connection(
    default: str = "the one of the login, else http://127.0.0.1:8080", *, is_login_optional: bool = False
) -> Callable[[Command], Command]:
    """Add the options --server and --key, and pass a `RemoteServer` as `at`. The help names the `default` server.

    `is_login_optional`: without a readable login, the command warns and goes on.
    """

    def decorate(command: Command) -> Command:
        @click.option(
            "--server",
            metavar="URL",
            envvar="SECLINK_SERVER",
            show_envvar=True,
            callback=_address,
            help=f"The server. Default: {default}.",
        )
        @click.option(
            "--key",
            metavar="KEY",
            envvar="SECLINK_API_KEY",
            show_envvar=True,
            help="An API key. Other users of this machine can see arguments: prefer `seclink login`.",
        )
        @functools.wraps(command)
        def wrapped(*args: Any, server: str | None, key: str | None, **kwargs: Any) -> Any:
            source = click.get_current_context().get_parameter_source("key")
            profile, hint = Profile(), _KEY_HINTS.get(source, _LOGIN_HINT)
            is_login_needed = server is None or key is None
            login = _login(profile, is_login_optional) if is_login_needed else (None, None)
            return command(*args, at=_remote_server(server, key, login, profile, hint), **kwargs)

        return wrapped

    return decorate


def _login(profile: Profile, is_optional: bool) -> tuple[str | None, str | None]:
    try:
        return profile.login()
    except ClientError as error:
        if not is_optional:
            raise
        click.echo(printable(f"warning: {error}; going on without the login"), err=True)
        return None, None


def _remote_server(
    server: str | None, key: str | None, login: tuple[str | None, str | None], profile: Profile, key_hint: str
) -> RemoteServer:
    login_server, login_key = login
    server = server or login_server or DEFAULT_SERVER
    if key is None:
        key = login_key if server == login_server else None
    return RemoteServer(server, key or "", profile, key_hint)


def _address(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    try:
        return server_address(value) if value else None
    except BadRequest as error:
        raise click.BadParameter(error.faults[0].message) from None

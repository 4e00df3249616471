"""`seclink login` and `logout`: a server and a key, remembered in a file only its owner reads."""

import sys

import click

from seclink.cli.connection import RemoteServer, connection
from seclink.cli.profile import Profile
from seclink.cli.terminal import printable
from seclink.client.session import server_address
from seclink.errors import BadRequest


@click.command()
@connection
def login(at: RemoteServer) -> None:
    """Remember a server and an API key, once the server has accepted the key.

    What is not given as option or in the environment is asked for; from a pipe the key is read from stdin. An
    empty key remembers the server alone.
    """
    options = click.get_current_context().params
    server, key = at.server, options["key"]
    if sys.stdin.isatty() and not options["server"]:
        server = _ask_server(server)
    if key is None:
        key = _ask_key()
    with RemoteServer(server, key, at.profile, "nothing was remembered").client() as client:
        account = client.get_account() if key else None
    at.profile.log_in(server, key)
    known_as = f" as {printable(account.name)} ({', '.join(account.scopes)})" if account else ", without a key"
    click.echo(f"{server}{known_as}", err=True)


@click.command()
def logout() -> None:
    """Forget server and key. Manage tokens stay: nothing else could burn what was created without a key."""
    kept = Profile().log_out()
    click.echo(f"logged out; receipts still remembered: {kept}", err=True)


def _ask_server(current: str) -> str:
    answer = click.prompt("Server", default=current, err=True)
    try:
        return server_address(answer)
    except BadRequest as error:
        raise click.UsageError(f"the server's address {error.faults[0].message}") from None


def _ask_key() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(click.prompt("API key", default="", hide_input=True, show_default=False, err=True)).strip()

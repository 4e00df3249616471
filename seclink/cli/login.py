"""`seclink login` and `logout`: save a server and an API key in a file that only its owner can read."""

import sys

import click

from seclink.cli.connection import RemoteServer, connection
from seclink.cli.display import counted
from seclink.cli.profile import Profile
from seclink.cli.terminal import printable
from seclink.client.session import server_address
from seclink.errors import BadRequest


@click.command()
@connection(is_login_optional=True)
def login(at: RemoteServer) -> None:
    """Save a server and an API key, after the server has accepted the key.

    Asks for what is neither an option nor in the environment; in a pipe, reads the key from stdin. With an empty key,
    only the server is saved.
    """
    options = click.get_current_context().params
    server, key = at.server, options["key"]
    if sys.stdin.isatty() and not options["server"]:
        server = _ask_server(server)
    if key is None:
        key = _ask_key()
    with RemoteServer(server, key, at.profile, "nothing was saved").client() as client:
        account = client.get_account() if key else None
    at.profile.log_in(server, key)
    known_as = (
        f" as {printable(account.name)} ({printable(', '.join(account.scopes))})" if account else ", without a key"
    )
    click.echo(f"{server}{known_as}", err=True)


@click.command()
def logout() -> None:
    """Forget the saved server and API key.

    Saved manage tokens stay: they are the only way to burn a secret that was created without an API key.
    """
    remaining = Profile().log_out()
    stay = f"; {counted(remaining, 'receipt')} stay saved for `seclink delete`" if remaining else ""
    click.echo(f"logged out{stay}", err=True)


def _ask_server(current: str) -> str:
    text = click.prompt("Server", default=current, err=True)
    try:
        return server_address(text)
    except BadRequest as error:
        raise click.UsageError(f"the server's address {error.faults[0].message}") from None


def _ask_key() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(click.prompt("API key", default="", hide_input=True, show_default=False, err=True)).strip()

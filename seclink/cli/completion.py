"""`seclink completion`: shell completion of commands, options and remembered receipts."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash   eval "$(seclink completion bash)"              in ~/.bashrc
    zsh    eval "$(seclink completion zsh)"               in ~/.zshrc
    fish   seclink completion fish | source               in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click supports all of the choices"  # noqa: S101
    click.echo(kind(ctx.find_root().command, {}, "seclink", "_SECLINK_COMPLETE").source())

"""The `seclink` command: a table of commands, each loaded when it is called, and what its errors mean to a
shell.

Exit status: 0 done, 1 refused (the reason is on stderr), 2 wrong usage, 3 server not reachable, 4 gone; 130
after Ctrl-C, 141 when the reader of our output went away.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import click
from click.shell_completion import CompletionItem

from seclink import __version__
from seclink.cli.terminal import abandon_stdout, printable
from seclink.errors import BadRequest, Gone, KeyRequired, PasscodeWrong, RateLimited, SecLinkError, Unreachable

REFUSED, NOT_REACHABLE, GONE, INTERRUPTED, BROKEN_PIPE = 1, 3, 4, 130, 141


class CommandEntry(NamedTuple):
    """`target` is module:object, imported only to run it.

    `help` stands here so that listing imports nothing.
    """

    section: str
    target: str
    help: str


TABLE = {
    "create": CommandEntry("Secrets", "seclink.cli.create:create", "Seal a secret and print its link."),
    "get": CommandEntry("Secrets", "seclink.cli.get:get", "Reveal a link's secret, or show a receipt."),
    "list": CommandEntry("Secrets", "seclink.cli.receipts:list_", "List your receipts."),
    "delete": CommandEntry("Secrets", "seclink.cli.receipts:delete", "Burn a secret by its receipt."),
    "stats": CommandEntry("Secrets", "seclink.cli.receipts:stats", "Show your account's counts."),
    "login": CommandEntry("You", "seclink.cli.login:login", "Remember a server and an API key."),
    "logout": CommandEntry("You", "seclink.cli.login:logout", "Forget them."),
    "completion": CommandEntry("You", "seclink.cli.completion:completion", "Print the shell's completion script."),
    "status": CommandEntry("Server", "seclink.cli.status:status", "Show how a server is doing, live."),
    "serve": CommandEntry("Server", "seclink.cli.serve:serve", "Run the appliance."),
    "check": CommandEntry("Server", "seclink.cli.check:check", "Ask the server whether it lives."),
    "doctor": CommandEntry("Server", "seclink.cli.doctor:doctor", "Look for what is wrong, and say what to do."),
    "verify": CommandEntry("Server", "seclink.cli.verify:verify", "Compare a server's pages with this release."),
    "audit": CommandEntry("Server", "seclink.cli.audit:audit", "Print who did what when, and check it is unchanged."),
    "audit-erasure": CommandEntry("Server", "seclink.cli.erasure:audit_erasure", "Search the disk for what has ended."),
    "config": CommandEntry("Server", "seclink.cli.config:config", "Print the effective configuration."),
    "key": CommandEntry("Server", "seclink.cli.keys:key", "Add, list and revoke API keys."),
    "backup": CommandEntry("Server", "seclink.cli.backup:backup", "Save all but the secrets into a file."),
    "restore": CommandEntry("Server", "seclink.cli.backup:restore", "Make the database of such a file."),
}


class Commands(click.Group):
    """The table as a click group."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TABLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in TABLE:
            return None
        module, _, name = TABLE[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not (args[0] in TABLE or args[0].startswith("-") or ctx.resilient_parsing):
            close = get_close_matches(args[0], TABLE, 1)
            ctx.fail(f"No such command '{printable(args[0])}'." + (f" Did you mean '{close[0]}'?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(entry.section for entry in TABLE.values()):
            with formatter.section(section):
                formatter.write_dl([(n, entry.help) for n, entry in TABLE.items() if entry.section == section])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(n, help=entry.help) for n, entry in TABLE.items() if n.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
        except SecLinkError as error:
            for line in explain(error):
                click.echo(printable(line), err=True)
            sys.exit(exit_status(error))
        except (click.Abort, KeyboardInterrupt):
            click.echo(err=True)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            _leave_broken_pipe()
        except OSError as error:
            abandon_stdout()
            at = "" if error.filename is None else f"{error.filename}: "
            click.echo(printable(f"seclink: {at}{error.strerror or error}"), err=True)
            sys.exit(REFUSED)
        return result


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="seclink")
def cli() -> None:
    """Hand a secret to one person, once."""


def main() -> None:
    cli(prog_name="seclink")


def explain(error: SecLinkError) -> Iterator[str]:
    """The error in lines a person can act on; still to be made printable, as a server may have worded it."""
    first, *more = error.message.split("\n")
    yield f"seclink: {first}"
    yield from more
    match error:
        case BadRequest(faults=faults):
            yield from (f"  {fault.field}: {fault.message}" for fault in faults)
        case Gone(state=state, ended_at=int(ended_at)):
            yield f"  {state or 'ended'} {_date(ended_at)}"
        case PasscodeWrong(attempts_left=left):
            wait = "" if left else "; wait ten minutes"
            yield f"  {left} {'try' if left == 1 else 'tries'} left; nothing was used up{wait}"
        case RateLimited(retry_after=seconds):
            yield f"  try again in {seconds} s"
        case KeyRequired():
            yield "  run `seclink login`, or set SECLINK_API_KEY"


def exit_status(error: SecLinkError) -> int:
    match error:
        case Unreachable():
            return NOT_REACHABLE
        case Gone():
            return GONE
        case _:
            return REFUSED


def _date(milliseconds: int) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime("on %Y-%m-%d at %H:%M %Z")
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"


def _leave_broken_pipe() -> NoReturn:
    abandon_stdout()
    sys.exit(BROKEN_PIPE)

"""The `seclink` command: a table of commands, each imported when it is called, and their exit status.

Exit status: 0 success, 1 error (the reason is on stderr), 2 wrong usage, 3 server not reachable, 4 secret gone, 130
after Ctrl-C, 141 when the reader of the output closed its pipe.
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
from seclink.cli import display
from seclink.cli.terminal import abandon_stdout, printable
from seclink.errors import BadRequest, Gone, KeyRequired, PasscodeWrong, RateLimited, SecLinkError, Unreachable

FAILED, NOT_REACHABLE, GONE, INTERRUPTED, BROKEN_PIPE = 1, 3, 4, 130, 141


class CommandEntry(NamedTuple):
    """A command. `target` is module:object, imported only to run it; `help` is here so that listing needs no import."""

    section: str
    target: str
    help: str


COMMANDS = {
    "create": CommandEntry("Secrets", "seclink.cli.create:create", "Create a secret and print its link."),
    "get": CommandEntry("Secrets", "seclink.cli.get:get", "Open the secret of a link, or show a receipt."),
    "list": CommandEntry("Secrets", "seclink.cli.receipts:list_", "List your receipts."),
    "delete": CommandEntry("Secrets", "seclink.cli.receipts:delete", "Burn a secret by its receipt or link."),
    "unlock": CommandEntry("Secrets", "seclink.cli.receipts:unlock", "Let readers try the passcode again."),
    "stats": CommandEntry("Secrets", "seclink.cli.receipts:stats", "Show the counts of your account."),
    "login": CommandEntry("Client", "seclink.cli.login:login", "Save a server and an API key."),
    "logout": CommandEntry("Client", "seclink.cli.login:logout", "Forget the saved server and API key."),
    "completion": CommandEntry("Client", "seclink.cli.completion:completion", "Print a shell completion script."),
    "serve": CommandEntry("Server", "seclink.cli.serve:serve", "Run the server."),
    "status": CommandEntry("Server", "seclink.cli.status:status", "Show the state and the load of a server, live."),
    "check": CommandEntry("Server", "seclink.cli.check:check", "Check that the server responds."),
    "doctor": CommandEntry("Server", "seclink.cli.doctor:doctor", "Find problems and explain how to fix them."),
    "verify": CommandEntry("Server", "seclink.cli.verify:verify", "Compare a server's pages with this release."),
    "audit": CommandEntry("Server", "seclink.cli.audit:audit", "Print and verify the audit trail."),
    "audit-erasure": CommandEntry(
        "Server", "seclink.cli.erasure:audit_erasure", "Search the disk for traces of ended secrets."
    ),
    "clock": CommandEntry("Server", "seclink.cli.clock:clock", "Compare the clock with the database's time."),
    "config": CommandEntry("Server", "seclink.cli.config:config", "Print the effective configuration."),
    "key": CommandEntry("Server", "seclink.cli.keys:key", "Add, list and revoke API keys."),
    "backup": CommandEntry("Server", "seclink.cli.backup:backup", "Save everything but the secrets to a file."),
    "restore": CommandEntry("Server", "seclink.cli.backup:restore", "Create a database from a backup."),
}


class Commands(click.Group):
    """A click group that imports a command when it is called, and turns its errors into messages and exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not (args[0] in COMMANDS or args[0].startswith("-") or ctx.resilient_parsing):
            matches = get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean '{matches[0]}'?" if matches else ""
            ctx.fail(f"No such command '{printable(args[0])}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl([(n, entry.help) for n, entry in COMMANDS.items() if entry.section == section])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = [CompletionItem(n, help=entry.help) for n, entry in COMMANDS.items() if n.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()
        except SecLinkError as error:
            for line in explain(error):
                click.echo(printable(line), err=True)
            _say_notes(error)
            sys.exit(exit_status(error))
        except (click.Abort, KeyboardInterrupt) as error:
            click.echo(err=True)
            _say_notes(error)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            _leave_broken_pipe()
        except OSError as error:
            abandon_stdout()
            location = "" if error.filename is None else f"{error.filename}: "
            click.echo(printable(f"seclink: {location}{error.strerror or error}"), err=True)
            _say_notes(error)
            sys.exit(FAILED)
        return result


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="seclink")
def cli() -> None:
    """Hand a secret to one person, once."""


def main() -> None:
    cli(prog_name="seclink")


def explain(error: SecLinkError) -> Iterator[str]:
    """Return the lines of an error message, with a hint what to do. Parts of it may be a server's words, so the
    caller must make the lines printable.
    """
    first, *others = error.message.split("\n")
    yield f"seclink: {first}"
    yield from others
    match error:
        case BadRequest(faults=faults):
            yield from (f"  {fault.field}: {fault.message}" for fault in faults)
        case Gone(state=state, ended_at=int(ended_at)):
            yield f"  {state or 'ended'} {_on_date(ended_at)}"
        case PasscodeWrong(attempts_left=remaining):
            wait = "" if remaining else "; try again later"
            yield f"  {display.counted(remaining, 'attempt')} left; no view was spent{wait}"
        case RateLimited(retry_after=seconds):
            yield f"  try again in {seconds} s"
        case KeyRequired():
            yield "  run `seclink login`, or set SECLINK_API_KEY"


def _say_notes(error: BaseException) -> None:
    """Print what commands added to an error, such as how to go on."""
    for note in getattr(error, "__notes__", ()):
        click.echo(f"  {note}", err=True)


def exit_status(error: SecLinkError) -> int:
    match error:
        case Unreachable():
            return NOT_REACHABLE
        case Gone():
            return GONE
        case _:
            return FAILED


def _on_date(at_ms: int) -> str:
    try:
        return f"on {display.local_time(datetime.fromtimestamp(at_ms / 1000, UTC))}"
    except (ValueError, OverflowError, OSError):  # a hostile server may send any number
        return "at an unknown time"


def _leave_broken_pipe() -> NoReturn:
    abandon_stdout()
    sys.exit(BROKEN_PIPE)

"""`seclink audit-erasure`: whether what has ended is gone from the disk, tried on this very server."""

import sys
from pathlib import Path

import click

from seclink.cli.check import as_served, unanswered
from seclink.cli.config import config_option
from seclink.cli.terminal import printable
from seclink.client.session import server_address
from seclink.config.addresses import local_url
from seclink.config.locate import existing_database, load
from seclink.errors import BadRequest, Unreachable
from seclink.ops.erasure_check import ErasureCheck, ErasureReport
from seclink.ops.file_search import shown
from seclink.ops.http_probe import HttpProbe, unchecked

FOUND = 1


@click.command("audit-erasure")
@click.option("--server", metavar="URL", help="The server to ask, instead of the one that is configured.")
@click.option("--key", metavar="KEY", envvar="SECLINK_API_KEY", help="An API key, where creating needs one.")
@click.option(
    "--also", multiple=True, type=click.Path(exists=True, path_type=Path), help="A file or folder to search, too."
)
@click.option("--quick", is_flag=True, help="Leave out what expires by itself, which takes more than a minute.")
@config_option
def audit_erasure(
    server: str | None, key: str | None, also: tuple[Path, ...], quick: bool, config: Path | None
) -> None:
    """Make secrets, reveal, burn and let expire them, and search the raw files for what is left.

    While the server runs, as its user, on its machine: the database, its log, copies beside it, temporary files, and
    what else the server has open. Ends with 0 if nothing is left, 1 if something is.
    """
    settings = load(config)
    path = existing_database(settings, config)
    address = _address(server) if server else local_url(as_served(settings, path).server)
    with HttpProbe(address, context=None if server else unchecked()) as outside:
        audit = ErasureCheck(outside, path, key=key or "", host="" if server else "localhost", further=also)
        try:
            report = audit.run(settings.limits.payload_bytes, None if quick else settings.reaper.every)
        except Unreachable as error:
            raise Unreachable(error.message + ("" if server else unanswered(path, "--server"))) from None
        click.echo("\n".join(map(printable, _said(report, outside.address, path))))
    if report.found:
        sys.exit(FOUND)


def _address(url: str) -> str:
    try:
        return server_address(url)
    except BadRequest as error:
        raise click.BadParameter(error.faults[0].message, param_hint="--server") from None


def _said(report: ErasureReport, address: str, path: Path) -> list[str]:
    lines = [
        f"server    {address}",
        f"database  {path}",
        f"searched  {len(report.places.files)} files, {report.bytes:,} bytes",
        *(f"  {shown(each)}" for each in report.places.files),
        *(f"  not: {each}" for each in report.places.unseen),
    ]
    for each in report.ended:
        left = f"{len(each.left)} left" if each.left else "none left"
        after = f"after {each.seconds:.1f} s" if each.left or each.seconds >= 0.1 else "at once"
        lines.append(f"{each.how:9} {each.size:,} bytes: {each.traces} traces found before, {left} {after}")
    for trace in report.found:
        lines.append(f"FOUND     the {trace.what}: {trace.file}, byte {trace.offset}")
    where = " in what could be searched" if report.places.unseen else ""
    return [*lines, "not clean" if report.found else f"clean: nothing is left of what has ended{where}"]

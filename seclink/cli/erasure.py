"""`seclink audit-erasure`: whether ended secrets are gone from the disk, tested with secrets of its own."""

import sys
from pathlib import Path

import click

from seclink.cli.check import as_served, silent_server_hint
from seclink.cli.config import config_option
from seclink.cli.terminal import printable
from seclink.client.session import server_address
from seclink.config.addresses import local_url
from seclink.config.locate import existing_database, load
from seclink.errors import BadRequest, Unreachable
from seclink.ops.erasure_check import ErasureCheck, ErasureReport
from seclink.ops.file_search import display_name
from seclink.ops.http_probe import HttpProbe
from seclink.store.chunk_files import folder_of

NOT_ERASED = 1


@click.command("audit-erasure")
@click.option("--server", metavar="URL", help="The server to test instead of the configured one.")
@click.option("--key", metavar="KEY", envvar="SECLINK_API_KEY", help="An API key, if creating needs one.")
@click.option(
    "--also",
    "extra",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Another file or folder to search.",
)
@click.option("--quick", is_flag=True, help="Leave out secrets that expire, which takes more than a minute.")
@config_option
def audit_erasure(
    server: str | None, key: str | None, extra: tuple[Path, ...], quick: bool, config_path: Path | None
) -> None:
    """Create secrets; reveal, burn and let expire them; and search the raw files for remains.

    Run it on the server's machine, as the service's user, while the server runs. It searches the database, its log,
    copies beside it, temporary files, and every other file that the server has open. Exit status: 0 if nothing remains,
    1 if something does.
    """
    config = load(config_path)
    path = existing_database(config, config_path)
    address = _address(server) if server else local_url(as_served(config, path).server)
    with HttpProbe(address, is_local=not server) as probe:
        erasure_check = ErasureCheck(probe, path, folder_of(path, config.files.path), key=key or "", extra=extra)
        try:
            report = erasure_check.run(config.limits.payload_bytes, None if quick else config.reaper.every)
        except Unreachable as error:
            hint = "" if server else silent_server_hint(path, "--server")
            raise Unreachable(error.message + hint) from None
        click.echo("\n".join(map(printable, _lines(report, probe.address, path))))
    if not report.is_erased:
        sys.exit(NOT_ERASED)


def _address(url: str) -> str:
    try:
        return server_address(url)
    except BadRequest as error:
        raise click.BadParameter(error.faults[0].message, param_hint="--server") from None


def _lines(report: ErasureReport, address: str, path: Path) -> list[str]:
    searched = report.searched
    lines = [
        f"server    {address}",
        f"database  {path}",
        f"searched  {len(searched.files)} files, {report.bytes:,} bytes",
        *(f"  {display_name(file)}" for file in searched.files),
        *(f"  not searched: {description}" for description in searched.unsearched),
    ]
    for secret in report.ended:
        remaining = f"{len(secret.remaining)} remain" if secret.remaining else "none remain"
        is_instant = not secret.remaining and secret.seconds < 0.1
        delay = "at once" if is_instant else f"after {secret.seconds:.1f} s"
        lines.append(f"{secret.ending:9} {secret.size:,} bytes: {secret.stored} parts were stored, {remaining} {delay}")
    if report.no_files:
        lines.append(f"files     not tested: {report.no_files}")
    for match in report.matches:
        lines.append(f"FOUND     the {match.needle}: {match.file}, byte {match.offset}")
    lines += [f"FOUND     {leftover}: {path}" for leftover in report.leftovers]
    where = " in the files that could be searched" if searched.unsearched else ""
    return [*lines, f"erased: nothing remains of the ended secrets{where}" if report.is_erased else "not erased"]

"""`seclink verify`: whether a server serves the pages of the release that is installed here."""

import json
import sys
from typing import Any

import click

from seclink import __version__
from seclink.cli.terminal import printable
from seclink.client.session import server_address
from seclink.config.schema import Config
from seclink.errors import BadRequest
from seclink.ops.http_probe import HttpProbe
from seclink.ops.page_verification import PageComparison, verify_pages
from seclink.web.assets import FOLDER
from seclink.web.page_manifest import fingerprint, manifest

DIFFERENT, MAX_SHOWN = 1, 20


@click.command()
@click.argument("url", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--manifest", "as_manifest", is_flag=True, help="Print the SHA-256 of every installed file of the pages instead."
)
def verify(url: str | None, as_json: bool, as_manifest: bool) -> None:
    """Compare what the server at URL sends to browsers with the release installed here, every byte and header.

    Run it regularly, and from another machine than the server's. Exit status: 0 if everything is the same, 1 if
    anything differs, 3 if the server cannot be reached.
    """
    if as_manifest:
        lines = manifest(FOLDER)
        click.echo(lines, nl=False)
        click.echo(f"fingerprint {fingerprint(lines)}", err=True)
        return
    with HttpProbe(_address(url)) as server:
        comparison = verify_pages(server)
    text = json.dumps(_facts(comparison), indent=2) if as_json else "\n".join(map(printable, _lines(comparison)))
    click.echo(text)
    if comparison.differences:
        sys.exit(DIFFERENT)


def _address(url: str | None) -> str:
    if url is None:
        raise click.UsageError("give the server's URL, or --manifest")
    try:
        return server_address(url)
    except BadRequest as error:
        raise click.BadParameter(error.faults[0].message, param_hint="URL") from None


def _lines(comparison: PageComparison) -> list[str]:
    differences = comparison.differences
    lines = [
        comparison.address,
        f"  installed  SecLink {__version__}, fingerprint {comparison.expected}",
        f"  settings   {_declared(comparison.config)}",
        f"  compared   {comparison.responses} responses, {comparison.bytes:,} bytes, and their headers",
    ]
    if not differences:
        return [*lines, "the same, every byte and header"]
    lines.append(f"{len(differences)} {'difference' if len(differences) == 1 else 'differences'}")
    lines += [f"  {difference.path}: {difference.description}" for difference in differences[:MAX_SHOWN]]
    if len(differences) > MAX_SHOWN:
        lines.append(f"  and {len(differences) - MAX_SHOWN} more; --json prints all of them")
    if comparison.actual not in ("", comparison.expected):
        lines.append(f"its pages show the fingerprint {comparison.actual}: to compare, install the release it runs")
    return lines


def _declared(config: Config) -> str:
    branding = config.branding
    options = {"accent": branding.accent, "logo": branding.logo, "footer": branding.footer}
    custom = [name for name, value in (options | {"links": branding.footer_links}).items() if value]
    customised = f", with its own {', '.join(custom)}" if custom else ""
    return f"{branding.name!r}, {config.access.create} may create{customised}"


def _facts(comparison: PageComparison) -> dict[str, Any]:
    branding, expiry = comparison.config.branding, comparison.config.expiry
    return {
        "same": not comparison.differences,
        "server": comparison.address,
        "release": __version__,
        "fingerprint": comparison.expected,
        "theirFingerprint": comparison.actual or None,
        "declared": {
            "name": branding.name,
            "accent": branding.accent,
            "hasLogo": branding.logo is not None,
            "footer": branding.footer,
            "footerLinks": dict(branding.footer_links),
            "create": comparison.config.access.create,
            "payloadBytes": comparison.config.limits.payload_bytes,
            "defaultSeconds": expiry.default,
            "maxSeconds": expiry.max,
        },
        "answers": comparison.responses,
        "bytes": comparison.bytes,
        "differences": [
            {"path": difference.path, "what": difference.description} for difference in comparison.differences
        ],
    }

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
from seclink.web.manifest import fingerprint, manifest

DIFFERENT, SHOWN = 1, 20


@click.command()
@click.argument("url", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--manifest", "lists", is_flag=True, help="Print the SHA-256 of every installed file of the pages instead."
)
def verify(url: str | None, as_json: bool, lists: bool) -> None:
    """Compare what the server at URL sends to browsers with the release installed here, every byte and header.

    Best run from another machine than the server's, and regularly. Ends with 0 if it is the same, 1 if it is not,
    3 if the server is not reachable.
    """
    if lists:
        listed = manifest(FOLDER)
        click.echo(listed, nl=False)
        click.echo(f"fingerprint {fingerprint(listed)}", err=True)
        return
    with HttpProbe(_address(url)) as server:
        likeness = verify_pages(server)
    click.echo(json.dumps(_facts(likeness), indent=2) if as_json else "\n".join(map(printable, _said(likeness))))
    if likeness.differences:
        sys.exit(DIFFERENT)


def _address(url: str | None) -> str:
    if url is None:
        raise click.UsageError("give the server's URL, or --manifest")
    try:
        return server_address(url)
    except BadRequest as error:
        raise click.BadParameter(error.faults[0].message, param_hint="URL") from None


def _said(likeness: PageComparison) -> list[str]:
    found = likeness.differences
    lines = [
        likeness.address,
        f"  installed  SecLink {__version__}, fingerprint {likeness.expected}",
        f"  declared   {_declared(likeness.config)}",
        f"  compared   {likeness.answers} answers, {likeness.bytes:,} bytes, and their headers",
    ]
    if not found:
        return [*lines, "the same, every byte and header"]
    lines.append(f"different in {len(found)} {'place' if len(found) == 1 else 'places'}")
    lines += [f"  {each.path}: {each.what}" for each in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more; --json prints all of them")
    if likeness.actual not in ("", likeness.expected):
        lines.append(f"its pages call themselves {likeness.actual}: install the release it runs, to compare with that")
    return lines


def _declared(config: Config) -> str:
    branding = config.branding
    own = {"accent": branding.accent, "logo": branding.logo, "footer": branding.footer, "links": branding.footer_links}
    more = [name for name, value in own.items() if value]
    return f"{branding.name!r}, {config.access.create} may create" + (f", its own {', '.join(more)}" if more else "")


def _facts(likeness: PageComparison) -> dict[str, Any]:
    branding, expiry = likeness.config.branding, likeness.config.expiry
    return {
        "same": not likeness.differences,
        "server": likeness.address,
        "release": __version__,
        "fingerprint": likeness.expected,
        "theirFingerprint": likeness.actual or None,
        "declared": {
            "name": branding.name,
            "accent": branding.accent,
            "hasLogo": branding.logo is not None,
            "footer": branding.footer,
            "footerLinks": dict(branding.footer_links),
            "create": likeness.config.access.create,
            "payloadBytes": likeness.config.limits.payload_bytes,
            "defaultSeconds": expiry.default,
            "maxSeconds": expiry.max,
        },
        "answers": likeness.answers,
        "bytes": likeness.bytes,
        "differences": [{"path": each.path, "what": each.what} for each in likeness.differences],
    }

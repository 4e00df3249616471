"""`seclink doctor`: what is wrong with this appliance, and what to do about it."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from seclink.cli.check import as_served
from seclink.cli.config import config_option
from seclink.cli.terminal import printable
from seclink.config.addresses import local_url, public_url
from seclink.config.locate import database, find, load
from seclink.config.schema import Config, ServerOptions
from seclink.doctor import address, configuration, files, machine
from seclink.doctor import database as database_part
from seclink.doctor.findings import OK, OTHERS_FIX, PROBLEM, WARNING, Finding
from seclink.errors import ConfigError, StoreUnusable, Unreachable
from seclink.ops.http_probe import HttpProbe, unchecked
from seclink.ops.processes import server_of
from seclink.server.certificate import Certificate, CertificateRefused
from seclink.store.inspect import inspect

UNWELL = 1
PAUSE_SECONDS = 5.0
LOCAL = {"Host": "localhost"}  # the address it listens on need not be a name it answers to


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--offline", is_flag=True, help="Leave out the public URL; nothing is asked over the network.")
@config_option
def doctor(as_json: bool, offline: bool, config: Path | None) -> None:
    """Look at everything that may be wrong with the appliance, and say what to do. Changes nothing.

    Best run on the server's machine, as its user or as root, while it runs. Ends with 1 if there are problems, with 0
    if there are none; warnings do not fail.
    """
    findings = []
    for each in _findings(config, offline):
        findings.append(each)
        if not as_json:
            _show(each, findings[-2] if len(findings) > 1 else None)
    counts = Counter(each.level for each in findings)
    if as_json:
        click.echo(json.dumps(_facts(findings, counts), indent=2))
    else:
        click.echo(f"\n{_count(counts[PROBLEM], PROBLEM)}, {_count(counts[WARNING], WARNING)}")
    if counts[PROBLEM]:
        sys.exit(UNWELL)


def _findings(given: Path | None, offline: bool) -> Iterator[Finding]:
    source = find(given)
    try:
        config = load(given)
    except ConfigError as error:
        yield from configuration.refused(error)
        yield from machine.look(Config(), None)
        return
    path = database(config, given)
    config = as_served(config, path)
    yield from configuration.look(config, source)
    key = config.server.tls_key
    yield from files.look(source, path, [Path(key)] if key else [])
    yield from _pair(config.server)
    if os.access(path.parent, os.X_OK):
        yield from database_part.look(config, path, int(time.time() * 1000))
    yield from machine.look(config, server_of(path))
    if not offline:
        yield from _outside(config, path)


def _pair(server: ServerOptions) -> Iterator[Finding]:
    """Whether the server could start with its certificate, or take it up."""
    if server.tls_cert and server.tls_key:
        try:
            Certificate(Path(server.tls_cert), Path(server.tls_key))
        except CertificateRefused as error:
            fix = "correct the files, or server.tls_cert and server.tls_key: it does not start with these"
            if "cannot be read: Permission denied" in str(error):
                fix = OTHERS_FIX
            yield files.PART.problem("the certificate with its key", f"cannot be used: {error}", fix)
        else:
            yield files.PART.ok("the certificate with its key", "can be used")


def _outside(config: Config, path: Path) -> Iterator[Finding]:
    process = server_of(path)
    with HttpProbe(local_url(config.server), context=unchecked()) as here:
        past: HttpProbe | None = here
        try:
            here.get("/healthz", LOCAL)
        except Unreachable as error:
            past = None
            if process is not None:
                yield address.silent(here.address, process, error)
                if config.server.public_url is None:
                    return
        try:
            ended = inspect(path).ended if os.access(path, os.R_OK) else None
        except StoreUnusable:
            ended = None
        url, now = public_url(config), time.time()
        yield from address.look(config, url, here=past, ended=ended, pause_seconds=PAUSE_SECONDS, now=now)


def _show(each: Finding, before: Finding | None) -> None:
    if before is None or before.part != each.part:
        click.echo(each.part if before is None else f"\n{each.part}")
    click.echo(printable(f"  {each.level:8} {each.looked}: {each.said}"))
    if each.fix:
        click.echo(printable(f"           fix: {each.fix}"))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _facts(findings: list[Finding], counts: Counter[str]) -> dict[str, Any]:
    return {
        "well": not counts[PROBLEM],
        "problems": counts[PROBLEM],
        "warnings": counts[WARNING],
        "ok": counts[OK],
        "findings": [
            {name: str(getattr(each, name)) for name in ("level", "part", "looked", "said", "fix")} for each in findings
        ],
    }

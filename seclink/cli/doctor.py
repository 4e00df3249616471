"""`seclink doctor`: the problems of this appliance, and how to fix them."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from seclink.cli.check import as_served
from seclink.cli.config import config_option
from seclink.cli.terminal import printable
from seclink.config.addresses import local_url, public_url
from seclink.config.locate import database, find, load
from seclink.config.schema import Config, ServerOptions
from seclink.doctor import address, chunks, configuration, files, machine
from seclink.doctor import database as database_checks
from seclink.doctor.findings import OK, PROBLEM, RUN_AS_OWNER, WARNING, Finding
from seclink.errors import ConfigError, StoreUnusable
from seclink.ops.http_probe import HttpProbe, ProbeFailed
from seclink.ops.processes import server_process
from seclink.server.certificate import Certificate, CertificateRefused
from seclink.store import owner
from seclink.store.inspect import inspect

HAS_PROBLEMS = 1
PAUSE_SECONDS = 5.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.option("--offline", is_flag=True, help="Leave out the public URL and [[hosts]]; send nothing over the network.")
@config_option
def doctor(as_json: bool, offline: bool, config_path: Path | None) -> None:
    """Check the whole appliance for problems, and print how to fix them. Changes nothing.

    Run it on the server's machine, as the service's user or as root, while the server runs. Exit status: 1 if there are
    problems, 0 if there are none; warnings do not count.
    """
    findings: list[Finding] = []
    for finding in _findings(config_path, offline):
        if not as_json:
            _show(finding, findings[-1] if findings else None)
        findings.append(finding)
    counts = Counter(finding.level for finding in findings)
    if as_json:
        click.echo(json.dumps(_facts(findings, counts), indent=2))
    else:
        click.echo(f"\n{_count(counts[PROBLEM], PROBLEM)}, {_count(counts[WARNING], WARNING)}")
    if counts[PROBLEM]:
        sys.exit(HAS_PROBLEMS)


def _findings(config_path: Path | None, offline: bool) -> Iterator[Finding]:
    source = find(config_path)
    try:
        config = load(config_path)
    except ConfigError as error:
        yield from configuration.config_problems(error)
        yield from machine.check(Config(), None)
        return
    path = database(config, config_path)
    config = as_served(config, path)
    yield from configuration.check(config, source)
    key = config.server.tls_key
    yield from files.check(source, path, [Path(key)] if key else [])
    yield from _certificate_pair(config.server)
    if os.access(path.parent, os.X_OK):
        now = int(time.time() * 1000)
        yield from owner.run(path, lambda: list(database_checks.check(config, path, now)), list[Finding])
        yield from owner.run(path, lambda: list(chunks.check(config, path)), list[Finding])
    yield from machine.check(config, server_process(path))
    if not offline:
        yield from _public_address(config, path)


def _certificate_pair(server: ServerOptions) -> Iterator[Finding]:
    """Check that the server can start with its certificate, or load it while running."""
    if server.tls_cert and server.tls_key:
        subject = "the certificate with its key"
        try:
            Certificate(Path(server.tls_cert), Path(server.tls_key))
        except CertificateRefused as error:
            fix = "correct the files, or server.tls_cert and server.tls_key: the server does not start with these"
            yield files.GROUP.problem(subject, f"cannot be used: {error}", RUN_AS_OWNER if error.is_denied else fix)
        else:
            yield files.GROUP.ok(subject, "can be used")


def _public_address(config: Config, path: Path) -> Iterator[Finding]:
    process = server_process(path)
    with HttpProbe(local_url(config.server), is_local=True) as probe:
        local: HttpProbe | None = probe
        try:
            probe.get("/healthz")
        except ProbeFailed as error:
            local = None
            if process is not None:
                yield address.server_silent(process, error)
                if config.server.public_url is None:
                    return
        try:
            ended = inspect(path).ended if os.access(path, os.R_OK) else None
        except StoreUnusable:
            ended = None
        for url in (public_url(config), *(host.origin for host in config.hosts)):
            findings = address.check(
                config, url, local=local, ended=ended, pause_seconds=PAUSE_SECONDS, now=time.time()
            )
            yield from findings if url == public_url(config) else (_of_host(url, finding) for finding in findings)


def _of_host(origin: str, finding: Finding) -> Finding:
    """Return a finding about an origin of [[hosts]] instead of the public URL."""
    subject = finding.subject if origin in finding.subject else f"{finding.subject} at {origin}"
    return replace(finding, subject=subject, fix=finding.fix.replace("server.public_url", "hosts.origin"))


def _show(finding: Finding, previous: Finding | None) -> None:
    if previous is None or previous.group != finding.group:
        click.echo(finding.group if previous is None else f"\n{finding.group}")
    click.echo(printable(f"  {finding.level:8} {finding.subject}: {finding.observation}"))
    if finding.fix:
        click.echo(printable(f"           fix: {finding.fix}"))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _facts(findings: list[Finding], counts: Counter[str]) -> dict[str, Any]:
    return {
        "well": not counts[PROBLEM],
        "problems": counts[PROBLEM],
        "warnings": counts[WARNING],
        "ok": counts[OK],
        "findings": msgspec.to_builtins(findings),
    }

"""The rules between options: values that are valid by themselves and contradict each other."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from seclink.config.addresses import WILDCARDS
from seclink.config.durations import format_duration
from seclink.config.option_types import LOOPBACK
from seclink.config.schema import Config
from seclink.config.toml_lines import KeyPath

# A proxy may strip the path of the public URL or leave it, so that path must not begin like one of SecLink's own.
OWN_PATHS = {"api", "docs", "receipt", "static", "healthz", "readyz", "metrics"}

Problem = tuple[KeyPath, str]
"""The path of an option, and the message about it."""


def conflicts(config: Config, document: dict[str, Any]) -> Iterator[Problem]:
    """Yield every broken rule. `document` is the parsed TOML, which shows the options that are set."""
    yield from _expiry(config, document)
    yield from _files(config, document)
    yield from _tls(config)
    yield from _metrics_listener(config)
    yield from _public_url_path(config)
    yield from _hosts(config)
    yield from _dialect_hosts(config)


def _expiry(config: Config, document: dict[str, Any]) -> Iterator[Problem]:
    if config.expiry.default > config.expiry.max:
        default, longest = _shown("expiry", config.expiry, document, format_duration, "default", "max")
        option = "default" if "default" in document["expiry"] else "max"
        yield ("expiry", option), f"{default} is longer than {longest}"


def _files(config: Config, document: dict[str, Any]) -> Iterator[Problem]:
    files = config.files
    if files.create == "anyone" and config.access.create == "keys":
        yield ("files", "create"), 'files.create = "anyone" needs access.create = "anyone", too'
    if files.max_bytes > files.total_bytes:
        one, all = _shown("files", files, document, str, "max_bytes", "total_bytes")
        option = "max_bytes" if "max_bytes" in document["files"] else "total_bytes"
        yield ("files", option), f"{one} is more than {all}"


def _shown(
    section: str, options: Struct, document: dict[str, Any], show: Callable[[Any], str], *names: str
) -> Iterator[str]:
    """Yield each option with its value; the defaults obey all rules, so at least one of the options is set."""
    for name in names:
        default = "" if name in document[section] else " by default"
        yield f"{section}.{name} ({show(getattr(options, name))}{default})"


def _tls(config: Config) -> Iterator[Problem]:
    server = config.server
    if (server.tls_cert is None) != (server.tls_key is None):
        option, missing = ("tls_cert", "tls_key") if server.tls_cert else ("tls_key", "tls_cert")
        yield ("server", option), f"server.{option} needs server.{missing}, too"
    elif server.tls_cert and (server.public_url or "").startswith("http:"):
        yield ("server", "public_url"), "server.public_url is http:, but with server.tls_cert the server speaks https"


def _metrics_listener(config: Config) -> Iterator[Problem]:
    listen, server = config.metrics.listen, config.server
    if listen is not None and listen.port == server.port and listen.host in (server.host, *WILDCARDS):
        yield ("metrics", "listen"), f"metrics.listen ({listen}) is the address of server.host and server.port already"


def _public_url_path(config: Config) -> Iterator[Problem]:
    first = urlsplit(config.server.public_url or "").path.split("/")[1:2]
    if {*first} & {*OWN_PATHS, *config.dialects.by_name()}:
        yield ("server", "public_url"), f"server.public_url: /{first[0]} is one of SecLink's own paths; take another"


def _hosts(config: Config) -> Iterator[Problem]:
    """Requests tell origins apart by their Host, which has no scheme."""
    listed: set[str] = set()
    for number, host in enumerate(config.hosts):
        name = urlsplit(host.origin).netloc
        if not name:
            yield (
                ("hosts", number),
                'hosts.origin is missing: write origin = "https://send.example.org" below [[hosts]]',
            )
        elif name in listed:
            yield ("hosts", number, "origin"), f"hosts.origin: {name} is listed already"
        listed.add(name)


def _dialect_hosts(config: Config) -> Iterator[Problem]:
    """Every request for a dialect's host is served in that dialect, so the host can have no other use."""
    owners = dict.fromkeys(LOOPBACK, "this machine")
    owners[urlsplit(config.server.public_url or "").hostname or ""] = "server.public_url"
    for name, options in config.dialects.by_name().items():
        if options.host is not None:
            path = ("dialects", name, "host")
            owner = owners.setdefault(options.host.lower().strip("[]"), f"dialects.{name}")
            if owner != f"dialects.{name}":
                yield path, f"{'.'.join(path)} is the host of {owner} already"

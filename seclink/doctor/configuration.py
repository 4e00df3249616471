"""The TOML, and settings that are right by themselves and doubtful together."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

from seclink.config.addresses import WILDCARDS, is_public
from seclink.config.schema import Config
from seclink.doctor.findings import OTHERS_FIX, CheckGroup, Finding
from seclink.errors import ConfigError

PART = CheckGroup("configuration")
SECRET = re.compile(r"sk_live_[A-Za-z0-9]{38}|PRIVATE KEY")


def refused(error: ConfigError) -> Iterator[Finding]:
    """A finding for every problem, with its file and line."""
    for each in error.message.split("\n"):
        fix = (
            "correct it; `seclink config --check` tells when it is right, `seclink config --defaults` lists the options"
        )
        if ": cannot be read: " in each:
            fix = f"name another with --config or $SECLINK_CONFIG, or {OTHERS_FIX}"
        yield PART.problem("the TOML file", each, fix)


def look(config: Config, source: Path | None) -> Iterator[Finding]:
    yield PART.ok(str(source or "no TOML file"), "is right" if source else "everything is at its default")
    yield from _public_url(config)
    yield from _proxies(config)
    yield from _openness(config)


def holds_secret(source: Path) -> bool:
    """Whether there is something in it that not everybody may read."""
    try:
        return bool(SECRET.search(source.read_text("utf-8", "replace")))
    except OSError:
        return False


def has_own_tls(config: Config) -> bool:
    return config.server.tls_cert is not None


def _public_url(config: Config) -> Iterator[Finding]:
    url, looked = config.server.public_url, "server.public_url"
    if url is None:
        said = "is unset, so links lead to this machine and work nowhere else"
        yield PART.warning(looked, said, '[server] public_url = "https://secrets.example.org"')
    elif not url.startswith("https:"):
        said = f"is {url}: only a browser on this machine encrypts over plain http"
        yield PART.warning(looked, said, '[server] public_url = "https://..."')
    else:
        yield PART.ok(looked, f"is {url}")


def _proxies(config: Config) -> Iterator[Finding]:
    server, looked = config.server, "server.trusted_proxies"
    networks = [ipaddress.ip_network(each) for each in server.trusted_proxies]
    if any(each.prefixlen == 0 for each in networks):
        said = "trusts every address: whoever comes may claim to come from anywhere, and no rate limits anybody"
        yield PART.problem(looked, said, '[server] trusted_proxies = ["127.0.0.1"], or wherever the proxy is')
    elif (server.public_url or "").startswith("https:") and not has_own_tls(config) and not networks:
        said = "is empty, though a proxy must do the https of public_url: all behind it share the rates of one client"
        yield PART.problem(looked, said, '[server] trusted_proxies = ["127.0.0.1"], or wherever the proxy is')
    else:
        trusted = (
            f"trusts {', '.join(server.trusted_proxies)}" if networks else "is empty, as nothing seems to be in front"
        )
        yield PART.ok(looked, trusted)
    if server.host in WILDCARDS and is_public(config) and not has_own_tls(config):
        said = f"is {server.host}: plain http can be reached past the proxy, too"
        yield PART.warning("server.host", said, '[server] host = "127.0.0.1", or a firewall')


def _openness(config: Config) -> Iterator[Finding]:
    if config.access.create == "anyone" and is_public(config):
        said = (
            f"is anyone, on a public address: strangers may store up to {config.limits.client_bytes:,} bytes a day each"
        )
        yield PART.warning("access.create", said, '[access] create = "keys", unless that is meant')
    else:
        yield PART.ok("access.create", f"is {config.access.create}")
    for row, _ in config.dialects.enabled():
        if row.warning:
            fix = f"[dialects.{row.name}] enabled = false, unless that is meant"
            yield PART.warning(f"dialects.{row.name}", f"is on: {row.warning}", fix)
    if config.log.level == "debug":
        yield PART.warning("log.level", "is debug: every refusal is written down", '[log] level = "info"')

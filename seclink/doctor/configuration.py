"""Checks of the TOML file, and of settings that are valid but doubtful together."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path

from seclink.config.addresses import WILDCARDS, is_public
from seclink.config.schema import Config
from seclink.doctor.findings import RUN_AS_OWNER, CheckGroup, Finding
from seclink.errors import ConfigError

GROUP = CheckGroup("configuration")
SECRET = re.compile(r"sk_live_[A-Za-z0-9]{38}|PRIVATE KEY")
TRUST_LOCAL_PROXY = '[server] trusted_proxies = ["127.0.0.1"], or the address of your proxy'


def config_problems(error: ConfigError) -> Iterator[Finding]:
    """Yield a finding for every problem, with its file and line."""
    fix = "correct the file; `seclink config --check` checks it again, `seclink config --defaults` lists all options"
    if error.is_unreadable:
        fix = f"name another file with --config or $SECLINK_CONFIG, or {RUN_AS_OWNER}"
    for problem in error.message.split("\n"):
        yield GROUP.problem("the TOML file", problem, fix)


def check(config: Config, source: Path | None) -> Iterator[Finding]:
    yield GROUP.ok(str(source or "no TOML file"), "is valid" if source else "every option has its default")
    yield _public_url(config)
    yield from _proxies(config)
    yield from _openness(config)


def holds_secret(source: Path) -> bool:
    """Return whether the file contains an API key or a private key."""
    try:
        return bool(SECRET.search(source.read_text("utf-8", "replace")))
    except OSError:
        return False


def has_own_tls(config: Config) -> bool:
    return config.server.tls_cert is not None


def _public_url(config: Config) -> Finding:
    url, subject = config.server.public_url, "server.public_url"
    if url is None:
        observation = "is not set, so links point to this machine and work nowhere else"
        return GROUP.warning(subject, observation, '[server] public_url = "https://secrets.example.org"')
    if not url.startswith("https:"):
        observation = f"is {url}: over plain http, only a browser on this machine can encrypt"
        return GROUP.warning(subject, observation, '[server] public_url = "https://..."')
    return GROUP.ok(subject, f"is {url}")


def _proxies(config: Config) -> Iterator[Finding]:
    server, subject = config.server, "server.trusted_proxies"
    networks = [ipaddress.ip_network(network) for network in server.trusted_proxies]
    if any(network.prefixlen == 0 for network in networks):
        observation = "trusts every address: any client can claim any address, so rate limits do not work"
        yield GROUP.problem(subject, observation, TRUST_LOCAL_PROXY)
    elif (server.public_url or "").startswith("https:") and not has_own_tls(config) and not networks:
        observation = "is empty, but https for public_url needs a proxy: all clients share one client's rate limits"
        yield GROUP.problem(subject, observation, TRUST_LOCAL_PROXY)
    elif networks:
        yield GROUP.ok(subject, f"trusts {', '.join(server.trusted_proxies)}")
    else:
        yield GROUP.ok(subject, "is empty, and no proxy is needed")
    if server.host in WILDCARDS and is_public(config) and not has_own_tls(config):
        observation = f"is {server.host}: clients can bypass the proxy and connect over plain http"
        yield GROUP.warning("server.host", observation, '[server] host = "127.0.0.1", or a firewall')


def _openness(config: Config) -> Iterator[Finding]:
    if config.access.create == "anyone" and is_public(config):
        limit = f"{config.limits.client_bytes:,} bytes a day"
        observation = f"is anyone, on a public address: every stranger may store up to {limit}"
        yield GROUP.warning("access.create", observation, '[access] create = "keys", unless you want that')
    else:
        yield GROUP.ok("access.create", f"is {config.access.create}")
    for dialect, options in config.dialects.enabled():
        risk, remedy = options.warning
        if risk:
            fix = f"[dialects.{dialect.name}] {remedy}, unless you need that"
            yield GROUP.warning(f"dialects.{dialect.name}", f"is on: {risk}", fix)
    if config.log.level == "debug":
        yield GROUP.warning("log.level", "is debug: every refused request is logged", '[log] level = "info"')

"""The addresses that follow from a configuration: the URL of its links, how this machine reaches it, its host names."""

from urllib.parse import urlsplit

from seclink.config.option_types import LOOPBACK, Endpoint
from seclink.config.schema import Config, ServerOptions

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared with, not bound to
"""An address that means every address of the machine -> the loopback address among those."""


def public_url(config: Config) -> str:
    """Return the URL that links begin with: server.public_url, or else the address that the server listens on."""
    host = config.server.host
    return config.server.public_url or _url(config.server, "localhost" if host in WILDCARDS else host)


def local_url(server: ServerOptions) -> str:
    """Return the URL at which this machine reaches the server, past any proxy."""
    return _url(server, WILDCARDS.get(server.host, server.host))


def local_metrics_url(listen: Endpoint) -> str:
    """Return the URL at which this machine reaches the metrics listener."""
    return f"http://{host_port(WILDCARDS.get(listen.host, listen.host), listen.port)}"


def host_port(host: str, port: int) -> str:
    """Return `HOST:PORT`, with an IPv6 address in brackets."""
    return f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets, anything else as it is."""
    return f"[{host.strip('[]')}]" if ":" in host else host


def is_public(config: Config) -> bool:
    """Return whether links lead to another host than this machine."""
    return (urlsplit(config.server.public_url or "").hostname or "localhost") not in LOOPBACK


def host_names(config: Config) -> set[str]:
    """Return the Host names that the server accepts: those of loopback, of the public URL, of [[hosts]], of the enabled
    dialects, and the allowed.
    """
    urls = (public_url(config), *(host.origin for host in config.hosts))
    dialects = [options.host for _, options in config.dialects.enabled() if options.host]
    names = (*LOOPBACK, *(urlsplit(url).hostname or "" for url in urls), *dialects, *config.server.allowed_hosts)
    return {bracketed(name) for name in names}


def dialect_origin(config: Config, host: str) -> str:
    """Return the origin of a dialect's host: the listed one of that name, else with the scheme and port of the public
    URL.
    """
    name = host.lower().strip("[]")
    listed = (host.origin for host in config.hosts if urlsplit(host.origin).hostname == name)
    public = urlsplit(public_url(config))
    port = "" if public.port is None else f":{public.port}"
    return next(listed, f"{public.scheme}://{bracketed(name)}{port}")


def _url(server: ServerOptions, host: str) -> str:
    scheme = "http" if server.tls_cert is None else "https"
    return f"{scheme}://{host_port(host, server.port)}"

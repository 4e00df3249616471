"""The proxies of the environment: HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, with the exceptions in NO_PROXY.

As in curl, a name in lower case counts more, and an exception is `*`, a name with all names below it, an address or a
range of addresses, each with or without a port. As in Go, nothing on this machine is requested through a proxy. httpx
reads the same variables, but raises errors of its own for IPv6 in NO_PROXY, and takes a range there for one address.
"""

import ipaddress
import os
import re
from collections.abc import Callable
from typing import Generic, TypeVar
from urllib.request import getproxies

import httpx

from seclink.errors import Unreachable

Http = TypeVar("Http", bound=httpx.Client | httpx.AsyncClient)

_WITH_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*):([0-9]+)")
_BRACKETS = {ord("["): None, ord("]"): None}


class EnvironmentProxies:
    """Reads the variables once, when it is made."""

    def __init__(self) -> None:
        self._settings = {name: value.strip() for name, value in getproxies().items()}
        self._exceptions = [entry for entry in re.split(r"[\s,]+", self._settings.get("no", "")) if entry]

    def variable(self, url: str) -> str | None:
        """Return the name of the variable with the proxy for a URL, as it is written, None if there is none."""
        target = httpx.URL(url)
        names = [name for name in (target.scheme, "all") if self._settings.get(name)]
        if not names or _is_loopback(target.host) or any(_exempts(entry, target) for entry in self._exceptions):
            return None
        lower = f"{names[0]}_proxy"
        return lower if lower in os.environ else lower.upper()

    def proxy(self, variable: str) -> httpx.Proxy:
        """Return the proxy. Raises Unreachable if it cannot be used, without its URL, which may have a password."""
        value = self._settings[variable.lower().removesuffix("_proxy")]
        try:
            proxy = httpx.Proxy(value if "://" in value else f"http://{value}")
            if _names_server(proxy.url):
                return proxy
        except (ValueError, httpx.InvalidURL):
            pass
        hint = "it must be written like http://proxy.example:3128, with http, https or socks5"
        raise Unreachable(f"{variable} in the environment is not a proxy: {hint}")


class Connections(Generic[Http]):
    """Keeps one httpx client for each proxy and one without, opened when a URL needs it.

    `create` makes one from the options `proxy`, `verify` and `trust_env`; `is_direct`: without regard to proxies.
    """

    def __init__(self, create: Callable[..., Http], *, is_direct: bool) -> None:
        self._create = create
        self._proxies = None if is_direct else EnvironmentProxies()
        self._opened: dict[str | None, Http] = {}
        try:
            self._tls = httpx.create_ssl_context()
        except OSError as error:
            raise Unreachable(f"The certificates that the environment names cannot be used: {error}") from None

    def to(self, url: str) -> tuple[Http, str | None]:
        """Return the httpx client for a URL, and the variable of its proxy. Raises Unreachable if one is unusable."""
        try:
            variable = self._proxies.variable(url) if httpx.URL(url).host and self._proxies else None
        except (httpx.InvalidURL, UnicodeError):
            raise Unreachable("/".join(url.split("/", 3)[:3]) + " cannot be reached: that is not a host name") from None
        if variable not in self._opened:
            proxy = self._proxies.proxy(variable) if self._proxies and variable else None
            try:
                self._opened[variable] = self._create(proxy=proxy, verify=self._tls, trust_env=False)
            except ImportError:
                hint = "the package socksio is missing: pip install 'httpx[socks]'"
                raise Unreachable(f"The proxy of {variable} in the environment cannot be used: {hint}") from None
        return self._opened[variable], variable

    def opened(self) -> list[Http]:
        return [*self._opened.values()]


def _names_server(url: httpx.URL) -> bool:
    is_port = url.port is None or 0 < url.port < 65536
    return is_port and bool(url.host) and url.path in ("", "/") and not url.query and not url.fragment


def _is_loopback(host: str) -> bool:
    address = _network(host)
    return host == "localhost" if address is None else address.is_loopback


def _exempts(entry: str, target: httpx.URL) -> bool:
    """Return whether an entry of NO_PROXY is about the target."""
    name = entry.rpartition("://")[2].lower()
    if match := _WITH_PORT.fullmatch(name):
        name, port = match.groups()
        if int(port) != (target.port or {"http": 80, "https": 443}[target.scheme]):
            return False
    name = name.translate(_BRACKETS)
    range_, address = _network(name), _network(target.host)
    if range_ is not None and address is not None:
        return range_.version == address.version and address.network_address in range_
    domain = name.removeprefix("*").strip(".")
    hosts = (target.host.rstrip("."), target.raw_host.decode("ascii").rstrip("."))
    return name == "*" or (bool(domain) and any(f".{host}".endswith(f".{domain}") for host in hosts))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None

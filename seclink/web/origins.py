"""The URLs that links begin with: the origin a request went to, if it is one of ours, else the public URL.

Ours are the public URL and [[hosts]]. They are told apart by the Host alone: what a request says of its scheme is not
looked at, and no other name of a request ever gets into a link.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from seclink.config.addresses import bracketed, public_url
from seclink.config.option_types import DEFAULT_PORTS
from seclink.config.schema import Config
from seclink.errors import BadRequest, Fault
from seclink.web.middleware import HOST
from seclink.web.request import header_values


class Origins:
    """`is_proxy` tells whether an address is a trusted proxy, which may name the Host in X-Forwarded-Host."""

    def __init__(self, config: Config, is_proxy: Callable[[str], bool]) -> None:
        self.public_url, self._is_proxy = public_url(config), is_proxy
        urls = (*(host.origin for host in reversed(config.hosts)), self.public_url)
        self._urls = {name: url for url in urls for name in _hosts(url)}
        self._named = {bracketed(urlsplit(url).hostname or ""): url for url in urls} | self._urls

    def host(self, scope: Any) -> str:
        """Return the host and port that a request went to, in lower case; empty if it is malformed."""
        hosts = header_values(scope, b"host")
        forwarded = header_values(scope, b"x-forwarded-host")
        if forwarded and self._is_proxy((scope.get("client") or ("",))[0]):
            hosts = [forwarded[-1].rpartition(b",")[2].strip()]  # the nearest proxy's word
        return _host(hosts[0].decode("latin-1")) if len(hosts) == 1 else ""

    def of(self, scope: Any) -> str:
        """Return the URL that the links of a request begin with."""
        return self._urls.get(self.host(scope), self.public_url)

    def named(self, host: str, member: str) -> str:
        """Return the URL of one of our hosts, given with or without its port. Raises BadRequest about the member."""
        try:
            return self._named[_host(host)]
        except KeyError:
            raise BadRequest(faults=(Fault(member, "is not one of this server's hosts", "not_one_of"),)) from None


def _hosts(url: str) -> tuple[str, ...]:
    """Return the forms that the Host of a request to a URL can have: the default port may be left out."""
    parts = urlsplit(url)
    name, default = bracketed(parts.hostname or ""), DEFAULT_PORTS[parts.scheme]
    port = parts.port or default
    return (f"{name}:{port}", name) if port == default else (f"{name}:{port}",)


def _host(text: str) -> str:
    """Return a Host header in lower case and without a final dot of the name; empty if it is malformed."""
    match = HOST.fullmatch(text.lower())
    return match[1] + (match[2] or "") if match else ""

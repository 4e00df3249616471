"""The settings of the HTTP server: the application, its limits, its path prefix."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from seclink.domain.shares import Holder, Shares
from seclink.errors import SecLinkError

RenderHttpError = Callable[[SecLinkError, bytes, list[tuple[bytes, bytes]]], bytes]
"""(error, target as far as known, headers as far as known) -> a whole HTTP/1.1 response that closes the connection."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of connections. `message_bytes` counts raw bytes: head, body, and the overhead of chunking."""

    message_bytes: int
    header_bytes: int = 16_384
    header_seconds: float = 10.0
    idle_seconds: float = 65.0  # longer than reverse proxies keep theirs (60 s), or their next request meets our close
    write_seconds: float = 15.0
    write_rate: int = 1_024  # bytes per second at which the client must at least read
    linger_seconds: float = 2.0
    connections: int = 1_000


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Everything a reload can replace, as one value.

    A stop waits `grace_seconds` for requests in flight. `root` is the path of the public URL: a proxy may pass it on or
    strip it. A client, as `holder_of(scope)` names it, has a share of the `unsent` bytes, and one of the connections
    unless `peer_holder(address)` is None.
    """

    app: Any
    render_error: RenderHttpError
    limits: Limits
    grace_seconds: float = 10.0
    root: bytes = b""
    holder_of: Callable[[Any], Holder] = lambda scope: Holder(client="")
    peer_holder: Callable[[str], Holder | None] = lambda address: None
    unsent: Shares = field(default_factory=lambda: Shares(2**40))

    def strip_root(self, target: bytes) -> bytes:
        """Return a request's target without `root`."""
        rest = target.removeprefix(self.root)
        if rest.startswith(b"/"):
            return rest
        return b"/" + rest if rest != target and rest[:1] in (b"", b"?") else target

"""What is served, and within which limits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seclink.errors import SecLinkError

Refuse = Callable[[SecLinkError, bytes, list[tuple[bytes, bytes]]], bytes]
"""(error, what is known of the target, and of the headers) -> a whole HTTP/1.1 answer that closes the connection."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What connections may take. `message_bytes` is raw: head, body, and what chunking adds to it."""

    message_bytes: int
    header_bytes: int = 16_384
    header_seconds: float = 10.0
    idle_seconds: float = 65.0  # longer than reverse proxies keep theirs (60 s), or their next request meets our close
    write_seconds: float = 15.0
    write_rate: int = 1_024  # bytes per second that an answer must at least be read with
    linger_seconds: float = 2.0
    connections: int = 1_000


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """What is served, and how; a reload replaces it as one. A stop waits `grace_seconds` for what is in flight. `root`
    is the path that everything lies below for those who come: a proxy may leave it there or take it away.
    """

    app: Any
    refuse: Refuse
    limits: Limits
    grace_seconds: float = 10.0
    root: bytes = b""

    def below(self, target: bytes) -> bytes:
        """A request's target as the application knows it."""
        rest = target.removeprefix(self.root)
        if rest.startswith(b"/"):
            return rest
        return b"/" + rest if rest != target and rest[:1] in (b"", b"?") else target

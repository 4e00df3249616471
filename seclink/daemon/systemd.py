"""systemd's notification protocol (sd_notify), which podman speaks, too.

A datagram of lines `NAME=value` is sent to the socket in $NOTIFY_SOCKET. Without that variable nothing is sent, and a
failure to send is ignored: a server that works must not end because its manager does not listen.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping

CLOSE_SECONDS = 15  # to close the database, after the requests in flight have ended


class SystemdNotifier:
    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        is_our_watchdog = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if is_our_watchdog and microseconds.isdigit() else 0.0

    def ready(self, status: str) -> None:
        """Report the end of the start or of a reload; `status` is shown by `systemctl status`."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, status: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={status}")

    def stopping(self, grace_seconds: float) -> None:
        """Report the stop, which takes at most `grace_seconds` for requests in flight and CLOSE_SECONDS after that."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int((grace_seconds + CLOSE_SECONDS) * 1e6)}")

    async def feed_watchdog(self, problem: Callable[[], Awaitable[str]]) -> None:
        """Feed the watchdog while `problem()` returns ""; otherwise the manager restarts the service in time.

        A loop that hangs, or a `problem` that does not return, feeds it neither. Ends only if there is no watchdog.
        """
        last = ""
        while self.watchdog_seconds:
            current = await problem()
            if not current:
                self._send("WATCHDOG=1")
            if current != last:
                self.status(current or "Ready again")
                last = current
            await asyncio.sleep(self.watchdog_seconds / 3)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return

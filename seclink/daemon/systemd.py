"""Telling the service manager how we are: systemd's notification protocol (sd_notify), which podman speaks, too.

A datagram of lines `NAME=value` to the socket in $NOTIFY_SOCKET. Where nobody asked to be told, nothing happens; where
the socket is gone, nothing fails: a server that works is not ended by a manager that does not listen.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping

STOP_SECONDS = 15  # to close the database, on top of what the requests in flight are given


class SystemdNotifier:
    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        given = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + given[1:] if given.startswith("@") else given
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1e6 if is_ours and microseconds.isdigit() else 0.0

    def ready(self, status: str) -> None:
        """Up, or up again after `reloading`."""
        self._say("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, status: str) -> None:
        """One line for `systemctl status`."""
        self._say(f"STATUS={status}")

    def stopping(self, grace_seconds: float) -> None:
        """On the way out, which may take that long."""
        self._say("STOPPING=1", f"EXTEND_TIMEOUT_USEC={int((grace_seconds + STOP_SECONDS) * 1e6)}")

    async def watch(self, trouble: Callable[[], Awaitable[str]]) -> None:
        """Feeds the watchdog for as long as there is no `trouble`; then the manager restarts us. Never returns.

        Whatever hangs, the loop or what it waits for, feeds nobody.
        """
        said = ""
        while self.watchdog_seconds:
            found = await trouble()
            if not found:
                self._say("WATCHDOG=1")
            if found != said:
                self.status(found or "Ready again")
                said = found
            await asyncio.sleep(self.watchdog_seconds / 3)

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return

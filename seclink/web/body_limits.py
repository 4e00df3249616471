"""A request's body under its limits: size, duration and pace."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from seclink.errors import Busy, PayloadTooLarge, RequestTimeout, SecLinkError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

# What is left of a smaller body arrives by itself after an answer that did not want it; the connection stays useful.
SMALL = 65_536
CLIENTS = 4  # that may hold as much as one may, at the same time


class BodyBudget:
    """What the bodies share: one timer, because one for each would cost as much as the rest of the gate, and the bytes
    that all of them may hold in memory at once. One client may hold a quarter of those, so that whoever holds much
    holds up nobody else."""

    def __init__(self, seconds: float, rate: int, most_held: int) -> None:
        self.seconds = seconds
        self.rate = rate
        self.most_held = most_held
        self.held = 0
        self.held_by: Counter[str] = Counter()
        self.waiting: set[LimitedBody] = set()
        self._running = False

    def add(self, body: "LimitedBody") -> None:
        self.waiting.add(body)
        if not self._running:
            self._run()

    def hold(self, client: str, more: int) -> bool:
        """Count what a client's bodies hold now. Whether that is within what it and all together may."""
        self.held += more
        self.held_by[client] += more
        mine = self.held_by[client]
        if not mine:
            del self.held_by[client]
        return self.held <= self.most_held and mine <= self.most_held // CLIENTS

    def _run(self) -> None:
        self._running = True
        asyncio.get_running_loop().call_later(min(1.0, self.seconds / 4), self._check)

    def _check(self) -> None:
        self._running = False
        now = asyncio.get_running_loop().time()
        for body in list(self.waiting):
            body.check(now)
        if self.waiting:
            self._run()


class LimitedBody:
    """The `receive` of a request whose body has `length` bytes, -1 for chunked. Its time starts when the application
    first asks for it. Going over a limit is raised, and kept as `cut`. `client` tells whose it is, if that matters."""

    __slots__ = (
        "_came",
        "_client",
        "_client_of",
        "_due",
        "_held",
        "_late",
        "_left",
        "_length",
        "_receive",
        "_task",
        "_together",
        "_whole",
        "cut",
        "lost",
    )

    def __init__(
        self, receive: Receive, length: int, most: int, together: BodyBudget, client: Callable[[], str] = lambda: ""
    ) -> None:
        self._receive = receive
        self._client_of, self._client = client, ""
        self._length = length
        self._left = most
        self._came = 0
        self._held = 0
        self._together = together
        self._due = 0.0
        self._task: asyncio.Task[Any] | None = None
        self._late = False
        self._whole = False
        self.lost = False  # the client went away
        self.cut: SecLinkError | None = None

    @property
    def is_left_over(self) -> bool:
        """Too much is still to come to wait for it after the answer."""
        return not self._whole and not 0 <= self._length <= SMALL

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        if not self._due:
            self._due = asyncio.get_running_loop().time() + self._together.seconds
        message = await self._next()
        size = len(message.get("body", b""))
        self._left -= size
        self._due += size / self._together.rate
        self._whole = not message.get("more_body", False)
        self.lost = message["type"] == "http.disconnect"
        self._came += size
        more = max(0, self._came - SMALL) - self._held  # small ones are bounded by the number of requests
        if self._left < 0:
            raise self._cut(PayloadTooLarge())
        if more > 0 and not self._hold(more):
            raise self._cut(Busy())
        return message

    def release(self) -> None:
        """The request is done with: its bytes make room for others."""
        if self._held:
            self._hold(-self._held)

    def _hold(self, more: int) -> bool:
        self._client = self._client or self._client_of()
        self._held += more
        return self._together.hold(self._client, more)

    async def _next(self) -> Message:
        self._task = asyncio.current_task()
        self._together.add(self)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if self._task is None or not self._late:
                raise
            self._task.uncancel()
            raise self._cut(RequestTimeout()) from None
        finally:
            self._together.waiting.discard(self)

    def check(self, now: float) -> None:
        if now > self._due and self._task is not None and not self._late:
            self._late = True
            self._task.cancel()

    def _cut(self, error: SecLinkError) -> SecLinkError:
        self.cut = error
        return error

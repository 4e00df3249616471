"""Limits of request bodies: size, duration, pace, and the memory that all of them share."""

import asyncio
from typing import Any

from seclink.domain.shares import Holder, Shares
from seclink.errors import Busy, PayloadTooLarge, RequestTimeout, SecLinkError
from seclink.web.asgi import Message, Receive

# A body of at most this size is not counted against the shared memory, because the number of requests already bounds
# it. If the application did not read it, the rest arrives on its own after the response and the connection stays open.
SMALL_BYTES = 65_536


class BodyBudget:
    """The state that all bodies share: the memory they may use, and one timer for their deadlines.

    A timer for each body would cost as much as the rest of the middleware.
    """

    def __init__(self, seconds: float, min_rate: int, max_bytes: int) -> None:
        """A body has `seconds` to arrive, and one more for every `min_rate` bytes received."""
        self.seconds = seconds
        self.min_rate = min_rate
        self.memory = Shares(max_bytes)
        self.waiting: set[LimitedBody] = set()
        self._timer_is_set = False

    def watch(self, body: "LimitedBody") -> None:
        """Check the deadline of a body until it is removed from `waiting`."""
        self.waiting.add(body)
        if not self._timer_is_set:
            self._set_timer()

    def _set_timer(self) -> None:
        self._timer_is_set = True
        asyncio.get_running_loop().call_later(min(1.0, self.seconds / 4), self._check_deadlines)

    def _check_deadlines(self) -> None:
        self._timer_is_set = False
        now = asyncio.get_running_loop().time()
        for body in list(self.waiting):
            body.check_deadline(now)
        if self.waiting:
            self._set_timer()


class LimitedBody:
    """The `receive` of one request whose body has `length` bytes, -1 for chunked.

    The deadline starts when the application first asks for the body. An exceeded limit is raised, and kept as `error`,
    because the application may swallow it. A large body is charged to its `holder`;
    one without is taken piece by piece, and never in memory as a whole.

    A missed deadline has to end a `receive` of the server that the application's own task awaits, and only cancelling
    that task ends it. So `check_deadline` cancels the task and sets `_timed_out`. `_next` then catches the
    CancelledError, takes the cancellation back with `uncancel()`, without which a later `asyncio.timeout` or task group
    of the application would take it for its own, and raises RequestTimeout in its place.
    A cancellation without `_timed_out` is the server's, at a stop, and passes through. The timer sees a body only while
    its task waits inside `_next`, so the application is never cancelled anywhere else.
    """

    __slots__ = (
        "_budget",
        "_deadline",
        "_holder",
        "_is_complete",
        "_length",
        "_receive",
        "_received",
        "_remaining",
        "_reserved",
        "_task",
        "_timed_out",
        "disconnected",
        "error",
    )

    def __init__(
        self,
        receive: Receive,
        length: int,
        max_bytes: int,
        budget: BodyBudget,
        holder: Holder | None,
    ) -> None:
        self._receive = receive
        self._holder = holder
        self._length = length
        self._remaining = max_bytes
        self._received = 0
        self._reserved = 0
        self._budget = budget
        self._deadline = 0.0
        self._task: asyncio.Task[Any] | None = None
        self._timed_out = False
        self._is_complete = False
        self.disconnected = False
        self.error: SecLinkError | None = None

    @property
    def has_unread(self) -> bool:
        """True if too much of the body is still to come to wait for it after the response."""
        return not self._is_complete and not 0 <= self._length <= SMALL_BYTES

    async def __call__(self) -> Message:
        if self._is_complete:
            return await self._receive()
        if not self._deadline:
            self._deadline = asyncio.get_running_loop().time() + self._budget.seconds
        message = await self._next()
        size = len(message.get("body", b""))
        self._remaining -= size
        self._received += size
        self._deadline += size / self._budget.min_rate
        self._is_complete = not message.get("more_body", False)
        self.disconnected = message["type"] == "http.disconnect"
        if self._remaining < 0:
            raise self._failed(PayloadTooLarge())
        more = max(0, self._received - SMALL_BYTES) - self._reserved
        if more > 0 and self._holder is not None:
            if not self._budget.memory.take(self._holder, more):
                raise self._failed(Busy())
            self._reserved += more
        return message

    def release(self) -> None:
        """Return the reserved memory once the request has ended."""
        if self._reserved and self._holder is not None:
            self._budget.memory.add(self._holder, -self._reserved)
            self._reserved = 0

    def check_deadline(self, now: float) -> None:
        """Cancel the waiting task if the deadline has passed; see the class on what follows."""
        if now > self._deadline and self._task is not None and not self._timed_out:
            self._timed_out = True
            self._task.cancel()

    async def _next(self) -> Message:
        """Return the server's next message. Raises RequestTimeout at the deadline."""
        self._task = asyncio.current_task()
        self._budget.watch(self)
        try:
            return await self._receive()
        except asyncio.CancelledError:
            if self._task is None or not self._timed_out:
                raise
            self._task.uncancel()
            raise self._failed(RequestTimeout()) from None
        finally:
            self._budget.waiting.discard(self)

    def _failed(self, error: SecLinkError) -> SecLinkError:
        self.error = error
        return error

"""The steps of a call: a generator yields them, and a socket, an event loop or a test does them.

A call yields an `HttpRequest` to send, a `float` of seconds to wait, or `Work` to do. After a request it receives an
`HttpResponse`, or `ConnectionLost` if there was none.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)."""

MAX_BYTES = 2**20
"""The size of a response, except for payloads: parsed, JSON takes up to thirty times as much memory."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`body` is sent as JSON unless it is None or bytes. `repeatable`: sending it twice has the same effect as once.
    `max_bytes` bounds the body of a successful response.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] | bytes | None = field(default=None, repr=False)
    repeatable: bool = False
    max_bytes: int = MAX_BYTES

    def content(self) -> bytes | None:
        # JSON escapes to ASCII, so a lone surrogate is rejected by the server instead of crashing the client.
        return self.body if self.body is None or isinstance(self.body, bytes) else json.dumps(self.body).encode()

    @property
    def origin(self) -> str:
        return "/".join(self.url.split("/", 3)[:3])


Body = bytes | bytearray


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Body = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """No complete response: refused, cut off or timed out. The request may or may not have arrived."""

    reason: str


class Work(Generic[T]):
    """A function that may block, such as reading a file. Beside an event loop it is called in a thread."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._result = self._function()
        except Exception as error:
            self._error = error

    def result(self) -> T:
        """Return what the function returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._result


Step = HttpRequest | Work[Any] | float
Outcome = HttpResponse | ConnectionLost | None
Flow = Generator[Step, Outcome, T]


def blocking(function: Callable[[], T]) -> Flow[T]:
    """Call a function that may block; return its result or raise its exception."""
    work = Work(function)
    yield work
    return work.result()

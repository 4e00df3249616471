"""Retries, and the exceptions of error responses."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from peer import SERVER, Caller, Peer, create_response, problem

from seclink import errors
from seclink.errors import BY_CODE, Busy, ClientError, Gone, SecLinkError, StorageFailed, Unreachable

RECEIPT = "0" * 20
LOSSES: dict[str, Callable[[], Any]] = {
    "refused": lambda: httpx.ConnectError("[Errno 111] Connection refused"),
    "no connection in time": lambda: httpx.ConnectTimeout("timed out"),
    "no answer in time": lambda: httpx.ReadTimeout("timed out"),
    "cut in the body": lambda: httpx.RemoteProtocolError("peer closed connection"),
    "reset": lambda: httpx.ReadError("reset"),
    "broken JSON": lambda: httpx.Response(201, content=b'{"linkId": "AbC'),
    "empty": lambda: httpx.Response(201, content=b""),
    "members missing": lambda: httpx.Response(201, json={"linkId": "AbCdEf123456"}),
    "busy": lambda: problem(503, "busy", {"retry-after": "1"}),
    "not durable": lambda: problem(503, "storage"),
    "proxy without server": lambda: httpx.Response(502, html="<h1>Bad Gateway</h1>"),
    "proxy waited": lambda: httpx.Response(504, text="timeout"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_create_is_retried_with_the_same_idempotency_key(call: Caller, peer: Peer, loss: str) -> None:
    """LR-06: the client's half"""
    peer.script = [LOSSES[loss](), LOSSES[loss]()]
    call("create", "hello")
    names = {request.headers["idempotency-key"] for request in peer.requests}
    assert len(peer.requests) == 3
    assert len(names) == 1
    assert len(names.pop()) == 32
    assert len({request.content for request in peer.requests}) == 1
    assert len(call.waited) == 2


@pytest.mark.parametrize("loss", LOSSES)
def test_reveal_is_retried_with_the_same_idempotency_key(call: Caller, peer: Peer, loss: str) -> None:
    """LR-02: the client's half"""
    link = call("create", "hello").link
    peer.requests.clear()
    peer.script = [LOSSES[loss]()]
    assert call("reveal", link).text == "hello"
    assert [len(peer.requests), len({request.headers["idempotency-key"] for request in peer.requests})] == [2, 1]


def test_each_call_has_its_own_idempotency_key(call: Caller, peer: Peer) -> None:
    """LR-03"""
    link = call("create", "hello").link
    call("reveal", link)
    call("reveal", link)
    assert len({request.headers["idempotency-key"] for request in peer.requests}) == 3


def test_client_gives_up_after_three_attempts(call: Caller, peer: Peer) -> None:
    peer.script = [LOSSES["refused"]() for _ in range(9)]
    with pytest.raises(Unreachable, match=r"https://secret\.example cannot be reached: .*refused"):
        call("create", "hello")
    assert len(peer.requests) == 3
    assert call.waited == [0.2, 1.0]


@pytest.mark.parametrize(("code", "kind"), [("busy", Busy), ("storage", StorageFailed)])
def test_error_of_a_server_that_stays_busy_is_raised(
    call: Caller, peer: Peer, code: str, kind: type[SecLinkError]
) -> None:
    peer.script = [problem(503, code) for _ in range(9)]
    with pytest.raises(kind):
        call("create", "hello")
    assert len(peer.requests) == 3


def test_retry_after_is_obeyed(call: Caller, peer: Peer) -> None:
    peer.script = [problem(503, "busy", {"retry-after": "4"})]
    call("create", "hello")
    assert call.waited == [4]


def test_long_retry_after_is_left_to_the_caller(call: Caller, peer: Peer) -> None:
    peer.script = [problem(503, "busy", {"retry-after": "600"})]
    with pytest.raises(Busy):
        call("create", "hello")
    assert (len(peer.requests), call.waited) == (1, [])


REFUSALS = [
    (cls.status, code) for code, cls in BY_CODE.items() if not issubclass(cls, ClientError) and cls.status != 503
]


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_error_response_is_final_and_raises_its_exception(call: Caller, peer: Peer, status: int, code: str) -> None:
    peer.script = [problem(status, code)]
    with pytest.raises(BY_CODE[code]) as refused:
        call("create", "hello")
    assert type(refused.value) is BY_CODE[code]
    assert refused.value.message == f"about {code}"
    assert (len(peer.requests), call.waited) == (1, [])


@pytest.mark.parametrize("operation", ["delete", "update"])
def test_request_without_idempotency_key_is_not_retried(call: Caller, peer: Peer, operation: str) -> None:
    peer.script = [LOSSES["reset"]()]
    with pytest.raises(Unreachable):
        call(operation, RECEIPT, "token")
    assert len(peer.requests) == 1


def test_reads_are_retried(call: Caller, peer: Peer) -> None:
    peer.stored = {}
    peer.script = [LOSSES["reset"]()]
    call("meta", f"{SERVER}/AbCdEf123456")
    assert len(peer.requests) == 2


# The data of an error


def test_bad_request_has_its_faults(call: Caller, peer: Peer) -> None:
    limit = {"min": 60, "max": 90}
    faults: list[Any] = [
        {"field": "iv", "message": "is missing", "code": "required"},
        {"field": "expiresIn", "message": "is odd", "code": "out_of_range", "limit": limit},
        {"field": "label", "message": "is odd", "code": "of_a_newer_server", "limit": {"max": "9", "unit": "inches"}},
        {"field": "views", "message": "is odd", "code": ["invalid"], "limit": {"min": -1, "max": 10**400}},
        {"field": "old"},
        7,
    ]
    peer.script = [problem(400, "bad_request", errors=faults)]
    with pytest.raises(errors.BadRequest) as refused:
        call("create", "hello")
    assert refused.value.faults == (
        errors.Fault("iv", "is missing", "required"),
        errors.Fault("expiresIn", "is odd", "out_of_range", errors.Limit(60, 90)),
        errors.Fault("label", "is odd", "invalid", errors.Limit()),
        errors.Fault("views", "is odd", "invalid", errors.Limit()),
        errors.Fault("old", "", "invalid"),
    )


def test_too_large_payload_has_its_limit(call: Caller, peer: Peer) -> None:
    fault = {"field": "encryptedBlob", "message": "is odd", "code": "too_long", "limit": {"max": 9}}
    peer.script = [problem(413, "payload_too_large", errors=[fault]), problem(413, "payload_too_large")]
    for faults in ((errors.Fault("encryptedBlob", "is odd", "too_long", errors.Limit(max=9)),), ()):
        with pytest.raises(errors.PayloadTooLarge) as refused:
            call("create", "hello")
        assert refused.value.faults == faults


def test_wrong_passcode_has_the_attempts_left(call: Caller, peer: Peer) -> None:
    link = call("create", "hello").link
    peer.script = [problem(401, "passcode_wrong", attemptsLeft=3)]
    with pytest.raises(errors.PasscodeWrong) as refused:
        call("reveal", link)
    assert refused.value.attempts_left == 3


def test_gone_has_state_and_time(call: Caller, peer: Peer) -> None:
    link = call("create", "hello").link
    peer.script = [problem(410, "gone", state="burned", endedAt=1_800_000_000_000), problem(410, "gone")]
    with pytest.raises(Gone) as refused:
        call("reveal", link)
    assert (refused.value.state, refused.value.ended_at) == ("burned", 1_800_000_000_000)
    with pytest.raises(Gone) as refused:
        call("reveal", link)
    assert (refused.value.state, refused.value.ended_at) == ("", None)


@pytest.mark.parametrize("code", ["rate_limited", "passcode_locked"])
@pytest.mark.parametrize(("header", "seconds"), [("600", 600), ("0", 1), ("soon", 1), ("", 1), ("²", 1), ("9" * 40, 1)])
def test_rate_limit_has_the_seconds_to_wait(call: Caller, peer: Peer, code: str, header: str, seconds: int) -> None:
    headers = [(b"retry-after", header.encode())]
    peer.script = [httpx.Response(429, headers=headers, json={"code": code})]
    with pytest.raises(errors.RateLimited) as refused:
        call("create", "hello")
    assert (refused.value.retry_after, refused.value.code) == (seconds, code)


def test_members_of_a_wrong_type_are_ignored(call: Caller, peer: Peer) -> None:
    peer.script = [problem(410, "gone", state=None, endedAt="yesterday"), problem(400, "bad_request", errors="iv")]
    with pytest.raises(Gone) as gone:
        call("create", "hello")
    assert gone.value.ended_at is None
    with pytest.raises(errors.BadRequest) as bad:
        call("create", "hello")
    assert bad.value.faults == ()


# Responses that are not SecLink's


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield bytes(2**20)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield bytes(2**20)


@pytest.mark.parametrize("status", [201, 400, 503])
def test_endless_response_is_cut_off(call: Caller, peer: Peer, status: int) -> None:
    peer.script = [httpx.Response(status, stream=Endless()) for _ in range(3)]
    with pytest.raises(Unreachable, match="larger than 1,048,576 bytes"):
        call("create", "hello")


@pytest.mark.parametrize(
    "response",
    [
        lambda: httpx.Response(404, html="<h1>Not Found</h1>"),
        lambda: httpx.Response(401, json={"error": "no"}),
        lambda: httpx.Response(403, json={"code": 1015}),
        lambda: httpx.Response(403, json={"code": "AccessDenied"}),
        lambda: httpx.Response(400, json=["bad"]),
        lambda: httpx.Response(403, content=b"\xff\xfe"),
        lambda: httpx.Response(404, content=b"[" * 100_000),
        lambda: problem(400, "link_incomplete"),
        lambda: problem(400, "not_authentic"),
        lambda: problem(400, "unreachable"),
        lambda: httpx.Response(500, text="Traceback"),
        lambda: httpx.Response(301, headers={"location": "https://other.example/"}),
    ],
)
def test_error_that_is_not_seclinks_is_unreachable_at_once(
    call: Caller, peer: Peer, response: Callable[[], httpx.Response]
) -> None:
    peer.script = [response()]
    with pytest.raises(Unreachable):
        call("create", "hello")
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, Unreachable, "400 Bad Request"),
        (401, Unreachable, "login"),
        (403, Unreachable, "refuse"),
        (404, Unreachable, "is this its address"),
        (405, Unreachable, "405 Method Not Allowed"),
        (407, Unreachable, "login"),
        (408, Unreachable, "too slow"),
        (413, errors.PayloadTooLarge, "too large for"),
        (414, Unreachable, "414"),
        (429, errors.RateLimited, "too many requests"),
        (431, Unreachable, "431"),
        (451, Unreachable, "refuse"),
        (500, Unreachable, "500 Internal Server Error"),
        (501, Unreachable, "501"),
        (502, Unreachable, "the SecLink behind it does not"),
        (503, Unreachable, "the SecLink behind it does not"),
        (504, Unreachable, "the SecLink behind it does not"),
        (507, Unreachable, "507"),
        (511, Unreachable, "login"),
        (520, Unreachable, "520"),
        (525, Unreachable, "525"),
        (799, Unreachable, "799"),
    ],
)
def test_error_page_of_a_proxy_is_told_as_it_is(
    call: Caller, peer: Peer, status: int, kind: type[SecLinkError], words: str
) -> None:
    peer.script = [httpx.Response(status, html="<h1>Proxy</h1>") for _ in range(3)]
    with pytest.raises(SecLinkError, match=words) as refused:
        call("create", "hello")
    assert type(refused.value) is kind
    assert "Proxy<" not in refused.value.message


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("", 60), ("Wed, 21 Oct 2026 07:28:00 GMT", 60), ("0", 60)])
def test_rate_limit_of_a_proxy_has_a_time_to_wait(call: Caller, peer: Peer, header: str, seconds: int) -> None:
    peer.script = [httpx.Response(429, html="<h1>Slow down</h1>", headers={"Retry-After": header})]
    with pytest.raises(errors.RateLimited) as refused:
        call("create", "hello")
    assert refused.value.retry_after == seconds


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"linkId": NaN}'])
def test_success_that_is_not_seclinks_is_unreachable_after_retries(call: Caller, peer: Peer, content: bytes) -> None:
    peer.script = [httpx.Response(200, content=content) for _ in range(3)]
    with pytest.raises(Unreachable):
        call("create", "hello")


def test_unknown_code_of_a_newer_server_is_raised(call: Caller, peer: Peer) -> None:
    peer.script = [problem(451, "quota_of_the_future")]
    with pytest.raises(SecLinkError, match="about quota_of_the_future") as refused:
        call("create", "hello")
    assert not isinstance(refused.value, ClientError)


def test_message_of_a_server_is_truncated(call: Caller, peer: Peer) -> None:
    peer.script = [httpx.Response(404, json={"code": "not_found", "detail": "x" * 10_000})]
    with pytest.raises(errors.NotFound) as refused:
        call("create", "hello")
    assert len(refused.value.message) == 500


def test_closed_port_is_unreachable(unused_tcp_port: int) -> None:
    from seclink import AsyncClient, Client

    async def later(seconds: float) -> None:
        pass

    async def ask() -> None:
        async with AsyncClient(f"http://127.0.0.1:{unused_tcp_port}", "", sleep=later) as client:
            await client.create("x")

    with Client(f"http://127.0.0.1:{unused_tcp_port}", "", sleep=lambda _: None) as client, pytest.raises(Unreachable):
        client.create("x")
    with pytest.raises(Unreachable):
        asyncio.run(ask())


def test_successful_create_sends_one_request(call: Caller, peer: Peer) -> None:
    peer.script = [httpx.Response(201, json=create_response())]
    call("create", "x")
    assert peer.paths == ["POST /secrets"]

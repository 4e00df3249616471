"""Clients against servers that are not honest: what each call sends to whom, and what it makes of any response."""

import asyncio
import contextlib
import functools
import itertools
import json
import socket
import threading
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from click.testing import CliRunner

from seclink import AsyncClient, Client
from seclink.cli.main import cli
from seclink.cli.profile import Profile
from seclink.errors import BadRequest, LinkIncomplete, SecLinkError, Unreachable
from seclink.format.link import fragment_of
from seclink.ops.http_probe import HttpProbe, ProbeFailed

RECEIPT, TOKEN, LINK_ID = "R" * 20, "t" * 32, "AbCdEf123456"
KEY = "sk_live_of_our_own_server"
FRAGMENT = fragment_of(bytes(32))
FAR_FUTURE = 1_900_000_000_000

Respond = Callable[[str, str], Iterator[bytes]]
"""The parts of a response to a method and a path."""


class Recorder:
    """A server on this machine that keeps what it receives, and sends whatever bytes `respond` yields."""

    def __init__(self, respond: Respond | None = None) -> None:
        self.received: list[str] = []
        self._respond = respond or (lambda *_: iter([http(404, b'{"code": "not_found"}')]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), client, client.makefile("rb") as file:
            client.settimeout(60)
            lines = [line.decode() for line in itertools.takewhile(lambda line: line.strip(), file)]
            length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
            self.received.append("".join(lines) + file.read(length).decode())
            method, path, _ = lines[0].split(" ", 2)
            for part in self._respond(method, path):
                client.sendall(part)

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def http(status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """Return a response that ends its connection."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {size}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@pytest.fixture
def servers() -> Iterator[tuple[Recorder, Recorder]]:
    """The caller's own server, and another one."""
    with Recorder() as own, Recorder() as other:
        yield own, other


class Result(NamedTuple):
    status: int
    output: str


def run(folder: Path, *arguments: str, input: str = "", **env: str) -> Result:
    """Run a command in this process. An exception other than its exit status is a traceback, and fails."""
    settings = {"XDG_CONFIG_HOME": str(folder), "SECLINK_SERVER": None, "SECLINK_API_KEY": None, **env}
    result = CliRunner().invoke(cli, arguments, input=input, env=settings)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.output)


# What is sent to whom

RECEIPT_LINKS: list[Callable[[str], str]] = [
    lambda origin: f"{origin}/receipt/{RECEIPT}",
    lambda origin: f"Your receipt: <{origin}/receipt/{RECEIPT}>.",
    lambda origin: f"{origin}/below/a/path/receipt/{RECEIPT}#cut",
    lambda origin: f"https://safe.example/?url={origin.replace(':', '%3A').replace('/', '%2F')}%2Freceipt%2F{RECEIPT}",
    lambda origin: f"{origin.upper()}/receipt/{RECEIPT}?x=1#",
    lambda origin: f"{origin.replace('http', 'https')}/receipt/{RECEIPT}",
]


@pytest.mark.parametrize("command", [("get",), ("get", "--details-only"), ("get", "--json"), ("delete",)])
@pytest.mark.parametrize("link", RECEIPT_LINKS)
@pytest.mark.parametrize("key", ["", KEY])
def test_saved_credentials_are_sent_only_to_their_own_server(
    servers: tuple[Recorder, Recorder], tmp_path: Path, command: tuple[str, ...], link: Callable[[str], str], key: str
) -> None:
    """AUTH-08: whatever server a receipt's link names."""
    own, other = servers
    profile = Profile(tmp_path / "seclink" / "client.json")
    profile.log_in(own.url, key)
    profile.remember(own.url, RECEIPT, TOKEN, FAR_FUTURE, FAR_FUTURE)
    result = run(tmp_path, *command, link(other.url))
    assert result.status == 1
    assert not other.received, "a link without a manage token is not for anybody else"
    assert not own.received
    assert "127.0.0.1" in result.output


@pytest.mark.parametrize("origin", ["https://127.0.0.1:1", "http://127.0.0.1:2", "http://localhost:1"])
def test_manage_token_of_the_caller_is_not_sent_to_another_origin(origin: str) -> None:
    """AUTH-08: a scheme or a port makes another origin, too."""
    link = f"{origin}/receipt/{RECEIPT}"
    with Client("http://127.0.0.1:1", KEY) as client:
        for call in (client.get_details, client.update, client.delete):
            with pytest.raises(LinkIncomplete, match="leads to"):
                call(link, TOKEN)


@pytest.mark.parametrize(
    "command",
    [
        ("get", f"{{}}/{LINK_ID}#{FRAGMENT}"),
        ("get", f"{{}}/{LINK_ID}#{FRAGMENT}", "--passcode", "told by phone"),
        ("get", f"{{}}/{LINK_ID}#{FRAGMENT}", "--details-only"),
        ("delete", f"{{}}/{LINK_ID}#{FRAGMENT}"),
        ("get", f"{{}}/receipt/{RECEIPT}#{'f' * 32}"),
        ("delete", f"{{}}/receipt/{RECEIPT}#{'f' * 32}"),
    ],
)
def test_another_server_receives_nothing_of_the_callers(
    servers: tuple[Recorder, Recorder], tmp_path: Path, command: tuple[str, ...]
) -> None:
    """AUTH-08, PC-08: neither key nor saved token, nor the link's key or the passcode."""
    own, other = servers
    profile = Profile(tmp_path / "seclink" / "client.json")
    profile.log_in(own.url, KEY)
    profile.remember(own.url, RECEIPT, TOKEN, FAR_FUTURE, FAR_FUTURE)
    run(tmp_path, *(argument.format(other.url) for argument in command), SECLINK_API_KEY=KEY)
    for secret in (KEY, TOKEN, FRAGMENT, "told by phone"):
        assert secret not in "".join(other.received)


# What is made of responses

ESCAPE = "\x1b]0;owned\x07\x1b[2J\u202e\u2028\x85\nseclink: all is well"
METRICS = (
    'seclink_build_info{{version="{0}"}} 1\nseclink_ready{{part="{0}"}} {1}\nprocess_start_time_seconds {1}\n'
    + "".join(
        f'seclink_request_seconds_bucket{{{{api="v1",operation="{{0}}",le="{bound}"}}}} {{1}}\n'
        for bound in ("0.1", "+Inf")
    )
)


def valid(method: str, path: str) -> Any:
    """Return what an honest server responds, as JSON or as text."""
    secret = {"linkId": LINK_ID, "expiresAt": FAR_FUTURE, "maxViews": 1, "viewsLeft": 1, "format": "seclink/v1"}
    receipt = {"receiptId": RECEIPT, "state": "active", "label": "l", "publicNote": "n", "createdAt": 1, "views": 0}
    receipt |= {"expiresAt": FAR_FUTURE, "maxViews": 1, "passcodeRequired": False, "linkId": LINK_ID}
    names = ["totalSecrets", "activeSecrets", "expiredSecrets", "totalViews", "secretsWithPasscode"]
    names += ["createdToday", "createdThisWeek", "createdThisMonth"]
    pages = {"currentPage": 1, "perPage": 1, "total": 1, "lastPage": 1}
    if path.endswith("/metrics"):
        return METRICS
    return {
        "secrets": secret | {"shareUrl": f"https://a.example/{LINK_ID}", "receiptId": RECEIPT, "manageToken": TOKEN},
        "meta": secret
        | {"expiryType": "custom", "accessRequired": True, "passcodeRequired": False, "publicNote": "note"},
        "reveal": secret | {"encryptedBlob": "AAAA", "iv": "AAAA"},
        "receipts": {"data": [receipt], "pagination": pages},
        RECEIPT: receipt | {"events": [{"at": 1, "type": "created"}]},
        LINK_ID: receipt | {"events": [{"at": 1, "type": "created"}]},
        "stats": dict.fromkeys(names, 1),
        "account": {"name": "name", "scopes": ["create"], "keyPrefix": "sk_live_"},
    }.get(path.partition("?")[0].rpartition("/")[2], {})


def changed(change: Callable[[Any], Any]) -> Respond:
    """Respond as an honest server, with each value changed."""

    def deep(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: deep(item) for name, item in value.items()}
        return [deep(item) for item in value] if isinstance(value, list) else change(value)

    def respond(method: str, path: str) -> Iterator[bytes]:
        content = valid(method, path)
        if isinstance(content, str):
            text = content.format(change("x"), change(1)).encode("utf-8", "replace")
        else:
            text = json.dumps(deep(content)).encode()
        yield http(200, text)

    return respond


def always(*parts: bytes) -> Respond:
    return lambda *_: iter(parts)


def numbers(number: Any) -> Respond:
    return changed(lambda value: number if type(value) is int else value)


def texts(text: Any) -> Respond:
    return changed(lambda value: text if isinstance(value, str) else value)


def problem(status: int, code: str = "forbidden", **members: Any) -> bytes:
    content = {"code": code, "title": ESCAPE, "detail": ESCAPE * 500} | members
    return http(status, json.dumps(content).encode(), "Content-Type: application/problem+json")


FAULTS = [{"field": ESCAPE * 100, "message": ESCAPE, "code": ESCAPE, "limit": {"min": 10**400, "max": -1}}] * 1000
RESPONSES: dict[str, Respond] = {
    "an honest one": changed(lambda value: value),
    "escapes": texts(ESCAPE),
    "long texts": texts("x" * 50_000),
    "numbers for texts": texts(7),
    "lists": changed(lambda _: [[]]),
    "null": changed(lambda _: None),
    "huge integers": numbers(10**400),
    "integers beyond all": numbers(10**18),
    "negative": numbers(-(10**15)),
    "the last millisecond": numbers(253_402_300_799_999),
    "NaN": numbers(float("nan")),
    "Infinity": numbers(float("inf")),
    "no members": always(http(200, b"{}")),
    "nesting": always(http(200, b'{"x": ' * 5000 + b"1" + b"}" * 5000)),
    "nesting in a problem": always(http(400, b'{"code": "bad_request", "errors": ' + b"[" * 5000 + b"]" * 5000 + b"}")),
    "millions of lists": always(http(200, b'{"x": [' + b"[]," * 3_000_000 + b"[]]}")),
    "a million members": always(http(200, b"{" + b"".join(b'"%d":0,' % n for n in range(300_000)) + b'"x":0}')),
    "a problem": always(problem(403)),
    "a problem with faults": always(problem(400, "bad_request", errors=FAULTS)),
    "an unknown problem": always(problem(418, "teapot")),
    "gone at no time": always(problem(410, "gone", state=ESCAPE, endedAt=10**300)),
    "many attempts": always(problem(401, "passcode_wrong", attemptsLeft=10**300)),
    "passcode required": always(problem(401, "passcode_required")),
    "a redirect": always(http(302, b"", "Location: http://127.0.0.1:1/\x1b[2J\x85")),
    "a page": always(http(200, b"<h1>\x1b[2J</h1>", "Content-Type: text/html")),
    "a page of an error": always(http(500, b"\xff\xfe\x1b[2J", "Content-Type: text/html")),
    "half of a response": always(http(200, b'{"x":', length=1000)),
    "compressed": always(http(200, b"\x1f\x8b" + bytes(50), "Content-Encoding: gzip")),
    "another protocol": always(b"\x1b[2JSSH-2.0-OpenSSH\r\n"),
    "nothing": always(b""),
    "many headers": always(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"x" * 5000 + b"\r\n"] * 1000),
    "an endless body": lambda *_: (part for part in (http(200, b"", length=10**15), *[b" " * 2**16] * 2000)),
}
COMMANDS: list[list[str]] = [
    ["create", "x"],
    ["create", "x", "--json"],
    ["get", f"{{}}/{LINK_ID}#{FRAGMENT}"],
    ["get", f"{{}}/{LINK_ID}#{FRAGMENT}", "--passcode", "1234"],
    ["get", f"{{}}/{LINK_ID}#{FRAGMENT}", "--details-only"],
    ["get", f"{{}}/{LINK_ID}#{FRAGMENT}", "--details-only", "--json"],
    ["get", f"{{}}/{LINK_ID}#8PHy8_T19vf4-fr7_P3-_w"],
    ["get", RECEIPT],
    ["get", f"{{}}/receipt/{RECEIPT}#{TOKEN}", "--json"],
    ["list"],
    ["list", "--json"],
    ["delete", RECEIPT],
    ["delete", LINK_ID],
    ["stats"],
    ["stats", "--json"],
    ["login"],
    ["status", "--server", "{}"],
    ["status", "--server", "{}", "--json"],
    ["check", "--url", "{}"],
]


def is_harmless(output: str) -> bool:
    return not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c == "\u202e" for c in output if c != "\n")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seclink.client.protocol.RETRY_SECONDS", (0.0, 0.0))


@pytest.mark.parametrize("name", RESPONSES)
def test_no_response_ends_a_command_in_a_traceback(tmp_path: Path, hasty: None, name: str) -> None:
    """Nor does it control the terminal, add lines of its own, or print more than people can read."""
    with Recorder(RESPONSES[name]) as server:
        for command in COMMANDS:
            arguments = [argument.format(server.url) for argument in command]
            result = run(tmp_path, *arguments, SECLINK_SERVER=server.url, SECLINK_API_KEY=KEY, TZ="Asia/Tokyo")
            assert result.status in (0, 1, 3, 4), (command, result)
            assert is_harmless(result.output), (command, result.output)
            assert not any(line.startswith("seclink: all is well") for line in result.output.split("\n"))
            assert len(result.output) < 500_000, command
            if "NaN" in name or "Infinity" in name:
                assert name not in result.output
            if name == "an honest one" and "1234" not in command:
                assert result.status == 0 or command[0] == "get" or "--server" in command or "--url" in command, result


@pytest.mark.parametrize("name", ["escapes", "long texts", "a redirect", "a page", "nothing", "another protocol"])
def test_no_response_ends_verify_in_a_traceback(tmp_path: Path, name: str) -> None:
    with Recorder(RESPONSES[name]) as server:
        result = run(tmp_path, "verify", server.url)
        assert result.status in (1, 3)
        assert is_harmless(result.output)


LINK = f"{{}}/{LINK_ID}#{FRAGMENT}"
CALLS: list[tuple[str, tuple[str, ...]]] = [
    ("create", ("x",)), ("reveal", (LINK,)), ("reveal", (LINK, "1234")), ("meta", (LINK,)), ("report", (LINK, "spam")),
    ("list_secrets", ()), ("get_details", (RECEIPT,)), ("update", (RECEIPT,)), ("delete", (RECEIPT,)),
    ("get_stats", ()), ("get_account", ()),
]  # fmt: skip


def call_sync(server: str, name: str, arguments: tuple[str, ...], timeout: float = 30) -> None:
    with Client(server, KEY, timeout) as client:
        getattr(client, name)(*(argument.format(server) for argument in arguments))


def call_async(server: str, name: str, arguments: tuple[str, ...], timeout: float = 30) -> None:
    async def call() -> None:
        async with AsyncClient(server, KEY, timeout) as client:
            await getattr(client, name)(*(argument.format(server) for argument in arguments))

    asyncio.run(call())


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("call", [call_sync, call_async])
def test_no_response_raises_another_exception(hasty: None, name: str, call: Callable[..., None]) -> None:
    with Recorder(RESPONSES[name]) as server:
        for operation, arguments in CALLS:
            with contextlib.suppress(SecLinkError):
                call(server.url, operation, arguments)


# Responses that never end


def drip(*first: bytes, drop: bytes = b"x") -> Respond:
    """Send a byte now and then, for twenty seconds if the client waits so long."""

    def respond(method: str, path: str) -> Iterator[bytes]:
        yield from first
        for _ in range(400):
            threading.Event().wait(0.05)
            yield drop

    return respond


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "the status": drip(b"HTTP/1.1 200 "),
    "headers": drip(b"HTTP/1.1 200 OK\r\nX: "),
    "responses before the response": drip(drop=b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "the body": drip(http(200, b"", length=10**6), drop=b" "),
    "a body without an end": drip(b"HTTP/1.1 200 OK\r\n\r\n", drop=b" "),
    "the extension of a chunk": drip(CHUNKED, b"5;x="),
    "chunks": drip(CHUNKED, drop=b"1\r\n \r\n"),
    "an error": drip(http(503, b"", length=10**6), drop=b" "),
}


@pytest.mark.parametrize("name", DRIPS)
@pytest.mark.parametrize("call", [call_sync, call_async])
def test_dripping_response_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch, hasty: None, name: str, call: Callable[..., None]
) -> None:
    """Of the whole request: each wait by itself is short."""
    with Recorder(DRIPS[name]) as server, pytest.raises(Unreachable, match="no response in time"):
        call(server.url, "get_account", (), timeout=0.4)


@pytest.mark.parametrize("name", sorted(DRIPS.keys() - {"responses before the response"}))  # a probe takes the first
def test_dripping_response_has_a_deadline_for_probes(name: str) -> None:
    with Recorder(DRIPS[name]) as server, HttpProbe(server.url, timeout_seconds=0.2) as probe:
        with pytest.raises(ProbeFailed, match="no response within"):
            probe.get("/")
        with pytest.raises(ProbeFailed, match="no response within"):
            probe.send("GET", "/", {})


def test_dripping_response_has_a_deadline_for_commands(
    monkeypatch: pytest.MonkeyPatch, hasty: None, tmp_path: Path
) -> None:
    monkeypatch.setattr("seclink.cli.connection.Client", functools.partial(Client, timeout=0.4))
    monkeypatch.setattr("seclink.cli.metrics_source.TIMEOUT_SECONDS", 0.2)
    with Recorder(DRIPS["the body"]) as server:
        for command in (["list"], ["stats"], ["status", "--server", server.url]):
            result = run(tmp_path, *command, SECLINK_SERVER=server.url, SECLINK_API_KEY=KEY)
            assert (result.status, "no response" in result.output) == (3, True), result.output


# What is not the caller's wish


def test_empty_passcode_is_no_passcode() -> None:
    with Recorder() as server:
        with Client(server.url, KEY) as client:
            for call in (
                lambda: client.create("x", password=""),
                lambda: client.reveal(LINK.format(server.url), passcode=""),
            ):
                with pytest.raises(BadRequest, match="passcode"):
                    call()
        assert not server.received


def test_link_at_another_address_is_said(tmp_path: Path) -> None:
    with Recorder(RESPONSES["an honest one"]) as server:
        result = run(tmp_path, "create", "x", SECLINK_SERVER=server.url)
        assert f"https://a.example/{LINK_ID}#" in result.output
        assert f"warning: {server.url} gives the link another address: it leads to https://a.example\n" in result.output

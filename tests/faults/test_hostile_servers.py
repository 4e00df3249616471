"""Clients against servers that are not honest: what each call sends to whom, and what it makes of any response."""

import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

import pytest
from click.testing import CliRunner

from seclink import Client
from seclink.cli.main import cli
from seclink.cli.profile import Profile
from seclink.errors import LinkIncomplete
from seclink.format.link import fragment_of

RECEIPT, TOKEN, LINK_ID = "R" * 20, "t" * 32, "AbCdEf123456"
KEY = "sk_live_of_our_own_server"
FAR_FUTURE = 1_900_000_000_000


class Recorder:
    """A server on this machine that keeps what it receives, and answers with `status` and `body`."""

    def __init__(self, status: int = 404, body: bytes = b'{"code": "not_found"}') -> None:
        self.received: list[str] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler(status, body))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _handler(self, status: int, body: bytes) -> type[http.server.BaseHTTPRequestHandler]:
        recorder = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def respond(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                recorder.received.append(f"{self.requestline}\n{self.headers}\n{content.decode()}")
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = do_PATCH = respond  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


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
        ("get", f"{{}}/{LINK_ID}#{fragment_of(bytes(32))}"),
        ("get", f"{{}}/{LINK_ID}#{fragment_of(bytes(32))}", "--passcode", "told by phone"),
        ("get", f"{{}}/{LINK_ID}#{fragment_of(bytes(32))}", "--details-only"),
        ("delete", f"{{}}/{LINK_ID}#{fragment_of(bytes(32))}"),
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
    for secret in (KEY, TOKEN, fragment_of(bytes(32)), "told by phone"):
        assert secret not in "".join(other.received)

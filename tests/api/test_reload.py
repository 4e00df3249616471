"""SIGHUP: the TOML is read again while serving. All of it takes effect or nothing does, and nobody who asks notices."""

import contextlib
import os
import pty
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from api_helpers import body, encoded
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS, BackgroundLoad, until

RATES = '[rates]\ncreate = "1000000/hour"\nreveal = "1000000/hour"\npeek = "1000000/hour"\n'


def reload(server: Server, toml: str | None) -> str:
    """Replace the file, None for no file at all, and let it be read. What the log says to that."""
    before = server.log()
    if toml is None:
        server.config.unlink()
    else:
        server.config.write_text(toml)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded" in server.log()[len(before) :])
    return server.log()[len(before) :]


@pytest.fixture
def http() -> Iterator[Callable[[Any], httpx.Client]]:
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(httpx.Client(base_url=server.url, timeout=TIMEOUT_SECONDS))


class Load(BackgroundLoad):
    """Callers who keep their connections."""

    def __init__(self, server: Server) -> None:
        super().__init__(3)
        self.server, self.count, self.names = server, 0, set[str]()

    def work(self, number: int) -> None:
        with httpx.Client(base_url=self.server.url, timeout=TIMEOUT_SECONDS) as client:
            while not self.over.is_set():
                self.round(client)

    def round(self, client: httpx.Client) -> None:
        made = client.post("/api/v1/secrets", json=body())
        page = client.get("/")
        link_id = made.json().get("linkId")
        revealed = client.post(f"/api/v1/secrets/{link_id}/reveal")
        self.failed += [each.text for each in (made, page, revealed) if each.status_code >= 300]
        self.names |= {name for name in ("Odd", "Even") if name in page.text}
        self.count += 3


def test_twenty_reloads_under_load_fail_no_request(make_server: MakeServer) -> None:
    server = make_server(RATES).start()
    with Load(server) as load:
        for number in range(20):
            asked = load.count
            said = reload(server, f'{RATES}[branding]\nname = "{("Even", "Odd")[number % 2]}"\n')
            assert '"event":"reloaded"' in said
            until(lambda asked=asked: load.count > asked + 6 or load.failed)
    assert load.failed == []
    assert load.names == {"Odd", "Even"}
    assert server.log().count('"event":"reloaded"') == 20
    assert server.stop() == 0


def test_request_in_flight_ends_by_the_rules_it_began_with(make_server: MakeServer) -> None:
    """An upload that is under way is not cut by a limit that came later; the next one on its connection is."""
    server = make_server(RATES + "[limits]\npayload_bytes = 2000000\n").start()
    sent = b'{"encryptedBlob":"%s","iv":"aQ==","expiryType":"1hour"}' % encoded(b"x" * 900_000).encode()
    head = b"POST /api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as client:
        client.sendall(head % len(sent) + sent[:1000])
        until(lambda: httpx.get(f"{server.url}/healthz").status_code == 200)
        reload(server, RATES + "[limits]\npayload_bytes = 1024\n")
        client.sendall(sent[1000:])
        assert client.recv(65536).startswith(b"HTTP/1.1 201 ")
        client.sendall(head % len(sent))
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[branding]\nname = ", "seclink.toml:2: not valid TOML"),
        (
            "[branding]\nname = 'New'\n[server]\nprot = 1",
            "seclink.toml:4: unknown option server.prot; did you mean port?",
        ),
        ("[branding]\nname = 'New'\nlogo = 'nothing.svg'", "seclink.toml:3: branding.logo: "),
        ("[branding]\nname = 'New'\n[rates]\ncreate = 20", "seclink.toml:4: rates.create: "),
        ("\x00", "seclink.toml:1: "),
        (None, "seclink.toml: cannot be read: No such file or directory"),
    ],
)
def test_bad_file_changes_nothing_and_is_told_by_its_line(
    make_server: MakeServer, http: Any, toml: str | None, said: str
) -> None:
    """CFG-01: also where the file is gone, which does not mean the defaults."""
    server = make_server("[branding]\nname = 'Old'\n[rates]\ncreate = '7/hour'\n").start()
    told = reload(server, toml)
    assert '"level":"error","event":"not reloaded"' in told
    assert said in told
    client = http(server)
    assert "<title>Old" in client.get("/").text
    assert client.post("/api/v1/secrets", json=body()).headers["ratelimit-policy"] == '"create";q=7;w=3600'
    assert '"event":"reloaded"' in reload(server, "[branding]\nname = 'New'\n")  # and it can be mended
    assert "<title>New" in client.get("/").text


def test_what_needs_a_restart_is_named_and_the_rest_takes_effect(make_server: MakeServer, http: Any) -> None:
    server = make_server("").start()
    toml = "[server]\nhost = '127.0.0.2'\n[store]\npath = 'other.db'\n[branding]\nname = 'New'\n"
    told = reload(server, toml)
    until(lambda: "needs a restart" in server.log())
    told = server.log()
    assert '"level":"warning"' in told
    assert "needs a restart: server.host, store.path" in told
    assert '"count":1,"detail":"branding.name"' in told
    assert "<title>New" in http(server).get("/").text
    assert not (server.folder / "other.db").exists()
    assert "127.0.0.1:" in http(server).post("/api/v1/secrets", json=body()).json()["shareUrl"]


def test_command_line_goes_before_the_file_at_a_reload_as_at_the_start(make_server: MakeServer, http: Any) -> None:
    server = make_server("").start()  # with --port
    assert "restart" not in reload(server, "[server]\nport = 1\n")
    assert http(server).get("/healthz").status_code == 200


def test_new_rules_hold_at_once_on_connections_that_were_open(make_server: MakeServer, http: Any) -> None:
    server = make_server("").start()
    client = http(server)
    assert client.post("/api/v1/secrets", json=body()).status_code == 201
    assert client.options("/scrt-link/api/v1/secrets").status_code == 204
    assert client.get("/metrics").status_code == 404
    assert client.get("/healthz", headers={"Host": "other.example.org"}).status_code == 400
    reload(
        server,
        "[access]\ncreate = 'keys'\n[dialects.scrt-link]\nenabled = false\n[metrics]\nenabled = true\n"
        "[server]\nallowed_hosts = ['other.example.org']\n[expiry]\nmax = '2h'\ndefault = '1h'\nchoices = ['1h']\n"
        "[log]\nlevel = 'debug'\n",
    )
    refused = client.post("/api/v1/secrets", json=body())
    assert (refused.status_code, refused.json()["code"]) == (401, "key_required")
    assert client.options("/scrt-link/api/v1/secrets").status_code != 204
    assert client.get("/metrics").status_code == 401
    assert client.get("/healthz", headers={"Host": "other.example.org"}).status_code == 200
    assert "&quot;choices&quot;:[3600]" in client.get("/").text
    assert '"level":"debug"' in server.log()


def test_every_language_has_the_new_brand(make_server: MakeServer, http: Any) -> None:
    server = make_server("").start()
    client = http(server)
    old = client.get("/").text
    reload(server, "[branding]\nname = 'Neu'\naccent = '#123456'\nfooter = 'Ours'\n")
    for language in ("en", "fr", "es", "ru"):
        page = client.get("/", headers={"Accept-Language": language}).text
        assert f'lang="{language}"' in page
        assert "<title>Neu" in page
        assert "Ours" in page
    version = page.split("/static/")[1].split("/")[0]
    assert version != old.split("/static/")[1].split("/")[0]  # no browser takes the old files for the new
    assert "#123456" in client.get(f"/static/{version}/css/style.css").text


def test_counts_and_answers_kept_for_a_retry_survive(make_server: MakeServer, http: Any) -> None:
    """A reload hands nobody a fresh budget, and a lost answer can still be asked for again."""
    server = make_server("[rates]\ncreate = '3/hour'\n").start()
    client = http(server)
    again = {"Idempotency-Key": "0123456789abcdef"}
    made = client.post("/api/v1/secrets", json=body(), headers=again)
    reload(server, "[rates]\ncreate = '3/hour'\n[branding]\nname = 'New'\n")
    assert client.post("/api/v1/secrets", json=body(), headers=again).json() == made.json()
    assert client.post("/api/v1/secrets", json=body()).headers["ratelimit"].startswith('"create";r=0;')
    assert client.post("/api/v1/secrets", json=body()).status_code == 429
    reload(server, "[rates]\ncreate = '3/second'\n")
    until(lambda: client.post("/api/v1/secrets", json=body()).status_code == 201)  # not after the old hour


def test_reaper_goes_by_its_new_pace_at_once_and_never_looks_late(make_server: MakeServer, http: Any) -> None:
    server = make_server("[reaper]\nevery = '1h'\n[metrics]\nenabled = true\n").start()
    client = http(server)
    until(lambda: client.get("/readyz").status_code == 200)
    key = server.key("admin")

    def rounds() -> float:
        text = client.get("/metrics", headers={"Authorization": f"Bearer {key}"}).text
        return float(text.split("\nseclink_reaped_rows_count ")[1].split("\n")[0])

    assert rounds() == 1
    reload(server, "[reaper]\nevery = '1s'\n[metrics]\nenabled = true\n")
    until(lambda: rounds() >= 3 and client.get("/readyz").status_code == 200)


def test_hang_up_of_the_terminal_it_runs_at_is_a_stop(make_server: MakeServer) -> None:
    """CR-13: that is what the signal is sent for; and with the terminal there, it is a reload."""
    server = make_server("")
    master, slave = pty.openpty()
    stdin = os.dup(0)
    os.dup2(slave, 0)
    try:
        server.start()
    finally:
        os.dup2(stdin, 0)
        os.close(stdin)
        os.close(slave)
    reload(server, "[branding]\nname = 'New'\n")
    os.close(master)
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(TIMEOUT_SECONDS) == 0
    assert '"event":"stopped"' in server.log()

"""SIGHUP reads the TOML again while serving. All of it takes effect or nothing does, and no request is disturbed."""

import contextlib
import functools
import os
import pty
import signal
import socket
from collections.abc import Callable, Iterator

import httpx
import pytest
from api_helpers import body, encoded
from support.altered_constants import with_constants
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS, BackgroundLoad, until

RATES = '[rates]\ncreate = "1000000/hour"\nreveal = "1000000/hour"\npeek = "1000000/hour"\n'


def reload(server: Server, toml: str | None) -> str:
    """Replace the file (None removes it), reload it, and return the lines that the log gets."""
    before = server.log()
    if toml is None:
        server.config.unlink()
    else:
        server.config.write_text(toml)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded" in server.log()[len(before) :])
    return server.log()[len(before) :]


MakeClient = Callable[[Server], httpx.Client]


@pytest.fixture
def http() -> Iterator[MakeClient]:
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(httpx.Client(base_url=server.url, timeout=TIMEOUT_SECONDS))


class Load(BackgroundLoad):
    """Three clients that keep their connections and collect the brand names of the pages."""

    def __init__(self, server: Server) -> None:
        super().__init__(3)
        self.server, self.count, self.names = server, 0, set[str]()

    def work(self, number: int) -> None:
        with httpx.Client(base_url=self.server.url, timeout=TIMEOUT_SECONDS) as client:
            while not self.over.is_set():
                self.round(client)

    def is_beyond(self, count: int) -> bool:
        return self.count > count or bool(self.failed)

    def round(self, client: httpx.Client) -> None:
        created = client.post("/api/v1/secrets", json=body())
        page = client.get("/")
        link_id = created.json().get("linkId")
        revealed = client.post(f"/api/v1/secrets/{link_id}/reveal")
        self.failed += [response.text for response in (created, page, revealed) if response.status_code >= 300]
        self.names |= {name for name in ("Odd", "Even") if name in page.text}
        self.count += 3


def test_twenty_reloads_under_load_fail_no_request(make_server: MakeServer) -> None:
    server = make_server(RATES).start()
    with Load(server) as load:
        for number in range(20):
            count_before = load.count
            log = reload(server, f'{RATES}[branding]\nname = "{("Even", "Odd")[number % 2]}"\n')
            assert '"event":"reloaded"' in log
            until(functools.partial(load.is_beyond, count_before + 6))
    assert load.failed == []
    assert load.names == {"Odd", "Even"}
    assert server.log().count('"event":"reloaded"') == 20
    assert server.stop() == 0


def test_request_in_flight_keeps_the_limits_it_began_with(make_server: MakeServer) -> None:
    """A lower limit does not apply to an upload in progress, but to the next one on the same connection."""
    server = make_server(RATES + "[limits]\npayload_bytes = 2000000\n").start()
    content = b'{"encryptedBlob":"%s","iv":"aQ==","expiryType":"1hour"}' % encoded(b"x" * 900_000).encode()
    head = b"POST /api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as client:
        client.sendall(head % len(content) + content[:1000])
        until(lambda: httpx.get(f"{server.url}/healthz").status_code == 200)
        reload(server, RATES + "[limits]\npayload_bytes = 1024\n")
        client.sendall(content[1000:])
        assert client.recv(65536).startswith(b"HTTP/1.1 201 ")
        client.sendall(head % len(content))
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("toml", "message"),
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
def test_bad_file_changes_nothing_and_its_line_is_logged(
    make_server: MakeServer, http: MakeClient, toml: str | None, message: str
) -> None:
    """CFG-01: also if the file is missing, which does not mean the defaults."""
    server = make_server("[branding]\nname = 'Old'\n[rates]\ncreate = '7/hour'\n").start()
    log = reload(server, toml)
    assert '"level":"error","event":"not reloaded"' in log
    assert message in log
    client = http(server)
    assert "<title>Old" in client.get("/").text
    assert client.post("/api/v1/secrets", json=body()).headers["ratelimit-policy"] == '"create";q=7;w=3600'
    assert '"event":"reloaded"' in reload(server, "[branding]\nname = 'New'\n")  # after the file is fixed
    assert "<title>New" in client.get("/").text


def test_options_that_need_a_restart_are_logged_and_the_others_take_effect(
    make_server: MakeServer, http: MakeClient
) -> None:
    server = make_server("").start()
    toml = "[server]\nhost = '127.0.0.2'\n[store]\npath = 'other.db'\n[branding]\nname = 'New'\n"
    reload(server, toml)
    until(lambda: "needs a restart" in server.log())
    log = server.log()
    assert '"level":"warning"' in log
    assert "needs a restart: server.host, store.path" in log
    assert '"count":1,"detail":"branding.name"' in log
    assert "<title>New" in http(server).get("/").text
    assert not (server.folder / "other.db").exists()
    assert "127.0.0.1:" in http(server).post("/api/v1/secrets", json=body()).json()["shareUrl"]


def test_command_line_options_override_the_file_at_a_reload(make_server: MakeServer, http: MakeClient) -> None:
    server = make_server("").start()  # with --port
    assert "restart" not in reload(server, "[server]\nport = 1\n")
    assert http(server).get("/healthz").status_code == 200


def test_new_rules_apply_at_once_on_open_connections(make_server: MakeServer, http: MakeClient) -> None:
    server = make_server("").start()
    client = http(server)
    assert client.post("/api/v1/secrets", json=body()).status_code == 201
    assert client.options("/scrt-link/api/v1/secrets").status_code == 204
    assert client.get("/metrics").status_code == 404
    assert client.get("/docs", headers={"Host": "other.example.org"}).status_code == 400
    reload(
        server,
        "[access]\ncreate = 'keys'\n[dialects.scrt-link]\nenabled = false\n[metrics]\nenabled = true\n"
        "[server]\nallowed_hosts = ['other.example.org']\n[expiry]\nmax = '2h'\ndefault = '1h'\nchoices = ['1h']\n"
        "[log]\nlevel = 'debug'\n",
    )
    response = client.post("/api/v1/secrets", json=body())
    assert (response.status_code, response.json()["code"]) == (401, "key_required")
    assert client.options("/scrt-link/api/v1/secrets").status_code != 204
    assert client.get("/metrics").status_code == 401
    assert client.get("/docs", headers={"Host": "other.example.org"}).status_code == 200
    assert "&quot;choices&quot;:[3600]" in client.get("/").text
    assert '"level":"debug"' in server.log()


def test_new_limits_of_files_apply_to_new_uploads(make_server: MakeServer, http: MakeClient) -> None:
    """One that has begun goes on."""
    server = make_server("", prefix=with_constants({"seclink.domain.uploads.MIN_FREE_BYTES": 0})).start()
    client = http(server)
    api = f"{server.url}/api/v1"
    begun = client.post(f"{api}/uploads", json={"size": 10_028}).json()
    reload(server, "[files]\nmax_bytes = 5000\nclient_bytes = 100000\n")
    limits = client.get(f"{api}/uploads").json()
    assert (limits["maxBytes"], limits["clientBytes"]) == (5000, 100_000)
    refused = client.post(f"{api}/uploads", json={"size": 10_028})
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    headers = {"SecLink-Upload": begun["uploadToken"], "Content-Type": "application/octet-stream"}
    path = f"{api}/uploads/{begun['uploadId']}/chunks/0"
    assert client.put(path, content=bytes(10_028), headers=headers).status_code == 204
    reload(server, '[files]\ncreate = "nobody"\n')
    assert client.get(f"{api}/uploads").json()["allowed"] is False
    refused = client.post(f"{api}/uploads", json={"size": 284})
    assert (refused.status_code, refused.json()["code"]) == (403, "files_not_allowed")
    attached = {"upload": {"id": begun["uploadId"], "token": begun["uploadToken"]}}
    assert client.post(f"{api}/secrets", json=body() | attached).status_code == 201


def test_pages_of_every_language_have_the_new_branding(make_server: MakeServer, http: MakeClient) -> None:
    server = make_server("").start()
    client = http(server)
    page_before = client.get("/").text
    reload(server, "[branding]\nname = 'Neu'\naccent = '#123456'\nfooter = 'Ours'\n")
    for language in ("en", "fr", "es", "ru"):
        page = client.get("/", headers={"Accept-Language": language}).text
        assert f'lang="{language}"' in page
        assert "<title>Neu" in page
        assert "Ours" in page
    version = page.split("/static/")[1].split("/")[0]
    assert version != page_before.split("/static/")[1].split("/")[0]  # so that no browser uses old files from its cache
    assert "#123456" in client.get(f"/static/{version}/css/style.css").text


def test_rate_counts_and_idempotent_responses_survive_a_reload(make_server: MakeServer, http: MakeClient) -> None:
    """A reload resets no rate limit, and a lost response can still be requested again."""
    server = make_server("[rates]\ncreate = '3/hour'\n").start()
    client = http(server)
    retry_key = {"Idempotency-Key": "0123456789abcdef"}
    created = client.post("/api/v1/secrets", json=body(), headers=retry_key)
    reload(server, "[rates]\ncreate = '3/hour'\n[branding]\nname = 'New'\n")
    assert client.post("/api/v1/secrets", json=body(), headers=retry_key).json() == created.json()
    assert client.post("/api/v1/secrets", json=body()).headers["ratelimit"].startswith('"create";r=0;')
    assert client.post("/api/v1/secrets", json=body()).status_code == 429
    reload(server, "[rates]\ncreate = '3/second'\n")
    until(
        lambda: client.post("/api/v1/secrets", json=body()).status_code == 201
    )  # before the hour of the old rate is over


def test_reaper_uses_its_new_interval_at_once_and_stays_ready(make_server: MakeServer, http: MakeClient) -> None:
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


def test_hangup_of_its_terminal_stops_the_server(make_server: MakeServer) -> None:
    """CR-13: SIGHUP stops the server when its terminal is gone, and reloads while it is there."""
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

"""`seclink status`: the figures of a server, live, once, as JSON, and from another machine."""

import http.server
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.ports import free_port
from support.server import HIGH_RATES, MakeServer, Serve, Server
from terminal import Shell

from seclink.cli.metrics_snapshot import Reading
from seclink.cli.profile import Profile
from seclink.cli.status import WINDOW_SECONDS, add_reading
from seclink.telemetry.prometheus import parse


@pytest.fixture(scope="module")
def watched(serve: Serve) -> Server:
    """A server that serves its metrics at metrics.listen and to API keys."""
    toml = f'{HIGH_RATES}[metrics]\nenabled = true\nlisten = "127.0.0.1:{free_port()}"\n'
    running = serve(toml)
    request = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "view_once"}
    for _ in range(3):
        receipt = httpx.post(f"{running.url}/api/v1/secrets", json=request).json()
    httpx.post(f"{running.url}/api/v1/secrets/{receipt['linkId']}/reveal")
    httpx.get(f"{running.url}/api/v1/secrets/{receipt['linkId']}/meta")
    return running


def test_output_of_once_and_through_a_pipe_is_plain_text(shell: Shell, watched: Server) -> None:
    for options in (("--once",), ()):
        done = shell.run("status", "--config", str(watched.config), *options)
        text = done.stdout.decode()
        assert (done.returncode, done.stderr) == (0, b"")
        assert text.splitlines()[0].endswith("  ready")
        assert [line.split()[2] for line in text.splitlines() if line.split()[:1] in (["created"], ["revealed"])] == [
            "3", "1",
        ]  # fmt: skip
        assert "gone 1" in text
        assert "files       0 B, 0.0 % of 10.7 GB; 0 uploads unfinished, 0 grants" in text
        assert "create secret" in text
        assert "\x1b" not in text
        assert max(map(len, text.splitlines())) <= 80


def test_json_has_the_figures_as_numbers(shell: Shell, watched: Server) -> None:
    facts = json.loads(shell.out("status", "--json", "--config", str(watched.config)))
    assert facts["ready"] is True
    assert facts["failing"] == []
    assert facts["total"] == {"created": 3, "revealed": 1, "burned": 0, "expired": 0, "reported": 0}
    assert facts["waiting"] == {"raw": 2}
    assert facts["refusals"]["gone"] == 1
    assert 0 < facts["requests"]["v1.create_secret"]["medianMs"] <= facts["requests"]["v1.create_secret"]["p99Ms"]
    assert 0 < facts["databaseUsedBytes"] < facts["databaseLimitBytes"]
    assert (facts["filesReservedBytes"], facts["filesLimitBytes"]) == (0, 10 * 2**30)
    assert (facts["uploadsUnfinished"], facts["grants"]) == (0, 0)


def test_terminal_is_updated_until_q(shell: Shell, watched: Server) -> None:
    terminal = shell.on_terminal("status", "--config", str(watched.config), TERM="xterm", COLUMNS="80", LINES="24")
    terminal.wait_for("\x1b[?1049h")
    terminal.wait_for("ready")
    terminal.wait_for("ready")  # the second reading
    terminal.type("q")
    assert terminal.end() == 0
    assert terminal.shown.endswith("\x1b[?25h\x1b[?1049l")  # the previous screen, with a cursor


def test_ctrl_c_ends_like_q(shell: Shell, watched: Server) -> None:
    terminal = shell.on_terminal("status", "--config", str(watched.config), TERM="xterm")
    terminal.wait_for("ready")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert terminal.shown.endswith("\x1b[?25h\x1b[?1049l")


def test_remote_server_needs_a_key_of_the_scope_metrics(shell: Shell, watched: Server) -> None:
    key = watched.key("metrics", account="watcher")
    assert " ready" in shell.out("status", "--server", watched.url, "--key", key)
    assert " ready" in shell.out("status", SECLINK_SERVER=watched.url, SECLINK_API_KEY=key)
    for other, words in ((watched.key("create"), b"with this key"), ("", b"without a key")):
        done = shell.run("status", "--server", watched.url, "--key", other)
        assert (done.returncode, done.stdout) == (1, b"")
        assert words in done.stderr
        assert b"seclink key add NAME --scope metrics" in done.stderr


def test_local_server_precedes_the_environment_and_the_login(shell: Shell, watched: Server) -> None:
    """If its TOML sets metrics.listen; a server named on the command line precedes both."""
    elsewhere: dict[str, Any] = {"SECLINK_SERVER": "http://127.0.0.1:9", "SECLINK_API_KEY": "sk_live_x"}
    assert " ready" in shell.out("status", "--config", str(watched.config), **elsewhere)
    Profile(shell.profile).log_in("http://127.0.0.1:9", "sk_live_x")
    assert " ready" in shell.out("status", "--config", str(watched.config))
    assert " ready" in shell.out("status", SECLINK_CONFIG=str(watched.config))
    done = shell.run("status", "--config", str(watched.config), "--server", "http://127.0.0.1:9")
    assert (done.returncode, done.stderr.splitlines()) == (
        3, [b"seclink: http://127.0.0.1:9 cannot be reached: Connection refused"],
    )  # fmt: skip


def test_error_names_the_origin_of_the_server_address(shell: Shell) -> None:
    done = shell.run("status", SECLINK_SERVER="http://127.0.0.1:9")
    assert done.returncode == 3
    assert b"127.0.0.1:9 cannot be reached" in done.stderr
    assert b"server of $SECLINK_SERVER; for the one on this machine, name its TOML with --config" in done.stderr
    Profile(shell.profile).log_in("http://127.0.0.1:9", "sk_live_x")
    assert b"server of `seclink login`; " in shell.run("status").stderr


def test_configured_server_is_reached_where_it_listens(shell: Shell, make_server: MakeServer) -> None:
    """Not at the default address, and without the key of another server."""
    server = make_server("[server]\nport = 1\npublic_url = 'https://secrets.example.org'\n").start()
    Profile(shell.profile).log_in("http://127.0.0.1:9", "sk_live_x")
    refused = shell.run("status", "--config", str(server.config))
    assert (refused.returncode, refused.stdout) == (1, b"")
    said = f'{server.url} serves no metrics. To change that, set metrics.listen = "127.0.0.1:9464" in {server.config}'
    assert said in refused.stderr.decode()
    server.config.write_text(f"{server.config.read_text()}[metrics]\nenabled = true\n")
    server.stop()
    server.start()
    key = server.key("metrics")
    assert " ready" in shell.out("status", "--config", str(server.config), "--key", key)
    assert " ready" in shell.out("status", "--config", str(server.config), SECLINK_API_KEY=key)
    both: dict[str, Any] = {"SECLINK_SERVER": "http://127.0.0.1:9", "SECLINK_API_KEY": key}
    for refused in (
        shell.run("status", "--config", str(server.config)),
        shell.run("status", "--config", str(server.config), **both),
    ):
        assert refused.returncode == 1
        assert b"without a key" in refused.stderr
        assert b"metrics.listen = " in refused.stderr


def test_listener_configured_after_the_start_needs_a_restart(shell: Shell, make_server: MakeServer) -> None:
    server = make_server("").start()
    server.config.write_text('[metrics]\nlisten = "127.0.0.1:9"\n')
    refused = shell.run("status", "--config", str(server.config))
    assert refused.returncode == 3
    assert f"process {server.process.pid} serves {server.folder}/seclink.db; restart it" in refused.stderr.decode()
    server.stop()
    refused = shell.run("status", "--config", str(server.config))
    assert f"no server on this machine has {server.folder}/seclink.db open" in refused.stderr.decode()


def test_server_without_metrics_gets_advice(shell: Shell, server: Server) -> None:
    done = shell.run("status", "--server", server.url)
    assert done.returncode == 1
    assert b"metrics.listen" in done.stderr
    assert b"metrics.enabled" in done.stderr


def test_unreachable_server_has_its_own_exit_status(shell: Shell, tmp_path: Path, unused_tcp_port: int) -> None:
    toml = tmp_path / "seclink.toml"
    toml.write_text(f'[metrics]\nlisten = "127.0.0.1:{unused_tcp_port}"\n')
    done = shell.run("status", "--config", str(toml))
    assert (done.returncode, done.stdout) == (3, b"")
    assert f"127.0.0.1:{unused_tcp_port} cannot be reached".encode() in done.stderr


def test_late_reaper_is_not_ready(shell: Shell, static_server: Callable[[int, str], str]) -> None:
    exposition = 'seclink_build_info{version="1"} 1\nseclink_ready{part="store"} 1\nseclink_ready{part="reaper"} 0\n'
    url = static_server(200, exposition)
    done = shell.run("status", "--server", url)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"not ready: reaper" in done.stdout
    assert shell.run("status", "--server", url, "--json").returncode == 1


@pytest.mark.parametrize(
    ("status", "content"), [(200, "<html>"), (200, "up 1\n"), (500, ""), (302, ""), (200, "x" * 5_000_000)]
)
def test_other_programs_are_not_seclink(
    shell: Shell, static_server: Callable[[int, str], str], status: int, content: str
) -> None:
    done = shell.run("status", "--server", static_server(status, content), "--key", "sk_live_x")
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"Traceback" not in done.stderr


def test_hostile_server_cannot_steer_the_terminal(shell: Shell, static_server: Callable[[int, str], str]) -> None:
    url = static_server(200, 'seclink_build_info{version="\x1b[2J\u202e"} 1\nseclink_refusals_total{code="\x9b0m"} 2\n')
    shown = shell.out("status", "--server", url)
    assert not any(character in shown for character in "\x1b\x9b\u202e")


def test_window_slides_and_restarts_with_the_process() -> None:
    def at(seconds: float, started: float = 0) -> Reading:
        return Reading(parse(f"seclink_build_info{{}} 1\nprocess_start_time_seconds {started}"), seconds)

    readings = deque([at(100)])
    for seconds in range(101, 300):
        add_reading(readings, at(seconds))
    assert WINDOW_SECONDS <= readings[-1].at - readings[0].at <= WINDOW_SECONDS + 1
    add_reading(readings, at(301, started=300))
    assert [reading.at for reading in readings] == [301]


@pytest.fixture
def static_server() -> Iterator[Callable[[int, str], str]]:
    """Starts servers that return the same response to every request; returns their URL."""
    started: list[http.server.HTTPServer] = []

    def start(status: int, content: str) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Location", "http://127.0.0.1:9/")
                self.send_header("Content-Length", str(len(content.encode())))
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_: object) -> None:
                return None

        started.append(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=started[-1].serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{started[-1].server_address[1]}"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()

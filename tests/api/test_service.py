"""The server as a service: notifications to systemd, and `seclink check`."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

from seclink.daemon.readiness import is_disk_full


class Manager:
    """A service manager's end of $NOTIFY_SOCKET; messages arrive in order."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.bind(str(self.path))

    def wait_for(self, name: str, value: str = "") -> dict[str, str]:
        """Return the next message that has the field `name`, with `value` if that is given; skip others."""
        while True:
            message = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))
            if name in message and value in ("", message[name]):
                return message


@pytest.fixture
def manager(tmp_path: Path) -> Any:
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


def test_ready_is_sent_once_requests_are_served(make_server: MakeServer, manager: Manager) -> None:
    server = make_server("", env={"NOTIFY_SOCKET": str(manager.path)}).start(wait=False)
    message = manager.wait_for("READY")
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    assert message == {"READY": "1", "STATUS": f"Serving {server.url}"}


def test_reload_is_reported_with_its_result(make_server: MakeServer, manager: Manager) -> None:
    server = make_server("", env={"NOTIFY_SOCKET": str(manager.path)}).start()
    manager.wait_for("READY")
    for toml, remark in (
        ("[server]\nprot = 1\n", "; a new configuration was refused: {config}:2: unknown option server.prot"),
        ("[store]\npath = 'x.db'\n", "; needs a restart for store.path"),
        ("", ""),
    ):
        server.config.write_text(toml)
        server.process.send_signal(signal.SIGHUP)
        assert int(manager.wait_for("RELOADING")["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        status = manager.wait_for("READY")["STATUS"]
        assert status.startswith(f"Serving {server.url}{remark.format(config=server.config)}")
        assert bool(remark) or status == f"Serving {server.url}"


def test_stop_is_reported_with_its_timeout(make_server: MakeServer, manager: Manager) -> None:
    server = make_server("[server]\nshutdown_timeout = '2m'\n", env={"NOTIFY_SOCKET": str(manager.path)}).start()
    server.process.send_signal(signal.SIGTERM)
    assert manager.wait_for("STOPPING") == {"STOPPING": "1", "EXTEND_TIMEOUT_USEC": "135000000"}
    assert server.process.wait(TIMEOUT_SECONDS) == 0


def test_watchdog_is_fed_only_while_the_store_works(make_server: MakeServer, manager: Manager) -> None:
    """OPS-05: another process locks the database, so nothing can be written; then it unlocks it."""
    env = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "600000"}
    server = make_server("", env=env).start()
    manager.wait_for("WATCHDOG")
    script = (
        "import sqlite3,sys\ndb=sqlite3.connect('seclink.db',isolation_level=None)\ndb.execute('BEGIN IMMEDIATE')\n"
    )
    script += "print('held',flush=True)\nsys.stdin.read()\n"
    holder = subprocess.Popen(
        [sys.executable, "-c", script], cwd=server.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        # A slow machine's server may have been found not ready, and ready again, before this.
        manager.wait_for("STATUS", "Not ready: store")
        manager.socket.settimeout(5)  # each check waits two seconds for the store
        with pytest.raises(TimeoutError):
            manager.wait_for("WATCHDOG")
    finally:
        holder.communicate()
    manager.socket.settimeout(TIMEOUT_SECONDS)
    manager.wait_for("WATCHDOG")
    assert manager.wait_for("STATUS") == {"STATUS": "Ready again"}


def test_full_disk_causes_no_restart(tmp_path: Path) -> None:
    """OPS-05: existing secrets can still be revealed, and a restart frees no space."""
    assert is_disk_full(Path("/proc/seclink.db"))  # a file system without a free block
    assert not is_disk_full(tmp_path / "seclink.db")
    assert not is_disk_full(tmp_path / "gone" / "seclink.db")


def test_journal_gets_no_banner_and_no_timestamps(make_server: MakeServer) -> None:
    server = make_server("")
    server.log_path.touch()
    status = server.log_path.stat()
    server.env["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
    server.start()
    server.stop()
    assert server.log().splitlines() == [
        f"<6>started url={server.url} path={server.folder}/seclink.db",
        "<6>stopped",
    ]


def test_abort_by_the_watchdog_logs_a_traceback_and_leaves_no_core(make_server: MakeServer) -> None:
    server = make_server("").start()
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if "core" in line).split()[4:6] == ["0", "0"]
    server.process.send_signal(signal.SIGABRT)
    assert server.process.wait(TIMEOUT_SECONDS) == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in server.log()
    assert "most recent call first" in server.log()
    assert not list(server.folder.glob("core*"))


def check(server: Server, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    ended: subprocess.CompletedProcess[bytes] = server.seclink("check", *arguments, check=False)
    return ended


def test_check_exits_by_the_state_of_the_server(make_server: MakeServer) -> None:
    server = make_server("")
    toml = f"[server]\nhost = '0.0.0.0'\npublic_url = 'https://secrets.example.org'\nport = {server.port}\n"
    server.config.write_text(toml)
    refused = check(server)
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert refused.stderr == b"seclink: 127.0.0.1:%d does not respond: Connection refused\n" % server.port
    server.start()
    for arguments in ((), ("--url", server.url)):
        ended = check(server, *arguments)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert check(server, "--url", f"{server.url}/elsewhere").stderr.endswith(b"returned status 404\n")
    for address in ("ftp://x", "http://x:port", "http://x:99999", "http://"):
        refused = check(server, "--url", address)
        assert (refused.returncode, refused.stderr.splitlines()[-1][:20]) == (2, b"Error: --url must be")


def test_check_uses_the_address_from_the_servers_command_line(make_server: MakeServer) -> None:
    """The TOML has another port."""
    server = make_server("[server]\nport = 1\n").start()
    ended = check(server)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_check_names_a_running_server_that_does_not_respond(make_server: MakeServer) -> None:
    """For example because `server.port` was changed since its start."""
    server = make_server("[server]\nport = 1\n")
    path = server.folder / "seclink.db"
    script = (
        "import sys; from pathlib import Path; from seclink.store import connection; connection.lock(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", f"{script}; print('held', flush=True); sys.stdin.read()", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        refused = check(server)
        holder.communicate()
    assert refused.returncode == 1
    first, second = refused.stderr.decode().splitlines()
    assert first == "seclink: 127.0.0.1:1 does not respond: Connection refused"
    assert second.startswith(f"  process {holder.pid} serves {path}; ")
    assert "--url" in second
    assert check(server).stderr.decode().splitlines() == [first]


def test_check_times_out_on_a_silent_port(make_server: MakeServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ended = check(make_server(""), "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert (ended.returncode, ended.stderr.endswith(b"does not respond: no response within 5 s\n")) == (1, True)


@pytest.mark.slow
def test_check_does_not_import_the_server(tmp_path: Path) -> None:
    """A container runs it every half minute."""
    code = "import sys\nfrom seclink.cli.main import cli\ntry:\n    cli(['check','--url','http://127.0.0.1:9'])\n"
    code += "except SystemExit:\n    print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=TIMEOUT_SECONDS
    )
    loaded = set(ended.stdout.split())
    assert "seclink.cli.check" in loaded
    assert not {"litestar", "httpx", "sqlite3", "argon2", "cryptography", "seclink.domain.vault"} & loaded

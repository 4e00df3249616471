"""nginx in front of an appliance: the README's snippet, run without rights, on loopback, in a folder of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from certificates import Pair, pair
from ports import free_port

SNIPPET = Path(__file__).with_name("faults") / "snippets" / "nginx.conf"
NOBODY = 65534
PATIENCE = 20.0

# What a distribution's nginx.conf has around a server, with every path below the folder.
AROUND = """
worker_processes 1;
pid nginx.pid;
error_log error.log info;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path temp/body;
    proxy_temp_path temp/proxy;
    fastcgi_temp_path temp/fastcgi;
    uwsgi_temp_path temp/uwsgi;
    scgi_temp_path temp/scgi;
{snippet}
}}
"""


class Nginx:
    """`changes` are made to the snippet: what is there once, and what is written instead. `upstreams` are ports. The
    kernel takes little of an answer, so that nginx has to wait for slow readers.
    """

    def __init__(self, *upstreams: int, changes: dict[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nginx-"))
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.pair: Pair = pair().write(self.folder)
        (self.folder / "temp").mkdir()
        (self.folder / "nginx.conf").write_text(AROUND.format(snippet=self._snippet(upstreams, changes or {})))
        for each in (self.folder, *self.folder.rglob("*")):
            if os.geteuid() == 0:
                os.chown(each, NOBODY, NOBODY)
        self.process: subprocess.Popen[bytes] | None = None

    def _snippet(self, upstreams: tuple[int, ...], changes: dict[str, str]) -> str:
        here = {
            "server 127.0.0.1:8080;": " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in upstreams),
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl sndbuf=16k;",
            "server_name secrets.example.org;": "server_name localhost;",
            "/etc/letsencrypt/live/secrets.example.org/fullchain.pem": f"{self.folder}/fullchain.pem",
            "/etc/letsencrypt/live/secrets.example.org/privkey.pem": f"{self.folder}/privkey.pem",
        }
        text = SNIPPET.read_text()
        for old, new in {**here, **changes}.items():
            assert text.count(old) == 1, f"the snippet does not have {old} once"
            text = text.replace(old, new)
        return text

    def start(self) -> "Nginx":
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        assert Path(program).exists(), "nginx is missing; install it"
        command = [program, "-p", str(self.folder), "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]
        rights: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.process = subprocess.Popen(command, cwd=self.folder, **rights)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.02)
        raise AssertionError(f"nginx did not come up: {self.log()}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
        shutil.rmtree(self.folder)

    def log(self) -> str:
        return (self.folder / "error.log").read_text()

    def client(self, address: str = "127.0.0.2", **options: Any) -> httpx.Client:
        """A visitor who comes from there."""
        transport = httpx.HTTPTransport(verify=self.pair.context(), local_address=address)
        return httpx.Client(base_url=self.url, transport=transport, timeout=PATIENCE, **options)

    @contextlib.contextmanager
    def without_disk(self) -> Iterator[None]:
        """Meanwhile it cannot make a temporary file, so what needs one fails."""
        for each in (self.folder / "temp").iterdir():
            each.chmod(0o555)
        yield

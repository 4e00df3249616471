"""Proxies in front of an appliance: the snippets of operating.md, unprivileged, on loopback, in their own folders."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
from support.certificates import Pair, pair
from support.ports import free_port
from support.waiting import TIMEOUT_SECONDS

SNIPPETS = Path(__file__).parents[1] / "faults/snippets"
NOBODY = 65534


class Proxy:
    """`changes` are made to the snippet: what is there once, and what is written instead. `upstreams` are ports."""

    name: str
    settings: str  # the file they are in, and the snippet's name

    def __init__(self, *upstreams: int, changes: dict[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.pair: Pair = pair().write(self.folder)
        text = (SNIPPETS / self.settings).read_text()
        for old, new in {**self.here(upstreams), **(changes or {})}.items():
            assert text.count(old) == 1, f"the snippet does not have {old} once"
            text = text.replace(old, new)
        self.write(text)
        (self.folder / "error.log").touch()
        for each in (self.folder, *self.folder.rglob("*")):
            if os.geteuid() == 0:
                os.chown(each, NOBODY, NOBODY)
        self.process: subprocess.Popen[bytes] | None = None

    def here(self, upstreams: tuple[int, ...]) -> dict[str, str]:
        """What is other than in the snippet: names, addresses and files."""
        raise NotImplementedError

    def write(self, text: str) -> None:
        (self.folder / self.settings).write_text(text)

    def command(self) -> list[str]:
        """Runs it in the foreground; what it has to say goes to error.log, one way or another."""
        raise NotImplementedError

    def start(self) -> Self:
        program, *arguments = self.command()
        found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
        assert found, f"{program} is missing; install it"
        rights: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        home = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with (self.folder / "error.log").open("ab") as log:
            self.process = subprocess.Popen(
                [found, *arguments], cwd=self.folder, env=home, stdout=log, stderr=log, **rights
            )
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.02)
        raise AssertionError(f"{self.name} did not come up: {self.log()}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(TIMEOUT_SECONDS)
        shutil.rmtree(self.folder)

    def log(self) -> str:
        return (self.folder / "error.log").read_text()

    def client(self, address: str = "127.0.0.2", **options: Any) -> httpx.Client:
        """A visitor who comes from there."""
        transport = httpx.HTTPTransport(verify=self.pair.context(), local_address=address)
        return httpx.Client(base_url=self.url, transport=transport, timeout=TIMEOUT_SECONDS, **options)


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


class Nginx(Proxy):
    """The kernel takes little of an answer, so that nginx has to wait for slow readers."""

    name, settings = "nginx", "nginx.conf"

    def here(self, upstreams: tuple[int, ...]) -> dict[str, str]:
        return {
            "server 127.0.0.1:8080;": " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in upstreams),
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl sndbuf=16k;",
            "server_name secrets.example.org;": "server_name localhost;",
            "/etc/letsencrypt/live/secrets.example.org/fullchain.pem": f"{self.folder}/fullchain.pem",
            "/etc/letsencrypt/live/secrets.example.org/privkey.pem": f"{self.folder}/privkey.pem",
        }

    def write(self, text: str) -> None:
        (self.folder / "temp").mkdir()
        super().write(AROUND.format(snippet=text))

    def command(self) -> list[str]:
        return ["nginx", "-p", str(self.folder), "-c", self.settings, "-e", "error.log", "-g", "daemon off;"]

    @contextlib.contextmanager
    def without_disk(self) -> Iterator[None]:
        """Meanwhile it cannot make a temporary file, so what needs one fails."""
        for each in (self.folder / "temp").iterdir():
            each.chmod(0o555)
        yield


# One port, and that of TCP: no HTTP/3, no port 80 that leads to https, nothing to change settings by.
ALONE = """{
    admin off
    auto_https disable_redirects
    default_bind 127.0.0.1
    servers {
        protocols h1 h2
    }
"""


class Caddy(Proxy):
    """With a certificate given, it asks no authority for one; what it keeps lies in its folder, which is its home."""

    name, settings = "caddy", "Caddyfile"

    def here(self, upstreams: tuple[int, ...]) -> dict[str, str]:
        return {
            "{\n    log {": f"{ALONE}    log {{",
            "secrets.example.org {": f"localhost:{self.port} {{\n    tls fullchain.pem privkey.pem",
            "127.0.0.1:8080": " ".join(f"127.0.0.1:{each}" for each in upstreams),
        }

    def command(self) -> list[str]:
        return ["caddy", "run", "--config", self.settings]


Kind = TypeVar("Kind", bound=Proxy)


@contextlib.contextmanager
def standing(kind: type[Kind]) -> Iterator[Callable[..., Kind]]:
    """Makes proxies of a kind, started; ends them with itself."""
    with contextlib.ExitStack() as stack:

        def make(*upstreams: int, changes: dict[str, str] | None = None) -> Kind:
            made = kind(*upstreams, changes=changes)
            stack.callback(made.stop)
            return made.start()

        yield make

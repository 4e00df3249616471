"""A small application behind the real middleware and server, as a process.

    python small_app.py '{"limits": {"header_seconds": 1}}'

It prints its URL when it is ready, and counts requests by path, so that a test can tell which were executed.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from seclink.errors import SecLinkError
from seclink.server import serve
from seclink.server.certificate import Certificate
from seclink.server.settings import Limits, ServerSettings
from seclink.web.middleware import Middleware

PAGE = 4096
BIG = 10_000_000


class SmallApp:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.seen: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        path = scope["path"]
        self.seen[path] += 1
        body = b""
        if path not in ("/unread", "/boom"):
            more = True
            while more:
                message = await receive()
                more = message.get("more_body", False)
                body += message.get("body", b"")
        await self.answer(path, scope, body, send)

    async def answer(self, path: str, scope: Any, body: bytes, send: Any) -> None:
        headers = [(b"content-type", b"application/json")]
        if path == "/boom":
            raise RuntimeError("a secret path: /etc/shadow")
        if path == "/half":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError("half an answer is out")
        if path == "/slow":
            await asyncio.sleep(float(scope["query_string"] or b"1"))
        if path == "/page":
            headers += [(b"content-security-policy", b"default-src 'self'"), (b"cache-control", b"max-age=60")]
            scope["state"]["seclink_headers"] = [(b"ratelimit", b"r=1")]
        told = {
            "body": len(body),
            "seen": self.seen,
            "tasks": len(asyncio.all_tasks()),
            "rss": resident_bytes(),
            "request": scope["state"]["request_id"],
            "headers": [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]],
            "client": scope["client"],
        }
        data = b"x" * BIG if path == "/big" else json.dumps(told).encode()
        headers.append((b"content-length", str(len(data)).encode()))
        self.seen[f"{path} done"] += 1
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    async def live(self, receive: Any, send: Any) -> None:
        await receive()
        if self.options.get("broken"):
            raise RuntimeError("cannot start")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("closed", self.seen["/slow done"], flush=True)
        await send({"type": "lifespan.shutdown.complete"})


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


def render(error: SecLinkError, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    problem = {"code": error.code, "status": error.status, "title": error.title, "requestId": request_id}
    return error.status, [(b"content-type", b"application/problem+json")], json.dumps(problem).encode()


async def main(options: dict[str, Any]) -> None:
    web_options = {"max_body_bytes": 1_000_000, "body_seconds": 1.0, **options.pop("web", {})}
    serve_options = {"host": "127.0.0.1", "port": 0, "grace_seconds": 5.0, **options.pop("serve", {})}
    if pair := options.pop("certificate", None):
        serve_options["certificate"] = Certificate(*map(Path, pair))
    grace_seconds = serve_options.pop("grace_seconds")
    limits = {"message_bytes": 2_000_000, "header_seconds": 1.0, "write_seconds": 1.0, "linger_seconds": 1.0}
    gate = Middleware(
        SmallApp(options), render, on_error=lambda error, _: print("escaped", type(error).__name__), **web_options
    )
    asyncio.get_running_loop().slow_callback_duration = 60  # a busy machine is no fault
    stop = asyncio.Event()
    serve.stop_on_signals(stop)
    settings = ServerSettings(
        app=gate,
        render_error=gate.render_http11,
        limits=Limits(**{**limits, **options.pop("limits", {})}),
        grace_seconds=grace_seconds,
    )
    listener = serve.bind(serve_options.pop("host"), serve_options.pop("port"))
    await serve.serve(settings, listener=listener, stop=stop, ready=lambda url: print(url, flush=True), **serve_options)


if __name__ == "__main__":
    try:
        asyncio.run(main(json.loads(sys.argv[1])))
    except serve.CannotListen as error:
        sys.exit(str(error))

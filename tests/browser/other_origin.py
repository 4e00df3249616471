"""A site of another origin, and one call of the client module from there."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CALL = """
async ([module, client_options, method, parameters]) => {
  const { scrtLink, seclink } = await import(module);
  const client = typeof client_options === "string" ? scrtLink(client_options) : seclink(client_options);
  try {
    const answer = await client[method](...parameters);
    return answer?.body ? { ...answer, body: Array.from(answer.body.subarray(0, 100)) } : answer ?? null;
  } catch (error) {
    const { name, code, message, fields, attemptsLeft, state, endedAt, retryAfter } = error;
    const spent = error.encryptedBlob && [error.encryptedBlob.length, error.iv.length];
    return { error: { name, code, message, fields, attemptsLeft, state, endedAt, retryAfter, spent } };
  }
}
"""


class Site:
    """A site of another origin that serves the pages a test puts into it."""

    def __init__(self) -> None:
        pages = self.pages = {"/": "<!doctype html><link rel=icon href=data:,><title>elsewhere</title>"}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path)
                self.send_response(200 if page else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

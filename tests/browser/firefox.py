"""Debian's Firefox, driven by WebDriver BiDi: Playwright drives one that it has patched, or a newer one."""

import contextlib
import json
import re
import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from typing import Any, Self

from page_actions import text_of
from support.waiting import TIMEOUT_SECONDS, until
from websockets.sync.client import connect

PROGRAM = "firefox-esr"
PREFERENCES = {
    # Nobody but the loopback can be asked: everything else goes to a proxy that is not there.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "app.update.disabledForTesting": True,
    "browser.download.folderList": 2,  # the folder that is named
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.systemAddon.update.enabled": False,
    "toolkit.telemetry.enabled": False,
}


class Firefox:
    """A browser with a profile and a folder of downloads of its own. `errors` are those of all pages' consoles."""

    def __init__(self, is_private: bool) -> None:
        program = shutil.which(PROGRAM)
        assert program, f"{PROGRAM} is missing: install the package {PROGRAM}"
        self.stack = contextlib.ExitStack()
        profile = Path(self.stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        self.downloads = profile / "downloads"
        self.downloads.mkdir()
        chosen = {"browser.download.dir": str(self.downloads), "browser.privatebrowsing.autostart": is_private}
        preferences = PREFERENCES | chosen
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
        (profile / "user.js").write_text("\n".join(lines))
        log = profile / "log"
        with log.open("wb") as sink:
            command = [program, "--headless", "--remote-debugging-port=0", "--profile", str(profile)]
            self.process = subprocess.Popen(command, stdout=sink, stderr=sink)
        self.stack.callback(self._end)
        until(lambda: re.search(r"listening on (ws://\S+)", log.read_text()) or self.process.poll() is not None)
        address = re.search(r"listening on (ws://\S+)", log.read_text())
        assert address, log.read_text()
        self.socket = self.stack.enter_context(connect(f"{address[1]}/session", max_size=None))
        self.calls = 0
        self.errors: deque[str] = deque()
        self.ended: deque[str] = deque()
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded", "browsingContext.downloadEnd"])
        self.tab = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _end(self) -> None:
        self.process.terminate()
        self.process.wait(TIMEOUT_SECONDS)

    def call(self, method: str, **parameters: Any) -> Any:
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(TIMEOUT_SECONDS))
            if message["type"] == "event":
                self._note(message["method"], message["params"])
            elif message["id"] == self.calls:
                assert message["type"] == "success", message
                return message["result"]

    def _note(self, event: str, details: dict[str, Any]) -> None:
        if event == "browsingContext.downloadEnd":
            self.ended.append(details["status"])
        elif details["level"] == "error":
            self.errors.append(details["text"])

    def end_of_download(self) -> str:
        """Wait until a download is `complete` or `canceled` by what Firefox shows."""
        until(lambda: self.ended or self.call("session.status") is None)
        return self.ended.popleft()

    def close(self) -> None:
        """Close the tab."""
        self.call("browsingContext.close", context=self.tab)
        self.tab = ""

    def visit(self, url: str) -> None:
        """Load a page in a new tab, in place of the one before, and wait until its script is ready."""
        if self.tab:
            self.close()
        self.tab = self.call("browsingContext.create", type="tab")["context"]
        self.call("browsingContext.navigate", context=self.tab, url=url, wait="complete")
        self.node("body[data-ready]")

    def evaluate(self, function: str, *arguments: Any) -> Any:
        """Return the result of a JavaScript function of JSON values."""
        called = f"async () => JSON.stringify(await ({function})(...{json.dumps(arguments)}) ?? null)"
        target = {"context": self.tab}
        answer = self.call("script.callFunction", functionDeclaration=called, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def node(self, selector: str) -> dict[str, str]:
        """Wait for an element, and return a reference to it."""
        found: list[Any] = []
        locator = {"type": "css", "value": selector}

        def is_there() -> bool:
            found[:] = self.call("browsingContext.locateNodes", context=self.tab, locator=locator)["nodes"]
            return bool(found)

        until(is_there)
        return {"sharedId": found[0]["sharedId"]}

    def click(self, selector: str) -> None:
        node = self.node(selector)
        self.evaluate("(one) => document.querySelector(one).scrollIntoView({ block: 'center' })", selector)
        move = {"type": "pointerMove", "x": 0, "y": 0, "origin": {"type": "element", "element": node}}
        press = [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        mouse = {"type": "pointer", "id": "mouse", "actions": [move, *press]}
        self.call("input.performActions", context=self.tab, actions=[mouse])

    def choose_files(self, selector: str, *paths: Path) -> None:
        files = [str(path) for path in paths]
        self.call("input.setFiles", context=self.tab, element=self.node(selector), files=files)

    def text(self, selector: str) -> str:
        return str(self.evaluate("(one) => document.querySelector(one)?.textContent ?? ''", selector))

    def wait_for_text(self, selector: str, key: str) -> None:
        """Wait until an element has a text of the pages."""
        pattern = text_of(key)
        until(lambda: pattern.match(self.text(selector)))

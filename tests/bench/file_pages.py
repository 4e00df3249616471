"""Memory and speed of the pages while they send and save a large file, in Chromium.

    python -m tests.bench.file_pages --dir /var/tmp 1 10    # a file of 1 GB, then one of 10 GB

The source is sparse; the server's file and the saved one are not, so the folder needs twice the size. Saved is through
the interface that pages have to the disk, into the origin's own file system, as dialogs cannot be pressed here. Memory
is that of all processes of Chromium that render (proportional set size, four times a second). A page's main thread is
looked at by its long tasks (over 50 ms), and by how late frames come while the page scrolls. Without Playwright, which
has the browser report each request with its body, at a tenth of the speed.
"""

import argparse
import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import connect

from .servers import DURABLE, Server

LIMIT_BYTES = 512 * 2**20
PATIENCE_SECONDS = 3600
TOML = "[files]\nmax_bytes = 1000000000000\ntotal_bytes = 1000000000000\nclient_bytes = 1000000000000\n"
PICKER = """
window.showSaveFilePicker = async ({ suggestedName }) =>
  (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });
window.jank = { tasks: [], frames: [] };
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) jank.tasks.push(Math.round(duration));
}).observe({ type: "longtask" });
let last = performance.now();
const frame = (now) => {
  jank.frames.push(now - last);
  last = now;
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""
JANK = """(() => {
  const frames = jank.frames.sort((a, b) => a - b);
  const found = { tasks: jank.tasks.length, longest: Math.max(0, ...jank.tasks),
    frame_p99: Math.round(frames[Math.floor(frames.length * 0.99)] ?? 0), frame_max: Math.round(frames.at(-1) ?? 0) };
  jank.tasks = [];
  jank.frames = [];
  return found;
})()"""
SAVED = """navigator.storage.getDirectory().then((root) => root.getFileHandle("large.bin"))
  .then((handle) => handle.getFile()).then((file) => file.size)"""
CARD = "document.querySelector('main > section:not([hidden])')?.innerText"


class Tab:
    """A tab of a Chromium of its own."""

    def __init__(self, profile: Path) -> None:
        program = shutil.which("chromium-headless-shell") or sys.exit("chromium-headless-shell is missing")
        options = ["--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}"]
        profile.mkdir()
        self.log = profile / "log"
        with self.log.open("wb") as sink:
            self.process = subprocess.Popen([program, *options], stdout=sink, stderr=sink)
        self.stack = contextlib.ExitStack()
        self.stack.callback(self.process.wait)
        self.stack.callback(self.process.terminate)
        while not (address := re.search(r"listening on (ws://\S+)", self.log.read_text())):
            time.sleep(0.05)
            if self.process.poll() is not None:
                sys.exit(self.log.read_text())
        self.socket = self.stack.enter_context(connect(address[1], max_size=None))
        self.calls, self.session = 0, {}
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        self.call("Page.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=PICKER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def call(self, method: str, **parameters: Any) -> Any:
        self.calls += 1
        self.socket.send(json.dumps({"id": self.calls, "method": method, "params": parameters, **self.session}))
        while (message := json.loads(self.socket.recv(PATIENCE_SECONDS))).get("id") != self.calls:
            pass
        if "error" in message:
            sys.exit(f"{method}: {message['error']}")
        return message["result"]

    def evaluate(self, expression: str, **options: Any) -> Any:
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=not options, **options
        )
        return answer["result"]

    def value(self, expression: str) -> Any:
        return self.evaluate(expression).get("value")

    def wait(self, selector: str, seconds: float = 0.1) -> None:
        """Wait until an element is in view, and scroll meanwhile as a person would."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.value(f"Boolean(document.querySelector('{selector}')?.getClientRects().length)"):
            self.value("scrollBy(0, scrollY > 200 ? -400 : 40)")
            time.sleep(seconds)
            if time.monotonic() > deadline:
                sys.exit(f"{selector} does not appear: {self.value(CARD)}")

    def click(self, selector: str) -> None:
        self.wait(selector)
        self.evaluate(f"document.querySelector('{selector}').click()", userGesture=True)


class Memory:
    """Looks at the renderers of a process from a thread; `samples` are (seconds, bytes) of the largest one."""

    def __init__(self, browser: int) -> None:
        self.browser, self.samples, self.over = browser, [(0.0, 0)], threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.started = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _run(self) -> None:
        while not self.over.wait(0.25):
            sizes = [pss(process) for process in renderers(self.browser)]
            self.samples.append((time.monotonic() - self.started, max(sizes, default=0)))

    def peak(self, since: float = 0, until: float = 1e9) -> int:
        return max((size for at, size in self.samples if since <= at <= until), default=0)


def renderers(browser: int) -> list[Path]:
    """Return the processes that come from a browser's and render."""
    parents, rendering = {}, []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                rendering.append(process)
    return [process for process in rendering if is_child(int(process.name), browser, parents)]


def is_child(process: int, of: int, parents: dict[int, int]) -> bool:
    while process in parents:
        process = parents[process]
        if process == of:
            return True
    return False


def pss(process: Path) -> int:
    try:
        match = re.search(r"^Pss: +(\d+) kB", (process / "smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) * 1024 if match else 0


def measure(folder: Path, size: int) -> list[dict[str, Any]]:
    """Send and save a file of `size` bytes."""
    source = folder / "large.bin"
    with source.open("wb") as file:
        file.truncate(size)
    rows = []
    prepared = Server(DURABLE, folder / "server")
    with (prepared.folder / "seclink.toml").open("a") as settings:
        settings.write(TOML)
    with prepared as server, Tab(folder / "profile") as tab:
        tab.call("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
        tab.wait("body[data-ready]")
        tab.click(".kinds label:has([value=file])")
        chosen = tab.evaluate("document.querySelector('#file-input')", generatePreview=False)
        tab.call("DOM.setFileInputFiles", files=[str(source)], objectId=chosen["objectId"])
        tab.wait("#file-list li")
        rows.append(timed(tab, "up", size, "#create", "#link"))
        tab.call("Page.navigate", url=tab.value("document.querySelector('#link').value"))
        tab.click("#reveal")
        rows.append(timed(tab, "down", size, ".files li button", ".files li.saved"))
        if tab.value(SAVED) != size:
            sys.exit("the saved file is not whole")
    source.unlink()
    return rows


def timed(tab: Tab, direction: str, size: int, button: str, end: str) -> dict[str, Any]:
    tab.wait(button)
    tab.value(JANK)
    with Memory(tab.process.pid) as memory:
        started = time.monotonic()
        tab.click(button)
        tab.wait(end, 0.25)
        seconds = time.monotonic() - started
    parts = [memory.peak(seconds * part / 4, seconds * (part + 1) / 4) for part in range(4)]
    return {
        "way": direction,
        "bytes": size,
        "MB/s": size / seconds / 1e6,
        "peak_bytes": memory.peak(),
        "peaks_of_quarters": parts,
        **tab.value(JANK),
    }


def speed_of_hashing() -> float:
    """Return MB/s of SHA-256 here, to compare machines."""
    data, started = bytes(2**26), time.monotonic()
    hashlib.sha256(data)
    return len(data) / (time.monotonic() - started) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="a folder on a disk")
    parser.add_argument("sizes", type=float, nargs="*", default=[1], metavar="GB")
    options = parser.parse_args()
    print(f"SHA-256 here: {speed_of_hashing():.0f} MB/s")
    is_small = True
    for size in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.dir) as folder:
            for row in measure(Path(folder), int(size * 1e9)):
                quarters = ", ".join(f"{peak / 2**20:.0f}" for peak in row["peaks_of_quarters"])
                print(
                    f"{size:g} GB {row['way']}: {row['MB/s']:.0f} MB/s, "
                    f"renderer at most {row['peak_bytes'] / 2**20:.0f} MiB (quarters of the time: {quarters}), "
                    f"{row['tasks']} long tasks (longest {row['longest']} ms), "
                    f"frames p99 {row['frame_p99']} ms, latest {row['frame_max']} ms",
                    flush=True,
                )
                is_small &= row["peak_bytes"] <= LIMIT_BYTES
    sys.exit(0 if is_small else "more memory than 512 MiB")


if __name__ == "__main__":
    main()

"""The start page in Chromium: its weight with everything it loads, and how long its visitor waits.

Every visit is a first one, in a context of its own with nothing cached. What the page loads only when it is wanted,
the QR code's drawing and the words of passcodes, is used and counted as well. The waits end in the page itself: when
the field has the focus and the button can be pressed, and from the press until the link is shown. They are taken as
they are on this machine, and with the processor and the network slowed down to a phone's.
"""

import shutil
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from .servers import DURABLE, Server

LIMIT_BYTES = 40_000
SECRET = "tr0ub4dor & 3 " * 73  # 1 KiB
PASSCODE = "correct horse"
SLOWER = 4
PHONE = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
DEVICES = ("here", "phone")
PATIENCE_MS = 60_000

# The instants are written down in the page, in milliseconds since its navigation began.
PROBE = """
window.instants = {};
const look = () => {
  const [create, link] = ["create", "link"].map((id) => document.getElementById(id));
  const isReady = "ready" in document.body.dataset && document.activeElement?.id === "secret";
  const usable = isReady && create && !create.disabled;
  if (usable) instants.ready ??= performance.now();
  if (instants.pressed && link.value && link.offsetParent) instants.sealed ??= performance.now();
};
addEventListener("focusin", look);
addEventListener("click", (event) => {
  if (event.target.closest("#create")) instants.pressed = event.timeStamp;
}, true);
new MutationObserver(look).observe(document, { subtree: true, attributes: true });
"""

Facts = dict[str, Any]


def chromium() -> str:
    path = shutil.which("chromium")
    return path or sys.exit("chromium is missing; install the package chromium")


def measure(folder: Path, visits: int) -> Facts:
    """Weight once, waits `visits` times for each device, against a server whose data lie in `folder`."""
    with Server(DURABLE, folder) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        url = f"http://127.0.0.1:{server.port}/"
        wait(browser, url, "here", "")  # the first one warms up server and browser
        facts: Facts = {"limit": LIMIT_BYTES, **weigh(browser, url), "waits": {}}
        for device in DEVICES:
            seen = [waits(browser, url, device) for _ in range(visits)]
            facts["waits"][device] = {name: [each[name] for each in seen] for name in seen[0]}
        browser.close()
    return facts


def context_of(browser: Browser) -> BrowserContext:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(PROBE)
    return context


def open_page(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector("body[data-ready] #secret:focus")  # a function to wait for is what the page's policy refuses


def seal(page: Page, passcode: str) -> None:
    """`passcode` as its menu names the kinds: `""`, `words` or `own`."""
    page.fill("#secret", SECRET)
    page.click("#options > summary")
    page.select_option("#passcode-kind", passcode)
    if passcode == "own":
        page.fill("#own-passcode", PASSCODE)
    page.click("#create")
    page.wait_for_selector("#link")


# Weight


def weigh(browser: Browser, url: str) -> Facts:
    """What the page loads before anything is done with it, and what it loads in being used."""
    context = context_of(browser)
    page = context.new_page()
    sent: list[Request] = []
    page.on("requestfinished", lambda request: sent.append(request))
    open_page(page, url)
    page.wait_for_load_state("networkidle")
    first = weights(sent)
    seal(page, "words")
    page.click("#show-qr")
    page.wait_for_selector("#qr svg")
    page.wait_for_load_state("networkidle")
    everything = weights([each for each in sent if "/api/" not in each.url])
    context.close()
    return {"first": first, "later": everything[len(first) :]}


def weights(requests: list[Request]) -> list[Facts]:
    """Of all that came over the network; what came from memory, such as the icon's second use, counts as minus."""
    found = []
    for each in requests:
        sizes, response = each.sizes(), each.response()
        assert response is not None
        if sizes["responseBodySize"] >= 0:
            path, decoded = urlsplit(each.url).path, len(response.body())
            sent, headers = sizes["responseBodySize"], sizes["responseHeadersSize"]
            found.append({"path": path, "sent": sent, "headers": headers, "decoded": decoded})
    return found


# Waits


def waits(browser: Browser, url: str, device: str) -> dict[str, float]:
    plain = wait(browser, url, device, "")
    own, words = (wait(browser, url, device, kind)["sealed"] for kind in ("own", "words"))
    return plain | {"sealed_own": own, "sealed_words": words}


def wait(browser: Browser, url: str, device: str, passcode: str) -> dict[str, float]:
    """Milliseconds of one visit: `ready` from its beginning, `sealed` from the press."""
    context = context_of(browser)
    page = context.new_page()
    if device == "phone":
        session = context.new_cdp_session(page)
        session.send("Network.emulateNetworkConditions", PHONE)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    open_page(page, url)
    seal(page, passcode)
    instants = page.evaluate("instants")
    context.close()
    return {"ready": instants["ready"], "sealed": instants["sealed"] - instants["pressed"]}


# As text


def text(facts: Facts) -> Iterator[str]:
    yield f"start page, first visit        {_weight(facts['first'], facts['limit'])}"
    yield f"... with QR code and words     {_weight(facts['first'] + facts['later'], facts['limit'])}"
    for name, label in (
        ("ready", "time to interactive"),
        ("sealed", "press to link"),
        ("sealed_own", "... with a passcode"),
        ("sealed_words", "... with one of words"),
    ):
        here, phone = (_times(facts["waits"][device][name]) for device in DEVICES)
        yield f"{label:30} {here}; as on a phone {phone}"


def _weight(loaded: list[Facts], limit: int) -> str:
    sent, headers, decoded = (sum(each[name] for each in loaded) for name in ("sent", "headers", "decoded"))
    return (
        f"{sent:,} bytes compressed, {'more than' if sent > limit else 'within'} the limit of {limit:,};"
        f" {sent + headers:,} with headers, {decoded:,} decoded, in {len(loaded)} requests"
    )


def _times(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ms ({min(values):,.0f}-{max(values):,.0f})"


def files(facts: Facts) -> Iterator[str]:
    """Every file, the heaviest first."""
    for each in sorted(facts["first"] + facts["later"], key=lambda each: -int(each["sent"])):
        yield f"  {each['sent']:7,} {each['headers']:5,} {each['decoded']:8,}  {each['path']}"

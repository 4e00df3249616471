"""Actions of people on the pages, and the server's record of them."""

import base64
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import zxingcpp
from axe_playwright_python.sync_playwright import Axe
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect
from support.server import Server
from support.waiting import TIMEOUT_SECONDS
from watch import Watch

STATIC = Path(__file__).parents[2] / "seclink/static"
PATIENCE_MS = TIMEOUT_SECONDS * 1000
expect.set_options(timeout=PATIENCE_MS)
LANGUAGES = sorted(path.stem for path in (STATIC / "i18n").glob("*.js"))

# Everything in a page, including typed and hidden texts and the targets of links.
HELD = """() => [
  location.href, document.documentElement.outerHTML, JSON.stringify(history.state),
  ...Array.from(document.querySelectorAll("input, textarea, select, output"), (each) => each.value),
].join("\\n")"""

AXE = """async (options) => (await axe.run(document, options)).violations.map(({ id, nodes }) =>
  `${id}: ${nodes.map((each) => each.html.slice(0, 150) + each.failureSummary).join(" | ")}`)"""


@dataclass(frozen=True)
class Created:
    """The result that the page shows to the sender."""

    server: str
    link: str
    passcode: str | None
    receipt_url: str

    @property
    def link_id(self) -> str:
        return urlsplit(self.link).path[1:]

    @property
    def receipt_id(self) -> str:
        return urlsplit(self.receipt_url).path.rsplit("/", 1)[-1]

    @property
    def manage_token(self) -> str:
        return urlsplit(self.receipt_url).fragment

    def meta(self) -> Any:
        return httpx.get(f"{self.server}/api/v1/secrets/{self.link_id}/meta").json()

    def receipt(self) -> Any:
        return receipt(self.server, self)


class Raw:
    """A raw secret, created as the documentation shows it for curl: AES-GCM under the sender's own key."""

    def __init__(self, server: Server, body: bytes, key_bytes: int = 32, passcode: str = "") -> None:
        self.key, iv = AESGCM.generate_key(8 * key_bytes), os.urandom(12)
        self.blob = AESGCM(self.key).encrypt(iv, body, None)
        bodies = {"encryptedBlob": base64.b64encode(self.blob).decode(), "iv": base64.b64encode(iv).decode()}
        self.sealed = dict(bodies)
        hashed = {"passcodeHash": hashlib.sha256(passcode.encode()).hexdigest()} if passcode else {}
        answer = httpx.post(f"{server.url}/api/v1/secrets", json=bodies | hashed | {"expiryType": "view_once"})
        created = answer.json()
        self.link_id, self.url = created["linkId"], created["shareUrl"]
        self.receipt_id, self.manage_token = created["receiptId"], created["manageToken"]

    def link(self, written: str = "base64", key: bytes | None = None) -> str:
        key = key or self.key
        text = base64.b64encode(key) if written == "base64" else base64.urlsafe_b64encode(key).rstrip(b"=")
        return f"{self.url}#{text.decode()}"


def try_wrong(server: Server, link_id: str, clients: Iterable[int] = (1,), access: str | None = None) -> None:
    """Try five wrong passcodes from each of the addresses 127.0.0.N."""
    proof = {"access": access} if access else {}
    for client in clients:
        with httpx.Client(transport=httpx.HTTPTransport(local_address=f"127.0.0.{client}")) as reader:
            for _ in range(5):
                body = {"passcodeHash": "0" * 64} | proof
                response = reader.post(f"{server.url}/api/v1/secrets/{link_id}/reveal", json=body)
                assert response.json()["code"] == "passcode_wrong"


def receipt(server_url: str, created: Any) -> Any:
    """Return the receipt of `made`, which has a receipt_id and a manage_token."""
    url = f"{server_url}/api/v1/receipts/{created.receipt_id}"
    return httpx.get(url, headers={"SecLink-Manage": created.manage_token}).raise_for_status().json()


def receipt_address(server_url: str, created: Any) -> str:
    return f"{server_url}/receipt/{created.receipt_id}#{created.manage_token}"


def happened(page: Page) -> list[str]:
    """Return the types of the events that a receipt shows, wrong passcodes in a row as one."""
    named = {text: key[6:] for key, text in texts().items() if key.startswith("event.")}
    return [named[text.split(" × ")[0]] for text in page.locator("#events li span").all_inner_texts()]


def events(server_url: str, created: Any) -> list[str]:
    return [event["type"] for event in receipt(server_url, created)["events"]]


def kept_link(page: Page) -> str:
    """Return the page's link with the key that has left the address bar."""
    return str(page.url + page.evaluate("history.state?.hash ?? ''"))


def visit(page: Page, url: str) -> None:
    """Load a page and wait until its script is ready, also if only the fragment differs from the last URL."""
    if page.url.partition("#")[0] == url.partition("#")[0]:
        page.goto("about:blank")  # costs a process of its own
    page.goto(url)
    page.locator("body[data-ready]").wait_for()


def create(page: Page, url: str | None, text: str, **choices: str) -> Created:
    """Create a secret on the start page, or with `url` None on the page as it is. Choices: kind, lifetime, views,
    passcode (`words`, `digits` or the passcode itself), note, label."""
    if url is not None:
        visit(page, url)
    choose(page, **choices)
    page.locator("#secret").fill(text)
    page.locator("#create").click()
    return result(page)


def choose(page: Page, **choices: str) -> None:
    kind = choices.pop("kind", "text")
    page.locator(f".kinds label:has([value={'redirect' if kind == 'redirect' else 'text'}])").click()
    if (choices or kind == "neogram") and not page.locator("#note").is_visible():
        page.locator("#options > summary").click()
    if kind == "neogram":
        page.locator("#neogram").check()
    for name in ("lifetime", "views"):
        if name in choices:
            page.select_option(f"#{name}", choices[name])
    if "passcode" in choices:
        is_own = choices["passcode"] not in ("words", "digits")
        page.select_option("#passcode-kind", "own" if is_own else choices["passcode"])
        if is_own:
            page.locator("#own-passcode").fill(choices["passcode"])
    for name in ("note", "label"):
        if name in choices:
            page.locator(f"#{name}").fill(choices[name])


def result(page: Page) -> Created:
    """Wait for the result of creating a secret, and return it."""
    expect(page.locator("#result")).to_be_visible()
    receipt_url = page.locator("#receipt").get_attribute("href")
    assert receipt_url
    passcode = page.locator("#passcode").text_content() or None
    return Created(receipt_url.split("/receipt/")[0], page.locator("#link").input_value(), passcode, receipt_url)


def page_contents(page: Page) -> str:
    """Return everything in the page, to check that something is not there."""
    return str(page.evaluate(HELD))


@functools.cache
def texts(language: str = "en") -> dict[str, Any]:
    module = (STATIC / f"i18n/{language}.js").read_text("utf-8")
    match: dict[str, Any] = json.loads(module.partition("export default ")[2].strip().removesuffix(";"))
    return match


def text_of(key: str, language: str = "en", **values: str) -> re.Pattern[str]:
    """Return a pattern for a text of the pages in any plural form. Placeholders without a value match anything."""
    message = texts(language)[key]
    forms = message.values() if isinstance(message, dict) else [message]
    return re.compile("^(" + "|".join(_pattern(form, values) for form in forms) + ")$", re.DOTALL)


def ended_text(key: str) -> re.Pattern[str]:
    """Return a pattern for the state of a secret of which nothing is left."""
    return re.compile(f"{text_of(key).pattern[:-1]} {re.escape(str(texts()['state.nothingLeft']))}$", re.DOTALL)


def _pattern(text: str, values: dict[str, str]) -> str:
    parts = re.split(r"\{(\w+)\}", text)
    filled = [re.escape(values[part]) if part in values else ".*?" for part in parts[1::2]]
    return "".join(a + b for a, b in zip(map(re.escape, parts[::2]), [*filled, ""], strict=True))


def clipboard(context: BrowserContext, server_url: str) -> str:
    """Read the clipboard from a page without the appliance's policy, which forbids it."""
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server_url)
    with blank(context, server_url) as page:
        return str(page.evaluate("navigator.clipboard.readText()"))


@contextmanager
def blank(context: BrowserContext, server_url: str) -> Iterator[Page]:
    """An empty page of the server's origin that the server has no part in."""
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto(f"{server_url}/blank")
    yield page
    page.close()


def scan_qr_codes(target: Locator | Page) -> list[str]:
    """The QR codes on it, as another program's camera sees them."""
    picture = Image.open(io.BytesIO(target.screenshot())).convert("L")
    return [read_barcode.text for read_barcode in zxingcpp.read_barcodes(picture)]


def reveal(page: Page, link: str, passcode: str | None = None) -> None:
    """Open a link and press the button."""
    visit(page, link)
    if passcode is not None:
        page.locator("#passcode").fill(passcode)
    page.locator("#reveal").click()


def open_secret(page: Page, link: str, passcode: str | None = None) -> str:
    """The text of a secret that opens."""
    reveal(page, link, passcode)
    return str(page.locator("#content pre").text_content())


def download(page: Page, button: Locator) -> tuple[str, bytes]:
    """The name and the bytes of what a button hands to the browser."""
    with page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def restart_later(server: Server, days: int) -> None:
    """The same server after it was off for so many days."""
    server.stop()
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    # Not by the command: it is a process of its own, which does not hand on the signal to stop.
    server.env |= {"LD_PRELOAD": str(library), "FAKETIME": f"+{days}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    server.start()


def reveal_requests(watch: Watch) -> list[str]:
    """The requests that may spend a view."""
    return [url for url in watch.urls("/api/") if url.endswith("/reveal")]


def axe(page: Page, *rules: str) -> list[str]:
    """Return axe's findings for the page as it is: WCAG 2 A and AA and best practices, or only some rules."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    chosen = {"runOnly": list(rules)} if rules else {}
    return list(page.evaluate(AXE, {"resultTypes": ["violations"], **chosen}))

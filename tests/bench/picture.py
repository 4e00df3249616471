"""`python -m tests.bench.picture FILE`: what the README shows, photographed from the running product.

A phone's screen each: writing it, the link, what the reader meets, and what the reader got. The pages are served by a
real server; only its address reads as one of the world's.
"""

import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, Route, ViewportSize, sync_playwright

from .pages import chromium
from .servers import DURABLE, SETTINGS, Server

ADDRESS = "https://secrets.example.org"
SCREEN: ViewportSize = {"width": 360, "height": 760}
SCALE = 1.3
GAP, CORNER, EDGE = 36, 33, (127, 127, 127, 110)
PATIENCE_MS = 20_000


def photograph(browser: Browser, local: str) -> Iterator[Image.Image]:
    """Screens of one secret's way, in order."""
    context = browser.new_context(viewport=SCREEN, device_scale_factor=SCALE, locale="en-US", timezone_id="Etc/UTC")
    context.set_default_timeout(PATIENCE_MS)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.route("**/*", lambda route: at(route, local))
    page = context.new_page()
    page.goto(ADDRESS)
    page.wait_for_selector("body[data-ready] #secret:focus")
    page.fill("#secret", "anna.k\ntr0ub4dor & 3")
    yield screen(page)
    page.click("#options > summary")
    page.select_option("#passcode-kind", "words")
    page.fill("#note", "The VPN account, Anna")
    page.click("#create")
    page.wait_for_selector("#result:not([hidden])")
    page.evaluate("scrollTo(0, 0)")
    yield screen(page)
    link, words = page.input_value("#link"), page.inner_text("#passcode")
    page.goto(link)
    page.wait_for_selector("#ready:not([hidden])")
    page.fill("#passcode", words)
    yield screen(page)
    page.click("#reveal")
    page.wait_for_selector("#opened:not([hidden])")
    page.evaluate("scrollTo(0, 0)")
    yield screen(page)


def at(route: Route, local: str) -> None:
    """The address is the world's, the answer comes from here."""
    route.fulfill(response=route.fetch(url=route.request.url.replace(ADDRESS, local)))


def screen(page: Page) -> Image.Image:
    page.wait_for_timeout(400)  # motion comes to rest
    return Image.open(BytesIO(page.screenshot())).convert("RGBA")


def side_by_side(screens: list[Image.Image]) -> Image.Image:
    width, height = screens[0].size
    sheet = Image.new("RGBA", ((width + GAP) * len(screens) - GAP, height), (0, 0, 0, 0))
    mask = Image.new("L", (width, height), 0)
    box = (1, 1, width - 2, height - 2)
    ImageDraw.Draw(mask).rounded_rectangle(box, CORNER, fill=255)
    for number, each in enumerate(screens):
        ImageDraw.Draw(each).rounded_rectangle(box, CORNER, outline=EDGE, width=2)
        sheet.paste(each, (number * (width + GAP), 0), mask)
    return sheet


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="seclink-picture-") as folder:
        server = Server(DURABLE, Path(folder))
        (server.folder / "seclink.toml").write_text(f'{SETTINGS}[server]\npublic_url = "{ADDRESS}"\n')
        with server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
            screens = list(photograph(browser, f"http://127.0.0.1:{server.port}"))
            browser.close()
    side_by_side(screens).save(target, quality=78, method=6)
    print(f"{target}: {target.stat().st_size:,} B")


if __name__ == "__main__":
    main()

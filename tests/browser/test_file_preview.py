"""Images and texts among a secret's files, shown without being given to the browser as what they say they are."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pytest
from file_secrets import create_with_files, with_pickers
from page_actions import axe, receipt, reveal, text_of
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect
from support.server import Server

PIXEL = "(canvas) => [canvas.width, canvas.height, ...canvas.getContext('2d').getImageData(1, 1, 1, 1).data]"
KINDS = ["PNG", "JPEG", "WEBP", "GIF"]
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>window.__xss=1</script></svg>"
HTML = b"<html><img src=x onerror=window.__xss=1>"


def image(kind: str, size: tuple[int, int] = (30, 20), mode: str = "RGB", **options: Any) -> bytes:
    sink = io.BytesIO()
    Image.new(mode, size, (200, 30, 40) if mode == "RGB" else 0).save(sink, kind, **options)
    return sink.getvalue()


def show(page: Page, server: Server, context: BrowserContext, name: str, data: bytes) -> Locator:
    """Open a secret with a file, and press Show."""
    page.emulate_media(reduced_motion="reduce")
    with_pickers(context)
    reveal(page, create_with_files(server.url, [(name, data)]).link)
    page.locator(".files button:has([data-t='opened.show'])").click()
    return page.locator(".preview > *")


@pytest.mark.parametrize("kind", KINDS)
def test_image_is_drawn(page: Page, server: Server, context: BrowserContext, kind: str) -> None:
    shown = show(page, server, context, f"photo of {kind}.png", image(kind))
    expect(shown).to_have_attribute("aria-label", f"photo of {kind}.png")
    width, height, *colour = shown.evaluate(PIXEL)
    assert (width, height) == (30, 20)
    assert all(abs(seen - meant) < 12 for seen, meant in zip(colour, (200, 30, 40, 255), strict=True))
    assert axe(page) == []
    page.locator(".files button:has([data-t='opened.hide'])").click()
    expect(page.locator(".preview")).to_have_count(0)


def test_size_of_every_webp_is_read(page: Page, server: Server, context: BrowserContext) -> None:
    shown = show(page, server, context, "a.webp", image("WEBP", lossless=True))
    assert shown.evaluate(PIXEL) == [30, 20, 200, 30, 40, 255]
    animated = image("WEBP", save_all=True, append_images=[Image.new("RGB", (30, 20))])
    shown = show(page, server, context, "a.webp", animated)
    assert shown.evaluate(PIXEL)[:2] == [30, 20]


def test_large_image_is_drawn_smaller(page: Page, server: Server, context: BrowserContext) -> None:
    shown = show(page, server, context, "a.jpg", image("JPEG", (5000, 100), progressive=True))
    assert shown.evaluate(PIXEL)[:2] == [2048, 41]


UNSHOWN: dict[str, tuple[str, Callable[[], bytes]]] = {
    "half an image": ("a.png", lambda: image("PNG")[:40]),
    "a file that only begins as an image": ("a.jpg", lambda: b"\xff\xd8\xff" + bytes(100)),
    "an image that would fill the memory": ("a.png", lambda: image("PNG", (8000, 8000), mode="1")),
    "binary": ("a.txt", lambda: b"a\0b"),
    "no UTF-8": ("a.txt", lambda: b"\xff\xfe\xfa"),
    "a long text": ("a.txt", lambda: b"a" * 300_000),
}


@pytest.mark.parametrize("case", UNSHOWN)
def test_what_cannot_be_shown_is_told_and_can_be_saved(
    page: Page, server: Server, context: BrowserContext, case: str
) -> None:
    name, make = UNSHOWN[case]
    show(page, server, context, name, make())
    expect(page.locator("#status")).to_have_text(text_of("files.notShown"))
    expect(page.locator(".preview")).to_have_count(0)
    page.locator(".files li button").first.click()
    expect(page.locator("#status")).to_have_text(text_of("files.allSaved"))


HUGE, SMALL = (20_000, 20_000), (10, 10)
# Each names a small size where a careless reader finds it, and a size of 400 million pixels where a decoder does.
DECEPTIVE = {
    "GIF with a frame larger than its screen": (
        b"GIF89a" + struct.pack("<HHBBB", *SMALL, 0x80, 0, 0) + bytes(6) + b"\x21\xf9\x04" + bytes(4) + b"\0"
        b"\x2c" + struct.pack("<HHHHB", 0, 0, *HUGE, 0)
    ),
    "JPEG with a marker that has no length": (
        b"\xff\xd8\xff\x01\xff\xc0\0\x0b\x08"
        + struct.pack(">HH", *HUGE)
        + bytes(0xFFC4 - 13)
        + b"\xff\xc0\0\x0b\x08"
        + struct.pack(">HH", *SMALL)
    ),
    "JPEG of another coding": (
        b"\xff\xd8\xff\xc9\0\x0b\x08"
        + struct.pack(">HH", *HUGE)
        + bytes(4)
        + b"\xff\xc0\0\x0b\x08"
        + struct.pack(">HH", *SMALL)
    ),
    "PNG with a chunk before its header": (
        b"\x89PNG\r\n\x1a\n\0\0\0\x08teSt"
        + struct.pack(">II", *SMALL)
        + bytes(4)
        + b"\0\0\0\x0dIHDR"
        + struct.pack(">II", *HUGE)
    ),
}


@pytest.mark.parametrize("case", DECEPTIVE)
def test_image_that_hides_its_size_is_never_decoded(
    page: Page, server: Server, context: BrowserContext, case: str
) -> None:
    context.add_init_script(
        "window.decoded = 0; window.createImageBitmap = async () => { window.decoded += 1; throw 0; };"
    )
    show(page, server, context, "a.png", DECEPTIVE[case])
    expect(page.locator("#status")).to_have_text(text_of("files.notShown"))
    assert page.evaluate("window.decoded") == 0


@pytest.mark.parametrize("data", [SVG, HTML])
def test_markup_is_shown_as_text(page: Page, server: Server, context: BrowserContext, data: bytes) -> None:
    """XSS-03"""
    shown = show(page, server, context, "a.png", data)
    expect(shown).to_have_text(data.decode())
    assert shown.evaluate("(shown) => shown.localName") == "pre"
    assert page.evaluate("window.__xss ?? null") is None
    assert axe(page) == []


def test_other_files_have_no_button_and_showing_spends_nothing(
    page: Page, server: Server, context: BrowserContext
) -> None:
    with_pickers(context)
    files = [("a.pdf", b"%PDF"), ("a.svg", SVG), ("a.html", HTML), ("a.txt", b"text"), ("empty.txt", b"")]
    created = create_with_files(server.url, files)
    reveal(page, created.link)
    button = page.locator(".files button:has([data-t='opened.show'])")
    expect(button).to_have_count(1)
    button.click()
    expect(page.locator(".preview pre")).to_have_text("text")
    assert receipt(server.url, created)["files"]["grants"] == 1

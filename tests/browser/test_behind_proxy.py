"""A real browser, over https, through nginx and below a path: as most people will have it."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect
from support.proxies import Nginx
from support.server import MakeServer
from watch import Watch


@pytest.fixture(params=["taken away", "left there"])
def address(make_server: MakeServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """The public URL; nginx takes its path away, or leaves it there."""
    server = make_server("")
    inside = "proxy_pass http://seclink/;" if request.param == "taken away" else "proxy_pass http://seclink;"
    nginx = Nginx(
        server.port,
        changes={"location / {": "location /secrets/ {", "proxy_pass http://seclink;": inside},
    )
    try:
        nginx.start()
        url = f"{nginx.url}/secrets"
        server.config.write_text(f'[server]\npublic_url = "{url}"\ntrusted_proxies = ["127.0.0.1"]\n')
        server.start()
        yield url
        assert server.stop() == 0
    finally:
        nginx.stop()


def test_secret_goes_through_the_proxy_and_below_its_path(
    address: str, make_context: Callable[..., BrowserContext], watch: Watch
) -> None:
    """HDR-04: nothing is asked for elsewhere, and nothing above the path."""
    origin = address.removesuffix("/secrets")
    watch.allow(origin)
    context = make_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"{address}/")
    page.locator("#secret").fill("below a path")
    page.locator("#create").click()
    expect(page.locator("#link")).to_be_visible()
    match = page.locator("#link").input_value()
    assert match.startswith(f"{address}/")
    reader = context.new_page()
    reader.goto(match)
    reader.locator("#reveal").click()
    expect(reader.get_by_text("below a path")).to_be_visible()
    assert {url for url in watch.urls("http") if not url.startswith(f"{address}/")} == set()
    with httpx.Client(verify=False) as client:
        meta = client.get(f"{address}/api/v1/secrets/{urlsplit(match).path.rpartition('/')[2]}/meta")
    assert meta.status_code == 410

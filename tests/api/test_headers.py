"""HDR-01: the exact headers of every kind of response."""

import base64
import hashlib
import re
from typing import Any

import httpx
import pytest
from api_helpers import create, manage, reveal
from page_helpers import BROWSER, outside, version
from support.appliance import Appliance, MakeAppliance

from seclink.errors import BadRequest

pytestmark = pytest.mark.anyio

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; manifest-src 'self'; worker-src 'self'; object-src 'none'; frame-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types seclink-worker"
)
BOTH = {
    "referrer-policy": "no-referrer", "x-content-type-options": "nosniff", "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex", "strict-transport-security": "max-age=31536000",
}  # fmt: skip
PAGE = BOTH | {"content-security-policy": CSP, "cross-origin-embedder-policy": "require-corp"}
DATA = BOTH | {"content-security-policy": "default-src 'none'; sandbox"}
OTHER_NAMES = {
    "content-type", "content-length", "content-encoding", "vary", "x-request-id", "permissions-policy", "cache-control",
    "allow", "connection", "retry-after", "www-authenticate", "ratelimit", "ratelimit-policy",
    "access-control-allow-origin", "access-control-expose-headers", "access-control-allow-methods",
    "access-control-allow-headers", "access-control-max-age",
}  # fmt: skip
CACHED = {"/static/": "public, max-age=31536000, immutable", "/api/v1/client-module": "no-cache"}


async def every_kind_of_response(appliance: Appliance) -> list[tuple[str, int, httpx.Response]]:
    """Return (page or data, expected status, response) for every route and every kind of error."""
    web, api = outside(appliance), appliance.http
    secret = await create(api)
    root = f"/static/{version((await web.get('/')).text)}"
    pages = [
        (200, await web.get("/", headers=BROWSER)),
        (200, await web.get("/")),
        (200, await web.get("/", headers={"Accept-Encoding": "identity"})),
        (200, await web.head("/")),
        (200, await web.get("/?lang=en", headers=BROWSER)),
        (200, await web.get(f"/{secret['linkId']}", headers=BROWSER)),
        (200, await web.get("/AbCdEfGhIjKl", headers=BROWSER)),
        (200, await web.get("/receipt/" + "x" * 20, headers=BROWSER)),
        (404, await web.get("/nothing/at/all", headers=BROWSER)),
        (404, await web.get(root + "/nothing.js", headers=BROWSER)),
        (404, await web.head("/nothing/at/all", headers=BROWSER)),
        (405, await web.post("/", headers=BROWSER)),
        (405, await web.put("/", headers=BROWSER)),
        (400, await web.get("/", headers=BROWSER | {"Host": "evil.example"})),
        (413, await web.post("/", content=b"x" * 5_000_000, headers=BROWSER)),
        (431, await web.get("/", headers=BROWSER | {"X-Long": "x" * 20_000})),
        *[(200, await web.get(f"{root}/{name}")) for name in ("js/create.js", "css/style.css", "img/icon.svg")],
        (200, await web.head(f"{root}/js/create.js")),
        (200, await web.get("/robots.txt")),
        (200, await web.get("/favicon.ico")),
    ]
    data = [
        (404, await web.get("/nothing/at/all")),
        (404, await web.get(root + "/nothing.js")),
        (405, await web.post("/")),
        (405, await web.put("/")),
        (400, await web.get("/", headers={"Host": "evil.example"})),
        (431, await web.get("/", headers={"X-Long": "x" * 20_000})),
        (200, await web.get("/api/v1/client-module")),
        (204, await web.options("/api/v1/client-module")),
        (200, await web.get("/healthz")),
        (503, await web.get("/readyz")),
        (200, await api.get("/openapi.json")),
        (200, await api.get(f"/secrets/{secret['linkId']}/meta")),
        (400, await api.get(f"/secrets/{secret['linkId']}", headers=BROWSER)),
        (400, await api.get("/receipts", headers=BROWSER | {"Host": "evil.example"})),
        (415, await api.post("/secrets", content=b"{}")),
        (413, await api.post("/secrets", content=b"x" * 5_000_000)),
        (404, await api.get("/nothing", headers=BROWSER)),
        (405, await api.patch("/secrets")),
        (401, await api.get("/receipts")),
        (204, await api.options("/secrets")),
        (200, await reveal(api, secret)),
        (410, await api.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret))),
    ]

    async def fail(*_: Any) -> None:
        raise RuntimeError

    appliance.app.app = fail
    pages.append((500, await web.get("/", headers=BROWSER)))
    data += [(500, await web.get("/")), (500, await api.get("/stats", headers=BROWSER))]
    return [("page", *row) for row in pages] + [("data", *row) for row in data]


async def test_every_kind_of_response_has_exactly_its_headers(make_appliance: MakeAppliance) -> None:
    """HDR-01, HDR-08"""
    appliance = await make_appliance('[server]\npublic_url = "https://localhost"\n')
    for kind, status, response in await every_kind_of_response(appliance):
        request = f"{response.request.method} {response.request.url}"
        assert response.status_code == status, request
        expected = PAGE if kind == "page" else DATA
        if kind == "page" and status in (400, 405, 413, 431, 500):  # it stands alone, with its own style sheet
            [style] = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            expected = PAGE | {
                "content-security-policy": CSP.replace("style-src 'self'", f"style-src 'sha256-{digest}'")
            }
        assert {name: response.headers.get(name) for name in expected} == expected, request
        assert response.headers.keys() - expected.keys() <= OTHER_NAMES, request
        assert len(response.headers.multi_items()) == len(response.headers), request
        assert re.fullmatch(r"[0-9a-f]{16}", response.headers["x-request-id"]), request
        path = response.request.url.path
        caching = next((value for prefix, value in CACHED.items() if path.startswith(prefix)), "no-store")
        assert response.headers["cache-control"] == (caching if status == 200 else "no-store"), request


async def test_every_browser_feature_but_clipboard_write_is_off(appliance: Appliance) -> None:
    """HDR-01"""
    response = await outside(appliance).get("/")
    policy = dict(feature.split("=", 1) for feature in response.headers["permissions-policy"].split(", "))
    assert policy.pop("clipboard-write") == "(self)"
    assert set(policy.values()) == {"()"}
    assert {
        "camera",
        "microphone",
        "geolocation",
        "clipboard-read",
        "display-capture",
        "usb",
        "payment",
    } <= policy.keys()
    assert "web-share" not in policy  # the share sheet; a feature that is not listed is allowed to the page itself


@pytest.mark.parametrize("url", ["", 'public_url = "http://localhost:8080"\n'])
async def test_plain_http_sends_no_hsts(make_appliance: MakeAppliance, url: str) -> None:
    """HDR-01: HSTS applies to the whole host, so it is sent only by a server that uses https."""
    appliance = await make_appliance(f"[server]\n{url}")
    for _, _, response in await every_kind_of_response(appliance):
        assert "strict-transport-security" not in response.headers


async def test_pages_have_no_cors_headers(appliance: Appliance) -> None:
    """HDR-08: scripts of other sites may load modules and read data, but not pages."""
    for kind, _, response in await every_kind_of_response(appliance):
        if "text/html" in response.headers.get("content-type", ""):
            assert kind == "page"
            assert "access-control-allow-origin" not in response.headers
        assert "access-control-allow-credentials" not in response.headers
        assert "set-cookie" not in response.headers
        assert "server" not in response.headers


async def test_error_for_malformed_input_has_the_headers(make_appliance: MakeAppliance) -> None:
    """HDR-01: an error that the server makes without the application."""
    appliance = await make_appliance('[server]\npublic_url = "https://localhost"\n')
    lines = appliance.app.render_http11(BadRequest()).partition(b"\r\n\r\n")[0].decode().splitlines()[1:]
    headers = dict(line.split(": ", 1) for line in lines)
    assert {name: headers.get(name) for name in DATA} == DATA

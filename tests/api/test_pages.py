"""The pages: for one language the same bytes for everyone, served from memory, whether a secret exists or not."""

import base64
import gzip
import hashlib
import re
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from api_helpers import check_problem, create, reveal, state
from page_helpers import BROWSER, ROOT, outside, version
from support.appliance import Appliance, MakeAppliance

from seclink.web import assets
from seclink.web.pages import Pages

pytestmark = pytest.mark.anyio

BOTS = [
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Slack-ImgProxy (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", "TelegramBot (like TwitterBot)",
    "WhatsApp/2.23.20.0 A", "WhatsApp/2.21.12.21 N", "facebookexternalhit/1.1", "facebookcatalog/1.0", "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0)", "Mozilla/5.0 (compatible; Googlebot/2.1)", "Pinterestbot/1.0",
    "Mozilla/5.0 (compatible; bingbot/2.0)", "Mozilla/5.0 (Windows NT 6.1) BingPreview/1.0b", "DuckDuckBot/1.0",
    "Mozilla/5.0 (compatible; YandexBot/3.0)", "Mozilla/5.0 (compatible; Applebot/0.1)", "SkypeUriPreview Preview/0.5",
    "Mozilla/5.0 SkypeUriPreview Preview/0.5", "Mozilla/5.0 Microsoft Office Word 2014", "ms-office; MSOffice 16",
    "Microsoft Office Existence Discovery", "Mozilla/5.0 (Windows NT 10.0) ProofpointUrlDefense", "Barracuda Sentinel",
    "Mimecast URL Protect", "Google-PageRenderer", "GoogleImageProxy", "Mastodon/4.2 (http.rb/5.1)",
    "Mozilla/5.0 (compatible; SeznamBot/4.0)", "Iframely/1.3.1", "Embedly/0.2", "redditbot/1.0", "ZoomBot", "Viber",
    "Mattermost-Bot/1.1", "Matrix-Media-Repo", "curl/8.5.0", "Wget/1.21", "python-requests/2.32", "Go-http-client/2.0",
]  # fmt: skip


@pytest.fixture
def web(appliance: Appliance) -> httpx.AsyncClient:
    return outside(appliance)


# The store is not used


async def test_page_of_a_secret_is_the_same_whether_it_exists_or_not(appliance: Appliance) -> None:
    """BOT-01: with and without a bot's User-Agent; the store is closed, so that a lookup would be a 503."""
    active = await create(appliance.http)
    revealed = await create(appliance.http)
    await reveal(appliance.http, revealed)
    log_before = appliance.log.getvalue()
    await appliance.store.close()
    web = outside(appliance)
    pages = set()
    for agent in ["", *BOTS]:
        for name in (active["linkId"], revealed["linkId"], "AbCdEfGhIjKl", active["linkId"] + "?utm_source=x&fbclid=y"):
            response = await web.get(f"/{name}", headers={"User-Agent": agent})
            assert response.status_code == 200
            assert "ratelimit" not in response.headers
            pages.add(response.content)
    assert len(BOTS) >= 30
    assert len(pages) == 1
    assert appliance.log.getvalue() == log_before


async def test_pages_do_not_use_the_store(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    """BOT-01: no method of the store is called, and no rate limit counts the requests."""
    secret = await create(appliance.http)
    before = await state(appliance.http, secret)
    calls: list[str] = []
    for name in [name for name in dir(type(appliance.store)) if not name.startswith("__")]:
        if callable(getattr(appliance.store, name)):
            monkeypatch.setattr(appliance.store, name, lambda *_, name=name, **__: calls.append(name))
    web = outside(appliance)
    page = (await web.get("/")).text
    for path in (
        "/", f"/{secret['linkId']}", f"/receipt/{secret['receiptId']}", "/receipt/" + "x" * 20, "/nothing/at/all",
        f"/static/{version(page)}/js/create.js", "/static/0/js/create.js", "/robots.txt", "/favicon.ico",
        "/api/v1/client-module",
    ):  # fmt: skip
        for method in ("GET", "HEAD", "POST"):
            await web.request(method, path, headers=BROWSER)
    monkeypatch.undo()
    assert calls == []
    assert await state(appliance.http, secret) == before


async def test_pages_are_not_rate_limited(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance('[rates]\npeek = "1/hour"\nreveal = "1/hour"\ncreate = "1/hour"\n')
    web = outside(appliance)
    assert {(await web.get(path)).status_code for path in ("/", "/AbCdEfGhIjKl") for _ in range(20)} == {200}
    assert (await appliance.http.get("/secrets/AbCdEfGhIjKl/meta")).status_code == 404


def test_pages_have_no_vault_and_no_store() -> None:
    """BOT-01: so that they cannot call either."""
    assert "vault" not in Pages.__init__.__code__.co_varnames
    assert "store" not in Pages.__init__.__code__.co_varnames


# The page of each path


@pytest.mark.parametrize(
    ("path", "script"),
    [
        ("/", "create"),
        ("/?lang=xx&a=b", "create"),
        ("/AbCdEfGhIjKl", "reveal"),
        ("/000000000000", "reveal"),
        ("/receipt/AbCdEfGhIjKlMnOpQrSt", "receipt"),
        *(
            (path + end, script)
            for path, script in (
                ("/AbCdEfGhIjKl", "reveal"),
                ("/receipt/AbCdEfGhIjKlMnOpQrSt", "receipt"),
                ("/scrt-link/s", "reveal"),
                ("/enigmacrypt/s/a1B2c3D4", "reveal"),
            )
            for end in (
                "/",
                ".",
                ")",
                "%20",
                "%E2%80%9D",
                ";x",
                "%23KEY",
                "%2523KEY",
                "/%23K_Y",
                ".%23KEY?utm_source=x",
            )
        ),
    ],
)
async def test_path_selects_the_page_and_marks_behind_the_id_do_not_count(
    web: httpx.AsyncClient, path: str, script: str
) -> None:
    response = await web.get(path, headers=BROWSER)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"/js/{script}.js" in response.text


UNKNOWN_PATHS = [
    "/AbCdEfGhIjK", "/AbCdEfGhIjKlM", "/AbCdEfGhIjK-", "/AbCdEfGhIjKl/x", "/index.html",
    "/create.html",
    "/receipt", "/receipt/", "/receipt/AbCdEfGhIjKl", "/receipt/AbCdEfGhIjKlMnOpQrSt/x",
    "/receipt/AbCdEfGhIjKlMnOpQrS_",
    "/AbCdEfGhIjK%C3%A9", "/AbCdEfGhIjK%0A", "/AbCdEfGhIjKl%0A", "/AbCdEfGhIjKl%00", "/AbCdEfGhIjKl.x",
    "/AbCdEfGhIjKl%41", "/static",
    "/static/", "/static/0123456789ab/js/create.js", "//AbCdEfGhIjKl", "/api", "/API/v1/stats", "/healthz/", "/favicon",
]  # fmt: skip


@pytest.mark.parametrize("path", UNKNOWN_PATHS)
async def test_unknown_path_is_a_page_for_browsers_and_a_problem_for_programs(
    web: httpx.AsyncClient, path: str
) -> None:
    page = await web.get(f"{ROOT}{path}", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert page.content == (await web.get("/nothing/at/all", headers=BROWSER)).content
    check_problem(await web.get(f"{ROOT}{path}"), 404, "not_found")


async def test_unknown_path_of_the_api_is_a_problem_for_browsers_too(web: httpx.AsyncClient) -> None:
    check_problem(await web.get("/api/v1/nothing", headers=BROWSER), 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/AbCdEfGhIjKl", "/robots.txt", "/api/v1/client-module"])
async def test_page_rejects_other_methods(web: httpx.AsyncClient, path: str) -> None:
    for method in ("POST", "PATCH", "DELETE"):
        response = await web.request(method, path)
        check_problem(response, 405, "method_not_allowed")
        assert response.headers["allow"] == "GET, HEAD"
        page = await web.request(method, path, headers=BROWSER)
        assert page.status_code == 405
        assert "html" in page.headers["content-type"] or path.startswith("/api/")


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "identity"}, BROWSER])
async def test_head_response_has_the_headers_of_get(web: httpx.AsyncClient, headers: dict[str, str]) -> None:
    page = (await web.get("/")).text
    for path in ("/", "/AbCdEfGhIjKl", "/nothing/at/all", f"/static/{version(page)}/js/create.js", "/robots.txt"):
        get, head = await web.get(path, headers=headers), await web.head(path, headers=headers)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert {**head.headers, "x-request-id": ""} == {**get.headers, "x-request-id": ""}


# Traversal

TRAVERSALS = [
    "../app.py", "../../etc/passwd", "..%2fapp.py", "%2e%2e/app.py", "%2e%2e%2fapp.py", "..%5capp.py", "/etc/passwd",
    "%2fetc%2fpasswd", "js/../../app.py", "js/%2e%2e/%2e%2e/app.py", "js//create.js", "./js/create.js",
    "js/create.js%00",
    "js/create.js/", "JS/create.js", "js", "", "create.html", "../create.html", "i18n/..%2f..%2fapp.js",
    "js/create.js.gz",
    "__init__.py", ".git/config", "%252e%252e%252fapp.py",
]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
async def test_path_traversal_is_a_404(appliance: Appliance, name: str) -> None:
    """IN-12: a name is looked up in memory, never opened; the path is sent unchanged."""
    web = outside(appliance)
    root = f"/static/{version((await web.get('/')).text)}/"
    assert (await web.get(root + "js/create.js")).status_code == 200
    path = root + name
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def never() -> Any:
        raise AssertionError("the body was read")

    for decoded in (path, unquote(path), unquote(unquote(path))):
        scope = {
            "type": "http", "method": "GET", "path": decoded, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }  # fmt: skip
        await appliance.app(scope, never, send)
    assert [message["status"] for message in messages if "status" in message] == [404] * 3


@pytest.mark.parametrize(
    "language", ["../../../etc/passwd", "..%2f..%2fen", "en.js", "/etc", "EN", "", "e", "%00", "__class__"]
)
async def test_unknown_language_is_ignored(web: httpx.AsyncClient, language: str) -> None:
    """IN-12"""
    page = await web.get("/", headers={"Accept-Language": "en"})
    assert (await web.get(f"/?lang={language}", headers={"Accept-Language": "en"})).content == page.content


# Bytes


@pytest.mark.parametrize(
    ("accept_encoding", "is_compressed"),
    [
        (None, False), ("gzip", True), ("gzip, deflate, br", True), ("br;q=1.0, gzip;q=0.8", True), ("*", True),
        ("GZIP", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("*;q=0", False), ("gzip;q=0, *", False),
        ("identity", False), ("br", False), ("", False), ("gzip;q=x", False), ("xgzip", False), ("gzip;q=0.001", True),
    ],
)  # fmt: skip
async def test_response_is_compressed_only_if_accepted(
    appliance: Appliance, accept_encoding: str | None, is_compressed: bool
) -> None:
    web = outside(appliance)
    del web.headers["accept-encoding"]
    headers = {} if accept_encoding is None else {"Accept-Encoding": accept_encoding}
    page = (await web.get("/")).text
    for path in ("/", f"/static/{version(page)}/css/style.css"):
        response = await web.get(path, headers=headers)
        assert response.headers.get("content-encoding") == ("gzip" if is_compressed else None)
        assert "Accept-Encoding" in response.headers["vary"]
        if is_compressed:
            async with web.stream("GET", path, headers=headers) as stream:
                data = b"".join([chunk async for chunk in stream.aiter_raw()])
            assert int(response.headers["content-length"]) == len(data) < len(response.content)
            assert gzip.decompress(data) == response.content
            assert data[4:8] == b"\0\0\0\0"  # no modification time: the same bytes after every start
        else:
            assert int(response.headers["content-length"]) == len(response.content)


async def test_versioned_files_are_cached_forever(web: httpx.AsyncClient) -> None:
    page = (await web.get("/")).text
    types = {
        "js/create.js": "text/javascript; charset=utf-8", "css/style.css": "text/css; charset=utf-8",
        "img/icon.svg": "image/svg+xml", "words/en.txt": "text/plain; charset=utf-8",
        "i18n/en.js": "text/javascript; charset=utf-8",
    }  # fmt: skip
    for name, media_type in types.items():
        response = await web.get(f"/static/{version(page)}/{name}")
        assert (response.status_code, response.headers["content-type"]) == (200, media_type)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.content == (assets.FOLDER / name).read_bytes()
    unknown = await web.get("/static/0123456789ab/js/create.js")
    check_problem(unknown, 404, "not_found")


async def test_client_module_points_to_the_current_version(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance('[server]\npublic_url = "https://secrets.example.org/sub"\n')
    web = outside(appliance)
    root = version((await web.get("/")).text)
    response = await web.get("/api/v1/client-module")
    names = "Refusal, SecretType, scrtLink, scrtLink as default, seclink"
    assert response.text == f'export {{ {names} }} from "/sub/static/{root}/js/client.js";\n'
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (response.headers["access-control-allow-origin"], response.headers["cache-control"]) == ("*", "no-cache")
    assert (await web.options("/api/v1/client-module")).status_code == 204
    assert (await web.get(f"/static/{root}/js/client.js")).status_code == 200


async def test_robots_are_disallowed_and_the_icon_is_served(web: httpx.AsyncClient) -> None:
    assert (await web.get("/robots.txt")).text == "User-agent: *\nDisallow: /\n"
    assert (await web.get("/favicon.ico")).headers["content-type"] == "image/svg+xml"


# Error pages


async def test_error_page_of_an_unknown_host_names_the_options(web: httpx.AsyncClient) -> None:
    """IN-13: the page does not repeat the name."""
    for path in ("/", "/AbCdEfGhIjKl"):
        response = await web.get(path, headers=BROWSER | {"Host": "evil.example"})
        assert (response.status_code, response.headers["content-type"]) == (400, "text/html; charset=utf-8")
        assert "server.public_url" in response.text
        assert "server.allowed_hosts" in response.text
        assert '<meta name="color-scheme" content="light dark">' in response.text
        assert "evil" not in response.text
        assert not re.search(r"<script|<link|src=|href=", response.text), "it loads nothing under that name"
    check_problem(await web.get("/", headers={"Host": "evil.example"}), 400, "unknown_host")
    check_problem(await web.get("/api/v1/stats", headers=BROWSER | {"Host": "evil.example"}), 400, "unknown_host")


async def test_error_page_looks_like_the_others_under_their_policy(web: httpx.AsyncClient) -> None:
    """HDR-04: with the same style sheet, inside it, and nothing else is allowed there."""
    policy = (await web.get("/")).headers["content-security-policy"]
    css = (assets.FOLDER / "css/style.css").read_text()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    refused = (web.get("/", headers=BROWSER | {"Host": "evil.example"}), web.put("/", headers=BROWSER))
    for status, request in zip((400, 405), refused, strict=True):
        response = await request
        assert response.status_code == status
        assert f"<style>{css}</style>" in response.text
        assert '<section class="card">' in response.text
        allowed = policy.replace("style-src 'self'", f"style-src 'sha256-{digest}'")
        assert response.headers["content-security-policy"] == allowed


async def test_error_page_of_a_busy_or_failing_server_has_a_sentence(make_appliance: MakeAppliance) -> None:
    busy = await make_appliance()
    busy.app.requests.reconfigure(0)
    assert (await outside(busy).get("/", headers=BROWSER)).status_code == 200, "pages are served all the same"
    response = await outside(busy).post("/", headers=BROWSER)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "<h1>The server is busy; nothing was done, try again</h1>" in response.text
    check_problem(await outside(busy).post("/"), 503, "busy")
    broken = await make_appliance()

    async def fail(*_: Any) -> None:
        raise RuntimeError("the cause of the bug")

    broken.app.app = fail
    response = await outside(broken).get("/", headers=BROWSER)
    assert response.status_code == 500
    assert "<h1>The server failed with an internal error</h1>" in response.text
    assert "cause" not in response.text
    check_problem(await outside(broken).get("/"), 500, "internal")

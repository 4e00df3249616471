"""The pages: the same bytes for everybody who speaks the same language, from memory, whatever the address says."""

import gzip
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


# Nothing is touched


async def test_page_of_a_secret_is_the_same_whether_there_is_one_or_not(appliance: Appliance) -> None:
    """BOT-01: for thirty bots and none; with the store closed, so that a lookup would be a 503."""
    made = await create(appliance.http)
    spent = await create(appliance.http)
    await reveal(appliance.http, spent)
    logged = appliance.log.getvalue()
    await appliance.store.close()
    web = outside(appliance)
    pages = set()
    for agent in ["", *BOTS]:
        for name in (made["linkId"], spent["linkId"], "AbCdEfGhIjKl", made["linkId"] + "?utm_source=x&fbclid=y"):
            answer = await web.get(f"/{name}", headers={"User-Agent": agent})
            assert answer.status_code == 200
            assert "ratelimit" not in answer.headers
            pages.add(answer.content)
    assert len(BOTS) >= 30
    assert len(pages) == 1
    assert appliance.log.getvalue() == logged


async def test_no_page_makes_the_store_do_anything(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    """BOT-01: not one verb of the store is called, and no guard counts."""
    made = await create(appliance.http)
    before = await state(appliance.http, made)
    called: list[str] = []
    for verb in [each for each in dir(type(appliance.store)) if not each.startswith("__")]:
        if callable(getattr(appliance.store, verb)):
            monkeypatch.setattr(appliance.store, verb, lambda *_, verb=verb, **__: called.append(verb))
    web = outside(appliance)
    page = (await web.get("/")).text
    for path in (
        "/", f"/{made['linkId']}", f"/receipt/{made['receiptId']}", "/receipt/" + "x" * 20, "/nothing/at/all",
        f"/static/{version(page)}/js/create.js", "/static/0/js/create.js", "/robots.txt", "/favicon.ico",
        "/api/v1/client-module",
    ):  # fmt: skip
        for method in ("GET", "HEAD", "POST"):
            await web.request(method, path, headers=BROWSER)
    monkeypatch.undo()
    assert called == []
    assert await state(appliance.http, made) == before


async def test_pages_count_against_no_rate(make_appliance: MakeAppliance) -> None:
    made = await make_appliance('[rates]\npeek = "1/hour"\nreveal = "1/hour"\ncreate = "1/hour"\n')
    web = outside(made)
    assert {(await web.get(path)).status_code for path in ("/", "/AbCdEfGhIjKl") for _ in range(20)} == {200}
    assert (await made.http.get("/secrets/AbCdEfGhIjKl/meta")).status_code == 404


def test_pages_know_neither_vault_nor_store() -> None:
    """BOT-01: there is nothing to call."""
    assert "vault" not in Pages.__init__.__code__.co_varnames
    assert "store" not in Pages.__init__.__code__.co_varnames


# Which page


@pytest.mark.parametrize(
    ("path", "script"),
    [
        ("/", "create"),
        ("/?lang=xx&a=b", "create"),
        ("/AbCdEfGhIjKl", "reveal"),
        ("/000000000000", "reveal"),
        ("/receipt/AbCdEfGhIjKlMnOpQrSt", "receipt"),
    ],
)
async def test_address_names_its_page(web: httpx.AsyncClient, path: str, script: str) -> None:
    answer = await web.get(path, headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"/js/{script}.js" in answer.text


WRONG = [
    "/AbCdEfGhIjK", "/AbCdEfGhIjKlM", "/AbCdEfGhIjK-", "/AbCdEfGhIjKl/", "/AbCdEfGhIjKl/x", "/index.html",
    "/create.html",
    "/receipt", "/receipt/", "/receipt/AbCdEfGhIjKl", "/receipt/AbCdEfGhIjKlMnOpQrSt/", "/receipt/AbCdEfGhIjKlMnOpQrS_",
    "/AbCdEfGhIjK%C3%A9", "/AbCdEfGhIjK%0A", "/AbCdEfGhIjKl%0A", "/AbCdEfGhIjKl%00", "/%41bCdEfGhIjKl%20", "/static",
    "/static/", "/static/0123456789ab/js/create.js", "//AbCdEfGhIjKl", "/api", "/API/v1/stats", "/healthz/", "/favicon",
]  # fmt: skip


@pytest.mark.parametrize("path", WRONG)
async def test_address_of_nothing_is_a_page_for_people_and_a_problem_for_programs(
    web: httpx.AsyncClient, path: str
) -> None:
    seen = await web.get(f"{ROOT}{path}", headers=BROWSER)
    assert (seen.status_code, seen.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert seen.content == (await web.get("/nothing/at/all", headers=BROWSER)).content
    check_problem(await web.get(f"{ROOT}{path}"), 404, "not_found")


async def test_unknown_address_of_the_api_is_a_problem_for_everybody(web: httpx.AsyncClient) -> None:
    check_problem(await web.get("/api/v1/nothing", headers=BROWSER), 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/AbCdEfGhIjKl", "/robots.txt", "/api/v1/client-module"])
async def test_page_takes_no_other_method(web: httpx.AsyncClient, path: str) -> None:
    for method in ("POST", "PATCH", "DELETE"):
        answer = await web.request(method, path)
        check_problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, HEAD"
        seen = await web.request(method, path, headers=BROWSER)
        assert seen.status_code == 405
        assert "html" in seen.headers["content-type"] or path.startswith("/api/")


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "identity"}, BROWSER])
async def test_head_tells_what_get_would(web: httpx.AsyncClient, headers: dict[str, str]) -> None:
    page = (await web.get("/")).text
    for path in ("/", "/AbCdEfGhIjKl", "/nothing/at/all", f"/static/{version(page)}/js/create.js", "/robots.txt"):
        got, told = await web.get(path, headers=headers), await web.head(path, headers=headers)
        assert (told.status_code, told.content) == (got.status_code, b"")
        assert {**told.headers, "x-request-id": ""} == {**got.headers, "x-request-id": ""}


# Traversal

OUTSIDE = [
    "../app.py", "../../etc/passwd", "..%2fapp.py", "%2e%2e/app.py", "%2e%2e%2fapp.py", "..%5capp.py", "/etc/passwd",
    "%2fetc%2fpasswd", "js/../../app.py", "js/%2e%2e/%2e%2e/app.py", "js//create.js", "./js/create.js",
    "js/create.js%00",
    "js/create.js/", "JS/create.js", "js", "", "create.html", "../create.html", "i18n/..%2f..%2fapp.js",
    "js/create.js.gz",
    "__init__.py", ".git/config", "%252e%252e%252fapp.py",
]  # fmt: skip


@pytest.mark.parametrize("name", OUTSIDE)
async def test_no_name_leads_out_of_the_files(appliance: Appliance, name: str) -> None:
    """IN-12: a name is looked up, never opened; the path is sent as it stands here."""
    web = outside(appliance)
    below = f"/static/{version((await web.get('/')).text)}/"
    assert (await web.get(below + "js/create.js")).status_code == 200
    path = below + name
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    for decoded in (path, unquote(path), unquote(unquote(path))):
        scope = {
            "type": "http", "method": "GET", "path": decoded, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }  # fmt: skip
        await appliance.app(scope, None, send)
    assert [each["status"] for each in sent if "status" in each] == [404] * 3


@pytest.mark.parametrize(
    "asked", ["../../../etc/passwd", "..%2f..%2fen", "en.js", "/etc", "EN", "", "e", "%00", "__class__"]
)
async def test_language_that_is_none_is_ignored(web: httpx.AsyncClient, asked: str) -> None:
    """IN-12"""
    usual = await web.get("/", headers={"Accept-Language": "en"})
    assert (await web.get(f"/?lang={asked}", headers={"Accept-Language": "en"})).content == usual.content


# Bytes


@pytest.mark.parametrize(
    ("wish", "packed"),
    [
        (None, False), ("gzip", True), ("gzip, deflate, br", True), ("br;q=1.0, gzip;q=0.8", True), ("*", True),
        ("GZIP", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("*;q=0", False), ("gzip;q=0, *", False),
        ("identity", False), ("br", False), ("", False), ("gzip;q=x", False), ("xgzip", False), ("gzip;q=0.001", True),
    ],
)  # fmt: skip
async def test_packed_only_for_those_who_take_it(appliance: Appliance, wish: str | None, packed: bool) -> None:
    web = outside(appliance)
    del web.headers["accept-encoding"]
    headers = {} if wish is None else {"Accept-Encoding": wish}
    page = (await web.get("/")).text
    for path in ("/", f"/static/{version(page)}/css/style.css"):
        answer = await web.get(path, headers=headers)
        assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
        assert "Accept-Encoding" in answer.headers["vary"]
        if packed:
            async with web.stream("GET", path, headers=headers) as raw:
                sent = b"".join([each async for each in raw.aiter_raw()])
            assert int(answer.headers["content-length"]) == len(sent) < len(answer.content)
            assert gzip.decompress(sent) == answer.content
            assert sent[4:8] == b"\0\0\0\0"  # no time in it: the same bytes after every start
        else:
            assert int(answer.headers["content-length"]) == len(answer.content)


async def test_files_are_served_for_ever_under_a_version(web: httpx.AsyncClient) -> None:
    page = (await web.get("/")).text
    types = {
        "js/create.js": "text/javascript; charset=utf-8", "css/style.css": "text/css; charset=utf-8",
        "img/icon.svg": "image/svg+xml", "words.txt": "text/plain; charset=utf-8",
        "i18n/en.js": "text/javascript; charset=utf-8",
    }  # fmt: skip
    for name, media_type in types.items():
        answer = await web.get(f"/static/{version(page)}/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.content == (assets.FOLDER / name).read_bytes()
    old = await web.get("/static/0123456789ab/js/create.js")
    check_problem(old, 404, "not_found")


async def test_client_module_points_at_the_version_in_force(make_appliance: MakeAppliance) -> None:
    made = await make_appliance('[server]\npublic_url = "https://secrets.example.org/sub"\n')
    web = outside(made)
    root = version((await web.get("/")).text)
    answer = await web.get("/api/v1/client-module")
    assert answer.text == f'export {{ scrtLink, seclink }} from "/sub/static/{root}/js/client.js";\n'
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (answer.headers["access-control-allow-origin"], answer.headers["cache-control"]) == ("*", "no-cache")
    assert (await web.options("/api/v1/client-module")).status_code == 204
    assert (await web.get(f"/static/{root}/js/client.js")).status_code == 200


async def test_robots_are_told_to_stay_away_and_the_icon_is_there(web: httpx.AsyncClient) -> None:
    assert (await web.get("/robots.txt")).text == "User-agent: *\nDisallow: /\n"
    assert (await web.get("/favicon.ico")).headers["content-type"] == "image/svg+xml"


# Refusals for people


async def test_person_at_an_unknown_host_is_told_what_to_set(web: httpx.AsyncClient) -> None:
    """IN-13: and the name is not repeated."""
    for path in ("/", "/AbCdEfGhIjKl", "/healthz"):
        answer = await web.get(path, headers=BROWSER | {"Host": "evil.example"})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
        assert "server.public_url" in answer.text
        assert "server.allowed_hosts" in answer.text
        assert '<meta name="color-scheme" content="light dark">' in answer.text
        assert "evil" not in answer.text
        assert not re.search(r"<script|<style|<link|src=|href=", answer.text)
    check_problem(await web.get("/", headers={"Host": "evil.example"}), 400, "unknown_host")
    check_problem(await web.get("/api/v1/stats", headers=BROWSER | {"Host": "evil.example"}), 400, "unknown_host")


async def test_person_at_a_busy_or_broken_server_reads_a_sentence(make_appliance: MakeAppliance) -> None:
    busy = await make_appliance()
    busy.app.max_requests = 0
    answer = await outside(busy).get("/", headers=BROWSER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "<h1>The server is busy; nothing was done, try again</h1>" in answer.text
    check_problem(await outside(busy).get("/"), 503, "busy")
    broken = await make_appliance()

    async def fail(*_: Any) -> None:
        raise RuntimeError("a word of nobody")

    broken.app.app = fail
    answer = await outside(broken).get("/", headers=BROWSER)
    assert answer.status_code == 500
    assert "<h1>The server failed with an internal error</h1>" in answer.text
    assert "nobody" not in answer.text
    check_problem(await outside(broken).get("/"), 500, "internal")

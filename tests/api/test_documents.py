"""The documents at /docs: what is served, as what, and that nothing of them is HTML from a text."""

import re
from typing import Any

import httpx
import pytest
from support.appliance import Appliance

from seclink.config.schema import Config
from seclink.web import documents
from seclink.web.assets import load
from seclink.web.documents import INDEX, NAMES, REFERENCE, as_html, page

pytestmark = pytest.mark.anyio


def web(appliance: Appliance, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(appliance.app, client=("192.0.2.1", 50000))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", **options)


async def test_every_document_is_a_page_without_scripts(appliance: Appliance) -> None:
    async with web(appliance) as client:
        start = await client.get("/")
        for name in (INDEX, REFERENCE, *NAMES):
            response = await client.get(f"/docs/{name}")
            assert response.status_code == 200, name
            assert response.headers["content-type"] == "text/html; charset=utf-8"
            assert response.headers["content-security-policy"] == start.headers["content-security-policy"]
            assert "<script" not in response.text, name
            assert " style=" not in response.text, name
            assert len(re.findall(r"<h1 ", response.text)) >= 1, name
            assert not re.search(r"<th>\s*</th>", response.text), f"{name}: a column without a name"
        assert (await client.get("/docs")).text == (await client.get(f"/docs/{INDEX}")).text


async def test_links_between_documents_lead_to_served_anchors(appliance: Appliance) -> None:
    async with web(appliance) as client:
        texts = {name: (await client.get(f"/docs/{name}")).text for name in (INDEX, REFERENCE, *NAMES)}
    for source, text in texts.items():
        for target, anchor in re.findall(r'href="/docs/?([\w]*)(?:#([^"]*))?"', text):
            assert (target or INDEX) in texts, (source, target)
            assert not anchor or f'id="{anchor}"' in texts[target], (source, target, anchor)
        assert ".md" not in "".join(re.findall(r'href="([^"]*)"', text)), source


@pytest.mark.parametrize("path", ["/docs/", "/docs/nothing", "/docs/api.md", "/docs/../api", "/docs/api/", "/docsapi"])
async def test_other_paths_are_not_found(appliance: Appliance, path: str) -> None:
    """IN-12"""
    async with web(appliance) as client:
        assert (await client.get(path)).status_code == 404


async def test_only_get_and_head_are_answered(appliance: Appliance) -> None:
    """IN-15"""
    async with web(appliance) as client:
        head = await client.head("/docs/api")
        assert (head.status_code, head.text) == (200, "")
        assert (await client.post("/docs/api")).status_code == 405


async def test_reference_lists_every_route_and_body(appliance: Appliance) -> None:
    async with web(appliance) as client:
        openapi = (await client.get("/api/v1/openapi.json")).json()
        text = (await client.get("/docs/reference")).text
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            assert f">{method.upper()} {path}</h2>" in text
            assert operation["summary"] in text
    for name in openapi["components"]["schemas"]:
        assert f'<h2 id="{name.lower()}">{name}</h2>' in text


def test_html_in_a_document_is_shown_as_text() -> None:
    """XSS-05"""
    title, html = as_html("# A <b>title</b>\n\n<script>x</script> [a](javascript:x) `<i>`\n", "/docs")
    assert title == "A <b>title</b>"
    assert "<script" not in html
    assert "<b>" not in html
    assert 'href="javascript' not in html
    shown = page("# <script>x</script>\n", load(Config(), "http://localhost:8080"))
    assert b"<script" not in shown.body


def test_documents_below_a_path_link_below_it() -> None:
    resource = documents.document(INDEX, load(Config(), "https://example.org/secrets"))
    assert b'href="/secrets/docs/api"' in resource.body
    assert b'href="/docs' not in resource.body

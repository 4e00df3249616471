"""What the tests of the pages do again and again."""

import html
import json
import re
from typing import Any

import httpx

ROOT = "http://localhost:8080"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def outside(appliance: Any, **options: Any) -> httpx.AsyncClient:
    http: httpx.AsyncClient = appliance.client(**options)
    http.base_url = httpx.URL(ROOT)
    return http


def settings(page: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(html.unescape(page.split('data-settings="')[1].split('"')[0]))
    return told


def version(page: str) -> str:
    found = re.search(r"/static/([0-9a-f]{12})/", page)
    assert found
    return found[1]

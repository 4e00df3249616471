"""Helpers for tests of the pages."""

import html
import json
import re
from typing import Any

import httpx
from support.appliance import Appliance

ROOT = "http://localhost:8080"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def outside(appliance: Appliance, **options: Any) -> httpx.AsyncClient:
    """Return a client whose paths begin outside of the API."""
    http: httpx.AsyncClient = appliance.client(**options)
    http.base_url = httpx.URL(ROOT)
    return http


def settings(page: str) -> dict[str, Any]:
    """Return the settings that a page has for its scripts."""
    values: dict[str, Any] = json.loads(html.unescape(page.split('data-settings="')[1].split('"')[0]))
    return values


def version(page: str) -> str:
    """Return the version in the URLs of a page's files."""
    match = re.search(r"/static/([0-9a-f]{12})/", page)
    assert match
    return match[1]

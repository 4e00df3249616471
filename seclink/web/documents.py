"""The documents of the package as pages below /docs, and the API reference made from the OpenAPI document.

They are rendered when they are first asked for, in a thread, because most servers are never asked: loading the Markdown
library takes about as long as the rest of a start. A document may hold no HTML, and a page of one loads no script.
"""

import asyncio
import html
import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from seclink.web.assets import DOCUMENT, Assets
from seclink.web.resource import HTML, Resource, prepare
from seclink.web.security_headers import PAGE_HEADERS

FOLDER = Path(__file__).parents[1] / "docs"
PREFIX = "/docs"
INDEX, REFERENCE = "index", "reference"
NAMES = (
    "using", "operating", "api", "dialects", "security", "format", "architecture", "contributing", "tests", "changelog",
)  # fmt: skip


class Documents:
    """`openapi` is the document of the native API; each page is rendered once."""

    def __init__(self, assets: Assets, openapi: Mapping[str, Any]) -> None:
        self._assets, self._openapi = assets, openapi
        self._resources: dict[str, Resource] = {}
        self._lock = asyncio.Lock()

    async def resource(self, path: str) -> Resource | None:
        """Return the page at a path, or None if there is no document."""
        name = INDEX if path == PREFIX else path.removeprefix(f"{PREFIX}/")
        if name not in (INDEX, REFERENCE, *NAMES):
            return None
        async with self._lock:  # one at a time: a crowd costs no more than one visitor
            if name not in self._resources:
                self._resources[name] = await asyncio.to_thread(self._render, name)
        return self._resources[name]

    def _render(self, name: str) -> Resource:
        if name == REFERENCE:
            return page(reference_as_markdown(self._openapi), self._assets)
        return document(name, self._assets)


def document(name: str, assets: Assets) -> Resource:
    """Return the page of a document of the package, or of their list."""
    return page(index_as_markdown() if name == INDEX else (FOLDER / f"{name}.md").read_text("utf-8"), assets)


def page(text: str, assets: Assets) -> Resource:
    """Return a document as a whole page."""
    title, body = as_html(text, assets.root + PREFIX)
    template = assets.templates[DOCUMENT].decode()
    filled = template.replace("<!--title-->", html.escape(title)).replace("<!--document-->", body)
    return prepare(filled.encode(), HTML, *PAGE_HEADERS)


def as_html(text: str, base: str) -> tuple[str, str]:
    """Return the title and the HTML of a Markdown text; links to `name.md` become links below `base`."""
    markdown = _markdown()
    nodes = markdown.parse(text)
    title = ""
    for node, following in zip(nodes, [*nodes[1:], None], strict=True):
        if node.type == "heading_open":
            title = title or following.content
            node.attrSet("id", slug(following.content))
        elif node.type in ("table_open", "fence"):
            node.attrSet("tabindex", "0")  # wide ones scroll, which needs the keyboard's focus
        for child in node.children or ():
            if child.type == "link_open":
                child.attrSet("href", re.sub(r"^(\w+)\.md(?=#|$)", rf"{base}/\1", str(child.attrGet("href"))))
    return title, markdown.renderer.render(nodes, markdown.options, {})


def slug(heading: str) -> str:
    """Return the anchor of a heading, as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def index_as_markdown() -> str:
    """Return the list of the documents, each with its first paragraph."""
    lines = ["# Documents", ""]
    for name in NAMES:
        title, _, rest = (FOLDER / f"{name}.md").read_text("utf-8").partition("\n")
        lines.append(f"- **[{title.removeprefix('# ')}]({name}.md)**: {_first_sentence(rest)}")
        if name == "api":
            lines.append(f"- **[API reference]({REFERENCE}.md)**: Every call, made from the OpenAPI document.")
    return "\n".join(lines)


def reference_as_markdown(openapi: Mapping[str, Any]) -> str:
    """Return the OpenAPI document as a text for people: each call with its parameters, bodies and errors."""
    lines = [
        "# API reference",
        "",
        f"SecLink {openapi['info']['version']}. [The API in prose](api.md) comes first.",
        "",
    ]
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            lines += [f"## {method.upper()} {path}", "", f"{operation['summary']}.", ""]
            if "description" in operation:
                lines += [operation["description"], ""]
            lines += _parameter_lines(operation)
            lines += _response_lines(operation)
    lines += ["# Bodies", ""]
    for name, schema in openapi["components"]["schemas"].items():
        lines += [f"## {name}", "", *_schema_lines(schema), ""]
    return "\n".join(lines)


def _parameter_lines(operation: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| `{item['name']}` | {item['in']} | {_type(item['schema'])} {item.get('description', '')} |"
        for item in operation["parameters"]
    ]
    body = operation.get("requestBody")
    if body:
        optional = "" if body["required"] else ", optional"
        for media_type, content in body["content"].items():
            name = "JSON" if media_type == "application/json" else media_type
            rows.append(f"| body | {name} | {_type(content['schema'])}{optional} |")
    return ["| parameter | in | value |", "|---|---|---|", *rows, ""] if rows else []


def _response_lines(operation: Mapping[str, Any]) -> list[str]:
    lines = ["| status | response |", "|---|---|"]
    for status, response in operation["responses"].items():
        schemas = [media["schema"] for media in response.get("content", {}).values()]
        is_success = status.startswith("2")
        text = (" ".join(map(_type, schemas)) or "no body") if is_success else f"`{response['description']}`"
        lines.append(f"| {status} | {text.replace(' or ', '` or `') if not is_success else text} |")
    return [*lines, ""]


def _schema_lines(schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required", ())
    rows = [
        f"| `{name}` | {_type(member)} | {'yes' if name in required else ''} | {member.get('description', '')} |"
        for name, member in schema.get("properties", {}).items()
    ]
    return ["| member | type | required | meaning |", "|---|---|---|---|", *rows] if rows else [_type(schema)]


def _type(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema in a few words; a reference becomes a link to its body."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{slug(name)})"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})]  # of a tuple: all of the same type here
        return f"array of {_type(items[0])}"
    bounds = [
        f"{words} {schema[name]}"
        for name, words in (
            ("minimum", "at least"), ("maximum", "at most"), ("minLength", "at least"), ("maxLength", "at most"),
        )
        if name in schema
    ]  # fmt: skip
    unit = " characters" if bounds and kind == "string" else ""
    return f"{kind}, {' and '.join(bounds)}{unit}" if bounds else kind


def _first_sentence(text: str) -> str:
    paragraph = text.strip().partition("\n\n")[0]
    return " ".join(paragraph.split()).partition(". ")[0].rstrip(".") + "."


@cache
def _markdown() -> Any:
    """Return the parser; HTML in a text is shown as text."""
    return import_module("markdown_it").MarkdownIt("commonmark", {"html": False}).enable("table")

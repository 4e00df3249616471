"""Transcripts: requests to the appliance and the responses expected, as files that all dialects share.

    {"comment": "...", "toml": "...", "every": {...}, "steps": [{"send": {...}, "expect": {...}}, ...]}

every   defaults for each step without a path of its own; its headers, json and form are merged with the step's, and
        `without` names members of json and form to leave out
send    method (POST), path, headers, and one of json, form, body (a text), golden (an index into golden.json, for the
        recorded bytes with the recorded headers); null in `headers` leaves a header out. `from` is the client's IP,
        `after` the seconds that pass before, `times` the number of identical requests with the same response.
expect  status, json, headers, text; `type` if the content type is not JSON.

In any text `<...>` stands for a value:

    <key>  <key other>  <key acme manage>      an API key: of acme, of another account, with these scopes only
    <ms+60>  <iso+60>  <micro+60>  <date+60>   an instant that many seconds from now, in the format of that name
    <sha256>  <sha256 text>                    in headers: the digest of the body; of a text
    <x*1000>                                   that many x
    <name>                                     a value captured from an earlier response

Expected values may also be `<any>`, `<=name>` (any text, captured under that name), `<=name REGEX>` (captures the
regex's group, or the whole match without one), `/REGEX/`. An object must have exactly the members expected, unless one
of them is "...".
"""

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from support.appliance import Appliance

FOLDER = Path(__file__).parent
GOLDEN = json.loads((FOLDER / "golden.json").read_text())
ROOT = "http://localhost:8080"
# Headers that the recorded HTTP client added by itself, as httpx does, too.
TRANSPORT_HEADERS = ("content-length", "transfer-encoding", "accept", "user-agent")
INSTANT_FORMATS: dict[str, Callable[[datetime], str | int]] = {
    "iso": lambda instant: instant.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    "micro": lambda instant: instant.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    "date": lambda instant: instant.date().isoformat(),
    "ms": lambda instant: int(instant.timestamp() * 1000),
}


def transcripts() -> list[Path]:
    return sorted((FOLDER / "transcripts").glob("*/*.json"))


def load(path: Path) -> dict[str, Any]:
    transcript: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return transcript


def with_defaults(request: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Return a request of a step, completed from `every`."""
    if "path" in request:
        return request
    merged = defaults | request
    for name in ("headers", "json", "form"):
        if name in defaults and name in request and isinstance(request[name], dict):
            merged[name] = defaults[name] | request[name]
    for name in ("json", "form"):
        if name in merged and "without" in request:
            merged[name] = {key: value for key, value in merged[name].items() if key not in request["without"]}
    if "body" in request:
        merged = {name: value for name, value in merged.items() if name not in ("json", "form")}
    return merged


class TranscriptRunner:
    """Runs one transcript against one appliance. `captured` are the values of earlier responses, by name."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.captured: dict[str, str] = {}
        self.body = b""

    async def run(self, transcript: dict[str, Any]) -> None:
        for number, step in enumerate(transcript["steps"], 1):
            for _ in range(step["send"].get("times", 1)):
                response = await self.send(with_defaults(step["send"], transcript.get("every", {})))
                try:
                    await self.check(response, step["expect"])
                except AssertionError as error:
                    text = f"step {number}: {error}\n{response.status_code} {response.text[:2000]}"
                    raise AssertionError(text) from None

    async def send(self, request: dict[str, Any]) -> httpx.Response:
        self.appliance.clock.move(request.get("after", 0))
        golden = GOLDEN[request["golden"]]["request"] if "golden" in request else {}
        recorded = golden.get("headers", {}).items()
        headers = {name: value for name, value in recorded if name.lower() not in TRANSPORT_HEADERS}
        if "json" in request:
            headers["Content-Type"] = "application/json"
            self.body = json.dumps(await self.fill(request["json"]), ensure_ascii=False).encode()
        elif "form" in request:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            self.body = str(httpx.QueryParams(await self.fill(request["form"]))).encode()
        else:
            self.body = golden["body"].encode() if golden else (await self.fill(request.get("body", ""))).encode()
        headers |= request.get("headers", {})
        filled = {name: await self.fill(value) for name, value in headers.items() if value is not None}
        url = ROOT + await self.fill(request["path"])
        async with self.appliance.client(request.get("from", "192.0.2.1")) as http:
            response: httpx.Response = await http.request(
                request.get("method", "POST"), url, content=self.body or None, headers=filled
            )
        return response

    async def check(self, response: httpx.Response, expected: dict[str, Any]) -> None:
        assert response.status_code == expected["status"], f"status {expected['status']} was expected"
        if response.content:
            content_type = expected.get("type", "application/json")
            assert response.headers["content-type"].startswith(content_type), response.headers["content-type"]
        for name, value in expected.get("headers", {}).items():
            await self.match(response.headers.get(name), value, name)
        if "json" in expected:
            await self.match(response.json(), expected["json"], "$")
        if "text" in expected:
            await self.match(response.text, expected["text"], "text")

    async def match(self, actual: Any, expected: Any, path: str) -> None:
        if isinstance(expected, dict):
            assert isinstance(actual, dict), f"{path}: {actual!r} is no object"
            names = expected.keys() - {"..."}
            assert names <= actual.keys(), f"{path}: lacks {names - actual.keys()}"
            assert "..." in expected or actual.keys() <= names, f"{path}: has also {actual.keys() - names}"
            # In order, because a member may use a value that an earlier one captured.
            for name in (name for name in expected if name != "..."):
                await self.match(actual[name], expected[name], f"{path}.{name}")
        elif isinstance(expected, list):
            assert isinstance(actual, list), f"{path}: {actual!r} is no list"
            assert len(actual) == len(expected), f"{path}: {len(expected)} items were expected, not {len(actual)}"
            for number, pair in enumerate(zip(actual, expected, strict=True)):
                await self.match(*pair, f"{path}[{number}]")
        elif isinstance(expected, str):
            await self._match_text(actual, expected, path)
        else:
            self._check_equal(actual, expected, path)

    async def _match_text(self, actual: Any, expected: str, path: str) -> None:
        if expected == "<any>":
            return
        capture = re.fullmatch(r"<=(\w+)(?: (.+))?>", expected)
        pattern = capture[2] if capture else expected[1:-1] if re.fullmatch("/.+/", expected) else None
        if capture is not None:
            assert isinstance(actual, str), f"{path}: {actual!r} is no text"
            self.captured[capture[1]] = actual
        if pattern is not None:
            assert isinstance(actual, str), f"{path}: {actual!r} is no text"
            match = re.fullmatch(pattern, actual, re.DOTALL)
            assert match, f"{path}: {actual!r} does not match {pattern}"
            if capture is not None:
                self.captured[capture[1]] = match[len(match.groups()[:1])]
        elif capture is None:
            self._check_equal(actual, await self.fill(expected), path)

    @staticmethod
    def _check_equal(actual: Any, expected: Any, path: str) -> None:
        is_equal = (type(actual), actual) == (type(expected), expected)
        assert is_equal, f"{path}: {expected!r} was expected, not {actual!r}"

    async def fill(self, value: Any) -> Any:
        """Return the value with its placeholders replaced."""
        if isinstance(value, dict):
            return {name: await self.fill(member) for name, member in value.items()}
        if isinstance(value, list):
            return [await self.fill(item) for item in value]
        if not isinstance(value, str):
            return value
        parts = re.split(r"<([^<>]+)>", value)
        filled = [await self._value(part) if index % 2 else part for index, part in enumerate(parts)]
        return filled[1] if filled[::2] == ["", ""] else "".join(map(str, filled))

    async def _value(self, name: str) -> Any:
        if name in self.captured:
            return self.captured[name]
        instant = re.fullmatch(r"(ms|iso|micro|date)([+-]\d+)", name)
        if instant:
            now = self.appliance.clock.ms / 1000
            return INSTANT_FORMATS[instant[1]](datetime.fromtimestamp(now + int(instant[2]), UTC))
        repeated = re.fullmatch(r"(.)\*(\d+)", name)
        if repeated:
            return repeated[1] * int(repeated[2])
        kind, *words = name.split(" ")
        if kind == "sha256":
            return hashlib.sha256(" ".join(words).encode() if words else self.body).hexdigest()
        assert kind == "key", f"<{name}> stands for nothing"
        self.captured[name] = await self.appliance.key(*words)
        return self.captured[name]

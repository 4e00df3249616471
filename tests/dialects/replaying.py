"""Transcripts: what is said to the appliance and what must come back, as files that all dialects share.

    {"comment": "...", "toml": "...", "every": {...}, "steps": [{"send": {...}, "expect": {...}}, ...]}

every   what each step sends that has no path of its own; its headers, json and form are added to, `without` leaves
        members of those two out
send    method (POST), path, headers, and one of json, form, body (a text), golden (a number in golden.json: its body as
        bytes under its own headers); `headers` with null leave one out. `from` is the client's address, `after` seconds
        that pass before, `times` how often it is sent, each with the same answer.
expect  status, json, headers, text; `type` where the content type is not JSON.

In any text `<...>` stands for a value:

    <key>  <key other>  <key acme manage>      an API key: of acme, of another account, with these scopes alone
    <ms+60>  <iso+60>  <micro+60>  <date+60>   an instant so many seconds from now: a number, or as each writes it
    <sha256>  <sha256 text>                    in headers: of the body; of a text
    <x*1000>                                   so many x
    <name>                                     what an answer before was made to leave under that name

and what is expected may be `<any>`, `<=name>` (any text, kept under that name), `<=name REGEX>` (of which its group is
kept, if it has one), `/REGEX/`. An object has exactly the members expected, unless one of them is "...".
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden.json").read_text())
ROOT = "http://localhost:8080"
# What the recorded transport added by itself; the one in use does so, too.
OF_THE_TRANSPORT = ("content-length", "transfer-encoding", "accept", "user-agent")
WRITTEN = {
    "iso": lambda at: at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    "micro": lambda at: at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    "date": lambda at: at.date().isoformat(),
    "ms": lambda at: int(at.timestamp() * 1000),
}


def transcripts() -> list[Path]:
    return sorted((HERE / "transcripts").glob("*/*.json"))


def load(path: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return said


def merged(every: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    if "path" in said:
        return said
    both = every | said
    for name in ("headers", "json", "form"):
        if name in every and name in said and isinstance(said[name], dict):
            both[name] = every[name] | said[name]
    for name in ("json", "form"):
        if name in both and "without" in said:
            both[name] = {key: value for key, value in both[name].items() if key not in said["without"]}
    if "body" in said:
        both = {name: value for name, value in both.items() if name not in ("json", "form")}
    return both


class Replay:
    """One transcript against one appliance. `known` are the values that were left so far."""

    def __init__(self, appliance: Any) -> None:
        self.appliance = appliance
        self.known: dict[str, str] = {}
        self.body = b""

    async def run(self, said: dict[str, Any]) -> None:
        for number, step in enumerate(said["steps"], 1):
            for _ in range(step["send"].get("times", 1)):
                answer = await self.send(merged(said.get("every", {}), step["send"]))
                try:
                    await self.check(answer, step["expect"])
                except AssertionError as error:
                    raise AssertionError(f"step {number}: {error}\n{answer.status_code} {answer.text[:2000]}") from None

    async def send(self, said: dict[str, Any]) -> httpx.Response:
        self.appliance.clock.move(said.get("after", 0))
        golden = GOLDEN[said["golden"]]["request"] if "golden" in said else {}
        given = {
            name: value for name, value in golden.get("headers", {}).items() if name.lower() not in OF_THE_TRANSPORT
        }
        if "json" in said:
            given["Content-Type"] = "application/json"
            self.body = json.dumps(await self.fill(said["json"]), ensure_ascii=False).encode()
        elif "form" in said:
            given["Content-Type"] = "application/x-www-form-urlencoded"
            self.body = str(httpx.QueryParams(await self.fill(said["form"]))).encode()
        else:
            self.body = golden["body"].encode() if golden else (await self.fill(said.get("body", ""))).encode()
        given |= said.get("headers", {})
        named = {name: await self.fill(value) for name, value in given.items() if value is not None}
        path = ROOT + await self.fill(said["path"])
        async with self.appliance.client(said.get("from", "192.0.2.1")) as http:
            answer: httpx.Response = await http.request(
                said.get("method", "POST"), path, content=self.body or None, headers=named
            )
        return answer

    async def check(self, answer: httpx.Response, expected: dict[str, Any]) -> None:
        assert answer.status_code == expected["status"], f"status {expected['status']} was expected"
        if answer.content:
            kind = expected.get("type", "application/json")
            assert answer.headers["content-type"].startswith(kind), answer.headers["content-type"]
        for name, wanted in expected.get("headers", {}).items():
            await self.match(answer.headers.get(name), wanted, name)
        if "json" in expected:
            await self.match(answer.json(), expected["json"], "$")
        if "text" in expected:
            await self.match(answer.text, expected["text"], "text")

    async def match(self, got: Any, wanted: Any, at: str) -> None:
        if isinstance(wanted, dict):
            assert isinstance(got, dict), f"{at}: {got!r} is no object"
            names = wanted.keys() - {"..."}
            assert names <= got.keys(), f"{at}: lacks {names - got.keys()}"
            assert "..." in wanted or got.keys() <= names, f"{at}: has also {got.keys() - names}"
            for name in (each for each in wanted if each != "..."):  # in order: one may be of what another left
                await self.match(got[name], wanted[name], f"{at}.{name}")
        elif isinstance(wanted, list):
            assert isinstance(got, list), f"{at}: {got!r} is no list"
            assert len(got) == len(wanted), f"{at}: {len(wanted)} were expected, {len(got)} came"
            for number, pair in enumerate(zip(got, wanted, strict=True)):
                await self.match(*pair, f"{at}[{number}]")
        elif isinstance(wanted, str):
            await self._match_text(got, wanted, at)
        else:
            assert (type(got), got) == (type(wanted), wanted), f"{at}: {wanted!r} was expected, {got!r} came"

    async def _match_text(self, got: Any, wanted: str, at: str) -> None:
        if wanted == "<any>":
            return
        kept = re.fullmatch(r"<=(\w+)(?: (.+))?>", wanted)
        pattern = kept[2] if kept else wanted[1:-1] if re.fullmatch("/.+/", wanted) else None
        if kept is not None:
            assert isinstance(got, str), f"{at}: {got!r} is no text"
            self.known[kept[1]] = got
        if pattern is not None:
            assert isinstance(got, str), f"{at}: {got!r} is no text"
            found = re.fullmatch(pattern, got, re.DOTALL)
            assert found, f"{at}: {got!r} is not like {pattern}"
            if kept is not None:
                self.known[kept[1]] = found[len(found.groups()[:1])]
        elif kept is None:
            value = await self.fill(wanted)
            assert (type(got), got) == (type(value), value), f"{at}: {value!r} was expected, {got!r} came"

    async def fill(self, value: Any) -> Any:
        """The value with what its placeholders stand for."""
        if isinstance(value, dict):
            return {name: await self.fill(each) for name, each in value.items()}
        if isinstance(value, list):
            return [await self.fill(each) for each in value]
        if not isinstance(value, str):
            return value
        found = re.split(r"<([^<>]+)>", value)
        filled = [await self._value(each) if at % 2 else each for at, each in enumerate(found)]
        return filled[1] if filled[::2] == ["", ""] else "".join(map(str, filled))

    async def _value(self, name: str) -> Any:
        if name in self.known:
            return self.known[name]
        instant = re.fullmatch(r"(ms|iso|micro|date)([+-]\d+)", name)
        if instant:
            return WRITTEN[instant[1]](datetime.fromtimestamp(self.appliance.clock.ms / 1000 + int(instant[2]), UTC))
        many = re.fullmatch(r"(.)\*(\d+)", name)
        if many:
            return many[1] * int(many[2])
        kind, *words = name.split(" ")
        if kind == "sha256":
            return hashlib.sha256(" ".join(words).encode() if words else self.body).hexdigest()
        assert kind == "key", f"<{name}> stands for nothing"
        self.known[name] = await self.appliance.key(*words)
        return self.known[name]

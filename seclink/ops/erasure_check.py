"""Whether what has ended is really gone: secrets are made for it, ended in every way there is, and looked for in raw
files.

Each canary goes in through the public API, as anybody's secret does, and every part of it can be recognised: payload,
iv, note, label, the hash of its proof of key, and the argon2id string the server makes of its passcode. They must all
be found while it waits, or the search was in the wrong place, and none of them once it has ended. What the server is
only shown, proof and passcode hash themselves, may be nowhere at any time.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct

from seclink.errors import BY_CODE, SecLinkError, StoreUnusable, Unreachable
from seclink.ops.file_search import Match, SearchedFiles, places, search
from seclink.ops.http_probe import HttpProbe, ProbeResponse
from seclink.store.inspect import passcode_of

SMALL, LARGE = 300, 20_000  # in a cell of its table, and on pages of its own
SHORTEST_SECONDS, UNUSED_SECONDS = 60, 600
GRACE_SECONDS, PAUSE_SECONDS, LONG_PAUSE_SECONDS = 10.0, 0.1, 1.0
MARK = 32


class Canary:
    """`how` it is going to end; `made` is what the server said about it."""

    def __init__(self, how: str, size: int) -> None:
        self.how, self.size = how, size
        self.payload = secrets.token_bytes(MARK) * (size // MARK + 1)
        self.iv = secrets.token_bytes(16)
        self.note, self.label = (f"canary {name} {secrets.token_hex(16)}" for name in ("note", "label"))
        self.access = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        self.passcode_hash = secrets.token_hex(32)
        self.argon = ""
        self.made: dict[str, Any] = {}

    @property
    def access_hash(self) -> str:
        return hashlib.sha256(base64.urlsafe_b64decode(self.access + "=")).hexdigest()

    def body(self) -> dict[str, Any]:
        """What creating it says."""
        return {
            "encryptedBlob": base64.b64encode(self.payload).decode(),
            "iv": base64.b64encode(self.iv).decode(),
            "expiresIn": SHORTEST_SECONDS if self.how == "expired" else UNUSED_SECONDS,
            "maxViews": 1,
            "accessHash": self.access_hash,
            "passcodeHash": self.passcode_hash,
            "publicNote": self.note,
            "label": self.label,
        }

    def traces(self) -> dict[str, bytes]:
        """What is kept while it waits, and may be nowhere once it has ended."""
        argon = {f"part {n} of the passcode's hash": part for n, part in enumerate(self.argon.split("$")[-2:], 1)}
        kept = {"note": self.note, "label": self.label, "hash of the proof": self.access_hash, **argon}
        named = {"payload": self.payload[:MARK], "iv": self.iv, **{name: each.encode() for name, each in kept.items()}}
        return {f"{name} of the {self.how} canary of {self.size} bytes": each for name, each in named.items() if each}

    def never(self) -> dict[str, bytes]:
        """What may be nowhere at any time."""
        shown = {"proof": self.access, "passcode hash": self.passcode_hash}
        return {f"{name} of the {self.how} canary of {self.size} bytes": each.encode() for name, each in shown.items()}


class EndedSecret(Struct, frozen=True):
    """What became of a canary: how many traces it had, which are `left`, and after how long they were looked for."""

    how: str
    size: int
    traces: int
    left: tuple[Match, ...]
    seconds: float


class ErasureReport(Struct, frozen=True):
    ended: tuple[EndedSecret, ...]
    shown: tuple[Match, ...]
    """Of what may be nowhere at any time."""
    places: SearchedFiles
    bytes: int

    @property
    def found(self) -> list[Match]:
        return [*self.shown, *(trace for each in self.ended for trace in each.left)]


class ErasureCheck:
    """`key` is an API key where creating needs one, or empty. `host` is the name the server is called by."""

    def __init__(
        self, server: HttpProbe, database: Path, *, key: str = "", host: str = "", further: Iterable[Path] = ()
    ) -> None:
        self._server, self._database, self._further = server, database, tuple(further)
        self._headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
        self._key = {"Authorization": f"Bearer {key}"} if key else {}

    def run(self, payload_bytes: int, reaped_seconds: float | None) -> ErasureReport:
        """`reaped_seconds` is how long the reaper may take to come round; None leaves out the canary that expires.

        Raises what the server refuses with, Unreachable, StoreUnusable where the canaries are not in these files, and
        OSError where those cannot be read.
        """
        hows = ("revealed", "burned", *(("expired",) if reaped_seconds is not None else ()))
        sizes = (min(SMALL, payload_bytes), min(LARGE, payload_bytes))
        canaries = [Canary(how, size - MARK) for how in hows for size in sizes]
        began = time.monotonic()
        for each in canaries:
            self._create(each)
        self._check_found(canaries)
        for each in canaries:
            self._end(each)
        due = {"expired": began + SHORTEST_SECONDS + (reaped_seconds or 0)}
        now = time.monotonic()
        ended = [self._wait(each, due.get(each.how, now) + GRACE_SECONDS) for each in canaries]
        where = self._places()
        shown, size = search(where.files, {name: each for one in canaries for name, each in one.never().items()})
        return ErasureReport(tuple(ended), tuple(shown), where, size)

    def _create(self, canary: Canary) -> None:
        headers = {**self._headers, **self._key}
        made = self._server.send("POST", "/api/v1/secrets", headers, json.dumps(canary.body()).encode())
        canary.made = _content(made, self._server.address)
        canary.argon = passcode_of(self._database, str(canary.made.get("linkId")))

    def _check_found(self, canaries: list[Canary]) -> None:
        traces = {name: each for one in canaries for name, each in one.traces().items()}
        found, _ = search(self._places().files, traces)
        if missing := traces.keys() - {each.what for each in found}:
            raise StoreUnusable(
                f"{self._database}: the {sorted(missing)[0]} is not in it; is this the database of"
                f" {self._server.address}? Name its TOML with --config"
            )

    def _end(self, canary: Canary) -> None:
        if canary.how == "revealed":
            path = f"/api/v1/secrets/{canary.made['linkId']}/reveal"
            proof = json.dumps({"access": canary.access, "passcodeHash": canary.passcode_hash}).encode()
            revealed = _content(self._server.send("POST", path, self._headers, proof), self._server.address)
            if base64.b64decode(str(revealed.get("encryptedBlob"))) != canary.payload:
                raise Unreachable(f"{self._server.address} gave back something else than it was given")
        elif canary.how == "burned":
            headers = {**self._headers, "SecLink-Manage": str(canary.made["manageToken"])}
            path = f"/api/v1/receipts/{canary.made['receiptId']}"
            _content(self._server.send("DELETE", path, headers), self._server.address)

    def _wait(self, canary: Canary, deadline: float) -> EndedSecret:
        """Until nothing is left of it, or it has had the time it may take."""
        began, traces = time.monotonic(), canary.traces()
        while True:
            looked = time.monotonic()
            left, _ = search(self._places().files, traces)
            seconds = time.monotonic() - began
            if not left or looked > deadline:
                return EndedSecret(canary.how, canary.size, len(traces), tuple(left), seconds)
            pause = PAUSE_SECONDS if seconds < GRACE_SECONDS else LONG_PAUSE_SECONDS
            time.sleep(max(pause, time.monotonic() - looked))  # a large database is not read without a pause

    def _places(self) -> SearchedFiles:
        return places(self._database, self._further)


def _content(seen: ProbeResponse, address: str) -> dict[str, Any]:
    """Raises what the answer refuses with."""
    try:
        said: Any = json.loads(seen.body) if seen.body else {}
    except ValueError:
        said = None
    if not isinstance(said, dict) or not (200 <= seen.status < 300 or "code" in said):
        raise Unreachable(f"{address} answers {seen.status}, but not as SecLink does")
    if seen.status >= 300:
        kind: Callable[[str], SecLinkError] = BY_CODE.get(str(said["code"]), SecLinkError)
        raise kind(str(said.get("detail") or said.get("title") or ""))
    return said

"""Checking that ended secrets are really erased: create canaries, end each one, and search the raw files for them.

A canary is created through the public API like any other secret, and every part of it can be recognised: payload, iv,
note, label, the hash of its proof of key, and the argon2id string that the server derives from its passcode. All parts
must be found while the canary is active (otherwise the wrong files were searched) and none after it has ended. The
proof and the passcode hash, which a client sends but the server must never store, must not be found at any time.

One canary of each ending has a file. Its chunk must be in the folder of files while the canary is active; after the end
the file must be gone, and the database must not have its name any more. Disk blocks that it had are not overwritten:
what made them readable is in the payload.

After the end, no part must be there in hexadecimal digits or base64 either, and the database must have no place that is
not ours and no contents of any ended secret, not only of the canaries.
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

from seclink.errors import (
    BY_CODE,
    FilesFull,
    FilesNotAllowed,
    FilesQuota,
    FilesTooLarge,
    SecLinkError,
    StoreUnusable,
    Unreachable,
)
from seclink.ops.file_search import Match, SearchedFiles, files_to_search, search
from seclink.ops.http_probe import HttpProbe, ProbeResponse
from seclink.store.inspect import leftovers, stored_passcode, upload_file

CHUNK_BYTES = 300
SMALL_BYTES, LARGE_BYTES = 300, 20_000  # in a cell of its table, and on overflow pages
MIN_TTL_SECONDS, TTL_SECONDS = 60, 600
GRACE_SECONDS, PAUSE_SECONDS, LONG_PAUSE_SECONDS = 10.0, 0.1, 1.0
MARKER_BYTES = 32


class Canary:
    """A secret whose every part can be found in raw bytes.

    `ending` is how it will end: revealed, burned or expired. `receipt` is the server's response to its creation, and
    `argon2_hash` the stored hash of its passcode; both are set once it was created. So is `file` with the `chunk`, if
    it has one, and `upload`, the server's response to its begin.
    """

    def __init__(self, ending: str, size: int) -> None:
        self.ending, self.size = ending, size
        self.payload = secrets.token_bytes(MARKER_BYTES) * (size // MARKER_BYTES + 1)
        self.iv = secrets.token_bytes(16)
        self.note, self.label = (f"canary {name} {secrets.token_hex(16)}" for name in ("note", "label"))
        self.access = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        self.passcode_hash = secrets.token_hex(32)
        self.argon2_hash = ""
        self.receipt: dict[str, Any] = {}
        self.chunk, self.upload = secrets.token_bytes(CHUNK_BYTES), dict[str, Any]()
        self.file: Path | None = None

    @property
    def access_hash(self) -> str:
        return hashlib.sha256(base64.urlsafe_b64decode(self.access + "=")).hexdigest()

    def create_request(self) -> dict[str, Any]:
        return {
            "encryptedBlob": base64.b64encode(self.payload).decode(),
            "iv": base64.b64encode(self.iv).decode(),
            "expiresIn": MIN_TTL_SECONDS if self.ending == "expired" else TTL_SECONDS,
            "maxViews": 1,
            "accessHash": self.access_hash,
            "passcodeHash": self.passcode_hash,
            "publicNote": self.note,
            "label": self.label,
        } | ({"upload": {"id": self.upload["uploadId"], "token": self.upload["uploadToken"]}} if self.file else {})

    def stored(self) -> dict[str, bytes]:
        """Return the parts that are on the disk while the canary is active and must be gone after its end, by name.

        Only salt and hash of the argon2id string count: the parameters before them are the same for every passcode.
        """
        hash_parts = self.argon2_hash.split("$")[-2:]
        parts = {
            "payload": self.payload[:MARKER_BYTES],
            "iv": self.iv,
            "note": self.note.encode(),
            "label": self.label.encode(),
            "hash of the proof": self.access_hash.encode(),
            **{f"part {n} of the passcode's hash": part.encode() for n, part in enumerate(hash_parts, 1)},
        }
        if self.file is not None:
            parts |= {"chunk": self.chunk[:MARKER_BYTES], "name of the file": self.file.name.encode()}
            parts["id of the upload"] = str(self.upload["uploadId"]).encode()
        return self._named(parts)

    def encoded(self) -> dict[str, bytes]:
        """Return what another program could have made of the parts, by name."""
        encodings: dict[str, Callable[[bytes], bytes]] = {
            "hexadecimal digits": lambda part: part.hex().encode(),
            "capital hexadecimal digits": lambda part: part.hex().upper().encode(),
            "base64": lambda part: base64.b64encode(part[: len(part) // 3 * 3]),
        }
        stored = self.stored().items()
        return {f"{name}, in {how}": encode(part) for name, part in stored for how, encode in encodings.items()}

    def never_stored(self) -> dict[str, bytes]:
        """Return the parts that must never be on the disk, by name."""
        return self._named({"proof": self.access.encode(), "passcode hash": self.passcode_hash.encode()})

    def _named(self, parts: dict[str, bytes]) -> dict[str, bytes]:
        canary = f"the {self.ending} canary of {self.size} bytes"
        return {f"{name} of {canary}": part for name, part in parts.items() if part}


class EndedSecret(Struct, frozen=True):
    """The result for one canary: how many parts were stored, which remain, and seconds until the last search."""

    ending: str
    size: int
    stored: int
    remaining: tuple[Match, ...]
    seconds: float


class ErasureReport(Struct, frozen=True):
    """`leaked` are matches of what must never be stored; `bytes` is the size of the searched files.

    `leftovers` describe places of the database that are not ours, and contents of ended secrets in it. `no_files` is
    the reason why the canaries had no files, "" if they had.
    """

    ended: tuple[EndedSecret, ...]
    leaked: tuple[Match, ...]
    leftovers: tuple[str, ...]
    no_files: str
    searched: SearchedFiles
    bytes: int

    @property
    def matches(self) -> list[Match]:
        return [*self.leaked, *(match for secret in self.ended for match in secret.remaining)]

    @property
    def is_erased(self) -> bool:
        return not (self.matches or self.leftovers)


class ErasureCheck:
    """`key` is an API key, or empty if creating needs none. `extra` are further files and folders to search, and
    `chunks` is the folder of files.
    """

    def __init__(
        self, server: HttpProbe, database: Path, chunks: Path, *, key: str = "", extra: Iterable[Path] = ()
    ) -> None:
        self._server, self._database, self._chunks, self._extra = server, database, chunks, tuple(extra)
        self._chunk_files: list[Path] = []
        self._no_files = ""
        self._key_header = {"Authorization": f"Bearer {key}"} if key else {}

    def run(self, max_payload_bytes: int, reaper_seconds: float | None) -> ErasureReport:
        """Create the canaries, end them and search. `reaper_seconds` is the reaper's interval; None skips expiry.

        Raises the server's error, Unreachable, StoreUnusable if the canaries are not in these files, and OSError if a
        file cannot be read.
        """
        endings = ("revealed", "burned", *(("expired",) if reaper_seconds is not None else ()))
        sizes = (min(SMALL_BYTES, max_payload_bytes), min(LARGE_BYTES, max_payload_bytes))
        canaries = [Canary(ending, size - MARKER_BYTES) for ending in endings for size in sizes]
        created_at = time.monotonic()
        for canary in canaries:
            if canary.size < SMALL_BYTES:
                self._upload(canary)
            self._create(canary)
        self._check_stored(canaries)
        for canary in canaries:
            self._end(canary)
        ended_at = time.monotonic()
        expired_at = created_at + MIN_TTL_SECONDS + (reaper_seconds or 0)
        ended = []
        for canary in canaries:
            gone_at = expired_at if canary.ending == "expired" else ended_at
            ended.append(self._wait_until_erased(canary, gone_at + GRACE_SECONDS))
        searched = self._files()
        never = {name: part for canary in canaries for name, part in canary.never_stored().items()}
        leaked, size = search(searched.files, never)
        remains = tuple(leftovers(self._database))
        return ErasureReport(tuple(ended), tuple(leaked), remains, self._no_files, searched, size)

    def _upload(self, canary: Canary) -> None:
        try:
            canary.upload = self._call("POST", "/uploads", self._key_header, {"size": len(canary.chunk)})
        except (FilesNotAllowed, FilesQuota, FilesFull, FilesTooLarge) as error:
            self._no_files = error.message
            return
        token = {"SecLink-Upload": str(canary.upload["uploadToken"]), "Content-Type": "application/octet-stream"}
        self._send("PUT", f"/uploads/{canary.upload['uploadId']}/chunks/0", token, canary.chunk)
        canary.file = self._chunks / upload_file(self._database, str(canary.upload["uploadId"]))
        self._chunk_files.append(canary.file)

    def _create(self, canary: Canary) -> None:
        canary.receipt = self._call("POST", "/secrets", self._key_header, canary.create_request())
        canary.argon2_hash = stored_passcode(self._database, str(canary.receipt.get("linkId")))

    def _check_stored(self, canaries: list[Canary]) -> None:
        stored = {name: part for canary in canaries for name, part in canary.stored().items()}
        matches, _ = search(self._files().files, stored)
        if missing := stored.keys() - {match.needle for match in matches}:
            raise StoreUnusable(
                f"{self._database}: the {min(missing)} was not found in it; is this the database of"
                f" {self._server.address}? Name the server's TOML with --config"
            )

    def _end(self, canary: Canary) -> None:
        if canary.ending == "revealed":
            proof = {"access": canary.access, "passcodeHash": canary.passcode_hash, "files": canary.file is not None}
            revealed = self._call("POST", f"/secrets/{canary.receipt['linkId']}/reveal", {}, proof)
            if base64.b64decode(str(revealed.get("encryptedBlob"))) != canary.payload:
                raise Unreachable(f"{self._server.address} returned another payload than the one it received")
            if canary.file is not None:
                self._call("DELETE", "/files", {"SecLink-Grant": str(revealed["files"]["grant"])})
        elif canary.ending == "burned":
            manage = {"SecLink-Manage": str(canary.receipt["manageToken"])}
            self._call("DELETE", f"/receipts/{canary.receipt['receiptId']}", manage)

    def _wait_until_erased(self, canary: Canary, deadline: float) -> EndedSecret:
        """Search until nothing of the canary remains, or until a search that began after the deadline has ended."""
        began, stored = time.monotonic(), canary.stored()
        needles = stored | canary.encoded()
        while True:
            search_began = time.monotonic()
            remaining, _ = search(self._files().files, needles)
            seconds = time.monotonic() - began
            if not remaining or search_began > deadline:
                return EndedSecret(canary.ending, canary.size, len(stored), tuple(remaining), seconds)
            # At least as long as the search took, so that a large database is not read without a pause.
            pause = PAUSE_SECONDS if seconds < GRACE_SECONDS else LONG_PAUSE_SECONDS
            time.sleep(max(pause, time.monotonic() - search_began))

    def _files(self) -> SearchedFiles:
        return files_to_search(self._database, (*self._extra, *self._chunk_files))

    def _call(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **headers}
        return self._send(method, path, headers, None if body is None else json.dumps(body).encode())

    def _send(self, method: str, path: str, headers: dict[str, str], content: bytes | None) -> dict[str, Any]:
        return _json(self._server.send(method, f"/api/v1{path}", headers, content), self._server.address)


def _json(response: ProbeResponse, address: str) -> dict[str, Any]:
    """Return the JSON object of a successful response. Raises the error that a problem response carries."""
    try:
        content: Any = json.loads(response.body) if response.body else {}
    except ValueError:
        content = None
    if not isinstance(content, dict) or not (200 <= response.status < 300 or "code" in content):
        raise Unreachable(f"{address} returned status {response.status}, but not a response of SecLink")
    if response.status >= 300:
        error: Callable[[str], SecLinkError] = BY_CODE.get(str(content["code"]), SecLinkError)
        raise error(str(content.get("detail") or content.get("title") or ""))
    return content

"""What the load generator says to each server, and by what it knows a good answer.

A secret is 1 KiB. SecLink gets it as its clients send it, sealed and with a proof of key; SnapPass gets text, which it
encrypts and decrypts itself. Each is asked in the leanest of its ways: SecLink through its API, SnapPass through the
form that is all it has, for its answer to a create as JSON.

    create  one secret
    look    what a reader sees first: SecLink's meta, SnapPass's page with the button; spends nothing
    page    the page around SecLink's meta, which a browser loads before it
    reveal  the request that hands the secret out and destroys it
"""

import base64
import hashlib
import json
import os
from dataclasses import dataclass

PAYLOAD_BYTES = 1024
PROOF = b"\x07" * 32  # the same for every secret: what it costs to check does not depend on it
ACCESS = base64.urlsafe_b64encode(PROOF).rstrip(b"=").decode()
ACCESS_HASH = hashlib.sha256(PROOF).hexdigest()
RETRY_KEY = b"0" * 32  # stands in a request for its own Idempotency-Key, which our clients always send
POOL = 64  # random payloads, taken in turn


@dataclass(frozen=True)
class Talk:
    """`creates` are whole requests; all others consist of what stands before and after a secret's id.

    A good answer begins with `status` and contains `proof`; in a create's, the id goes from there to the next quote.
    """

    status: bytes
    proof: bytes
    creates: tuple[bytes, ...] = ()
    before: bytes = b""
    after: bytes = b""
    repeatable: bool = False  # whether a secret can be asked for twice


def talk(dialect: str, kind: str, port: int) -> Talk:
    return _DIALECTS[dialect](kind, f" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n", port)


def _seclink(kind: str, rest: str, port: int) -> Talk:
    rest += "Accept: */*\r\n"
    retry = f"Idempotency-Key: {RETRY_KEY.decode()}\r\n"
    if kind == "create":
        creates = tuple(_post(f"/api/v1/secrets{rest}{retry}", "application/json", _sealed()) for _ in range(POOL))
        return Talk(b"HTTP/1.1 201", b'"linkId":"', creates)
    ok = b"HTTP/1.1 200"
    if kind == "reveal":
        after = f"/reveal{rest}{retry}SecLink-Access: {ACCESS}\r\nContent-Length: 0\r\n\r\n".encode()
        return Talk(ok, b'"viewsLeft":0', before=b"POST /api/v1/secrets/", after=after)
    if kind == "look":
        after = f"/meta{rest}\r\n".encode()
        return Talk(ok, b'"viewsLeft":1', before=b"GET /api/v1/secrets/", after=after, repeatable=True)
    after = f"{rest}Accept-Encoding: gzip\r\n\r\n".encode()
    return Talk(ok, b"content-encoding: gzip", before=b"GET /", after=after, repeatable=True)


def _snappass(kind: str, rest: str, port: int) -> Talk:
    ok = b"HTTP/1."  # its development server speaks 1.0; what counts is in `proof`
    if kind == "create":
        head = f"/{rest}Accept: application/json\r\n"
        creates = tuple(_post(head, "application/x-www-form-urlencoded", _plain()) for _ in range(POOL))
        return Talk(ok, f'"link":"http://127.0.0.1:{port}/'.encode(), creates)
    rest += "Accept: text/html\r\n"
    if kind == "reveal":
        after = f"{rest}Content-Length: 0\r\n\r\n".encode()
        return Talk(ok, b'name="password-text"', before=b"POST /", after=after)
    return Talk(ok, b'id="revealSecret"', before=b"GET /", after=f"{rest}\r\n".encode(), repeatable=True)


_DIALECTS = {"seclink": _seclink, "snappass": _snappass}


def _post(head: str, media_type: str, body: bytes) -> bytes:
    return f"POST {head}Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _sealed() -> bytes:
    """The documented create with a proof of key."""
    blob, iv = (base64.b64encode(os.urandom(size)).decode() for size in (PAYLOAD_BYTES, 12))
    return json.dumps({"encryptedBlob": blob, "iv": iv, "expiryType": "view_once", "accessHash": ACCESS_HASH}).encode()


def _plain() -> bytes:
    return b"ttl=week&password=" + os.urandom(PAYLOAD_BYTES // 2).hex().encode()

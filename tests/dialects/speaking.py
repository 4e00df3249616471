"""A row for each dialect, for what has to hold in all of them (test_every_dialect.py)."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
from replaying import GOLDEN, ROOT

from seclink.format import envelope


class Made(NamedTuple):
    """A secret that was created: the linkId and proof its reader has, and `traces`: what may be nowhere at any time."""

    link_id: str
    proof: dict[str, str]
    traces: tuple[bytes, ...]


class Row(NamedTuple):
    """`path` is where a secret is created, below the prefix, and `toml` what switches the dialect on.

    `request(key, views, has_password)` is what its client sends there, as arguments of `httpx.request`; the password is
    "foobar123". `made(answer)` is what that made. `is_envelope` tells whether JSON is the dialect's way to refuse, and
    `statuses` which status it has where ours is another. Without `has_gate` the server knows nothing of any password.
    """

    name: str
    path: str
    request: Callable[[str, int, bool], dict[str, Any]]
    made: Callable[[httpx.Response], Made]
    is_envelope: Callable[[Any], bool]
    toml: str = ""
    statuses: Mapping[int, int] = MappingProxyType({})
    has_gate: bool = True

    @property
    def url(self) -> str:
        return f"{ROOT}/{self.name}{self.path}"

    async def create(self, appliance: Any, views: int = 1, has_password: bool = False) -> Made:
        async with appliance.client() as http:
            answer = await http.post(self.url, **self.request(await appliance.key(), views, has_password))
        assert answer.is_success, answer.text
        return self.made(answer)


PASSWORD_HASH = hashlib.sha256(b"foobar123").hexdigest()


def scrt_link_request(key: str, views: int, has_password: bool) -> dict[str, Any]:
    text = GOLDEN[0]["request"]["body"].replace('"viewLimit":3', f'"viewLimit":{views}')
    body = (text if has_password else text.replace(',"password":"foobar123"', "")).encode()
    digest = hashlib.sha256(body).hexdigest()
    named = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "X-Checksum": digest}
    return {"content": body, "headers": named}


def scrt_link_made(answer: httpx.Response) -> Made:
    key = GOLDEN[0]["secretLink"].partition("#")[2]
    link_id = f"scrt-link.{hashlib.sha256(key[28:].encode()).hexdigest()}"
    return Made(link_id, {"passcodeHash": PASSWORD_HASH}, (GOLDEN[0]["plaintext"].encode(), key[:28].encode()))


def enigmacrypt_request(key: str, views: int, _: bool) -> dict[str, Any]:
    body = {"encryptedContent": GOLDEN[4]["encryptedContent"], "name": "n", "expiresAt": None, "maxAccess": views}
    return {"json": body, "headers": {"Authorization": f"Bearer {key}"}}


def enigmacrypt_made(answer: httpx.Response) -> Made:
    text, password = GOLDEN[4]["plaintext"].encode(), GOLDEN[4]["password"].encode()
    key = hashlib.pbkdf2_hmac("sha256", password, bytes.fromhex(GOLDEN[4]["encryptedContent"][:32]), 100_000)
    link_id = f"enigmacrypt.{answer.json()['data']['messageId']}"
    return Made(link_id, {}, (text, password, key, key.hex().encode()))


SEECRET = "SSH password: s3cr3t! ✓ & + %26"


def seecret_request(key: str, views: int, has_password: bool) -> dict[str, Any]:
    form = {"operation": "create_seecret", "lang": "en", "seecret": SEECRET, "number_view": views, "note": "n"}
    named = {"Authorization": f"Bearer {key}"}
    return {"data": form | ({"password": "foobar123"} if has_password else {}), "headers": named}


def seecret_made(answer: httpx.Response) -> Made:
    written = answer.json()["data"]["url"].partition("#")[2]
    key = base64.urlsafe_b64decode(written + "=")
    keys = envelope.derive(key)
    proof = {"access": keys.access, "passcodeHash": PASSWORD_HASH}
    traces = (SEECRET.encode(), b"s3cr3t", written.encode(), key, key.hex().encode(), keys.content_key)
    return Made(f"seecret.{answer.json()['data']['id']}", proof, traces)


def sharokey_request(key: str, views: int, has_password: bool) -> dict[str, Any]:
    body = json.loads(GOLDEN[2]["request"]["body"]) | {"maximum_views": views, "password": "foobar123"}
    refused = {"otp_type", "otp_receiver"} if has_password else {"otp_type", "otp_receiver", "password"}
    sent = {name: value for name, value in body.items() if name not in refused}
    return {"json": sent, "headers": {"Authorization": f"Bearer {key}"}}


def sharokey_made(answer: httpx.Response) -> Made:
    sent, fragment = json.loads(GOLDEN[2]["request"]["body"]), GOLDEN[2]["keyB"].encode()
    key = hashlib.pbkdf2_hmac("sha256", sent["key"].encode() + fragment, base64.b64decode(sent["salt"]), 10_000)
    traces = (GOLDEN[2]["plaintext"].strip().encode(), fragment, key, key.hex().encode())
    return Made(answer.json()["data"]["slug"], {"passcodeHash": PASSWORD_HASH}, traces)


ROWS = [
    Row(
        "scrt-link", "/api/v1/secrets", scrt_link_request, scrt_link_made,
        lambda said: said.keys() <= {"error", "issues"} and isinstance(said["error"], str),
        statuses={401: 403},
    ),
    Row(
        "enigmacrypt", "/api/messages", enigmacrypt_request, enigmacrypt_made,
        lambda said: said.keys() == {"success", "error"} and (said["success"], type(said["error"])) == (False, str),
        has_gate=False,
    ),
    Row(
        "seecret", "/api", seecret_request, seecret_made,
        lambda said: said.keys() == {"CODE", "MESSAGE"} and (type(said["CODE"]), type(said["MESSAGE"])) == (int, str),
        toml="[dialects.seecret]\nenabled = true\n",
    ),
    Row(
        "sharokey", "/api/v1/secrets", sharokey_request, sharokey_made,
        lambda said: said.keys() == {"success", "message", "error"} and said["error"].keys() >= {"code", "message"},
        statuses={400: 422, 507: 403},
    ),
]  # fmt: skip

"""A row for each dialect, for the rules that hold in all of them (test_every_dialect.py)."""

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import httpx
from support.appliance import Appliance
from transcripts import GOLDEN, ROOT

from seclink.format import envelope


async def ask(appliance: Appliance, method: str, url: str, **options: Any) -> httpx.Response:
    async with appliance.client() as http:
        response: httpx.Response = await http.request(method, url, **options)
    return response


def written(appliance: Appliance) -> bytes:
    """Return every byte of the database files and of the log."""
    files = (appliance.path.with_name(appliance.path.name + end) for end in ("", "-wal", "-shm", "-journal"))
    content = b""
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            content += file.read_bytes()
    return content + appliance.log.getvalue().encode()


async def wait_until_gone(appliance: Appliance, trace: bytes) -> None:
    for _ in range(100):
        if trace not in written(appliance):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the payload is still there")


class CreatedSecret(NamedTuple):
    """A secret: its linkId, the proof that its recipient has, and `traces`, bytes that must never be written."""

    link_id: str
    proof: dict[str, str]
    traces: tuple[bytes, ...]


class Row(NamedTuple):
    """One dialect: `path` is where its client creates a secret, below the prefix; `toml` switches the dialect on.

    `request(key, views, has_password)` returns the client's request as arguments of `httpx.request`; the password is
    "foobar123". `read(response)` returns the secret that was created. `is_envelope` tells whether JSON is an error in
    the dialect's envelope, and `statuses` maps the native status of an error to the dialect's. Without
    `checks_password` the server does not know the password.
    """

    name: str
    path: str
    request: Callable[[str, int, bool], dict[str, Any]]
    read: Callable[[httpx.Response], CreatedSecret]
    is_envelope: Callable[[Any], bool]
    toml: str = ""
    statuses: Mapping[int, int] = MappingProxyType({})
    checks_password: bool = True

    @property
    def url(self) -> str:
        return f"{ROOT}/{self.name}{self.path}"

    async def create(self, appliance: Appliance, views: int = 1, has_password: bool = False) -> CreatedSecret:
        async with appliance.client() as http:
            response = await http.post(self.url, **self.request(await appliance.key(), views, has_password))
        assert response.is_success, response.text
        return self.read(response)


PASSWORD_HASH = hashlib.sha256(b"foobar123").hexdigest()


def scrt_link_request(key: str, views: int, has_password: bool) -> dict[str, Any]:
    text = GOLDEN[0]["request"]["body"].replace('"viewLimit":3', f'"viewLimit":{views}')
    body = (text if has_password else text.replace(',"password":"foobar123"', "")).encode()
    digest = hashlib.sha256(body).hexdigest()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "X-Checksum": digest}
    return {"content": body, "headers": headers}


def read_scrt_link(_: httpx.Response) -> CreatedSecret:
    key = GOLDEN[0]["secretLink"].partition("#")[2]
    link_id = f"scrt-link.{hashlib.sha256(key[28:].encode()).hexdigest()}"
    traces = (GOLDEN[0]["plaintext"].encode(), key[:28].encode())
    return CreatedSecret(link_id, {"passcodeHash": PASSWORD_HASH}, traces)


def enigmacrypt_request(key: str, views: int, _: bool) -> dict[str, Any]:
    body = {"encryptedContent": GOLDEN[4]["encryptedContent"], "name": "n", "expiresAt": None, "maxAccess": views}
    return {"json": body, "headers": {"Authorization": f"Bearer {key}"}}


def read_enigmacrypt(response: httpx.Response) -> CreatedSecret:
    text, password = GOLDEN[4]["plaintext"].encode(), GOLDEN[4]["password"].encode()
    key = hashlib.pbkdf2_hmac("sha256", password, bytes.fromhex(GOLDEN[4]["encryptedContent"][:32]), 100_000)
    link_id = f"enigmacrypt.{response.json()['data']['messageId']}"
    return CreatedSecret(link_id, {}, (text, password, key, key.hex().encode()))


SEECRET = "SSH password: s3cr3t! ✓ & + %26"


def seecret_request(key: str, views: int, has_password: bool) -> dict[str, Any]:
    form = {"operation": "create_seecret", "lang": "en", "seecret": SEECRET, "number_view": views, "note": "n"}
    password = {"password": "foobar123"} if has_password else {}
    return {"data": form | password, "headers": {"Authorization": f"Bearer {key}"}}


def read_seecret(response: httpx.Response) -> CreatedSecret:
    fragment = response.json()["data"]["url"].partition("#")[2]
    key = base64.urlsafe_b64decode(fragment + "=")
    keys = envelope.derive(key)
    proof = {"access": keys.access, "passcodeHash": PASSWORD_HASH}
    traces = (SEECRET.encode(), b"s3cr3t", fragment.encode(), key, key.hex().encode(), keys.content_key)
    return CreatedSecret(f"seecret.{response.json()['data']['id']}", proof, traces)


def sharokey_request(key: str, views: int, has_password: bool) -> dict[str, Any]:
    body = json.loads(GOLDEN[2]["request"]["body"]) | {"maximum_views": views, "password": "foobar123"}
    omitted = {"otp_type", "otp_receiver"} if has_password else {"otp_type", "otp_receiver", "password"}
    members = {name: value for name, value in body.items() if name not in omitted}
    return {"json": members, "headers": {"Authorization": f"Bearer {key}"}}


def read_sharokey(response: httpx.Response) -> CreatedSecret:
    recorded, fragment = json.loads(GOLDEN[2]["request"]["body"]), GOLDEN[2]["keyB"].encode()
    salt = base64.b64decode(recorded["salt"])
    key = hashlib.pbkdf2_hmac("sha256", recorded["key"].encode() + fragment, salt, 10_000)
    traces = (GOLDEN[2]["plaintext"].strip().encode(), fragment, key, key.hex().encode())
    return CreatedSecret(response.json()["data"]["slug"], {"passcodeHash": PASSWORD_HASH}, traces)


ROWS = [
    Row(
        "scrt-link", "/api/v1/secrets", scrt_link_request, read_scrt_link,
        lambda body: body.keys() <= {"error", "issues"} and isinstance(body["error"], str),
        statuses={401: 403},
    ),
    Row(
        "enigmacrypt", "/api/messages", enigmacrypt_request, read_enigmacrypt,
        lambda body: body.keys() == {"success", "error"} and (body["success"], type(body["error"])) == (False, str),
        checks_password=False,
    ),
    Row(
        "seecret", "/api", seecret_request, read_seecret,
        lambda body: body.keys() == {"CODE", "MESSAGE"} and (type(body["CODE"]), type(body["MESSAGE"])) == (int, str),
        toml="[dialects.seecret]\nenabled = true\n",
    ),
    Row(
        "sharokey", "/api/v1/secrets", sharokey_request, read_sharokey,
        lambda body: body.keys() == {"success", "message", "error"} and body["error"].keys() >= {"code", "message"},
        statuses={400: 422, 507: 403},
    ),
]  # fmt: skip

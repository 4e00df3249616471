"""EnigmaCrypt's documented samples against a real server: Node with both generations of crypto-js, and curl."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS
from transcripts import GOLDEN

CLIENTS = Path(sys.prefix) / "clients"
PROGRAM = Path(__file__).parent / "clients/enigmacrypt.js"
GENERATIONS = {"4.1.1": "sha1", "4.2.0": "sha256"}
BODY = {"encryptedContent": GOLDEN[3]["encryptedContent"], "name": "API Secret", "expiresAt": None, "maxAccess": 1}
TEXT, PASSWORD = "hello ✓ <b>&amp;</b>\n🗝️", "pässword 🗝️"


def node(version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    modules = CLIENTS / f"crypto-js-{version}/node_modules"
    assert (modules / "crypto-js").is_dir(), "crypto-js is missing: run tests/dialects/clients/install.sh"
    env = os.environ | {"NODE_PATH": str(modules)}
    command = ["node", str(PROGRAM), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)


def create_with_sample(version: str, base: str, *arguments: str) -> Any:
    """Return the sample's result: url and password."""
    process = node(version, base, TEXT, PASSWORD, *arguments)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def fetch(created: Any) -> httpx.Response:
    base, _, message_id = created["url"].rpartition("/s/")
    return httpx.post(f"{base}/api/messages/{message_id}/access")


def open_by_recipe(content: str, digest: str) -> Any:
    """Open by the documented recipe. Raises ValueError if the key was derived with another hash."""
    salt, iv, data = bytes.fromhex(content[:32]), bytes.fromhex(content[32:64]), base64.b64decode(content[64:])
    key = hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), salt, 100_000, 32)
    decryptor, unpadder = Cipher(AES(key), CBC(iv)).decryptor(), padding.PKCS7(128).unpadder()
    return json.loads(unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize())


@pytest.mark.parametrize("version", GENERATIONS)
def test_node_sample_creates_with_a_key(server: Server, version: str) -> None:
    """The stored message opens by the recipe, with the hash of that generation only."""
    key = server.key()
    created = create_with_sample(version, f"{server.url}/enigmacrypt", key)
    assert created["password"] == PASSWORD
    assert re.fullmatch(re.escape(server.url) + "/enigmacrypt/s/[A-Za-z0-9]{8}", created["url"])
    content = fetch(created).json()["data"]["encryptedContent"]
    message = open_by_recipe(content, GENERATIONS[version])
    assert message.keys() == {"version", "content", "created"}
    assert (message["version"], message["content"]) == ("v1", TEXT)
    other = next(digest for digest in GENERATIONS.values() if digest != GENERATIONS[version])
    with pytest.raises(ValueError):  # noqa: PT011  from padding, UTF-8 or JSON, by chance
        open_by_recipe(content, other)
    assert fetch(created).status_code == 410
    assert key not in server.log()
    assert created["url"].rpartition("/")[2] not in server.log()


def test_node_sample_creates_without_a_key(server: Server) -> None:
    created = create_with_sample("4.2.0", f"{server.url}/enigmacrypt")
    assert open_by_recipe(fetch(created).json()["data"]["encryptedContent"], "sha256")["content"] == TEXT


@pytest.mark.parametrize("token", ["enigma_0123456789abcdef", "sk_live_" + "0" * 38])
def test_node_sample_throws_the_error_for_an_unknown_key(server: Server, token: str) -> None:
    """A request with an unknown key is not an anonymous one."""
    process = node("4.2.0", f"{server.url}/enigmacrypt", TEXT, PASSWORD, token)
    assert process.returncode != 0
    assert "Error: The API key is not valid" in process.stderr


def test_node_sample_throws_the_rate_limit_error(make_server: MakeServer) -> None:
    server = make_server().start()
    statuses = [httpx.post(f"{server.url}/enigmacrypt/api/messages", json=BODY).status_code for _ in range(20)]
    assert statuses == [201] * 20
    process = node("4.2.0", f"{server.url}/enigmacrypt", TEXT, PASSWORD)
    assert "Error: Too many requests" in process.stderr
    assert fetch(create_with_sample("4.2.0", f"{server.url}/enigmacrypt", server.key())).status_code == 200


def curl(url: str, body: Any, key: str, *options: str) -> Any:
    """Run the documented command and return the JSON that it prints."""
    command = ["curl", "-sS", *options, "-X", "POST", f"{url}/api/messages"]
    command += ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"]
    process = subprocess.run(
        [*command, "-d", json.dumps(body)], capture_output=True, timeout=TIMEOUT_SECONDS, check=True
    )
    return json.loads(process.stdout)


def test_curl_sample_creates(server: Server) -> None:
    body = curl(f"{server.url}/enigmacrypt", BODY, server.key())
    assert (body["success"], body["message"]) == (True, "Message stored successfully")
    assert body["data"].keys() == {"messageId", "expiresAt"}
    response = fetch({"url": f"{server.url}/enigmacrypt/s/{body['data']['messageId']}"})
    assert response.json()["data"]["encryptedContent"] == BODY["encryptedContent"]


def test_curl_sample_works_at_the_dialects_own_host(make_server: MakeServer) -> None:
    """Without a path prefix; links there redirect to the page at the public URL."""
    server = make_server('[dialects.enigmacrypt]\nhost = "enigma.example.org"\n').start()
    host = f"enigma.example.org:{server.port}"
    body = curl(f"http://{host}", BODY, server.key(), "--resolve", f"{host}:127.0.0.1")
    path = f"/s/{body['data']['messageId']}"
    redirect = httpx.get(server.url + path, headers={"Host": host})
    assert (redirect.status_code, redirect.headers["location"]) == (302, f"{server.url}/enigmacrypt{path}")
    assert fetch({"url": f"{server.url}/enigmacrypt{path}"}).status_code == 200
